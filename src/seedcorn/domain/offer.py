"""An offer: one way to serve a service, and what one replica of it carries."""

from dataclasses import dataclass
from enum import StrEnum

from seedcorn.domain.hardware import Dtype, PoolName
from seedcorn.domain.workload import ALL_REQUESTS, EngineSettings, Objective, RequestClass


class Evidence(StrEnum):
    """Where a performance number comes from, most trusted first."""

    MEASURED = "measured"
    SILICON = "silicon"
    CALIBRATED = "calibrated"
    DATASHEET = "datasheet"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parallelism:
    """How one replica (or gang) is spread: ``tp × pp`` chips serve; ``ep`` spreads experts over chips already counted."""

    tp: int = 1
    pp: int = 1
    ep: int = 1

    @property
    def chips(self) -> int:
        """Chips of one replica."""
        return self.tp * self.pp

    def __str__(self) -> str:
        parts = [f"tp{self.tp}"]
        parts += [f"pp{self.pp}"] if self.pp > 1 else []
        parts += [f"ep{self.ep}"] if self.ep > 1 else []
        return "-".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One replica to be: where, in what number format, how spread, with which scheduler limits."""

    service: str
    pool: PoolName
    dtype: Dtype
    parallelism: Parallelism
    engine: EngineSettings

    @property
    def name(self) -> str:
        """Stable, readable key: ``h20/fp8/tp2``."""
        return f"{self.pool}/{self.dtype}/{self.parallelism}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicted:
    """One latency the replay found at the planned load."""

    objective: Objective
    got_s: float

    @property
    def holds(self) -> bool:
        """Whether the objective is met."""
        return self.got_s <= self.objective.bound_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A candidate that works, with its capacity from replay.

    Attributes:
        capacity_req_per_s: Requests per second one replica carries within every objective.
        request_class: The requests it was given, and those alone.
        predicted: Each objective's value at that rate.
        binds: The objective that stopped the rate from being higher.
    """

    candidate: Candidate
    capacity_req_per_s: float
    predicted: tuple[Predicted, ...]
    binds: Objective
    evidence: Evidence
    kv_tokens: int
    request_class: RequestClass = ALL_REQUESTS

    @property
    def name(self) -> str:
        """Stable, readable key: the candidate's, and the class if it is one: ``h20/fp8/tp2 input<=2048``."""
        whole = self.request_class == ALL_REQUESTS
        return self.candidate.name if whole else f"{self.candidate.name} {self.request_class.name}"


class RefusalKind(StrEnum):
    """Why a candidate is no offer."""

    DOES_NOT_FIT = "does_not_fit"
    MISSES_SLO = "misses_slo"
    UNKNOWN_FACT = "unknown_fact"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A candidate that does not work, and why, in words that name the numbers.

    Attributes:
        missed: Where an SLO is missed: the objective missed by most, at next to no load.
    """

    candidate: Candidate
    kind: RefusalKind
    reason: str
    missed: Predicted | None = None
