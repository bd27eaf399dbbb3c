"""The plan: what runs where, what it frees, and how sure we are. Values only; ``wire`` writes the file."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seedcorn.domain.hardware import ChipName, PoolName
from seedcorn.domain.market import ResaleKind, Status
from seedcorn.domain.moves import Running, Wave
from seedcorn.domain.offer import Evidence, Offer, Refusal
from seedcorn.domain.outcome import Outcome
from seedcorn.domain.prediction import Interval
from seedcorn.domain.robustness import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncertainty:
    """What is open about a deployment, because its step model is a prediction.

    Attributes:
        capacity_req_per_s: Of one replica, by replay: where steps take as long as predicted, and at both
            ends of the interval that holds them nine times in ten. The low end is 0 where the slow end
            misses an objective at any rate.
        replicas: How many would do if steps took as long as predicted.
    """

    capacity_req_per_s: Interval
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Replicas of one offer in one slot of the day.

    Attributes:
        share: Part of the service's traffic routed to them.
        uncertainty: ``None``: not known, in plans of earlier versions.
    """

    offer: Offer
    replicas: int
    share: float
    uncertainty: Uncertainty | None = None
    slot: int = 0

    @property
    def serves(self) -> bool:
        """Whether any request goes there."""
        return self.replicas > 0 and self.share > 0

    @property
    def chips(self) -> int:
        """Chips in all."""
        return self.replicas * self.offer.candidate.num_chips

    def chips_of(self, pool: PoolName) -> int:
        """Chips in ``pool``."""
        return self.replicas * self.offer.candidate.chips.get(pool, 0)

    @property
    def replicas_for_uncertainty(self) -> int:
        """Replicas that stand by because steps may take longer than predicted."""
        return 0 if self.uncertainty is None else self.replicas - self.uncertainty.replicas

    @property
    def chips_for_uncertainty(self) -> int:
        """Chips of those."""
        return self.replicas_for_uncertainty * self.offer.candidate.num_chips


