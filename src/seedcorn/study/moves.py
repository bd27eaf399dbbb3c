"""What moving costs the market, and why a service stays where it is unless moving pays."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, Market, MarketDeployment, MarketOffer, MarketService
from seedcorn.domain.moves import Running
from seedcorn.domain.offer import Candidate
from seedcorn.domain.scenario import Scenario
from seedcorn.replay import DAY_S
from seedcorn.study.numeraire import Numeraire
from seedcorn.study.offers import OfferBook
from seedcorn.study.starting import drain_s, start_s
from seedcorn.study.tidy import gap_of

NOT_COUNTED = 10**9
"""Replicas that a service which runs nowhere may start without a move: there is nothing to move from."""


def move_cost(candidate: Candidate, scenario: Scenario, numeraire: Numeraire) -> float:
    """Reference-chip hours an hour that starting one replica costs, spread over the time that the plan stands.

    ``planning.stickiness`` comes on top.
    """
    planning = scenario.planning
    return _start_cost(candidate, scenario, numeraire) / planning.stands_for_s + planning.stickiness


def switch_cost(candidate: Candidate, scenario: Scenario, numeraire: Numeraire) -> float:
    """The same of a replica that is started for one slot of the day, spread over the slot."""
    return _start_cost(candidate, scenario, numeraire) * scenario.planning.slots / DAY_S


def _start_cost(candidate: Candidate, scenario: Scenario, numeraire: Numeraire) -> float:
    """Reference-chip seconds that starting one replica costs: its chips stand idle while it loads, and those of
    the replica that it stands in for while that one drains (as many chips are assumed)."""
    idle_s = start_s(candidate, scenario) + drain_s(scenario.service(candidate.service), scenario)
    return idle_s * sum(chips * numeraire.prices[pool] for pool, chips in candidate.chips.items())


def with_moves(
    market: Market,
    scenario: Scenario,
    book: OfferBook,
    numeraire: Numeraire,
    running: Mapping[str, tuple[Running, ...]],
) -> Market:
    """``market`` with what runs today and what starting anything else costs.

    Over a day of several slots, what costs is starting from slot to slot: replicas come and go every day,
    and what runs today counts only where ``planning.max_moves`` does.

    Args:
        running: Of every service (by name) that runs somewhere; others move from nowhere, at no cost. Where
            traffic is split, each class keeps its part of the replicas that serve all of it today.
    """

    def counted(service: MarketService) -> MarketService:
        if not running.get(service.name):
            offers = tuple(replace(offer, today=NOT_COUNTED) for offer in service.offers)
            return replace(service, offers=offers) if scenario.planning.max_moves is not None else service
        today = {r.kind: r.replicas for r in running[service.name]}
        candidates = {offer.name: offer.candidate for offer in book.in_use(service.name)}
        loads = {name: sum(tide) for name, tide in service.tidal.items()} or service.demand
        load = sum(loads.values())

        def from_today(offer: MarketOffer) -> MarketOffer:
            (request_class,) = offer.capacity
            candidate = candidates[offer.name]
            part = loads[request_class] / load if load > 0 else 0.0
            return replace(
                offer,
                today=int(today.get(candidate.name, 0) * part),
                move_cost=move_cost(candidate, scenario, numeraire),
            )

        return replace(service, offers=tuple(map(from_today, service.offers)))

    if market.slots > 1:
        market = _with_switching(market, scenario, book, numeraire)
        if scenario.planning.max_moves is None:
            return market
    return replace(
        market, services=tuple(map(counted, market.services)), max_moves=scenario.planning.max_moves
    )


def _with_switching(market: Market, scenario: Scenario, book: OfferBook, numeraire: Numeraire) -> Market:
    """``market`` with what starting a replica for a slot costs."""

    def switching(service: MarketService) -> MarketService:
        candidates = {offer.name: offer.candidate for offer in book.in_use(service.name)}
        offers = tuple(
            replace(offer, switch_cost=switch_cost(candidates[offer.name], scenario, numeraire))
            for offer in service.offers
        )
        return replace(service, offers=offers)

    return replace(market, services=tuple(map(switching, market.services)))


def staying(market: Market, names: Collection[str]) -> Market:
    """``market``, in which these services have only the kinds that they run today."""
    return replace(
        market,
        services=tuple(replace(s, offers=_today(s)) if s.name in names else s for s in market.services),
    )


def leaving(market: Market, allocation: Allocation, gap: float) -> tuple[str, ...]:
    """Services that leave a pool for another where staying might not leave the gap; the likeliest to stay first.

    Judged at the allocation's own prices, scarcity included: no way for the rest to make room costs less.
    """
    assert allocation.objective is not None and allocation.bound is not None
    room = 2 * gap * max(abs(allocation.objective), abs(allocation.bound))
    prices = {pool.name: pool.price for pool in market.pools}
    for use in allocation.pools:
        prices[use.pool] += use.shadow_price
    losses = []
    for service in market.services:
        stays, goes = _today(service), {d.offer for d in allocation.deployments if d.service == service.name}
        pools = {pool for offer in stays for pool in offer.chips}
        taken = {pool for offer in service.offers if offer.name in goes for pool in offer.chips}
        if stays and len(service.demand) == 1 and not taken <= pools:
            lost = _unit_cost(service, stays, prices) - _unit_cost(service, service.offers, prices)
            losses.append((lost, service.name))
    return tuple(name for lost, name in sorted(losses) if lost <= room)


def _today(service: MarketService) -> tuple[MarketOffer, ...]:
    return tuple(offer for offer in service.offers if 0 < offer.today < NOT_COUNTED)


def _unit_cost(
    service: MarketService, offers: Sequence[MarketOffer], prices: Mapping[PoolName, float]
) -> float:
    """What the whole service costs on the cheapest of ``offers``, in parts of a replica."""
    ((_, demand),) = service.demand.items()
    return min(
        demand / _capacity(o) * (o.cost + sum(prices[pool] * n for pool, n in o.chips.items()))
        for o in offers
    )


def settled(market: Market, allocation: Allocation, *, gap: float) -> Allocation:
    """``allocation`` with services left on the kinds that they run today, as far as the asked gap leaves room.

    A market's best allocation is one of many that are proven as good; which of them is chance, and a small
    change in load throws the dice again. So a service moves only where staying would leave the gap.
    Services with one request class, in a market of one slot.
    """
    assert allocation.objective is not None and allocation.bound is not None
    if market.slots > 1:
        return allocation
    free = {use.pool: use.free for use in allocation.pools}
    objective = allocation.objective
    deployments: list[MarketDeployment] = []
    for service in market.services:
        mine = [d for d in allocation.deployments if d.service == service.name]
        staying = _staying(service, mine, market, free)
        lost = _cost(service, staying, market) - _cost(service, mine, market)
        if staying and gap_of(objective - lost, allocation.bound) <= max(gap, allocation.gap):
            for sign, parts in ((1, mine), (-1, staying)):
                for pool, chips in _chips(parts).items():
                    free[pool] += sign * chips
            objective -= lost
            mine = staying
        deployments += mine
    return replace(
        allocation,
        objective=objective,
        gap=gap_of(objective, allocation.bound),
        deployments=tuple(deployments),
        pools=tuple(replace(use, used=use.chips - free[use.pool]) for use in allocation.pools),
    )


def _staying(
    service: MarketService, mine: list[MarketDeployment], market: Market, free: Mapping[PoolName, int]
) -> list[MarketDeployment]:
    """The cheapest way to carry the service on the kinds it runs today that fits; none if there is none."""
    today = _today(service)
    moved = {d.offer for d in mine} - {offer.name for offer in today}
    if not today or not moved or len(service.demand) != 1:
        return []
    given_back = _chips(mine)
    ways = [
        way
        for way in _ways(service, today)
        if all(n <= free[pool] + given_back.get(pool, 0) for pool, n in _chips(way).items())
        and sum(d.started or 0 for d in way) <= sum(d.started or 0 for d in mine)
    ]
    return min(ways, key=lambda way: _cost(service, way, market), default=[])


def _ways(service: MarketService, today: Sequence[MarketOffer]) -> Iterator[list[MarketDeployment]]:
    """Today's replicas, with as many of one kind as the rest leaves to carry."""
    ((_, demand),) = service.demand.items()
    for grown in today:
        others = [offer for offer in today if offer is not grown]
        left = demand - sum(_capacity(offer) * offer.today for offer in others)
        replicas = max(math.ceil(left / _capacity(grown) * (1 - 1e-9)), 0)
        yield _deployments(service, [(offer, offer.today) for offer in others] + [(grown, replicas)])


