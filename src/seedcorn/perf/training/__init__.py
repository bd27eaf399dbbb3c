"""Training throughput: how many tokens a second a gang of chips trains, and how sure we are."""

from seedcorn.perf.training.effectiveness import checkpoint_interval_s, effectiveness_share
from seedcorn.perf.training.layout import TrainingParallelism
from seedcorn.perf.training.mixed import MixedPart, MixedRate, mixed_gang_rate
from seedcorn.perf.training.rate import TrainingRate, batch_tokens, training_rate
from seedcorn.perf.training.search import (
    GangOption,
    best_training,
    gang_options,
    speed_per_chip,
)

__all__ = [
    "GangOption",
    "MixedPart",
    "MixedRate",
    "TrainingParallelism",
    "TrainingRate",
    "batch_tokens",
    "best_training",
    "checkpoint_interval_s",
    "effectiveness_share",
    "gang_options",
    "mixed_gang_rate",
    "speed_per_chip",
    "training_rate",
]
