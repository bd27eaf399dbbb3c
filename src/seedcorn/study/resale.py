"""Chips sold by the hour: worth their price where a reference-chip hour has one, else only what is left over."""

from collections.abc import Iterable
from dataclasses import replace

from seedcorn.domain.market import Allocation, MarketResale, ResaleAward, ResaleKind
from seedcorn.domain.plan import SalePlan
from seedcorn.domain.sale import Product
from seedcorn.domain.scenario import Scenario
from seedcorn.study.numeraire import Numeraire
from seedcorn.study.tidy import gap_of


def value(product: Product, scenario: Scenario) -> float | None:
    """A chip-hour of ``product`` in reference-chip hours; ``None`` where nobody says what one of those is worth
    in the currency of its price."""
    worth = scenario.planning.reference_price
    if worth is None or worth[1] != product.price[1] or worth[0] <= 0:
        return None
    return product.price[0] / worth[0]


def market_resale(scenario: Scenario, numeraire: Numeraire) -> tuple[MarketResale, ...]:
    """The products that bid: those worth more than a chip that nobody uses. The others take what is left over."""
    bids = ((product, value(product, scenario)) for product in scenario.products)
    return tuple(
        MarketResale(
            name=product.name, pool=product.pool, chips=product.max_chips, value=bid, kind=product.kind
        )
        for product, bid in bids
        if bid is not None and bid > numeraire.prices[product.pool]
    )


def with_leftovers_sold(allocation: Allocation, scenario: Scenario, numeraire: Numeraire) -> Allocation:
    """``allocation`` with free chips sold, dearest product first: those it left within the gap, and those of
    products that did not bid because nobody said what they are worth.

    A product worth less than a free chip is not sold. A sale that nobody can value adds nothing to the objective.
    """
    assert allocation.objective is not None and allocation.bound is not None  # it cleared
    slots = scenario.planning.slots
    free = {(use.pool, use.slot): use.free for use in allocation.pools}
    sold = {(award.product, award.slot): award for award in allocation.resale}
    objective = allocation.objective
    for product in sorted(scenario.products, key=lambda p: (-p.price[0], p.name)):
        bid, price = value(product, scenario), numeraire.prices[product.pool]
        if bid is not None and bid <= price:
            continue
        for slot in _slots_of(product, slots):
            nothing = ResaleAward(product=product.name, pool=product.pool, chips=0, slot=slot)
            before = sold.get((product.name, slot), nothing)
            places = [(product.pool, t) for t in (range(slots) if slot is None else (slot,))]
            more = min(product.max_chips - before.chips, *(free[place] for place in places))
            sold[product.name, slot] = replace(before, chips=before.chips + more)
            for place in places:
                free[place] -= more
            objective += 0.0 if bid is None else more * (bid - price) * len(places) / slots
    return replace(
        allocation,
        objective=objective,
        gap=gap_of(objective, allocation.bound),
        resale=tuple(sold.values()),
        pools=tuple(replace(use, used=use.chips - free[use.pool, use.slot]) for use in allocation.pools),
    )


def _slots_of(product: Product, slots: int) -> Iterable[int | None]:
    """In which the product is sold anew; ``None``: once for all day."""
    return range(slots) if product.kind is ResaleKind.SPOT else (None,)


def sale_plan(product: Product, allocation: Allocation, slots: int) -> SalePlan:
    """What is sold of ``product``, slot by slot."""
    chips = [0] * slots
    for award in allocation.resale:
        if award.product == product.name:
            for slot in range(slots) if award.slot is None else (award.slot,):
                chips[slot] += award.chips
    return SalePlan(
        product=product.name, pool=product.pool, kind=product.kind, chips=tuple(chips), price=product.price
    )
