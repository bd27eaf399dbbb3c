"""A fleet that the stock ledger holds: how many chips each pool has comes from there, the rest from the scenario."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from seedcorn.catalog import find_chip
from seedcorn.errors import InputError, InvalidDocument
from seedcorn.wire import Located, ScenarioDocument
from seedcorn.wire.scenario import PoolDocument, scenario_problems

if TYPE_CHECKING:
    from datetime import date

    from seedcorn.stock import State, StockFleet, StockPool


def with_chips(located: Located[ScenarioDocument]) -> tuple[Located[ScenarioDocument], tuple[str, ...]]:
    """The scenario with the chips of its stock ledger written into its pools, and what that leaves out.

    A scenario without a ledger comes back as it is.

    Raises:
        InputError: There is no such ledger, or nothing was in service on the date; a pool of the ledger or
            of the scenario is not in the other; placed at its line in the document.
    """
    fleet = located.document.fleet
    if fleet.stock is None:
        return located, ()
    from seedcorn.stock import fleet_on  # the database, only for those who keep a ledger

    assert fleet.on is not None  # the document has both or neither
    try:
        stock = fleet_on(located.reference(fleet.stock), fleet.on)
    except InputError as error:
        raise error.at(located.where("fleet", "stock")) from None
    _check_same_pools(located, stock.pools)
    held = {str(pool.name): pool for pool in stock.pools}
    pools = tuple(_filled(located, i, pool, held[pool.name]) for i, pool in enumerate(fleet.pools))
    filled = located.document.model_copy(
        update={"fleet": fleet.model_copy(update={"pools": pools, "stock": None, "on": None})}
    )
    problems = list(scenario_problems(filled))
    if problems:
        raise InvalidDocument(str(located.path), [(located.where(*p.steps), str(p)) for p in problems])
    return replace(located, document=filled), (_taken(fleet.on, stock),)


def _check_same_pools(located: Located[ScenarioDocument], pools: Sequence["StockPool"]) -> None:
    """Raise where the ledger and the scenario do not name the same pools."""
    fleet = located.document.fleet
    written, held = [pool.name for pool in fleet.pools], [str(pool.name) for pool in pools]
    for i, name in enumerate(written):
        if name not in held:
            raise InputError(
                f"no chips were in service in pool {name!r} on {fleet.on}; the ledger's pools then: {', '.join(held)}",
                where=located.where("fleet", "pools", i, "name"),
            )
    unknown = [pool for pool in pools if pool.name not in written]
    if unknown:
        lines = "".join(f"\n  - {{name: {pool.name}, chips_per_node: …}}  # {pool.chip}" for pool in unknown)
        raise InputError(
            f"the ledger does not know how chips are joined: add to fleet.pools, with the chips of a node,{lines}",
            where=located.where("fleet"),
        )


def _filled(
    located: Located[ScenarioDocument], i: int, pool: PoolDocument, held: "StockPool"
) -> PoolDocument:
    """``pool`` with the ledger's chips; its own file of specs stays, if it is of that chip."""
    if pool.chip is None:
        return pool.model_copy(update={"chip": str(held.chip), "chips": held.chips})
    place = located.where("fleet", "pools", i, "chip")
    try:
        chip = find_chip(located.reference(pool.chip)).chip.name
    except InputError as error:
        raise error.at(place) from None
    if chip != held.chip:
        raise InputError(f"pool {pool.name!r} holds {held.chip} by the ledger, not {chip}", where=place)
    return pool.model_copy(update={"chips": held.chips})


def _taken(on: "date", stock: "StockFleet") -> str:
    """What the fleet is, in one sentence."""
    chips = sum(pool.chips for pool in stock.pools)
    left = "; ".join(f"{chip}: {_counts(counts)}" for chip, counts in stock.left_out.items())
    return (
        f"fleet: {chips:,} chips in service in {len(stock.pools)} pools by the stock ledger on {on}; "
        f"left out: {left or 'nothing'}"
    )


def _counts(counts: "Mapping[State, int]") -> str:
    return ", ".join(f"{n:,} {state.replace('_', ' ')}" for state, n in counts.items() if n)
