"""How wrong the predictions are, on rows that no fit saw."""
