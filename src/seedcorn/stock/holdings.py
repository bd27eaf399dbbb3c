"""The stock of a date: holdings, their totals, the pools that a plan may use, and how a count differs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from seedcorn.domain.hardware import ChipName, PoolName
from seedcorn.errors import InputError
from seedcorn.stock.book import Book
from seedcorn.stock.event import OWNED, Event, Place, State
from seedcorn.stock.journal import live


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """Chips in one place on one date, and the serials of those that have one."""

    place: Place
    chips: int
    serials: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class StockPool:
    """Chips of one kind that are in service in one pool at one site."""

    name: PoolName
    chip: ChipName
    chips: int
    site: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockFleet:
    """What a plan may use on one date, and what it may not.

    Attributes:
        pools: In the order of their names.
        left_out: Chips on order or ours that are not in service: in store, failed, lent.
    """

    pools: tuple[StockPool, ...]
    left_out: Mapping[ChipName, Mapping[State, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Chips in service in a pool by the ledger, and as counted."""

    pool: PoolName
    chip: ChipName
    recorded: int
    counted: int


class By(StrEnum):
    """What stock is added up by."""

    CHIP = "chip"
    POOL = "pool"
    SITE = "site"
    STATE = "state"


def stock_on(events: Sequence[Event], on: date) -> tuple[Holding, ...]:
    """Where chips were at the end of a day, by these events; sorted by place. What is sold or retired is in it."""
    logs: dict[ChipName, list[Event]] = {}
    for event in sorted(live(events), key=lambda event: (event.date, event.id)):
        if event.date <= on:
            logs.setdefault(event.chip, []).append(event)
    holdings = [holding for log in logs.values() for holding in _holdings(Book(log))]
    return tuple(sorted(holdings, key=lambda holding: holding.place))


def _holdings(book: Book) -> Iterator[Holding]:
    serials: dict[Place, list[str]] = {}
    for serial, place in sorted(book.serials.items()):
        serials.setdefault(place, []).append(serial)
    for place, chips in book.balances.items():
        yield Holding(place=place, chips=chips, serials=tuple(serials.get(place, ())))


def totals(holdings: Sequence[Holding], by: Sequence[By]) -> Mapping[tuple[str, ...], Mapping[State, int]]:
    """Chips in each state, for each combination of what they are added up by; sorted."""
    sums: dict[tuple[str, ...], Counter[State]] = {}
    for holding in holdings:
        group = tuple(str(getattr(holding.place, name.value)) for name in by)
        sums.setdefault(group, Counter())[holding.place.state] += holding.chips
    return dict(sorted(sums.items()))


def pools_of(holdings: Sequence[Holding]) -> tuple[StockPool, ...]:
    """The pools that chips are in service in.

    Raises:
        InputError: There are none, or a pool is not identical chips in one place.
    """
    held = [holding for holding in holdings if holding.place.state is State.IN_SERVICE]
    if not held:
        raise InputError("no chips were in service")
    places: dict[str, Place] = {}
    for place in (holding.place for holding in held):
        other = places.setdefault(place.pool, place)
        if other != place:
            raise InputError(
                f"pool {place.pool!r} was {other.chip} at {other.site!r} and also {place.chip} at "
                f"{place.site!r}; a pool to plan with is identical chips in one place"
            )
    return tuple(
        StockPool(name=PoolName(h.place.pool), chip=h.place.chip, chips=h.chips, site=h.place.site)
        for h in held
    )


def fleet_of(holdings: Sequence[Holding]) -> StockFleet:
    """The pools that chips are in service in, and how many chips there are besides.

    Raises:
        InputError: As :func:`pools_of`.
    """
    besides = (State.ON_ORDER, *(state for state in OWNED if state is not State.IN_SERVICE))
    left_out: dict[ChipName, Counter[State]] = {}
    for holding in holdings:
        if holding.place.state in besides:
            left_out.setdefault(holding.place.chip, Counter())[holding.place.state] += holding.chips
    return StockFleet(pools=pools_of(holdings), left_out=left_out)


def differences(
    holdings: Sequence[Holding], counts: Mapping[tuple[PoolName, ChipName], int]
) -> tuple[Difference, ...]:
    """Where what is in service differs from what was counted; a pool that only one of them knows has 0 in the other."""
    recorded: Counter[tuple[PoolName, ChipName]] = Counter()
    for holding in holdings:
        if holding.place.state is State.IN_SERVICE:
            recorded[PoolName(holding.place.pool), holding.place.chip] += holding.chips
    return tuple(
        Difference(pool=pool, chip=chip, recorded=recorded[pool, chip], counted=counts.get((pool, chip), 0))
        for pool, chip in sorted({*recorded, *counts})
        if recorded[pool, chip] != counts.get((pool, chip), 0)
    )
