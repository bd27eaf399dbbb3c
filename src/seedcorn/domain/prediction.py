"""Answers to "how fast would it be?": predictions with the interval that holds the truth nine times in ten."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from seedcorn.domain.hardware import ChipName, Dtype
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.workload import EngineSettings, Statistic

CONFIDENCE = 0.9
"""Probability with which the true value lies within an :class:`Interval`."""

HALF_WIDTH = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Of an interval, in standard deviations."""


def times_off(log_sigma: float) -> float:
    """How many times as large or as small the true value may be, at the ends of its interval.

    Args:
        log_sigma: Standard deviation of ln(true / predicted).
    """
    return math.exp(HALF_WIDTH * log_sigma)


PREDICTED_STATISTICS = (Statistic.MEAN, Statistic.P50, Statistic.P99)
"""What a prediction says of each latency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """A predicted value and its bounds; ``high`` is infinite where the slow end would not keep up."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What drives a service: requests of one size, from so many clients or at such a rate.

    Attributes:
        concurrency: Clients in a closed loop, each with one request under way; ``None``: open loop.
        rate_per_s: Poisson arrivals; ``None``: closed loop.
    """

    input_tokens: int
    output_tokens: int
    concurrency: int | None = None
    rate_per_s: float | None = None

    def __post_init__(self) -> None:
        assert (self.concurrency is None) != (self.rate_per_s is None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingPrediction:
    """How a model would serve a load on some chips.

    Attributes:
        chips: Chips used; those that no replica gets are not counted.
        kv_tokens: KV-cache capacity of one replica.
        requests: How many were replayed; all of them count.
        ttft_s, tpot_s: By statistic over requests.
        binds: What a faster service needs more of first: compute, bandwidth, link, host, or memory.
        shares: Where a request's time goes, by resource; sums to 1 but for rounding.
        defaults: What was not asked and was filled in, in the words of the options.
    """

    model: str
    chip: ChipName
    chips: int
    replicas: int
    dtype: Dtype
    parallelism: Parallelism
    engine: EngineSettings
    load: Load
    kv_tokens: int
    requests: int
    ttft_s: Mapping[Statistic, Interval]
    tpot_s: Mapping[Statistic, Interval]
    output_tokens_per_s: Interval
    evidence: Evidence
    binds: str
    shares: Mapping[str, float]
    defaults: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPrediction:
    """How fast a gang would train a model.

    Attributes:
        model: Its name, or its parameter count where that is all that was given.
        chips: Chips that work; the best layout may leave some of those asked for idle.
        parallelism: As launchers write it: ``tp4-pp4-mbs2-dp64``.
        flop_per_s_per_chip: 6 · active parameters · tokens/s / chips: no attention, no recomputation.
        shares: Where the time goes, by cause.
    """

    model: str
    chip: ChipName
    chips: int
    dtype: Dtype
    sequence_length: int
    parallelism: str
    tokens_per_s: Interval
    flop_per_s_per_chip: Interval
    mfu: Interval
    effectiveness_share: float
    evidence: Evidence
    binds: str
    shares: Mapping[str, float]
    defaults: Mapping[str, str]
