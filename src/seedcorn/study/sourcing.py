"""Which chips are worth buying: each candidate valued by the runway with and without it.

What a purchase frees depends on what else is there, so nothing is added up: every basket is looked ahead
with as a whole.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seedcorn.domain.horizon import Horizon, Limits, Money, Quantiles, Supply
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.sourcing import Basket, Block, Candidate, Purchase, Refused, Sourcing
from seedcorn.errors import InputError
from seedcorn.planner.futures import Odds, drawn, planned
from seedcorn.planner.placement import Floats
from seedcorn.planner.runway import NEVER, Future, Outlook, look_ahead, relaxed_cost
from seedcorn.rules import NOT_ADVICE
from seedcorn.study.admission import Admission, Standing, reasons, standings
from seedcorn.study.clearing import check_every_service_has_an_offer
from seedcorn.study.horizon import widened
from seedcorn.study.offers import Progress, offer_book
from seedcorn.study.outlook import Ground, ground_of, odds_of, outlook_of
from seedcorn.study.runway import admissions_of, counted_on
from seedcorn.workers import HERE, Workers

BLOCKS = 4
"""Parts in which a candidate is shown."""
MOST_BASKETS = 1000
"""Baskets looked ahead with: candidates are cut into as many parts as this allows."""
MOST_DRAWS = 200
"""Futures drawn for a candidate's interval: P10 and P90 of 200 are within a few percent of those of many more."""
_WORTH = 1e-6
"""Generations, or training chips, that count as a gain."""


@dataclass(frozen=True, slots=True)
class _Value:
    """What a basket is worth: generations first, then training chips on the mean of all months."""

    generations: float
    freed: float

    def beats(self, other: "_Value") -> bool:
        """By more than rounding."""
        if abs(self.generations - other.generations) > _WORTH:
            return self.generations > other.generations
        return self.freed > other.freed + _WORTH


class _Shelf:
    """All that may be bought, and what comes of buying some of it."""

    def __init__(self, ground: Ground, fixed: Sequence[Supply], offered: Sequence[Supply]) -> None:
        self.ground = ground
        self.offered = tuple(offered)
        self.outlook: Outlook = outlook_of(ground)
        self._supply = (*fixed, *offered)
        self._odds = odds_of(ground, self._supply)
        self._base, self.base_generations = self._ahead(self.future({}))

    def odds(self, bought: Mapping[str, int]) -> Odds:
        """If so many chips of each offer are bought, those delivered first first; committed supplies come whole."""
        chips = []
        for supply in self._supply:
            left = bought.get(supply.name, 0) if supply in self.offered else supply.chips
            for delivery in supply.deliveries:
                taken = min(delivery.chips, left)
                left -= taken
                chips.append(taken)
        return replace(self._odds, delivery_chips=np.array(chips, dtype=np.float64))

    def future(self, bought: Mapping[str, int]) -> Future:
        """As planned."""
        return planned(self.odds(bought))

    def value(self, bought: Mapping[str, int]) -> _Value:
        """As planned, against buying nothing."""
        chips, generations = self._ahead(self.future(bought))
        return _Value(generations - self.base_generations, float((chips - self._base).mean()))

    def freed(self, bought: Mapping[str, int]) -> float:
        """Training chips more, from the month on in which what was bought is first used."""
        chips, _ = self._ahead(self.future(bought))
        first = self.first_month(bought)
        return float((chips - self._base)[first:].mean()) if first < NEVER else 0.0

    def worth(self, bought: Mapping[str, int], freed: float) -> Money | None:
        """Of so many chips freed from the first use on, at the scenario's price of a reference-chip hour."""
        price, first = self.ground.scenario.planning.reference_price, self.first_month(bought)
        if price is None or first == NEVER:
            return None
        hours = (self._odds.month_s[-1] - self._odds.month_s[first]) / 3600
        return Money(amount=max(freed, 0.0) * hours * price[0], currency=price[1])

    def first_month(self, bought: Mapping[str, int]) -> int:
        """In which some of it is there, and serves or trains."""
        more = (self.future(bought).stock > self.future({}).stock).any(axis=1)
        return int(np.argmax(more)) if more.any() else NEVER

    def freed_drawn(self, bought: Mapping[str, int], draws: int) -> Floats:
        """(draws,) the same in drawn futures, with and without in the same future; as delivered there."""
        seed, first = self.ground.scenario.planning.seed, self.first_month(bought)
        if first == NEVER:
            return np.zeros(draws)
        with_it, without = self.odds(bought), self.odds({})
        found = []
        for index in range(draws):
            chips = [
                self._ahead(drawn(odds, seed, index, chips_fail=False))[0][first:].mean()
                for odds in (with_it, without)
            ]
            found.append(chips[0] - chips[1])
        return np.array(found)

    def node_frees(self, supply: Supply) -> float | None:
        """What the first node is worth in the months from its first use on, in reference chips, on the mean."""
        future = self.future({})
        # the pool is there: what is asked is what its chips are worth, not when they come
        future = future._replace(opens=np.where(future.opens == NEVER, 0, future.opens))
        node = np.zeros(future.stock.shape[1])
        node[self.ground.pools.index(supply.pool)] = supply.chips_per_node
        first = self.first_month({supply.name: supply.chips})
        saved = []
        for month in range(min(first, len(future.stock)), len(future.stock)):
            stock = future.stock[month]
            costs = [relaxed_cost(self.outlook, future, month, chips) for chips in (stock, stock + node)]
            if costs[0] is not None and costs[1] is not None:
                saved.append(costs[0] - costs[1])
        if not saved:
            return 0.0 if first == NEVER else None
        return float(np.mean(saved)) + self.ground.speeds.get(supply.pool, 0.0) * supply.chips_per_node

    def _ahead(self, future: Future) -> tuple[Floats, float]:
        """(M,) reference chips that are left where generations train, and the generations trained."""
        course = look_ahead(self.outlook, future)
        speeds = np.array([self.ground.speeds.get(pool, 0.0) for pool in self.ground.pools])
        left: Floats = (future.stock - course.used - course.short) @ speeds
        return left, self.outlook.generations(course)


