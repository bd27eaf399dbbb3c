"""Chips that may be sold by the hour: how many in each hour of the day, and what they must bring."""

from collections.abc import Mapping
from dataclasses import dataclass

from seedcorn.domain.hardware import ChipName, PoolName
from seedcorn.domain.market import ResaleKind

HOURS = range(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """Chips that the market takes by the hour.

    Attributes:
        price: Of a chip-hour: amount and currency.
        notice_s: Time a spot buyer gets to leave.
    """

    name: str
    pool: PoolName
    max_chips: int
    price: tuple[float, str]
    kind: ResaleKind
    notice_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSale:
    """Chip-hours of a product that can be sold in a day; none where its price is below the floor."""

    product: Product
    chip_hours: int
    pays: bool

    @property
    def income(self) -> float:
        """In the currency of the product's price."""
        return self.chip_hours * self.product.price[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolHour:
    """Who has the chips of a pool in one hour of the day: these add up to the chips owned.

    Attributes:
        services: Chips that services need if demand is high (P90 of that hour), margin included.
        reserved: Chips that nobody needs in any hour: sold for good.
        spot: Chips that nobody needs in this hour, besides.
        idle: Chips that nobody needs and no product takes.
        spot_p50: ``spot`` if demand is as on the middle day: on half of the days some of them are called back.
    """

    hour: int
    spare: int
    services: int
    training: int
    reserved: int
    spot: int
    idle: int
    spot_p50: int

    @property
    def firm(self) -> int:
        """Chips that nobody needs in this hour, even if demand is high."""
        return self.reserved + self.spot + self.idle


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSale:
    """What a pool can sell over a day, and at what price it is worth selling, in reference-chip hours.

    Attributes:
        hours: 24, from midnight on.
        reserved_floor: Worth of a chip that is gone all day: idle value and scarcity.
        spot_floor: Worth of a chip that would be idle: what it could train.
        products: What the scenario sells of it; none: the market is taken to have no limit.
    """

    pool: PoolName
    chip: ChipName
    owned: int
    hours: tuple[PoolHour, ...]
    reserved_floor: float
    spot_floor: float
    products: tuple[ProductSale, ...] = ()

    @property
    def reserved(self) -> int:
        """Chips that can be sold for good."""
        return self.hours[0].reserved

    @property
    def spot_chip_hours(self) -> int:
        """Chip-hours that can be sold as spot in a day."""
        return sum(hour.spot for hour in self.hours)

    def firm(self, hours: "tuple[int, ...]") -> int:
        """Chips that nobody needs in any of ``hours``."""
        return min(self.hours[hour].firm for hour in hours)

    def likely(self, hours: "tuple[int, ...]") -> int:
        """The same on the middle day."""
        return min(self.hours[hour].reserved + self.hours[hour].spot_p50 for hour in hours)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """What a fleet can sell.

    Attributes:
        reference_pool: Floors are in hours of its chip.
        reference_price: Worth of such an hour in money: amount and currency; ``None``: the user did not say.
        slos_held: Whether replay held every SLO in the busiest hour of a high day.
        forecasts: Service → what its demand over the day rests on.
        warnings: What the reader should know besides.
    """

    name: str
    reference_pool: PoolName
    reference_price: tuple[float, str] | None
    pools: tuple[PoolSale, ...]
    slos_held: bool
    forecasts: Mapping[str, str]
    warnings: tuple[str, ...] = ()

    def pool(self, name: str) -> PoolSale:
        """The pool called ``name``."""
        return next(pool for pool in self.pools if pool.pool == name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """Chips of a pool in some hours of the day, on one day or on every day.

    Attributes:
        hours: Hours of the day, in order.
        chip_hours: In all; of one day where the ask is for every day.
    """

    pool: PoolName
    chips: int
    hours: tuple[int, ...]
    chip_hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """The answer to an ask.

    Attributes:
        free: Chips that nobody needs in any hour asked for.
        floor: What the whole sale must bring, in reference-chip hours.
        tightest: The hour that binds.
        likely: Whether the chips are free on the middle day: then they can be sold as spot.
        fewer: Most chips to be had in those hours.
        other_hours: As many hours in a row that have the chips, nearest to those asked for; ``None``: none has.
        other_pools: Pools that have the chips in those hours, the one of the nearest worth first.
    """

    ask: Ask
    is_yes: bool
    free: int
    floor: float
    tightest: PoolHour
    likely: bool
    fewer: int
    other_hours: tuple[int, ...] | None
    other_pools: tuple[PoolName, ...]
