"""Check an allocation against its market from the definitions, with no solver in sight."""

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    JobAward,
    Market,
    MarketDeployment,
    MarketJob,
    MarketOffer,
    MarketResale,
    MarketService,
    Objective,
    ResaleAward,
    ResaleKind,
)

TOLERANCE = 1e-6
"""Relative: a share, a load or a value may differ by this much from what it must be."""


def objective(market: Market, allocation: Allocation) -> float:
    """What the allocation is worth per hour, summed over it: the mean of its slots."""
    return _earned(market, allocation) - _paid(market, allocation)


def _part_of_day(market: Market, slot: int | None) -> float:
    """The part of the day that something takes: one slot, or all of it."""
    return 1.0 if slot is None else 1.0 / market.slots


def _earned(market: Market, allocation: Allocation) -> float:
    chained = {job.name for chain in market.chains for job in chain}
    weight = {job.name: job.weight for job in market.jobs if job.name not in chained}
    value = {product.name: product.value for product in market.resale}
    return (
        sum(
            weight[award.job] * award.progress * _part_of_day(market, award.slot)
            for award in allocation.jobs
            if award.job in weight
        )
        + sum(_chain_worth(chain, allocation) for chain in market.chains)
        + sum(
            value[award.product] * award.chips * _part_of_day(market, award.slot)
            for award in allocation.resale
        )
    )


def _chain_worth(chain: tuple[MarketJob, ...], allocation: Allocation) -> float:
    """The mean of weight·progress over the life of jobs in sequence; of a last one without end, its own."""
    progress = {award.job: award.progress for award in allocation.jobs}
    if all(progress[job.name] == 0.0 for job in chain):
        return 0.0
    if not chain[-1].work:
        return chain[-1].weight * progress[chain[-1].name]
    hours = [(job.work or 0.0) / progress[job.name] for job in chain]
    worth = [job.weight * progress[job.name] * h for job, h in zip(chain, hours, strict=True)]
    return sum(worth) / sum(hours)


def _paid(market: Market, allocation: Allocation) -> float:
    price = {pool.name: pool.price for pool in market.pools}
    offers = {(s.name, o.name): o for s in market.services for o in s.offers}
    chips = sum(price[pool] * count for (pool, _), count in _used(market, allocation).items())
    replicas = sum(_replica_cost(offers[d.service, d.offer], d) for d in allocation.deployments)
    return (chips + replicas + _switched(market, allocation)) / market.slots


def _switched(market: Market, allocation: Allocation) -> float:
    """Paid for replicas and options that the slot before did not have."""
    if market.slots == 1:
        return 0.0
    count = {(d.service, d.offer, d.slot): d.replicas for d in allocation.deployments}
    options = {(award.job, award.slot): award.option for award in allocation.jobs}
    total = 0.0
    for slot in range(market.slots):
        before = (slot - 1) % market.slots
        for service in market.services:
            for offer in service.offers:
                key = service.name, offer.name
                more = count.get((*key, slot), 0) - count.get((*key, before), 0)
                total += offer.switch_cost * max(more, 0)
        for job in market.jobs:
            now = options.get((job.name, slot))
            if job.elastic and now is not None and now != options[job.name, before]:
                total += job.switch_cost
    return total


def _replica_cost(offer: MarketOffer, deployment: MarketDeployment) -> float:
    return offer.cost * deployment.replicas + offer.move_cost * _started(offer, deployment)


def _started(offer: MarketOffer, deployment: MarketDeployment) -> int:
    """Replicas that do not run today."""
    return max(deployment.replicas - offer.today, 0)


def verify(market: Market, allocation: Allocation) -> tuple[str, ...]:
    """Every rule of the market that ``allocation`` breaks, in words; empty when it holds them all."""
    if allocation.objective is None:
        return ("there is no allocation",)
    if market.objective is Objective.MAX_MIN:
        return tuple(_shares_broken(market, allocation))
    deployed: dict[tuple[str, int], list[MarketDeployment]] = defaultdict(list)
    for deployment in allocation.deployments:
        deployed[deployment.service, deployment.slot].append(deployment)
    return (
        *_pools_broken(market, allocation),
        *(
            broken
            for slot in range(market.slots)
            for service in market.services
            for broken in _service_broken(service, slot, deployed[service.name, slot])
        ),
        *_moves_broken(market, allocation),
        *_jobs_broken(market, allocation),
        *_resale_broken(market, allocation),
        *_totals_broken(market, allocation),
    )