def sourcing_of(
    scenario: Scenario, horizon: Horizon, progress: Progress, *, workers: Workers = HERE
) -> Sourcing:
    """What is worth buying of the supplies that are not committed, and of the candidates.

    Args:
        workers: Who finds capacities by replay; the answer does not depend on it.

    Raises:
        InputError: Nothing to weigh, or a price in a currency that the budget cannot be compared with.
        Infeasible: As ``runway``.
    """
    everything = replace(horizon, supply=(*horizon.supply, *horizon.candidates))
    if all(supply.committed for supply in everything.supply):
        raise InputError(
            "nothing to weigh: list offers under 'supply', or chips under 'sourcing.candidates' or with --chips"
        )
    admissions = {supply.name: admissions_of(supply, everything) for supply in everything.supply}
    counted = counted_on(everything, admissions)
    fixed = [supply for supply in counted if supply.committed]
    offered = [supply for supply in counted if not supply.committed]
    for supply in offered:
        _check_comparable(supply, horizon.limits)
    wide = widened(scenario, everything.supply)
    book = offer_book(wide, progress, workers)
    check_every_service_has_an_offer(book)
    ground = ground_of(wide, everything, book)
    shelf = _Shelf(ground, fixed, offered)
    found = []
    for i, supply in enumerate(offered):
        progress("candidates", i, len(offered))
        found.append(_candidate(shelf, supply, admissions[supply.name]))
    return Sourcing(
        name=scenario.name,
        start=horizon.start,
        months=horizon.months,
        draws=min(horizon.draws, MOST_DRAWS),
        seed=scenario.planning.seed,
        reference=ground.reference,
        candidates=tuple(sorted(found, key=lambda candidate: _rank(candidate, horizon.limits))),
        refused=tuple(
            _refused(supply, admissions[supply.name])
            for supply in everything.supply
            if not supply.committed and supply.name not in {s.name for s in counted}
        ),
        basket=_best_basket(shelf, horizon.limits, progress) if offered else None,
        budget=horizon.limits.budget,
        power_w=horizon.limits.power_w,
        disclaimer=NOT_ADVICE if horizon.exporting is not None else "",
        warnings=(*scenario.notes, *ground.warnings, *_partly(everything, counted)),
    )


