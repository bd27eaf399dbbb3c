"""What a replay found."""

from dataclasses import dataclass

from seedcorn.domain.hardware import Chip, Dtype, PoolName
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.workload import EngineSettings, Metric, Slo, Statistic, Trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """One latency over all requests that finished (ITL: over all gaps), in seconds. Percentiles are request-weighted."""

    mean_s: float
    p50_s: float
    p90_s: float
    p95_s: float
    p99_s: float

    def value_s(self, statistic: Statistic) -> float:
        """The value of one statistic."""
        return {
            Statistic.MEAN: self.mean_s,
            Statistic.P50: self.p50_s,
            Statistic.P90: self.p90_s,
            Statistic.P95: self.p95_s,
            Statistic.P99: self.p99_s,
        }[statistic]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupOutcome:
    """What like replicas did in a replay.

    Attributes:
        finished: Requests that they served.
        busy_share: Share of their time in service that was spent in steps.
    """

    finished: int
    busy_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A replay in numbers.

    Invariant: ``arrived == finished + refused`` (a replay runs until its last request is done).

    Attributes:
        refused: Requests that were not served: those below, and those too long for any replica's KV cache.
        turned_away: Of the refused, those that met a full queue.
        unserved: Of the refused, those for which no replica was in service again.
        retried: Times a request was sent again after the replica that held it was lost.
        groups: Of each group of like replicas, where there are several kinds.
        duration_s: First arrival to last token.
        busy_share: Share of replica-time in service that was spent in steps.
        tokens_per_s: Output tokens per second of ``duration_s``.
        slo_attainment_share: Share of arrived requests within every per-request bound, where an SLO was given.
    """

    arrived: int
    finished: int
    refused: int
    preemptions: int
    steps: int
    duration_s: float
    busy_share: float
    input_tokens_per_s: float
    output_tokens_per_s: float
    ttft: Latency
    tpot: Latency
    itl: Latency
    e2e: Latency
    slo_attainment_share: float | None = None
    turned_away: int = 0
    unserved: int = 0
    retried: int = 0
    groups: tuple[GroupOutcome, ...] = ()

    def latency(self, metric: Metric) -> Latency:
        """The latency called ``metric``."""
        return {Metric.TTFT: self.ttft, Metric.TPOT: self.tpot, Metric.ITL: self.itl, Metric.E2E: self.e2e}[
            metric
        ]

    def meets(self, slo: Slo) -> bool:
        """Whether nothing was refused and every objective holds."""
        return self.refused == 0 and all(
            self.latency(o.metric).value_s(o.statistic) <= o.bound_s for o in slo.objectives
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolOutcome:
    """What the replicas of all services on one pool did.

    Attributes:
        chips: Of these replicas.
        finished: Requests that they served.
        busy_share: Share of their chips' time that was spent in steps, each service over its own trace.
    """

    pool: PoolName
    replicas: int
    chips: int
    finished: int
    busy_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SingleReplay:
    """One trace replayed on ``replicas`` like replicas: what was replayed, every default filled in, and what came of it.

    Attributes:
        log_sigma: Standard deviation of ln(true / predicted) step time.
    """

    trace: Trace
    model: ModelSpec
    chip: Chip
    dtype: Dtype
    parallelism: Parallelism
    engine: EngineSettings
    replicas: int
    evidence: Evidence
    log_sigma: float
    kv_tokens: int
    outcome: Outcome

    @property
    def name(self) -> str:
        """What was replayed, in one line."""
        return (
            f"{self.trace.name} at {self.trace.mean_rate_per_s:.3g} requests/s on {self.replicas} x "
            f"{self.model.name} {self.dtype} {self.parallelism} on {self.chip.name}"
        )
