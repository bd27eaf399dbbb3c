"""Check an allocation against its market from the definitions, with no solver in sight."""

import math
from collections import defaultdict

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, Market, MarketDeployment, MarketService

TOLERANCE = 1e-6
"""Relative: a share, a load or a value may differ by this much from what it must be."""


def objective(market: Market, allocation: Allocation) -> float:
    """Σ weight·progress − Σ price·chips used − Σ cost·replicas, summed over the allocation itself."""
    return _earned(market, allocation) - _paid(market, allocation)


def _earned(market: Market, allocation: Allocation) -> float:
    weight = {job.name: job.weight for job in market.jobs}
    return sum(weight[award.job] * award.progress for award in allocation.jobs)


def _paid(market: Market, allocation: Allocation) -> float:
    price = {pool.name: pool.price for pool in market.pools}
    cost = {(s.name, o.name): o.cost for s in market.services for o in s.offers}
    chips = sum(price[pool] * count for pool, count in _used(allocation).items())
    return chips + sum(cost[d.service, d.offer] * d.replicas for d in allocation.deployments)


def verify(market: Market, allocation: Allocation) -> tuple[str, ...]:
    """Every rule of the market that ``allocation`` breaks, in words; empty when it holds them all."""
    if allocation.objective is None:
        return ("there is no allocation",)
    deployed: dict[str, list[MarketDeployment]] = defaultdict(list)
    for deployment in allocation.deployments:
        deployed[deployment.service].append(deployment)
    return (
        *_pools_broken(market, allocation),
        *(broken for s in market.services for broken in _service_broken(s, deployed[s.name])),
        *_jobs_broken(market, allocation),
        *_totals_broken(market, allocation),
    )


def _used(allocation: Allocation) -> dict[PoolName, int]:
    """Chips used, by pool."""
    used: dict[PoolName, int] = defaultdict(int)
    for uses in [d.chips for d in allocation.deployments] + [award.chips for award in allocation.jobs]:
        for pool, chips in uses.items():
            used[pool] += chips
    return used


def _pools_broken(market: Market, allocation: Allocation) -> list[str]:
    used = _used(allocation)
    stated = {use.pool: use.used for use in allocation.pools}
    return [
        f"pool {pool.name}: {used[pool.name]} chips used, {stated.get(pool.name)} stated, {pool.chips} there"
        for pool in market.pools
        if used[pool.name] != stated.get(pool.name) or used[pool.name] > pool.chips
    ]


def _service_broken(service: MarketService, deployments: list[MarketDeployment]) -> list[str]:
    offers = {offer.name: offer for offer in service.offers}
    served: dict[str, float] = defaultdict(float)
    broken = []
    for deployment in deployments:
        offer = offers[deployment.offer]
        load = 0.0
        for name, share in deployment.share.items():
            served[name] += share
            load += share * service.demand[name] / offer.capacity[name]
        if load > deployment.replicas * (1 + TOLERANCE):
            broken.append(
                f"service {service.name}: offer {offer.name} needs {load} replicas, has {deployment.replicas}"
            )
        if dict(deployment.chips) != {pool: n * deployment.replicas for pool, n in offer.chips.items()}:
            broken.append(f"service {service.name}: offer {offer.name} states {deployment.chips} chips")
    return broken + [
        f"service {service.name}: {served[name]} of class {name} is served"
        for name, load in service.demand.items()
        if load > 0 and abs(served[name] - 1) > TOLERANCE
    ]


def _jobs_broken(market: Market, allocation: Allocation) -> list[str]:
    awards = {award.job: award for award in allocation.jobs}
    broken = []
    for job in market.jobs:
        award = awards[job.name]
        if award.option is None:
            if job.required or award.chips or award.progress:
                broken.append(f"job {job.name}: no option taken, yet {award}")
        elif (award.chips, award.progress) != (
            job.options[award.option].chips,
            job.options[award.option].progress,
        ):
            broken.append(f"job {job.name}: {award} is not its option {award.option}")
    return broken


def _totals_broken(market: Market, allocation: Allocation) -> list[str]:
    if allocation.objective is None or allocation.bound is None:
        return ["no objective or no bound"]
    true = objective(market, allocation)
    allowed = TOLERANCE * max(_earned(market, allocation) + _paid(market, allocation), abs(allocation.bound))
    broken = []
    if not math.isclose(true, allocation.objective, abs_tol=allowed):
        broken.append(f"objective {allocation.objective} stated, {true} summed")
    if allocation.bound < allocation.objective - allowed:
        broken.append(f"bound {allocation.bound} is below the objective {allocation.objective}")
    return broken
