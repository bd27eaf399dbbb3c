"""An offer: one way to serve a service, and what one replica of it carries."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
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
    """One replica to be: where, in what number format, how spread, with which scheduler limits.

    With ``prefill`` it is a unit of several, whose prompts are computed apart (``Disaggregated``); what is
    said here is then said of its decode side.
    """

    service: str
    pool: PoolName
    dtype: Dtype
    parallelism: Parallelism
    engine: EngineSettings
    prefill: "PrefillSide | None" = None

    @property
    def name(self) -> str:
        """Stable, readable key: ``h20/fp8/tp2``, and of a unit ``2xh800/fp8/tp1+3xh20/fp8/tp2``."""
        replica = f"{self.pool}/{self.dtype}/{self.parallelism}"
        if self.prefill is None:
            return replica
        return (
            f"{self.prefill.replicas}x{self.prefill.candidate.name}+{self.prefill.decode_replicas}x{replica}"
        )

    @property
    def chips(self) -> Mapping[PoolName, int]:
        """Chips by pool: of one pool, or of the two that a unit's sides are in."""
        if self.prefill is None:
            return {self.pool: self.parallelism.chips}
        chips = Counter({self.pool: self.prefill.decode_replicas * self.parallelism.chips})
        side = self.prefill.candidate
        chips[side.pool] += self.prefill.replicas * side.parallelism.chips
        return chips

    @property
    def num_chips(self) -> int:
        """Chips of all pools."""
        return sum(self.chips.values())

    @property
    def decode(self) -> "Candidate":
        """One replica of a unit's decode side; a replica that does everything is its own."""
        return replace(self, prefill=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefillSide:
    """What a unit has besides one decode replica.

    Attributes:
        candidate: One prefill replica.
        replicas: How many.
        decode_replicas: How many replicas decode what these prefill.
    """

    candidate: Candidate
    replicas: int
    decode_replicas: int


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