def _deployments(service: MarketService, counts: list[tuple[MarketOffer, int]]) -> list[MarketDeployment]:
    (name,) = service.demand
    whole = sum(_capacity(offer) * replicas for offer, replicas in counts)
    return [
        MarketDeployment(
            service=service.name,
            offer=offer.name,
            chips={pool: chips * replicas for pool, chips in offer.chips.items()},
            replicas=replicas,
            share={name: _capacity(offer) * replicas / whole},
            started=max(replicas - offer.today, 0),
        )
        for offer, replicas in counts
        if replicas
    ]


def _capacity(offer: MarketOffer) -> float:
    return next(iter(offer.capacity.values()))


def _chips(deployments: list[MarketDeployment]) -> dict[PoolName, int]:
    chips: dict[PoolName, int] = {}
    for deployment in deployments:
        for pool, count in deployment.chips.items():
            chips[pool] = chips.get(pool, 0) + count
    return chips


def _cost(service: MarketService, deployments: list[MarketDeployment], market: Market) -> float:
    price = {pool.name: pool.price for pool in market.pools}
    offers = {offer.name: offer for offer in service.offers}
    return sum(
        sum(price[pool] * chips for pool, chips in d.chips.items())
        + offers[d.offer].cost * d.replicas
        + offers[d.offer].move_cost * (d.started or 0)
        for d in deployments
    )
