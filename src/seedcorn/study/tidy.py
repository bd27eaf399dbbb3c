"""Fewer kinds of replica, as far as the asked gap leaves room.

A market counts value only, so its best allocation may end in one odd replica that saves a chip. People
run the plan: each kind is a configuration to keep. So a service's smallest deployment is given up where
more replicas of another of its kinds carry its load and the plan stays proven within the gap.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, Market, MarketDeployment, MarketOffer, MarketService


@dataclass(frozen=True, slots=True)
class _Kind:
    """Replicas of one offer, and what one of them carries and costs."""

    offer: MarketOffer
    replicas: int
    capacity: float
    unit_cost: float

    @property
    def started(self) -> int:
        """Replicas that do not run today."""
        return max(self.replicas - self.offer.today, 0)


def tidied(market: Market, allocation: Allocation, *, gap: float) -> Allocation:
    """``allocation`` with fewer kinds of replica, at most ``gap`` from its bound, and loads spread evenly:
    each deployment's share is its part of the service's capacity.

    Class by class, and only where every offer serves one class; others keep what they have. So does a day of
    several slots: there the odd replica of one slot may well be at work in another.
    """
    if market.slots > 1:
        return allocation
    assert allocation.objective is not None and allocation.bound is not None
    free = {use.pool: use.free for use in allocation.pools}
    objective = allocation.objective
    deployments: list[MarketDeployment] = []
    for service in market.services:
        mine = [d for d in allocation.deployments if d.service == service.name]
        if any(len(offer.capacity) != 1 for offer in service.offers):
            deployments += mine
            continue
        for request_class, demand in service.demand.items():
            kinds = _kinds(service, [d for d in mine if request_class in d.share], market)
            while len(kinds) > 1:
                simpler = _without_smallest(kinds, demand, free)
                lost = _cost(simpler) - _cost(kinds)
                if not simpler or gap_of(objective - lost, allocation.bound) > gap:
                    break
                if market.max_moves is not None and _started(simpler) > _started(kinds):
                    break
                _give_back(kinds, free, sign=1)
                _give_back(simpler, free, sign=-1)
                objective -= lost
                kinds = simpler
            deployments += _deployments(service, request_class, kinds, market)
    return replace(
        allocation,
        objective=objective,
        gap=gap_of(objective, allocation.bound),
        deployments=tuple(deployments),
        pools=tuple(replace(use, used=use.chips - free[use.pool]) for use in allocation.pools),
    )


def gap_of(objective: float, bound: float) -> float:
    """Distance from the bound, relative to the larger of the two."""
    scale = max(abs(objective), abs(bound))
    return max(bound - objective, 0.0) / scale if scale > 0 else 0.0


def _kinds(service: MarketService, mine: list[MarketDeployment], market: Market) -> list[_Kind]:
    price = {pool.name: pool.price for pool in market.pools}
    offers = {offer.name: offer for offer in service.offers}
    return [
        _Kind(
            offer=offers[d.offer],
            replicas=d.replicas,
            capacity=next(iter(offers[d.offer].capacity.values())),
            unit_cost=offers[d.offer].cost + sum(price[p] * n for p, n in offers[d.offer].chips.items()),
        )
        for d in mine
    ]


def _cost(kinds: list[_Kind]) -> float:
    return sum(kind.replicas * kind.unit_cost + kind.offer.move_cost * kind.started for kind in kinds)


def _started(kinds: list[_Kind]) -> int:
    return sum(kind.started for kind in kinds)


def _without_smallest(kinds: list[_Kind], demand: float, free: Mapping[PoolName, int]) -> list[_Kind]:
    """The cheapest way to carry ``demand`` without the kind that carries least; empty if there is none."""
    smallest = min(kinds, key=lambda kind: kind.replicas * kind.capacity)
    kept = [kind for kind in kinds if kind is not smallest]
    missing = demand - sum(kind.replicas * kind.capacity for kind in kept)
    ways = []
    for grown in kept:
        more = max(math.ceil(missing / grown.capacity), 0)
        fits = all(
            n * more <= free[pool] + smallest.replicas * smallest.offer.chips.get(pool, 0)
            for pool, n in grown.offer.chips.items()
        )
        if fits:
            bigger = replace(grown, replicas=grown.replicas + more)
            ways.append([bigger if kind is grown else kind for kind in kept])
    return min(ways, key=_cost, default=[])


def _give_back(kinds: list[_Kind], free: dict[PoolName, int], *, sign: int) -> None:
    """Add the chips of ``kinds`` to ``free``, or take them (``sign`` −1)."""
    for kind in kinds:
        for pool, chips in kind.offer.chips.items():
            free[pool] += sign * chips * kind.replicas


def _deployments(
    service: MarketService, request_class: str, kinds: list[_Kind], market: Market
) -> list[MarketDeployment]:
    whole = sum(kind.replicas * kind.capacity for kind in kinds)
    return [
        MarketDeployment(
            service=service.name,
            offer=kind.offer.name,
            chips={pool: chips * kind.replicas for pool, chips in kind.offer.chips.items()},
            replicas=kind.replicas,
            share={request_class: kind.replicas * kind.capacity / whole},
            started=kind.started if market.counts_moves else None,
        )
        for kind in kinds
    ]
