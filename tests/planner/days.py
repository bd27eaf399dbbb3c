"""Days for tests: slots, resale, deadlines, moves; and an oracle that tries every allocation of them."""

import itertools
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from seedcorn.domain.market import MarketResale, ResaleKind
from tests.planner.markets import carries, tiny_markets


@st.composite
def tiny_days(draw):
    """A tiny market with up to 3 slots, and some of: tides, an elastic job, a deadline, resale, moves."""
    market = draw(tiny_markets(max_classes=1))
    slots = draw(st.integers(1, 3))
    services = tuple(draw(_tidal(service, slots)) for service in market.services)
    jobs = tuple(draw(_hurried(job)) for job in market.jobs)
    resale = draw(st.lists(_products(market.pools), max_size=2))
    return replace(
        market,
        services=services,
        jobs=jobs,
        resale=tuple(replace(product, name=f"r{i}") for i, product in enumerate(resale)),
        slots=slots,
        max_moves=draw(st.sampled_from([None, None, 0, 2, 5])),
    )


@st.composite
def _tidal(draw, service, slots):
    offers = tuple(
        replace(offer, today=draw(st.integers(0, 2)), move_cost=draw(st.sampled_from([0.0, 0.4])))
        for offer in service.offers
    )
    if draw(st.booleans()):
        return replace(service, offers=offers)
    tide = st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=slots, max_size=slots)
    tidal = {name: tuple(load * part for part in draw(tide)) for name, load in service.demand.items()}
    return replace(service, offers=offers, demand={}, tidal=tidal)


@st.composite
def _hurried(draw, job):
    if draw(st.booleans()):
        return replace(job, elastic=True)
    return replace(job, work=10.0, deadline_hours=draw(st.sampled_from([None, 4.0, 8.0, 20.0])))


@st.composite
def _products(draw, pools):
    return MarketResale(
        name="r",
        pool=draw(st.sampled_from([pool.name for pool in pools])),
        chips=draw(st.integers(1, 3)),
        value=draw(st.sampled_from([0.2, 0.8, 1.5])),
        kind=draw(st.sampled_from(ResaleKind)),
    )


@st.composite
def tiny_switching_days(draw):
    """One service over 2 to 4 slots whose replicas cost something to start, and perhaps a job and today's replicas."""
    market = draw(tiny_markets(max_classes=2))
    slots = draw(st.integers(2, 4))
    costs = st.sampled_from([0.0, 0.3, 1.0, 3.0])
    service = draw(_tidal(market.services[0], slots))
    offers = tuple(
        replace(
            offer, switch_cost=draw(costs), **({} if draw(st.booleans()) else {"today": 0, "move_cost": 0.0})
        )
        for offer in service.offers
    )
    jobs = tuple(
        replace(job, elastic=True, switch_cost=draw(costs)) if draw(st.booleans()) else job
        for job in market.jobs
    )
    return replace(market, services=(replace(service, offers=offers),), jobs=jobs, slots=slots)


def best_switching_day(market):
    """As :func:`best_day`, for one service and at most one job: the best way round the day through every state."""
    gangs = [job for job in market.jobs if not job.elastic]
    best = None
    for options in itertools.product(*(_choices(job) for job in gangs)):
        uses, worth = _taken(gangs, options)
        slots = [_states(market, slot, uses) for slot in range(market.slots)]
        if not all(slots):
            continue
        total = np.zeros((1, 1))
        for slot in range(market.slots):
            here, before = slots[slot], slots[slot - 1]
            step = np.array([[now[1] - _switch(market, was[0], now[0]) for now in here] for was in before])
            total = step if slot == 0 else (total[:, :, None] + step[None]).max(axis=1)
        found = worth + np.diag(total).max() / market.slots
        best = found if best is None else max(best, found)
    return best


def _states(market, slot, uses):
    """Every ((replicas, elastic option), what it is worth) that fits beside ``uses``."""
    (service,) = market.services
    breathing = [job for job in market.jobs if job.elastic]
    found = []
    for replicas in _served(market, service, slot):
        for options in itertools.product(*(_choices(job) for job in breathing)):
            taken, worth = _taken(breathing, options)
            used = {pool.name: 0 for pool in market.pools}
            for offer, count in zip(service.offers, replicas, strict=True):
                worth -= offer.cost * count + offer.move_cost * max(count - offer.today, 0)
                for pool, chips in offer.chips.items():
                    used[pool] += chips * count
            for use in (*uses, *taken):
                for pool, chips in use.items():
                    used[pool] += chips
            if all(used[pool.name] <= pool.chips for pool in market.pools):
                worth -= sum(pool.price * used[pool.name] for pool in market.pools)
                found.append(((replicas, options), worth))
    return found


