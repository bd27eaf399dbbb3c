"""Markets for tests, and an oracle that knows nothing of prices: every allocation, tried."""

import itertools
import math

import numpy as np
from hypothesis import strategies as st

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import JobOption, Market, MarketJob, MarketOffer, MarketPool, MarketService


def a_pool(name="h20", chips=8, price=1.0):
    return MarketPool(name=PoolName(name), chips=chips, price=price)


def an_offer(name="h20-tp1", pool="h20", chips=1, capacity=None, cost=0.0):
    uses = chips if isinstance(chips, dict) else {PoolName(pool): chips}
    return MarketOffer(name=name, chips=uses, capacity=capacity or {"all": 1.0}, cost=cost)


def a_service(name="chat", demand=None, offers=None):
    return MarketService(
        name=name, demand=demand or {"all": 3.0}, offers=(an_offer(),) if offers is None else offers
    )


def a_job(name="next-gen", sizes=((4, 4.0),), pool="h20", weight=2.0, required=False):
    options = tuple(JobOption(chips={PoolName(pool): n}, progress=p) for n, p in sizes)
    return MarketJob(name=name, options=options, weight=weight, required=required)


def a_market(pools=None, services=(), jobs=()):
    return Market(pools=(a_pool(),) if pools is None else pools, services=services, jobs=jobs)


@st.composite
def tiny_markets(draw, max_classes=2):
    """At most 2 pools, 2 services of 2 offers, 1 job: few enough allocations to try them all."""
    names = [PoolName(f"p{i}") for i in range(draw(st.integers(1, 2)))]
    pools = tuple(
        a_pool(name, draw(st.integers(1, 6)), draw(st.sampled_from([0.0, 0.5, 1.0]))) for name in names
    )
    services = tuple(
        draw(_services(f"s{s}", names, draw(st.integers(1, max_classes))))
        for s in range(draw(st.integers(1, 2)))
    )
    jobs = draw(st.lists(_jobs(names), max_size=1))
    return Market(pools=pools, services=services, jobs=tuple(jobs))


@st.composite
def _services(draw, name, pools, num_classes):
    classes = [f"c{r}" for r in range(num_classes)]
    demand = {c: float(draw(st.integers(1, 6))) for c in classes}
    offers = []
    for o in range(draw(st.integers(1, 2))):
        uses = {draw(st.sampled_from(pools)): draw(st.integers(1, 3))}
        if draw(st.integers(0, 5)) == 0:
            uses = {pool: draw(st.integers(1, 2)) for pool in pools}
        able = [c for c in classes if len(classes) == 1 or draw(st.integers(0, 4)) > 0] or classes
        capacity = {c: draw(st.sampled_from([0.7, 1.0, 1.5, 2.0, 4.0])) for c in able}
        cost = draw(st.sampled_from([0.0, 0.3]))
        offers.append(MarketOffer(name=f"o{o}", chips=uses, capacity=capacity, cost=cost))
    return MarketService(name=name, demand=demand, offers=tuple(offers))


@st.composite
def _jobs(draw, pools):
    options = tuple(
        JobOption(
            chips={draw(st.sampled_from(pools)): n}, progress=n * draw(st.sampled_from([0.5, 1.0, 2.0]))
        )
        for n in draw(st.lists(st.integers(1, 4), min_size=1, max_size=2))
    )
    return MarketJob(name="j", options=options, weight=1.0, required=draw(st.booleans()))


def best_objective(market):
    """The highest objective over every allocation of ``market``; ``None``: there is none."""
    best = None
    for deployments in itertools.product(*(_deployments(market, service) for service in market.services)):
        for options in itertools.product(*(_choices(job) for job in market.jobs)):
            used = dict.fromkeys((pool.name for pool in market.pools), 0)
            worth = 0.0
            for service, replicas in zip(market.services, deployments, strict=True):
                for offer, n in zip(service.offers, replicas, strict=True):
                    worth -= offer.cost * n
                    for pool, chips in offer.chips.items():
                        used[pool] += chips * n
            for job, option in zip(market.jobs, options, strict=True):
                if option is not None:
                    worth += job.weight * option.progress
                    for pool, chips in option.chips.items():
                        used[pool] += chips
            if any(used[pool.name] > pool.chips for pool in market.pools):
                continue
            worth -= sum(pool.price * used[pool.name] for pool in market.pools)
            best = worth if best is None else max(best, worth)
    return best


