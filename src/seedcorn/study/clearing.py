"""From offers to a market, and from its allocation back to deployments."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.market import Allocation, Market, MarketOffer, MarketPool, MarketService, Status
from seedcorn.domain.moves import Running
from seedcorn.domain.offer import Offer, Refusal
from seedcorn.domain.plan import Alternative, Deployment
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.errors import Infeasible
from seedcorn.planner import Progress as SolverProgress
from seedcorn.planner import solve
from seedcorn.study.classes import class_weights
from seedcorn.study.gangs import Gang, market_job
from seedcorn.study.moves import leaving, settled, staying, with_moves
from seedcorn.study.numeraire import Numeraire
from seedcorn.study.offers import OfferBook, Progress, demand_req_per_s
from seedcorn.study.remedies import fleet_too_small
from seedcorn.study.resale import market_resale
from seedcorn.study.robustness import withstanding
from seedcorn.study.tidy import tidied
from seedcorn.units import format_seconds
from seedcorn.wire.outcome import SIGNIFICANT_DIGITS

LoadFactors: TypeAlias = Mapping[str, tuple[float, ...]]
"""Service → what its rate is multiplied by in each slot of the day."""

CLEARING = "clearing the market"
"""The phase in progress; of how many seconds, at most."""

SEARCHED = 0.5
"""Part of the asked gap to which a market with moves is searched; the rest is room for services to stay in."""

ASKED_S = 5.0
"""Time to find out whether a market clears."""

MOST_ASKED = 16
"""Services that are asked to stay, each at the cost of clearing the market once more."""


def market_of(
    scenario: Scenario,
    book: OfferBook,
    numeraire: Numeraire,
    gangs: Mapping[str, tuple[Gang, ...]],
    load_factors: LoadFactors,
    running: Mapping[str, tuple[Running, ...]],
) -> Market:
    """The scenario as a market: prices in reference-chip hours, demand with margin and load factor, replicas to
    spare for lost nodes, moves from what runs today at their cost."""
    market = Market(
        pools=tuple(
            MarketPool(name=pool.name, chips=pool.usable_chips, price=numeraire.prices[pool.name])
            for pool in scenario.pools
        ),
        services=tuple(
            _market_service(
                service,
                book.in_use(service.name),
                demands(service, scenario, load_factors[service.name]),
                kept=frozenset(r.kind for r in running.get(service.name, ())),
            )
            for service in scenario.services
        ),
        jobs=tuple(market_job(job, gangs[job.name]) for job in scenario.jobs),
        resale=market_resale(scenario, numeraire),
        slots=scenario.planning.slots,
    )
    return with_moves(withstanding(market, scenario, book), scenario, book, numeraire, running)


def demands(service: Service, scenario: Scenario, load_factors: Sequence[float]) -> tuple[float, ...]:
    """(slots,) rate to plan for in each slot of the day."""
    return tuple(
        demand_req_per_s(service, scenario, factor, slot) for slot, factor in enumerate(load_factors)
    )


def cleared(market: Market, scenario: Scenario, progress: Progress) -> Allocation:
    """The market's allocation, in few kinds of replica.

    Raises:
        FleetTooSmall: It cannot clear; says what binds and which changes work.
    """
    planning = scenario.planning
    limit_s = math.ceil(planning.time_limit_s)

    def searching(at: SolverProgress) -> None:
        progress(CLEARING, min(int(at.seconds), limit_s), limit_s)

    def search(market: Market) -> Allocation:
        gap = planning.gap * (SEARCHED if market.counts_moves else 1.0)
        return solve(
            market, gap=gap, time_limit_s=planning.time_limit_s, seed=planning.seed, progress=searching
        )

    allocation = search(market)
    if allocation.status is Status.INFEASIBLE:
        raise fleet_too_small(scenario, allocation.shortages)
    if allocation.objective is None:
        raise Infeasible(
            f"planning.time_limit of {format_seconds(planning.time_limit_s)} passed before any plan was found "
            "and before any was ruled out; give it more time"
        )
    allocation = settled(market, tidied(market, allocation, gap=planning.gap), gap=planning.gap)
    allocation = _staying_where_it_pays(market, allocation, planning.gap, search)
    progress(CLEARING, limit_s, limit_s)
    return allocation


def clears(market: Market, scenario: Scenario) -> bool:
    """Whether ``market`` clears at all."""
    answer = solve(market, gap=1.0, time_limit_s=ASKED_S, seed=scenario.planning.seed)
    return answer.objective is not None


def _staying_where_it_pays(
    market: Market, allocation: Allocation, gap: float, search: Callable[[Market], Allocation]
) -> Allocation:
    """``allocation``, or another within the gap in which services stay that would have left their pools: each
    is asked to, and the market cleared around it."""
    stay: frozenset[str] = frozenset()
    for name in leaving(market, allocation, gap)[:MOST_ASKED]:
        narrower = staying(market, stay | {name})
        answer = search(narrower)
        if answer.objective is None:
            continue
        answer = replace(answer, bound=allocation.bound)  # proven for the whole market
        answer = settled(narrower, tidied(narrower, answer, gap=gap), gap=gap)
        if answer.gap <= gap:
            allocation, stay = answer, stay | {name}
    return allocation


def check_every_service_has_an_offer(book: OfferBook) -> None:
    """Raise ``Infeasible`` for services that nothing can serve, with every candidate's reason."""
    stranded = [name for name in book.offers if not book.in_use(name)]
    if not stranded:
        return
    error = Infeasible(
        f"{'service' if len(stranded) == 1 else 'services'} {', '.join(map(repr, stranded))} "
        f"can run on no chip of the fleet within the SLO"
    )
    for name in stranded:
        for refusal in book.refusals[name]:
            error.add_note(f"{name} on {refusal.candidate.name}: {refusal.reason}")
        error.add_note(_nearest_change(name, book.refusals[name]))
    raise error


