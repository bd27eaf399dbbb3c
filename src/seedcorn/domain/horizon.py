"""What lies ahead: generations to train, chips to come and to go, growth, levers, and how sure any of it is."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from seedcorn.domain.hardware import Chip, Dtype, PoolName
from seedcorn.domain.workload import TrainingJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Money:
    """An amount of a currency (ISO 4217)."""

    amount: float
    currency: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Quantiles:
    """Something uncertain, by what it stays below with 10, 50 and 90 %; three equal values are certain."""

    p10: float
    p50: float
    p90: float

    def __post_init__(self) -> None:
        assert self.p10 <= self.p50 <= self.p90


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A model to train once.

    Attributes:
        flop: Training compute, 6 · active parameters · tokens.
        job: The model, its format and the bounds of its gang; its ``tokens`` make up ``flop``.
        earliest / by: First day it may train, and the day on which it must be done.
        mixed: Its gang may span pools.
    """

    name: str
    flop: float
    job: TrainingJob
    earliest: datetime.date | None = None
    by: datetime.date | None = None
    mixed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """Chips that arrive together and can be used from ``on``."""

    on: datetime.date
    chips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Porting:
    """What it takes before models of a family (``model_type``; ``*``: every other) run on a new kind of chip."""

    family: str
    time_s: float = 0.0
    cost: Money | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """Chips to come, or offered.

    Attributes:
        pool: The pool they join, or form if ``joins`` is false.
        chip_reference: The chip as the scenario names it.
        delivered: Share of each delivery that arrives.
        delay_s: By how much deliveries are late.
        price: Of one chip.
        readiness: Share of the predicted speed that the software reaches.
        power_w: Of one chip.
        committed: Ordered already.
        licence_held: The licence that export rules ask for is held.
        priors: Public facts that stand in for what the scenario left out, in words.
    """

    name: str
    pool: PoolName
    joins: bool
    chip: Chip
    chip_reference: str
    chips_per_node: int
    deliveries: tuple[Delivery, ...]
    network_bytes_per_s: float | None = None
    delivered: Quantiles = Quantiles(p10=1.0, p50=1.0, p90=1.0)
    delay_s: Quantiles = Quantiles(p10=0.0, p50=0.0, p90=0.0)
    price: Money | None = None
    porting: tuple[Porting, ...] = ()
    readiness: float = 1.0
    power_w: float | None = None
    committed: bool = False
    licence_held: bool = False
    priors: tuple[str, ...] = ()

    @property
    def chips(self) -> int:
        """Chips in all, if everything arrives."""
        return sum(delivery.chips for delivery in self.deliveries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attrition:
    """Chips of a pool that go: one by one, failing for good, and all that are left on a day."""

    pool: PoolName
    mtbf_s: float | None = None
    retire: datetime.date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lever:
    """A change to be ranked by what it gains.

    Attributes:
        serving_speedup: Load of a replica, against today.
        training_speedup: Training speed, against today; ``mfu`` sets it outright.
        dtypes: Number formats accepted besides the services' own.
        demand: Demand, against the forecast.
        services: Those that it applies to; empty: all.
    """

    name: str
    serving_speedup: float = 1.0
    training_speedup: float = 1.0
    mfu: float | None = None
    dtypes: tuple[Dtype, ...] = ()
    demand: float = 1.0
    services: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Within which to buy; ``None``: no limit.

    Attributes:
        exchange: Currency → what one unit of it is worth in the budget's.
    """

    budget: Money | None = None
    power_w: float | None = None
    exchange: Mapping[str, float] = field(default_factory=dict)

    def cost(self, money: Money) -> float | None:
        """The sum in the budget's currency (its own without a budget); ``None`` without a rate of exchange."""
        if self.budget is None or money.currency == self.budget.currency:
            return money.amount
        rate = self.exchange.get(money.currency)
        return None if rate is None else money.amount * rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Exporting:
    """Whose export rules apply: ISO 3166 codes."""

    destination: str
    headquarters: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """Everything that ``runway`` adds to a scenario.

    Attributes:
        start: First day looked at; pools are as of that day.
        draws: Futures drawn.
        growth: Service → demand in a year against the demand of a year before.
        candidates: Catalogue chips to weigh, as supplies; ``limits`` within which to buy.
        exporting: ``None``: no rules were given, and none are applied.
    """

    start: datetime.date
    months: int = 60
    draws: int = 1000
    generations: tuple[Generation, ...] = ()
    supply: tuple[Supply, ...] = ()
    attrition: tuple[Attrition, ...] = ()
    growth: Mapping[str, Quantiles] = field(default_factory=dict)
    levers: tuple[Lever, ...] = ()
    candidates: tuple[Supply, ...] = ()
    limits: Limits = field(default_factory=Limits)
    exporting: Exporting | None = None
