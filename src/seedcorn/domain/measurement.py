"""What a benchmark of a real server found: evidence that replaces a prediction."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import ChipName, Dtype
from seedcorn.domain.model import ModelName
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings, Statistic


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceKey:
    """What was measured: evidence speaks of exactly this, and of nothing alike.

    Attributes:
        engine: As its makers call it: ``vllm``, ``sglang``. Only engines that seedcorn replays are fitted.
        engine_version: ``0.19.0``.
    """

    model: ModelName
    dtype: Dtype
    chip: ChipName
    engine: str
    engine_version: str
    parallelism: Parallelism

    @property
    def name(self) -> str:
        """In one line."""
        return f"{self.model} {self.dtype} {self.parallelism} on {self.chip}, {self.engine} {self.engine_version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchmarkPoint:
    """One benchmark summed up: a load, and what it met.

    Attributes:
        input_tokens, output_tokens: Means over its requests.
        num_requests: Requests that finished; all of them count in the statistics.
        concurrency: Clients of a closed loop; ``None``: open loop.
        rate_per_s: Of arrivals; ``None``: closed loop.
        evenly_spaced: Whether arrivals keep one gap; else they are a Poisson process.
        ttft_s, tpot_s: Statistics over requests, those that were reported.
        output_tokens_per_s: Of the whole server, where reported.
    """

    input_tokens: float
    output_tokens: float
    num_requests: int
    concurrency: int | None
    rate_per_s: float | None
    evenly_spaced: bool
    ttft_s: Mapping[Statistic, float]
    tpot_s: Mapping[Statistic, float]
    output_tokens_per_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestLog:
    """A run, request by request, in order of arrival.

    Attributes:
        arrival_s: (num_requests,) sorted, first is 0.
        input_tokens, output_tokens: (num_requests,)
        first_token_s, last_token_s: (num_requests,) on the clock of the arrivals; NaN where not seen.
    """

    arrival_s: NDArray[np.float64]
    input_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    first_token_s: NDArray[np.float64]
    last_token_s: NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Measurement:
    """One imported file, or one run against a live server.

    Attributes:
        replicas: Servers that shared the load, all alike.
        engine: Its limits during the run.
        kv_tokens: KV tokens that one replica reported; ``None``: unknown.
        points: Benchmarks summed up.
        log: A run by request; ``None``: only sums are known.
        source: Format and name of the file, or the server.
    """

    key: EvidenceKey
    replicas: int
    engine: EngineSettings
    kv_tokens: int | None
    points: tuple[BenchmarkPoint, ...]
    log: RequestLog | None
    source: str