def _nearest_change(service: str, refusals: tuple[Refusal, ...]) -> str:
    """The least that would have to change for the service to have an offer."""
    missed = [(r.missed.got_s / r.missed.objective.bound_s, r) for r in refusals if r.missed is not None]
    if not missed:
        return f"{service}: no SLO would help; give it another pool, another number format or a smaller model"
    _, nearest = min(missed, key=lambda pair: pair[0])
    assert nearest.missed is not None
    objective, got_s = nearest.missed.objective, nearest.missed.got_s
    return (
        f"{service}: the nearest change that helps is {objective.name} of {format_seconds(got_s)} instead of "
        f"{format_seconds(objective.bound_s)}, on {nearest.candidate.name}; other objectives may bind after it"
    )


def deployments_of(service: Service, allocation: Allocation, book: OfferBook) -> tuple[Deployment, ...]:
    """What the service runs, slot by slot, largest share first. A replica serves one class, so its offer says which."""
    offers = {offer.name: offer for offer in book.in_use(service.name)}
    weights = class_weights([offer.request_class for offer in offers.values()], service.trace)
    found = [
        Deployment(
            offer=offers[d.offer],
            replicas=d.replicas,
            share=_as_written(weights[offers[d.offer].request_class] * sum(d.share.values())),
            slot=d.slot,
        )
        for d in allocation.deployments
        if d.service == service.name
    ]
    return tuple(sorted(found, key=lambda d: (d.slot, -d.share, d.offer.name)))


def _as_written(share: float) -> float:
    """``share`` with the digits of a document, so that a plan read back deals every request the same."""
    return float(f"{share:.{SIGNIFICANT_DIGITS}g}")


def alternatives_of(
    service: Service,
    scenario: Scenario,
    book: OfferBook,
    prices: Mapping[PoolName, float],
    load_factor: float,
) -> tuple[Alternative, ...]:
    """Every offer as if it carried the whole service, then each as if it carried its class; cheapest first.

    Args:
        prices: What a chip-hour of each pool costs under the plan, scarcity included.
    """
    demand = demand_req_per_s(service, scenario, load_factor)
    whole = [_alternative(offer, demand, prices) for offer in book.offers[service.name]]
    by_class = book.by_class.get(service.name, ())
    weights = class_weights([offer.request_class for offer in by_class], service.trace)
    found = [_alternative(offer, demand * weights[offer.request_class], prices) for offer in by_class]
    place = {request_class: i for i, request_class in enumerate(weights)}
    return (
        *sorted(whole, key=lambda a: (a.cost, a.offer.name)),
        *sorted(found, key=lambda a: (place[a.offer.request_class], a.cost, a.offer.name)),
    )


def full_prices(
    pools: tuple[Pool, ...], numeraire: Numeraire, allocation: Allocation
) -> dict[PoolName, float]:
    """A chip-hour of each pool under the plan: what a free one is worth, plus its scarcity, the mean of the day."""
    scarcity: dict[PoolName, float] = defaultdict(float)
    for use in allocation.pools:
        scarcity[use.pool] += use.shadow_price
    slots = len(allocation.pools) // len(pools)
    return {pool.name: numeraire.prices[pool.name] + scarcity[pool.name] / slots for pool in pools}


def _market_service(
    service: Service, offers: tuple[Offer, ...], demand: Sequence[float], *, kept: frozenset[str]
) -> MarketService:
    """The service as a claimant. A less preferred number format is offered only where it carries more, or is ``kept``.

    Args:
        demand: (slots,) requests per second in each slot of the day.
    """
    weights = class_weights([offer.request_class for offer in offers], service.trace)
    loads = {c.name: tuple(rate * weight for rate in demand) for c, weight in weights.items()}
    return MarketService(
        name=service.name,
        demand={name: load for name, (load, *_) in loads.items()} if len(demand) == 1 else {},
        tidal=loads if len(demand) > 1 else {},
        offers=tuple(
            MarketOffer(
                name=offer.name,
                chips=offer.candidate.chips,
                capacity={offer.request_class.name: offer.capacity_req_per_s},
            )
            for offer in offers
            if offer.candidate.name in kept or not any(_preferred(other, offer, service) for other in offers)
        ),
    )


def _preferred(other: Offer, offer: Offer, service: Service) -> bool:
    """Whether ``other`` is the same replica in a format the owner prefers, and carries no less."""
    ours, theirs = offer.candidate, other.candidate
    return (
        ours.chips == theirs.chips
        and (ours.prefill is None) == (theirs.prefill is None)
        and other.request_class == offer.request_class
        and _rank(theirs.dtype, service) < _rank(ours.dtype, service)
        and other.capacity_req_per_s >= offer.capacity_req_per_s
    )


def _rank(dtype: Dtype, service: Service) -> int:
    """Place in the owner's order; a stand-in (fp16 for bf16 on an old chip) comes last."""
    return service.dtypes.index(dtype) if dtype in service.dtypes else len(service.dtypes)


def _alternative(offer: Offer, demand: float, prices: Mapping[PoolName, float]) -> Alternative:
    replicas = math.ceil(demand / offer.capacity_req_per_s)
    cost = replicas * sum(chips * prices[pool] for pool, chips in offer.candidate.chips.items())
    return Alternative(offer=offer, replicas=replicas, chips=replicas * offer.candidate.num_chips, cost=cost)
