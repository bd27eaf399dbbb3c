"""What asks for chips: services with traffic and latency objectives, and training jobs."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from seedcorn.domain.hardware import Dtype, PoolName
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.moves import Today

if TYPE_CHECKING:  # arrays are named here, not made: commands without any stay quick
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Prompts:
    """What prompts have in common: each as a row of block ids, equal up to where the prompts are.

    Attributes:
        block_tokens: Tokens of one block. A prompt's last tokens, fewer than a block, have no id.
        first: (num_requests + 1,) int64, where each row starts.
        ids: (num_blocks,) int64.
    """

    block_tokens: int
    first: NDArray[np.int64]
    ids: NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trace:
    """Requests in arrival order.

    Attributes:
        arrival_s: (num_requests,) float64, sorted, seconds since the trace's start (first is ≥ 0).
        input_tokens: (num_requests,) int32, prompt lengths, ≥ 1.
        output_tokens: (num_requests,) int32, generated tokens, ≥ 1.
        priority: (num_requests,) int32, least first, as vLLM counts it; ``None``: all alike.
        prompts: What prompts have in common; ``None``: nothing, or nobody knows.
        source: Where it came from and its licence, as printed.
    """

    name: str
    arrival_s: NDArray[np.float64]
    input_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    priority: NDArray[np.int32] | None = None
    prompts: Prompts | None = None
    source: str = ""

    def __post_init__(self) -> None:
        assert self.arrival_s.shape == self.input_tokens.shape == self.output_tokens.shape
        assert self.priority is None or self.priority.shape == self.arrival_s.shape

    @property
    def num_requests(self) -> int:
        """How many requests the trace holds."""
        return int(self.arrival_s.shape[0])

    @property
    def mean_rate_per_s(self) -> float:
        """Requests per second from the first arrival to the last."""
        span_s = float(self.arrival_s[-1] - self.arrival_s[0]) if self.num_requests > 1 else 0.0
        return (self.num_requests - 1) / span_s if span_s > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayCurve:
    """How the request rate runs over a day.

    Attributes:
        rate_per_s: (windows,) ≥ 0, mean rate in equal windows from midnight to midnight.
        days_per_s: (days, windows) the same of each day that was measured, NaN where nothing was; ``None``:
            no more is known than the mean.
        source: Where it came from and its licence, as printed.
    """

    name: str
    rate_per_s: NDArray[np.float64]
    days_per_s: NDArray[np.float64] | None = None
    source: str = ""

    @property
    def mean_rate_per_s(self) -> float:
        """Over the day."""
        return float(self.rate_per_s.mean())

    @property
    def peak_to_mean(self) -> float:
        """Rate of the busiest window, the mean being 1."""
        return float(self.rate_per_s.max()) / self.mean_rate_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestClass:
    """Requests of a service by length. Without any bound: all of them.

    Attributes:
        input_above, input_upto: Prompt tokens of its requests: more than the one, at most the other
            (``None``: no end).
        output_above, output_upto: The same of generated tokens.
    """

    input_above: int = 0
    input_upto: int | None = None
    output_above: int = 0
    output_upto: int | None = None

    @property
    def name(self) -> str:
        """In symbols: ``512<input<=2048``; ``all`` where nothing bounds it."""
        bounds = (
            _interval("input", self.input_above, self.input_upto),
            _interval("output", self.output_above, self.output_upto),
        )
        return ",".join(filter(None, bounds)) or "all"

    def holds(self, trace: Trace) -> NDArray[np.bool_]:
        """(num_requests,) which requests of ``trace`` are of this class."""
        mine = (trace.input_tokens > self.input_above) & (trace.output_tokens > self.output_above)
        if self.input_upto is not None:
            mine &= trace.input_tokens <= self.input_upto
        if self.output_upto is not None:
            mine &= trace.output_tokens <= self.output_upto
        return mine

    def split(
        self, *, input_at: int | None = None, output_at: int | None = None
    ) -> tuple[RequestClass, RequestClass]:
        """The requests up to the length given, and those above it."""
        if input_at is not None:
            return replace(self, input_upto=input_at), replace(self, input_above=input_at)
        assert output_at is not None
        return replace(self, output_upto=output_at), replace(self, output_above=output_at)


def _interval(what: str, above: int, upto: int | None) -> str:
    if upto is None:
        return f"{what}>{above}" if above else ""
    return f"{above}<{what}<={upto}" if above else f"{what}<={upto}"


ALL_REQUESTS = RequestClass()
"""The one class of a service whose traffic is not split."""


class Metric(StrEnum):
    """A latency of one request (ITL: of every gap between tokens)."""

    TTFT = "ttft"
    TPOT = "tpot"
    ITL = "itl"
    E2E = "e2e"


class Statistic(StrEnum):
    """How a latency is summed up over requests."""

    MEAN = "mean"
    P50 = "p50"
    P90 = "p90"
    P95 = "p95"
    P99 = "p99"


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """One bound: the ``statistic`` of ``metric`` is at most ``bound_s``."""

    metric: Metric
    statistic: Statistic
    bound_s: float

    @property
    def name(self) -> str:
        """As scenarios write it: ``ttft_p99``."""
        return f"{self.metric}_{self.statistic}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Slo:
    """Every objective of a service; all must hold."""

    objectives: tuple[Objective, ...]


class EngineName(StrEnum):
    """The serving engine, whose pace the step model takes. The scheduler replayed is vLLM's for all."""

    VLLM = "vllm"
    SGLANG = "sglang"
    TRTLLM = "trtllm"
    MINDIE = "mindie"