def _check_comparable(supply: Supply, limits: Limits) -> None:
    costs = [supply.price, *(line.cost for line in supply.porting)]
    for money in costs:
        if money is not None and limits.cost(money) is None:
            assert limits.budget is not None  # without one every currency stands by itself
            raise InputError(
                f"supply {supply.name!r} is priced in {money.currency} and the budget in {limits.budget.currency}: "
                f"give the rate, 'sourcing.exchange: {{{money.currency}: …}}' {limits.budget.currency} for one {money.currency}"
            )
    if limits.budget is not None and supply.price is None:
        raise InputError(
            f"supply {supply.name!r} has no price, and no public fact gives one: with a budget, list it under 'supply' "
            "with a 'price_per_chip'"
        )
    if limits.power_w is not None and supply.power_w is None:
        raise InputError(
            f"nobody published the power of {supply.chip.name}: with a power limit, list it under 'supply' with a "
            "'power_per_chip'"
        )


def _partly(horizon: Horizon, counted: Sequence[Supply]) -> tuple[str, ...]:
    chips = {supply.name: supply.chips for supply in counted}
    return tuple(
        f"supply {supply.name!r}: {chips[supply.name]:,} of {supply.chips:,} chips are counted on; the export rules "
        "of their dates stand against the rest"
        for supply in horizon.supply
        if supply.chips > chips.get(supply.name, supply.chips)
    )


# -- one candidate ------------------------------------------------------------------------------------


def _candidate(shelf: _Shelf, supply: Supply, admissions: Sequence[Admission]) -> Candidate:
    sizes = _parts(supply, BLOCKS)
    blocks = [_block(shelf, supply, chips) for chips in sizes]
    draws = min(shelf.ground.horizon.draws, MOST_DRAWS)
    if draws:
        found = shelf.freed_drawn({supply.name: supply.chips}, draws)
        p10, p50, p90 = (float(value) for value in np.quantile(found, [0.1, 0.5, 0.9]))
        blocks[-1] = replace(blocks[-1], freed_quantiles=Quantiles(p10=p10, p50=p50, p90=p90))
    return Candidate(
        name=supply.name,
        chip=supply.chip.name,
        pool=supply.pool,
        first=min(delivery.on for delivery in supply.deliveries),
        node=supply.chips_per_node,
        node_frees=shelf.node_frees(supply),
        blocks=tuple(blocks),
        price=supply.price,
        standing=standings(admissions),
        why=reasons(admissions),
        priors=supply.priors,
    )


def _parts(supply: Supply, count: int) -> list[int]:
    """Up to ``count`` sizes in whole nodes, evenly up to all of it."""
    nodes = math.ceil(supply.chips / supply.chips_per_node)
    sizes = {
        min(math.ceil(nodes * k / count) * supply.chips_per_node, supply.chips) for k in range(1, count + 1)
    }
    return sorted(sizes)


def _block(shelf: _Shelf, supply: Supply, chips: int) -> Block:
    bought = {supply.name: chips}
    generations = shelf.value(bought).generations if shelf.ground.horizon.generations else None
    freed = shelf.freed(bought)
    return Block(
        chips=chips,
        freed=freed,
        worth=shelf.worth(bought, freed),
        generations=generations,
        cost=_cost(supply, chips, shelf),
        power_w=None if supply.power_w is None else supply.power_w * chips,
    )


def _cost(supply: Supply, chips: int, shelf: _Shelf) -> Money | None:
    """Of the chips, and of porting the families that the services are of; ``None`` without a price, or across currencies."""
    if supply.price is None:
        return None
    total = supply.price.amount * chips
    families = {service.model.model_type for service in shelf.ground.scenario.services}
    named = {line.family for line in supply.porting}
    for line in supply.porting:
        applies = line.family in families or (line.family == "*" and families - named)
        if applies and line.cost is not None:
            if line.cost.currency != supply.price.currency:
                return None
            total += line.cost.amount
    return Money(amount=total, currency=supply.price.currency)