def _choices(job):
    return job.options if job.required else (None, *job.options)


def _deployments(market, service):
    """Replica counts that carry ``service`` and fit the pools."""
    stock = {pool.name: pool.chips for pool in market.pools}
    room = [min(stock[pool] // n for pool, n in offer.chips.items()) for offer in service.offers]
    for replicas in itertools.product(*(range(n + 1) for n in room)):
        if carries(service, replicas):
            yield replicas


def carries(service, replicas):
    """Whether ``replicas`` of at most two offers carry every class of ``service``.

    Classes that both offers can carry go to the first in order of how much load that takes off the
    second: the fractional knapsack, so no linear program is needed.
    """
    room = [float(n) for n in replicas]
    either = []
    for name, load in service.demand.items():
        loads = {i: load / o.capacity[name] for i, o in enumerate(service.offers) if name in o.capacity}
        if not loads:
            return False
        if len(loads) == 1:
            (only,) = loads
            room[only] -= loads[only]
        else:
            either.append(loads)
    if min(room) < -1e-9:
        return False
    for loads in sorted(either, key=lambda loads: loads[0] / loads[1]):
        share = min(1.0, room[0] / loads[0])
        room[0] -= share * loads[0]
        room[1] -= (1 - share) * loads[1]
    return min(room) >= -1e-9


def random_market(num_services, num_pools, num_classes, num_offers, *, seed, num_jobs=3):
    """A fleet with a scarce first pool, seeded: tensor-parallel sizes 1 to 8, unequal speeds and prices."""
    rng = np.random.default_rng(seed)
    speed = np.append(2.0, rng.uniform(0.3, 1.5, num_pools - 1))
    price = np.append(1.0, (speed[1:] * rng.uniform(0.3, 0.7, num_pools - 1)).round(3))
    names = [PoolName(f"pool{p}") for p in range(num_pools)]
    kinds = [(p, tp) for p in range(num_pools) for tp in (1, 2, 4, 8)]
    services, need = [], np.zeros(num_pools)
    for s in range(num_services):
        demand = rng.lognormal(3, 1) * rng.dirichlet(np.full(num_classes, 2.0))
        suits = rng.lognormal(0, 0.3, num_pools)
        offers = []
        for k in sorted(rng.choice(len(kinds), num_offers, replace=False)):
            p, tp = kinds[k]
            rates = speed[p] * suits[p] * tp ** rng.uniform(0.85, 1.05) * rng.lognormal(0, 0.2, num_classes)
            capacity = {f"c{r}": round(float(rate), 4) for r, rate in enumerate(rates)}
            offers.append(an_offer(f"{names[p]}-tp{tp}", names[p], tp, capacity))
            need[p] += tp * math.ceil((demand / rates).sum()) / num_offers
        services.append(
            a_service(f"s{s}", {f"c{r}": round(float(d), 3) for r, d in enumerate(demand)}, tuple(offers))
        )
    stock = np.maximum(need * rng.uniform(0.6, 1.8, num_pools), 8 * num_services**0.5).astype(int)
    sizes = [max(1, int(stock[0]) * k // 10) for k in (1, 2, 4)]
    jobs = tuple(
        a_job(f"j{j}", [(n, 0.95 * n) for n in sizes], names[0], round(float(rng.uniform(1.2, 2)), 2))
        for j in range(num_jobs)
    )
    pools = tuple(a_pool(name, int(n), float(c)) for name, n, c in zip(names, stock, price, strict=True))
    return Market(pools=pools, services=tuple(services), jobs=jobs)
