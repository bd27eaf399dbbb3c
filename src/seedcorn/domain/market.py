"""The market: pools with chips, claimants with offers, and the allocation that clears it.

Maximise Σ weight·progress − Σ price·chips used − Σ cost·replicas, so that every service's demand is
carried, every required job runs and no pool uses more chips than it has.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from seedcorn.domain.hardware import PoolName


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketPool:
    """``chips`` that may be used; ``price`` is what one free chip-hour is worth."""

    name: PoolName
    chips: int
    price: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketOffer:
    """One kind of replica.

    Attributes:
        chips: Chips one replica takes, by pool (nearly always one pool).
        capacity: Class → load one replica carries of that class alone. Loads add: replicas ≥
            Σ_r share_r · demand_r / capacity_r. A class that is missing cannot be served.
        cost: Paid per replica, on top of its chips.
    """

    name: str
    chips: Mapping[PoolName, int]
    capacity: Mapping[str, float]
    cost: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketService:
    """Must be served in full: every class of ``demand`` (class → load)."""

    name: str
    demand: Mapping[str, float]
    offers: tuple[MarketOffer, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOption:
    """One gang size of a job: chips by pool, and the progress it makes in reference-chip equivalents."""

    chips: Mapping[PoolName, int]
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketJob:
    """Takes at most one of its options (exactly one if ``required``)."""

    name: str
    options: tuple[JobOption, ...]
    weight: float = 1.0
    required: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Everything the planner sees. Names are unique within pools, services and jobs."""

    pools: tuple[MarketPool, ...]
    services: tuple[MarketService, ...] = ()
    jobs: tuple[MarketJob, ...] = ()


class Status(StrEnum):
    """What the planner can say of its answer; ``UNKNOWN``: out of time before it found one or ruled all out."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDeployment:
    """Replicas of one offer; ``share`` is the part of each class's demand that they carry (class → 0..1)."""

    service: str
    offer: str
    chips: Mapping[PoolName, int]
    replicas: int
    share: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAward:
    """The option a job got (index into its options), or ``None``."""

    job: str
    option: int | None
    chips: Mapping[PoolName, int] = field(default_factory=dict)
    progress: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """Use of one pool. ``shadow_price`` is what one more chip would add to the objective per hour."""

    pool: PoolName
    chips: int
    used: int
    shadow_price: float

    @property
    def free(self) -> int:
        """Chips nobody uses."""
        return self.chips - self.used


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """Why a market cannot clear: who, what binds, and a change that works.

    Attributes:
        needed: Nothing works without this change; of the changes that are not needed, any one works.
        remedy: The change in words; the same in numbers below, where numbers say it.
        add_chips: Chips to add, by pool.
        shed: Load of ``claimant`` to give up, by class.
        wait: Whether ``claimant``, a required job, has to wait.
    """

    claimant: str
    binds: str
    remedy: str
    add_chips: Mapping[PoolName, int] = field(default_factory=dict)
    shed: Mapping[str, float] = field(default_factory=dict)
    wait: bool = False
    needed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """The planner's answer.

    Attributes:
        bound: No allocation has a higher objective (Lagrangian or branch-and-bound).
        gap: (bound − objective) / max(|objective|, |bound|), 0 when both are 0; ``inf`` without an
            allocation.
        shortages: Empty unless infeasible; nearest change first.
    """

    status: Status
    objective: float | None
    bound: float | None
    gap: float
    deployments: tuple[MarketDeployment, ...]
    jobs: tuple[JobAward, ...]
    pools: tuple[PoolUse, ...]
    seconds: float
    shortages: tuple[Shortage, ...] = ()