@dataclass(frozen=True, slots=True, kw_only=True)
class Alternative:
    """An offer and what serving the whole service with it would cost, in reference-chip hours an hour, at the plan's prices."""

    offer: Offer
    replicas: int
    chips: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotPlan:
    """One service in one slot of the day.

    Attributes:
        demand_req_per_s: Rate that is planned for: of the slot's busiest hour, margin included.
        load_factor: What it was multiplied by after replays that missed.
        outcome: Replay of the slot; ``None``: not replayed, or nothing comes.
    """

    slot: int
    demand_req_per_s: float
    load_factor: float = 1.0
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicePlan:
    """Where one service goes, what was considered, what replay said.

    Attributes:
        today_chips: Chips of its pool today that the service needs there; ``None`` if it runs nowhere.
        running: The replicas that serve it there today.
        alternatives: Every offer, cheapest first.
        refusals: Every candidate that is no offer.
        load_factor: What the planned rate was multiplied by after replays that missed (1: never); over a day,
            the highest of its slots.
        outcome: Replay of the whole service under this plan, over a day of the slot nearest to missing an
            objective; ``None``: not replayed.
        slots: Slot by slot, where the day has several.
        trials: The same replay under each case that the plan must withstand, in the slot that does worst.
    """

    service: str
    deployments: tuple[Deployment, ...]
    today: PoolName | None
    today_chips: int | None
    alternatives: tuple[Alternative, ...]
    refusals: tuple[Refusal, ...]
    running: tuple[Running, ...] = ()
    load_factor: float = 1.0
    outcome: Outcome | None = None
    trials: tuple[Trial, ...] = ()
    slots: tuple[SlotPlan, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPlan:
    """The gang a training job gets; no ``pool`` when it waits.

    Attributes:
        finishes_in_s: From now; ``starts_in_s``: when the job before it ends, whose chips it takes over.
        rest_pool, rest_chips: Where the last layers of a gang over two pools are.
        slot: When it has that gang; ``None``: all day.
        tokens_per_s_low, tokens_per_s_high: Bounds of the true speed, nine times in ten; ``None``: not known, in
            plans of earlier versions.
    """

    job: str
    pool: PoolName | None
    chips: int = 0
    parallelism: str = ""
    tokens_per_s: float = 0.0
    finishes_in_s: float | None = None
    progress: float = 0.0
    slot: int | None = None
    starts_in_s: float = 0.0
    rest_pool: PoolName | None = None
    rest_chips: int = 0
    tokens_per_s_low: float | None = None
    tokens_per_s_high: float | None = None
    evidence: Evidence | None = None

    @property
    def chips_by_pool(self) -> dict[PoolName, int]:
        """Chips of the gang."""
        parts = ((self.pool, self.chips), (self.rest_pool, self.rest_chips))
        return {pool: chips for pool, chips in parts if pool is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class SalePlan:
    """What is sold of one resale product.

    Attributes:
        chips: (slots,) in each slot of the day; of a reserved product the same number in all of them.
        price: Of a chip-hour: amount and currency.
    """

    product: str
    pool: PoolName
    kind: ResaleKind
    chips: tuple[int, ...]
    price: tuple[float, str]

    @property
    def chip_hours_a_day(self) -> float:
        """Sold from midnight to midnight."""
        return 24 * sum(self.chips) / len(self.chips)

    @property
    def income_a_day(self) -> float:
        """In the currency of the price."""
        return self.chip_hours_a_day * self.price[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSlot:
    """Who uses a pool in one slot of the day; attributes as of :class:`PoolPlan`."""

    slot: int
    used_by_services: int
    used_by_jobs: int
    sold: int
    shadow_price: float

    @property
    def used(self) -> int:
        """By anybody."""
        return self.used_by_services + self.used_by_jobs + self.sold


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolPlan:
    """Who uses a pool, and what its chips are worth, in reference-chip hours an hour.

    Over a day of several slots, who uses it is said of the slot that leaves the fewest chips free.

    Attributes:
        chips: Chips owned, ``spare`` included.
        price: Worth of a chip that nobody uses.
        shadow_price: What one more chip would add on top of that, all day; 0 where chips are left over.
        sold: Chips that are sold.
        slots: Slot by slot, where the day has several.
    """

    pool: PoolName
    chip: ChipName
    chips: int
    spare: int
    used_by_services: int
    used_by_jobs: int
    price: float
    shadow_price: float
    sold: int = 0
    slots: tuple[PoolSlot, ...] = ()

    @property
    def free(self) -> int:
        """Chips that nobody uses, spare ones not counted."""
        return self.chips - self.spare - self.used_by_services - self.used_by_jobs - self.sold


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything ``plan.json`` holds.

    Attributes:
        inputs_hash: SHA-256 over the scenario and every resolved input.
        reference_pool: The pool whose chip-hour is the numéraire.
        training_chips_freed: Reference-pool chips the services need today, less the most they use in any slot.
        today_chips: Reference-pool chips the services need today.
        waves: How to get there from today; empty where nothing moves, or where ``warnings`` say why not.
        slos_held: Whether the replay held every objective; ``None``: not replayed.
    """

    name: str
    inputs_hash: str
    seed: int
    reference_pool: PoolName
    services: tuple[ServicePlan, ...]
    jobs: tuple[JobPlan, ...]
    pools: tuple[PoolPlan, ...]
    status: Status
    objective: float
    bound: float
    gap: float
    today_chips: int
    training_chips_freed: int
    replayed: bool
    slos_held: bool | None
    waves: tuple[Wave, ...] = ()
    resale: tuple[SalePlan, ...] = ()
    warnings: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)

    @property
    def num_slots(self) -> int:
        """Parts of the day, each with its own replicas."""
        return max((len(pool.slots) for pool in self.pools), default=0) or 1

    def full_prices(self) -> dict[PoolName, float]:
        """A chip-hour of each pool, scarcity included, in reference-chip hours."""
        return {pool.pool: pool.price + pool.shadow_price for pool in self.pools}

    def cost_of_uncertainty(self, services: Iterable[ServicePlan]) -> float:
        """Reference-chip hours an hour of the chips that stand by for uncertainty; the mean of the day's slots."""
        prices = self.full_prices()
        chip_hours = sum(
            d.replicas_for_uncertainty * chips * prices[pool]
            for s in services
            for d in s.deployments
            for pool, chips in d.offer.candidate.chips.items()
        )
        return chip_hours / self.num_slots