class SchedulingPolicy(StrEnum):
    """Whom a replica admits first and preempts last, by vLLM's own names."""

    FCFS = "fcfs"
    PRIORITY = "priority"


class Router(StrEnum):
    """How requests are spread over replicas."""

    ROUND_ROBIN = "round-robin"
    LEAST_OUTSTANDING = "least-outstanding"
    POWER_OF_TWO = "power-of-two"
    PREFIX_AWARE = "prefix-aware"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spill:
    """A replica with ``waiting`` waiting requests sends further ones to the service's replicas on pool ``to``."""

    to: PoolName
    waiting: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How a service's requests find a replica.

    Attributes:
        router: Among the replicas of one deployment.
        max_waiting: A replica with so many waiting requests refuses more; ``None``: none does.
        spill: ``None``: no request leaves the deployment it was dealt to.
    """

    router: Router = Router.ROUND_ROBIN
    max_waiting: int | None = None
    spill: Spill | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Scheduler limits of one replica, by vLLM's own names.

    Attributes:
        block_size: Tokens per KV block.
        gpu_memory_utilization: Share of memory the engine may use.
        prefix_caching: Whether a preempted sequence finds its surviving blocks again.
        scheduling_policy: ``PRIORITY`` goes by the trace's priorities, and by arrival among equals.
    """

    engine: EngineName = EngineName.VLLM
    max_num_seqs: int = 256
    max_num_batched_tokens: int = 8192
    block_size: int = 16
    gpu_memory_utilization: float = 0.9
    prefix_caching: bool = True
    scheduling_policy: SchedulingPolicy = SchedulingPolicy.FCFS


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A model served to users.

    Attributes:
        dtypes: Variants the owner accepts, in order of preference; empty: the published one.
        rate_per_s: Mean request rate to plan for.
        day: How the rate runs over a day, ``rate_per_s`` being its mean; ``None``: nobody said.
        today: Where it runs now, if anywhere.
        pools: Pools it may run on; empty: all.
        engines: Scheduler limits to choose from; the best of them is taken for each replica.
        routing: How requests find a replica.
        disaggregate: Whether prompts may be computed on other replicas than answers.
    """

    name: str
    model: ModelSpec
    trace: Trace
    rate_per_s: float
    slo: Slo
    dtypes: tuple[Dtype, ...] = ()
    day: DayCurve | None = None
    today: Today | None = None
    pools: tuple[PoolName, ...] = ()
    engines: tuple[EngineSettings, ...] = (EngineSettings(),)
    routing: Routing = Routing()
    disaggregate: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Interruptions:
    """What keeps a gang from training all the time.

    Attributes:
        checkpoint_every_s: ``None``: the interval that loses the least time.
        checkpoint_s: That saving one stalls training. Seconds, since it is written in the background
            (MegaScale, arXiv:2402.15627, section 4.4).
        restart_s: From a failure until training goes on. MegaScale detects, diagnoses and catches up within
            15 min (section 6.3).
        chip_mtbf_s: Mean time between failures of one chip. Llama 3 405B: 419 unexpected interruptions in
            54 days on 16,384 H100 (arXiv:2407.21783, section 3.3.4).
    """

    checkpoint_every_s: float | None = None
    checkpoint_s: float = 10.0
    restart_s: float = 900.0
    chip_mtbf_s: float = 54 * 86400 * 16384 / 419


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingJob:
    """A model to train, by architecture or by parameter counts alone.

    Attributes:
        model: ``None`` where only parameter counts are known.
        params: Total parameters.
        active_params: Parameters one token passes (equal to ``params`` for a dense model).
        tokens: Tokens still to train on; ``None``: open-ended.
        batch_tokens: Tokens of one optimizer step; ``None``: what the batch-size scaling law gives.
        min_chips / max_chips: Gang size bounds; ``None``: one node / the whole pool.
        deadline_s: From now, or from the end of the job before it; ``None``: as soon as may be.
        weight: Value of its progress against other jobs'.
        priority: Jobs of a lower one never displace those of a higher one.
        after: The job that it follows on the same gang.
        interruptions: What keeps it from training all the time.
        mixed_gang: Whether one gang may spread over two pools.
        elastic: May take another gang in every slot of the day.
    """

    name: str
    params: float
    active_params: float
    model: ModelSpec | None = None
    tokens: float | None = None
    batch_tokens: float | None = None
    sequence_length: int = 4096
    dtype: Dtype = Dtype.BF16
    pools: tuple[PoolName, ...] = ()
    min_chips: int | None = None
    max_chips: int | None = None
    deadline_s: float | None = None
    weight: float = 1.0
    priority: int = 0
    after: str | None = None
    interruptions: Interruptions = Interruptions()
    mixed_gang: bool = False
    elastic: bool = False
