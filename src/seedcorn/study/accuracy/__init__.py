"""How wrong the predictions are, on rows that no fit saw."""

from seedcorn.study.accuracy.assess import bundled_accuracy, own_accuracy

__all__ = ["bundled_accuracy", "own_accuracy"]