def _used(market: Market, allocation: Allocation) -> Mapping[tuple[PoolName, int], int]:
    """Chips used, by pool and slot."""
    used: dict[tuple[PoolName, int], int] = defaultdict(int)
    chained = {job.name for chain in market.chains for job in chain}
    uses: list[tuple[Mapping[PoolName, int], int | None]] = [
        *((d.chips, d.slot) for d in allocation.deployments),
        *((award.chips, award.slot) for award in allocation.jobs if award.job not in chained),
        *((_held(chain, allocation), None) for chain in market.chains),
        *(({award.pool: award.chips}, award.slot) for award in allocation.resale),
    ]
    for chips, slot in uses:
        for t in range(market.slots) if slot is None else (slot,):
            for pool, count in chips.items():
                used[pool, t] += count
    return used


def _held(chain: tuple[MarketJob, ...], allocation: Allocation) -> dict[PoolName, int]:
    """Chips of the largest gang of jobs in sequence, by pool."""
    names, held = {job.name for job in chain}, dict[PoolName, int]()
    for award in allocation.jobs:
        if award.job in names:
            for pool, chips in award.chips.items():
                held[pool] = max(held.get(pool, 0), chips)
    return held


def _pools_broken(market: Market, allocation: Allocation) -> Iterator[str]:
    used = _used(market, allocation)
    stated = {(use.pool, use.slot): use.used for use in allocation.pools}
    for slot in range(market.slots):
        for pool in market.pools:
            count, said = used.get((pool.name, slot), 0), stated.get((pool.name, slot))
            if count != said or count > pool.chips:
                yield f"pool {pool.name}, slot {slot}: {count} chips used, {said} stated, {pool.chips} there"


def _service_broken(service: MarketService, slot: int, deployments: list[MarketDeployment]) -> Iterator[str]:
    offers = {offer.name: offer for offer in service.offers}
    demand = service.load(slot)
    who = f"service {service.name}, slot {slot}"
    served: dict[str, float] = defaultdict(float)
    for deployment in deployments:
        offer = offers[deployment.offer]
        load = 0.0
        for name, share in deployment.share.items():
            served[name] += share
            load += share * demand[name] / offer.capacity[name]
        if load > deployment.replicas * (1 + TOLERANCE):
            yield f"{who}: offer {offer.name} needs {load} replicas, has {deployment.replicas}"
        if offer.most is not None and deployment.replicas > offer.most:
            yield f"{who}: offer {offer.name} has {deployment.replicas} replicas, at most {offer.most} may be"
        if dict(deployment.chips) != {pool: n * deployment.replicas for pool, n in offer.chips.items()}:
            yield f"{who}: offer {offer.name} states {deployment.chips} chips"
    for name, load in demand.items():
        if load > 0 and abs(served[name] - 1) > TOLERANCE:
            yield f"{who}: {served[name]} of class {name} is served"


def _moves_broken(market: Market, allocation: Allocation) -> Iterator[str]:
    offers = {(s.name, o.name): o for s in market.services for o in s.offers}
    started = dict.fromkeys(range(market.slots), 0)
    counts_moves = market.counts_moves
    for deployment in allocation.deployments:
        count = _started(offers[deployment.service, deployment.offer], deployment)
        started[deployment.slot] += count
        if deployment.started != (count if counts_moves else None):
            yield f"service {deployment.service}: {count} replicas started, {deployment.started} stated"
    for slot, count in started.items():
        if market.max_moves is not None and count > market.max_moves:
            yield f"slot {slot}: {count} replicas started, {market.max_moves} may be"


def _jobs_broken(market: Market, allocation: Allocation) -> Iterator[str]:
    awards: dict[str, list[JobAward]] = defaultdict(list)
    for award in allocation.jobs:
        awards[award.job].append(award)
    for job in market.jobs:
        breathes = job.elastic and market.slots > 1
        if [award.slot for award in awards[job.name]] != (list(range(market.slots)) if breathes else [None]):
            yield f"job {job.name}: {awards[job.name]} is not an award for each slot in which it chooses"
        for award in awards[job.name]:
            yield from _award_broken(job, award)
    for chain in market.chains:
        yield from _chain_broken(chain, [awards[job.name][0] for job in chain], _held(chain, allocation))