def _rank(candidate: Candidate, limits: Limits) -> tuple[bool, str, float, str]:
    """By what it frees for the money, where that is known and comparable; then by what a chip frees."""
    whole = candidate.blocks[-1]
    money = None if whole.cost is None else limits.cost(whole.cost)
    if money is None or whole.cost is None or money == 0:
        return (True, "", -whole.freed_per_chip, candidate.name)
    currency = whole.cost.currency if limits.budget is None else limits.budget.currency
    return (False, currency, -whole.freed / money, candidate.name)


def _refused(supply: Supply, admissions: Sequence[Admission]) -> Refused:
    return Refused(
        name=supply.name,
        chip=supply.chip.name,
        standing=standings(admissions),
        is_unknown=any(found.standing is Standing.UNKNOWN for found in admissions),
        why=reasons(admissions),
    )


# -- baskets ------------------------------------------------------------------------------------------


def _best_basket(shelf: _Shelf, limits: Limits, progress: Progress) -> Basket:
    """The best of all baskets within the limits; of equals, the one with fewer chips."""
    baskets = list(_baskets(shelf, limits))
    best, best_value = baskets[0], _Value(0.0, 0.0)
    for i, bought in enumerate(baskets[1:], start=1):
        progress("baskets", i, len(baskets))
        value = shelf.value(bought)
        if value.beats(best_value):
            best, best_value = bought, value
    supplies = {supply.name: supply for supply in shelf.offered}
    costs = [_cost(supplies[name], chips, shelf) for name, chips in best.items() if chips]
    freed = shelf.freed(best)
    return Basket(
        purchases=tuple(Purchase(name=name, chips=chips) for name, chips in best.items() if chips),
        freed=freed,
        worth=shelf.worth(best, freed),
        generations=best_value.generations if shelf.ground.horizon.generations else None,
        cost=_total(costs, limits),
        power_w=_power_w(best, supplies),
        tried=len(baskets),
    )


def _baskets(shelf: _Shelf, limits: Limits) -> Iterator[dict[str, int]]:
    """Every basket of whole parts within the limits, fewest chips first; the first is empty."""
    offered = shelf.offered
    parts = max(int(MOST_BASKETS ** (1 / len(offered)) + 1e-9) - 1, 1)
    choices = [[0, *_parts(supply, min(parts, 4 * BLOCKS))] for supply in offered]
    supplies = {supply.name: supply for supply in offered}
    for chips in sorted(itertools.product(*choices), key=lambda counts: (sum(counts), counts)):
        bought = {supply.name: count for supply, count in zip(offered, chips, strict=True)}
        if _is_within(bought, supplies, shelf, limits):
            yield bought


def _is_within(
    bought: Mapping[str, int], supplies: Mapping[str, Supply], shelf: _Shelf, limits: Limits
) -> bool:
    if limits.power_w is not None and (_power_w(bought, supplies) or 0.0) > limits.power_w:
        return False
    if limits.budget is None:
        return True
    costs = [_cost(supplies[name], chips, shelf) for name, chips in bought.items() if chips]
    total = _total(costs, limits)
    return total is not None and total.amount <= limits.budget.amount


def _total(costs: Sequence[Money | None], limits: Limits) -> Money | None:
    """In the currency of the budget; without one, in the only currency there is."""
    known = [cost for cost in costs if cost is not None]
    amounts = [limits.cost(cost) for cost in known]
    currencies = {cost.currency for cost in known} if limits.budget is None else {limits.budget.currency}
    if len(known) < len(costs) or None in amounts or len(currencies) != 1:
        return None
    return Money(amount=sum(amount or 0.0 for amount in amounts), currency=currencies.pop())


def _power_w(bought: Mapping[str, int], supplies: Mapping[str, Supply]) -> float | None:
    watts = [
        None if supplies[name].power_w is None else (supplies[name].power_w or 0.0) * chips
        for name, chips in bought.items()
        if chips
    ]
    return None if None in watts else sum(watt or 0.0 for watt in watts)