def _switch(market, was, now):
    (service,) = market.services
    paid = sum(
        offer.switch_cost * max(after - before, 0)
        for offer, before, after in zip(service.offers, was[0], now[0], strict=True)
    )
    jobs = [job for job in market.jobs if job.elastic]
    return paid + sum(
        job.switch_cost
        for job, before, after in zip(jobs, was[1], now[1], strict=True)
        if after is not None and after is not before
    )


def best_day(market):
    """The highest objective over every allocation of ``market``, from the definitions; ``None``: there is none."""
    best = None
    gangs = [job for job in market.jobs if not job.elastic]
    reserved = [product for product in market.resale if product.kind is ResaleKind.RESERVED]
    for options in itertools.product(*(_choices(job) for job in gangs)):
        for counts in itertools.product(*(range(product.chips + 1) for product in reserved)):
            uses, worth = _taken(gangs, options)
            for product, count in zip(reserved, counts, strict=True):
                uses.append({product.pool: count})
                worth += product.value * count
            slots = [_best_slot(market, slot, uses) for slot in range(market.slots)]
            if None not in slots:
                total = worth + sum(slots) / market.slots
                best = total if best is None else max(best, total)
    return best


def _best_slot(market, slot, uses):
    """The most that one slot adds, where ``uses`` are taken of its chips already; what those cost included."""
    best = None
    breathing = [job for job in market.jobs if job.elastic]
    spot = [product for product in market.resale if product.kind is ResaleKind.SPOT]
    for options in itertools.product(*(_choices(job) for job in breathing)):
        taken, worth = _taken(breathing, options)
        for counts in itertools.product(*(range(product.chips + 1) for product in spot)):
            sold = [{product.pool: count} for product, count in zip(spot, counts, strict=True)]
            earned = worth + sum(product.value * count for product, count in zip(spot, counts, strict=True))
            for deployed, cost, moves in _ways(market, slot):
                if market.max_moves is not None and moves > market.max_moves:
                    continue
                used = {pool.name: 0 for pool in market.pools}
                for use in (*uses, *taken, *sold, *deployed):
                    for pool, chips in use.items():
                        used[pool] += chips
                if any(used[pool.name] > pool.chips for pool in market.pools):
                    continue
                paid = cost + sum(pool.price * used[pool.name] for pool in market.pools)
                best = earned - paid if best is None else max(best, earned - paid)
    return best


def _ways(market, slot):
    """Every (chips, cost of replicas, replicas started) with which the services of a slot are served."""
    for deployments in itertools.product(*(_served(market, service, slot) for service in market.services)):
        uses, cost, moves = [], 0.0, 0
        for service, replicas in zip(market.services, deployments, strict=True):
            for offer, count in zip(service.offers, replicas, strict=True):
                started = max(count - offer.today, 0)
                uses.append({pool: chips * count for pool, chips in offer.chips.items()})
                cost += offer.cost * count + offer.move_cost * started
                moves += started
        yield uses, cost, moves


def _served(market, service, slot):
    stock = {pool.name: pool.chips for pool in market.pools}
    load = {name: amount for name, amount in service.load(slot).items() if amount > 0}
    room = [min(stock[pool] // chips for pool, chips in offer.chips.items()) for offer in service.offers]
    plain = replace(service, demand=load, tidal={})
    return [n for n in itertools.product(*(range(most + 1) for most in room)) if carries(plain, n)]


def _choices(job):
    in_time = [
        option
        for option in job.options
        if job.deadline_hours is None or job.work <= option.progress * job.deadline_hours
    ]
    return in_time if job.required else [None, *in_time]


def _taken(jobs, options):
    chosen = [(job, option) for job, option in zip(jobs, options, strict=True) if option is not None]
    worth = sum(job.weight * option.progress for job, option in chosen)
    return [option.chips for _, option in chosen], worth