def _chain_broken(
    chain: tuple[MarketJob, ...], awards: list[JobAward], held: Mapping[PoolName, int]
) -> Iterator[str]:
    names = " → ".join(job.name for job in chain)
    ran = [award.option is not None for award in awards]
    if any(ran) and not all(ran):
        yield f"jobs {names}: some run and some wait"
    if all(ran) and not any(dict(award.chips) == held for award in awards):
        yield f"jobs {names}: they hold {held}, which is no gang of any of them"
    hours = 0.0
    for job, award in zip(chain, awards, strict=True):
        if not math.isclose(award.starts_in_hours, hours, rel_tol=TOLERANCE):
            yield f"job {job.name}: starts in {award.starts_in_hours} hours, those before it end in {hours}"
        hours += 0.0 if award.option is None else job.finishes_in_hours(job.options[award.option])


def _award_broken(job: MarketJob, award: JobAward) -> Iterator[str]:
    if award.option is None:
        if job.required or award.chips or award.progress:
            yield f"job {job.name}: no option taken, yet {award}"
        return
    option = job.options[award.option]
    if (award.chips, award.progress) != (option.chips, option.progress):
        yield f"job {job.name}: {award} is not its option {award.option}"
    if not job.is_in_time(option):
        yield f"job {job.name}: option {award.option} misses the deadline of {job.deadline_hours} hours"


def _resale_broken(market: Market, allocation: Allocation) -> Iterator[str]:
    awards: dict[str, list[ResaleAward]] = defaultdict(list)
    for award in allocation.resale:
        awards[award.product].append(award)
    for product in market.resale:
        slots = [None] if product.kind is ResaleKind.RESERVED else list(range(market.slots))
        if [award.slot for award in awards[product.name]] != slots:
            yield f"product {product.name}: sold in {awards[product.name]}, may be in {slots}"
        yield from (
            f"{award} is not of {product}" for award in awards[product.name] if not _is_of(product, award)
        )


def _is_of(product: MarketResale, award: ResaleAward) -> bool:
    return award.pool == product.pool and 0 <= award.chips <= product.chips


def _shares_broken(market: Market, allocation: Allocation) -> Iterator[str]:
    """What is wrong with parts of the time under max-min fairness."""
    options = {job.name: job.options for job in market.jobs}
    busy = dict.fromkeys(options, 0.0)
    progress = dict.fromkeys(options, 0.0)
    used: dict[PoolName, float] = defaultdict(float)
    for award in allocation.jobs:
        if award.option is None or award.share is None:
            continue
        option = options[award.job][award.option]
        busy[award.job] += award.share
        progress[award.job] += award.share * option.progress
        for pool, chips in option.chips.items():
            used[pool] += award.share * chips
    yield from (f"job {name}: runs {part} of the time" for name, part in busy.items() if part > 1 + TOLERANCE)
    yield from (
        f"pool {pool.name}: {used[pool.name]} chips used, {pool.chips} there"
        for pool in market.pools
        if used[pool.name] > pool.chips * (1 + TOLERANCE)
    )
    level = min(progress[job.name] / job.weight for job in market.jobs)
    if not math.isclose(level, allocation.objective or 0.0, rel_tol=TOLERANCE, abs_tol=1e-12):
        yield f"objective {allocation.objective} stated, the least progress/weight is {level}"


def _totals_broken(market: Market, allocation: Allocation) -> Iterator[str]:
    if allocation.objective is None or allocation.bound is None:
        yield "no objective or no bound"
        return
    true = objective(market, allocation)
    turnover = (
        _earned(market, allocation)
        + _paid(market, allocation)
        + sum(product.chips * product.value for product in market.resale)
        + sum(job.weight * max(o.progress for o in job.options) for job in market.jobs if job.switch_cost)
    )
    allowed = TOLERANCE * max(turnover, abs(allocation.bound))
    if not math.isclose(true, allocation.objective, abs_tol=allowed):
        yield f"objective {allocation.objective} stated, {true} summed"
    if allocation.bound < allocation.objective - allowed:
        yield f"bound {allocation.bound} is below the objective {allocation.objective}"
