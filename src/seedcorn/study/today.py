"""What runs today: as the scenario says, and where it leaves something out, what the service needs there."""

import math
from collections.abc import Sequence

from seedcorn.domain.market import Market, MarketOffer, MarketPool, MarketService
from seedcorn.domain.moves import Running, Today
from seedcorn.domain.offer import Offer
from seedcorn.domain.plan import Deployment
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.planner import solve
from seedcorn.study.offers import OfferBook, Progress, demand_req_per_s
from seedcorn.study.proof import TIGHTEN, replay_service
from seedcorn.study.tidy import tidied
from seedcorn.workers import HERE, Workers

UNLIMITED_CHIPS = 10**7
"""Stock of a pool when only the need is asked for."""

_ROUNDING = 1e-9
"""A gap under this is float rounding: kinds that take as many chips are one as good as another."""


def running_today(
    scenario: Scenario, book: OfferBook, progress: Progress, workers: Workers = HERE
) -> dict[str, tuple[Running, ...]]:
    """The replicas that serve each service now; none where it runs nowhere, or nobody knows on how much.

    A count of replicas that is not said is the least that carries the planned rate on what is said. It is
    proven as the plan is: by replay, with more load as long as an objective is missed. So today and the
    plan are counted alike.
    """
    running: dict[str, tuple[Running, ...]] = {}
    services = scenario.services
    found = workers.map(_proven, (scenario, book), services)
    for service, those in zip(services, found, strict=True):
        running[service.name] = those
        progress("replaying today", len(running), len(services))
    return running


def _proven(common: tuple[Scenario, OfferBook], service: Service) -> tuple[Running, ...]:
    scenario, book = common
    load_factor = 1.0
    running = _running_at(service, scenario, book, load_factor)
    if service.today is None or service.today.replicas is not None:
        return running
    for _ in range(scenario.planning.rounds if running else 0):
        deployments = _deployments(running, service, book)
        if replay_service(service, deployments, scenario).meets(service.slo):
            break
        load_factor *= TIGHTEN
        running = _running_at(service, scenario, book, load_factor)
    return running


def _running_at(
    service: Service, scenario: Scenario, book: OfferBook, load_factor: float
) -> tuple[Running, ...]:
    today = service.today
    if today is None:
        return ()
    demand = demand_req_per_s(service, scenario, load_factor)
    offers = [offer for offer in book.offers[service.name] if _is_of(offer, today)]
    if today.replicas is None:
        return _least(offers, today, demand, scenario)
    if not offers:
        return () if today.tp is None else (_outside_its_slo(service, today, today.tp, today.replicas),)
    return (_running(min(offers, key=lambda offer: _chips(offer, demand)), today, today.replicas),)


def _deployments(running: Sequence[Running], service: Service, book: OfferBook) -> tuple[Deployment, ...]:
    """As a replay takes them: dealt by what they carry."""
    offers = {offer.candidate.name: offer for offer in book.offers[service.name]}
    whole = sum(r.replicas * r.capacity_req_per_s for r in running)
    return tuple(
        Deployment(offer=offers[r.kind], replicas=r.replicas, share=r.replicas * r.capacity_req_per_s / whole)
        for r in running
    )


def _is_of(offer: Offer, today: Today) -> bool:
    candidate = offer.candidate
    return (
        candidate.prefill is None
        and candidate.pool == today.pool
        and today.dtype in (None, candidate.dtype)
        and today.tp in (None, candidate.parallelism.tp)
    )


def _chips(offer: Offer, demand_req_per_s: float) -> int:
    """Chips that carry the demand on this offer alone."""
    return math.ceil(demand_req_per_s / offer.capacity_req_per_s) * offer.candidate.parallelism.chips


def _least(
    offers: Sequence[Offer], today: Today, demand_req_per_s: float, scenario: Scenario
) -> tuple[Running, ...]:
    """The fewest chips of the pool that carry the demand; none where no offer does."""
    if not offers:
        return ()
    alone = Market(
        pools=(MarketPool(name=today.pool, chips=UNLIMITED_CHIPS, price=1.0),),
        services=(
            MarketService(
                name="alone",
                demand={"all": demand_req_per_s},
                offers=tuple(
                    MarketOffer(
                        name=offer.candidate.name,
                        chips={today.pool: offer.candidate.parallelism.chips},
                        capacity={"all": offer.capacity_req_per_s},
                    )
                    for offer in offers
                ),
            ),
        ),
    )
    named = {offer.candidate.name: offer for offer in offers}
    answer = tidied(alone, solve(alone, gap=0.0, seed=scenario.planning.seed), gap=_ROUNDING)
    return tuple(_running(named[d.offer], today, d.replicas) for d in answer.deployments)


def _running(offer: Offer, today: Today, replicas: int) -> Running:
    return Running(
        kind=offer.candidate.name,
        pool=today.pool,
        replicas=replicas,
        chips=replicas * offer.candidate.parallelism.chips,
        capacity_req_per_s=offer.capacity_req_per_s,
        derived=_left_out(today),
    )


def _outside_its_slo(service: Service, today: Today, tp: int, replicas: int) -> Running:
    """Replicas that are no offer: they hold chips, and carry what they are given."""
    return Running(
        kind=f"{today.pool}/{today.dtype or '?'}/tp{tp}",
        pool=today.pool,
        replicas=replicas,
        chips=replicas * tp,
        capacity_req_per_s=service.rate_per_s / replicas,
        derived=_left_out(today),
    )


def _left_out(today: Today) -> tuple[str, ...]:
    said = {"dtype": today.dtype, "tp": today.tp, "replicas": today.replicas}
    return tuple(name for name, value in said.items() if value is None)
