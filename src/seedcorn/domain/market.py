"""The market: pools with chips, claimants with offers, and the allocation that clears it.

Maximise Σ weight·progress + Σ value·chips sold − Σ price·chips used − Σ cost·replicas − Σ move cost·replicas
beyond today's − Σ switch cost·replicas beyond those of the slot before, so that every service's demand is
carried, every required job runs and no pool uses more chips than it has. A day of several slots counts
their mean: everything is per hour.
"""

import math
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
        today: Replicas running now.
        move_cost: Paid per hour for each replica beyond those: a start's one-off cost, spread over the
            hours that the allocation is to stand.
        switch_cost: Paid per hour of a slot for each replica beyond those of the slot before, the first
            slot following the last: a start's one-off cost, spread over the hours of a slot.
        most: Replicas that there may be; ``None``: as many as are needed.
    """

    name: str
    chips: Mapping[PoolName, int]
    capacity: Mapping[str, float]
    cost: float = 0.0
    today: int = 0
    move_cost: float = 0.0
    switch_cost: float = 0.0
    most: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketService:
    """Must be served in full.

    Attributes:
        demand: Class → load, the same in every slot.
        tidal: Class → load in each slot, for classes not in ``demand``.
    """

    name: str
    demand: Mapping[str, float]
    offers: tuple[MarketOffer, ...]
    tidal: Mapping[str, tuple[float, ...]] = field(default_factory=dict)

    def load(self, slot: int) -> dict[str, float]:
        """Class → load in ``slot``."""
        return {**self.demand, **{name: loads[slot] for name, loads in self.tidal.items()}}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOption:
    """One gang size of a job: chips by pool, and the progress it makes in reference-chip equivalents."""

    chips: Mapping[PoolName, int]
    progress: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketJob:
    """Takes at most one of its options (exactly one if ``required``).

    Attributes:
        elastic: May take another option in every slot; otherwise what it takes it keeps all day.
        work: Hours of progress 1.0 that finish it.
        deadline_hours: When it must be finished, if it runs; with ``work``, and not ``elastic``.
        switch_cost: Of an elastic job: paid per hour of a slot in which it takes an option that it did not
            have in the slot before: a checkpoint's and a restart's one-off cost, spread over the hours of a slot.
        priority: Jobs of a lower one never displace those of a higher one.
        after: The job that it follows on the same gang, if any: its deadline counts from that one's end.
    """

    name: str
    options: tuple[JobOption, ...]
    weight: float = 1.0
    required: bool = False
    elastic: bool = False
    work: float | None = None
    deadline_hours: float | None = None
    switch_cost: float = 0.0
    priority: int = 0
    after: str | None = None

    def finishes_in_hours(self, option: JobOption) -> float:
        """Hours from its start to its end with ``option``; 0 where its work is not said."""
        if not self.work:
            return 0.0
        return self.work / option.progress if option.progress > 0 else math.inf

    def is_in_time(self, option: JobOption) -> bool:
        """Whether ``option`` meets the deadline."""
        return self.deadline_hours is None or self.finishes_in_hours(option) <= self.deadline_hours


class ResaleKind(StrEnum):
    """``RESERVED``: as many chips in every slot; ``SPOT``: slot by slot."""

    RESERVED = "reserved"
    SPOT = "spot"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketResale:
    """Up to ``chips`` of ``pool`` may be sold at ``value`` per chip-hour."""

    name: str
    pool: PoolName
    chips: int
    value: float
    kind: ResaleKind = ResaleKind.RESERVED


class Objective(StrEnum):
    """``VALUE``: the sum above. ``MAX_MIN``: the least progress/weight of any job, jobs sharing chips by time."""

    VALUE = "value"
    MAX_MIN = "max-min"


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Everything the planner sees. Names are unique within pools, services, jobs and resale.

    Attributes:
        slots: Parts of the day, equally long.
        max_moves: Replicas beyond today's that there may be in any slot; ``None``: any number.
    """

    pools: tuple[MarketPool, ...]
    services: tuple[MarketService, ...] = ()
    jobs: tuple[MarketJob, ...] = ()
    resale: tuple[MarketResale, ...] = ()
    slots: int = 1
    max_moves: int | None = None
    objective: Objective = Objective.VALUE

    @property
    def chains(self) -> tuple[tuple[MarketJob, ...], ...]:
        """Jobs in sequence, first to last, of each sequence of more than one."""
        after = {job.after: job for job in self.jobs if job.after is not None}
        found = []
        for job in self.jobs:
            if job.after is None and job.name in after:
                chain = [job]
                while chain[-1].name in after:
                    chain.append(after[chain[-1].name])
                found.append(tuple(chain))
        return tuple(found)

    @property
    def counts_moves(self) -> bool:
        """Whether it matters what runs today."""
        offers = (offer for service in self.services for offer in service.offers)
        return self.max_moves is not None or any(offer.today or offer.move_cost for offer in offers)


class Status(StrEnum):
    """What the planner can say of its answer; ``UNKNOWN``: out of time before it found one or ruled all out."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketDeployment:
    """Replicas of one offer in one slot.

    Attributes:
        share: The part of each class's load that they carry (class → 0..1).
        started: Replicas that do not run today; ``None`` where the market does not count moves.
    """

    service: str
    offer: str
    chips: Mapping[PoolName, int]
    replicas: int
    share: Mapping[str, float]
    slot: int = 0
    started: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAward:
    """The option a job got (index into its options), or ``None``.

    Attributes:
        slot: When; ``None``: in every slot.
        chips, progress: While it runs, and on the whole.
        share: Part of the time that it runs; ``None`` unless jobs share chips by time.
        starts_in_hours: When those before it end. The chips of jobs in sequence are the same chips.
    """

    job: str
    option: int | None
    chips: Mapping[PoolName, int] = field(default_factory=dict)
    progress: float = 0.0
    slot: int | None = None
    share: float | None = None
    starts_in_hours: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ResaleAward:
    """Chips sold; ``slot`` is ``None`` for reserved ones: in every slot."""

    product: str
    pool: PoolName
    chips: int
    slot: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolUse:
    """Use of one pool in one slot.

    Attributes:
        used: Chips, rounded up where jobs share them by time.
        shadow_price: What one more chip in this slot would add per hour of the slot.
    """

    pool: PoolName
    chips: int
    used: int
    shadow_price: float
    slot: int = 0

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
        shed: Load of ``claimant`` to give up in every slot, by class.
        wait: Whether ``claimant``, a required job, has to wait.
        add_moves: Replicas to be started beyond the most allowed.
        deadline_hours: A deadline that ``claimant``, a required job, can meet.
    """

    claimant: str
    binds: str
    remedy: str
    add_chips: Mapping[PoolName, int] = field(default_factory=dict)
    shed: Mapping[str, float] = field(default_factory=dict)
    wait: bool = False
    needed: bool = False
    add_moves: int = 0
    deadline_hours: float | None = None


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
    resale: tuple[ResaleAward, ...] = ()
