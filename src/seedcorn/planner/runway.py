"""The market over months: inference first, on the least capable chips; what is left trains the generations.

Each month the services are placed on the chips of that month (`placement`), whole replicas are counted,
and the generation in turn trains on the pool that is then fastest for it. Nothing here is drawn: a
`Future` says what happens, `futures` draws some.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from seedcorn.jit import jit
from seedcorn.planner.placement import Basis, Floats, Ints, a_basis, place, start

NEVER = 10**9
"""Month of what does not happen."""

_DEAR = 1e4
"""Price of load that nobody carries, over the dearest chip's."""
_ROUNDS = 8
"""Placements tried in a month until whole replicas fit too; each leaves more room for rounding."""
_WHOLE = 1e-9


class Serving(NamedTuple):
    """Ways to serve: S services, P pools. Offers of service s in pool p are rows ``start[s·P + p]`` up to the next start.

    Attributes:
        start: (S · P + 1,)
        capacity: (num_offers,) load of one replica; the offer with most load a chip stands first.
        chips: (num_offers,) of one replica.
        price: (P,) what a chip that serves is worth elsewhere.
    """

    start: Ints
    capacity: Floats
    chips: Floats
    price: Floats


class Training(NamedTuple):
    """Generations, in order: G of them, and up to L sizes of gang in each of P pools.

    Attributes:
        flop: (G,) to be done.
        earliest_s, by_s: (G,) seconds from the start.
        sizes: (G, P) how many sizes there are; 0: does not train there.
        chips, speed: (G, P, L) chips of a gang, ascending, and its FLOP/s.
        mixed: (G,) share of the pools' speeds that a gang over all of them reaches; 0: it stays in one.
    """

    flop: Floats
    earliest_s: Floats
    by_s: Floats
    sizes: Ints
    chips: Floats
    speed: Floats
    mixed: Floats


class Future(NamedTuple):
    """What happens in M months.

    Attributes:
        month_s: (M + 1,) starts of months, and the end, in seconds from the start.
        stock: (M, P) chips that may be used.
        demand: (M, S) loads.
        opens: (S, P) month from which the service can run there.
        capacity: (S, P) factor on what replicas carry.
        speed: (G, P) factor on training speeds.
    """

    month_s: Floats
    stock: Floats
    demand: Floats
    opens: Ints
    capacity: Floats
    speed: Floats


class Course(NamedTuple):
    """What comes of it.

    Attributes:
        unmet: (M, S) load that no chips were left for.
        used: (M, P) chips that serve.
        short: (M, P) chips that whole replicas would take beyond the stock.
        started_s, finished_s: (G,) seconds from the start; ``inf``: not within the months.
        done: (G,) FLOP done when it is due.
        month: (G,) in which training begins; −1: never.
        pool: (G,) where it begins; P: on all.
    """

    unmet: Floats
    used: Floats
    short: Floats
    started_s: Floats
    finished_s: Floats
    done: Floats
    month: Ints
    pool: Ints


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outlook:
    """What can be done: the same in every future."""

    serving: Serving
    training: Training

    def generations(self, course: Course) -> float:
        """Generations trained: those in a row that are done in time, and the part of the next that is."""
        total = 0.0
        for g in range(len(self.training.flop)):
            finished_s = course.finished_s[g]
            if finished_s < np.inf and finished_s <= self.training.by_s[g]:
                total += 1.0
            else:
                return total + float(min(course.done[g] / self.training.flop[g], 1.0))
        return total


def look_ahead(outlook: Outlook, future: Future) -> Course:
    """What comes of ``future``: services first, then the generations in order."""
    months, pools = future.stock.shape
    services, generations = future.demand.shape[1], len(outlook.training.flop)
    course = Course(
        unmet=np.zeros((months, services)),
        used=np.zeros((months, pools)),
        short=np.zeros((months, pools)),
        started_s=np.full(generations, np.inf),
        finished_s=np.full(generations, np.inf),
        done=np.full(generations, -1.0),
        month=np.full(generations, -1, dtype=np.int64),
        pool=np.full(generations, -1, dtype=np.int64),
    )
    basis = a_basis(services, pools)
    cost, need, load = (np.zeros((services, pools + 1)) for _ in range(3))
    ended = _serve(outlook.serving, future, basis, cost, need, load, np.zeros(pools), course)
    assert ended, "the placement did not end"
    _train(outlook.training, future, course)
    return course


def relaxed_cost(outlook: Outlook, future: Future, month: int, stock: Floats) -> float | None:
    """Least price of the chips that serve in a month if there were ``stock`` (P,), replicas in fractions.

    ``None`` where even so some load is not carried. Exact, without the noise of whole replicas: what a
    few chips more are worth is the difference of two.
    """
    services, pools = future.opens.shape
    there = future._replace(opens=np.minimum(future.opens, month))
    basis = a_basis(services, pools)
    cost, need, load = (np.zeros((services, pools + 1)) for _ in range(3))
    _costs(outlook.serving, there, month, cost, need)
    start(basis, cost)
    ended = place(cost, need, future.demand[month], stock, basis, load)
    assert ended, "the placement did not end"
    if load[:, pools].sum() > 0:
        return None
    return float((np.where(np.isfinite(cost), cost, 0.0) * load).sum())


@jit
def _serve(
    serving: Serving,
    future: Future,
    basis: Basis,
    cost: Floats,
    need: Floats,
    load: Floats,
    limit: Floats,
    course: Course,
) -> bool:
    """Fill ``unmet``, ``used`` and ``short``; the rest is scratch. Whether every placement ended as it should."""
    num_pools = limit.shape[0]
    for month in range(future.stock.shape[0]):
        if _opens(future, month):
            _costs(serving, future, month, cost, need)
            start(basis, cost)
        for p in range(num_pools):
            limit[p] = future.stock[month, p]
        for _ in range(_ROUNDS):
            if not place(cost, need, future.demand[month], limit, basis, load):
                return False
            _count(serving, future, load, course.used[month])
            fits = True
            for p in range(num_pools):
                over = course.used[month, p] - future.stock[month, p]
                if over > _WHOLE:
                    fits = False
                    limit[p] = max(limit[p] - over, 0.0)
            if fits:
                break
        for s in range(load.shape[0]):
            course.unmet[month, s] = load[s, num_pools]
        for p in range(num_pools):
            course.short[month, p] = max(course.used[month, p] - future.stock[month, p], 0.0)
            course.used[month, p] -= course.short[month, p]
    return True


@jit
def _opens(future: Future, month: int) -> bool:
    """Whether a service can run in a pool from this month on that it could not run in before."""
    if month == 0:
        return True
    for s in range(future.opens.shape[0]):
        for p in range(future.opens.shape[1]):
            if future.opens[s, p] == month:
                return True
    return False


@jit
def _costs(serving: Serving, future: Future, month: int, cost: Floats, need: Floats) -> None:
    """Chips and price of a unit of load, by each service's leanest offer in each pool."""
    num_services, num_pools = future.opens.shape
    dearest = 0.0
    for p in range(num_pools):
        dearest = max(dearest, serving.price[p])
    for s in range(num_services):
        least = np.inf
        for p in range(num_pools):
            first = serving.start[s * num_pools + p]
            is_open = first < serving.start[s * num_pools + p + 1] and future.opens[s, p] <= month
            chips = np.inf
            if is_open:
                chips = serving.chips[first] / (serving.capacity[first] * future.capacity[s, p])
            need[s, p] = chips
            # equal costs would let the simplex turn in circles: no two are
            tie = 1.0 + 1e-9 * ((s * 31 + p * 7) % 101)
            cost[s, p] = chips * serving.price[p] * tie if is_open else np.inf
            least = min(least, chips)
        need[s, num_pools] = 0.0
        cost[s, num_pools] = _DEAR * dearest * (least if least < np.inf else 1.0)


@jit
def _count(serving: Serving, future: Future, load: Floats, used: Floats) -> None:
    """Chips of whole replicas: the leanest offer's, and for what is left over the fewest chips that carry it."""
    num_services, num_pools = future.opens.shape
    for p in range(num_pools):
        used[p] = 0.0
    for s in range(num_services):
        for p in range(num_pools):
            if load[s, p] <= 0.0:
                continue
            first, end = serving.start[s * num_pools + p], serving.start[s * num_pools + p + 1]
            here = load[s, p] / future.capacity[s, p]
            replicas = np.floor(here / serving.capacity[first] + _WHOLE)
            left = here - replicas * serving.capacity[first]
            fewest = 0.0
            if left > _WHOLE * serving.capacity[first]:
                fewest = np.inf
                for o in range(first, end):
                    fewest = min(fewest, np.ceil(left / serving.capacity[o] - _WHOLE) * serving.chips[o])
            used[p] += replicas * serving.chips[first] + fewest


@jit
def _train(training: Training, future: Future, course: Course) -> None:
    """Fill ``started_s``, ``finished_s``, ``done`` and the gangs: one generation after another."""
    num_generations = training.sizes.shape[0]
    g, did = 0, 0.0
    for month in range(future.stock.shape[0]):
        now, end = future.month_s[month], future.month_s[month + 1]
        while g < num_generations and now < end:
            begin = max(now, training.earliest_s[g])
            if begin >= end:
                break
            rate, pool = _gang(training, future, course, month, g)
            if rate > 0 and course.month[g] < 0:
                course.started_s[g], course.month[g], course.pool[g] = begin, month, pool
            finish = begin + (training.flop[g] - did) / rate if rate > 0 else np.inf
            until = min(finish, end)
            due = training.by_s[g]
            if course.done[g] < 0 and due <= until:
                course.done[g] = did + rate * max(due - begin, 0.0)
            did += rate * (until - begin)
            if finish <= end:
                course.finished_s[g] = finish
                if course.done[g] < 0:
                    course.done[g] = training.flop[g]
                g, did = g + 1, 0.0
            now = until
    for rest in range(g, num_generations):
        if course.done[rest] < 0:
            course.done[rest] = did if rest == g else 0.0


@jit
def _gang(training: Training, future: Future, course: Course, month: int, g: int) -> tuple[float, int]:
    """FLOP/s of the generation's best gang on the chips that are left, and its pool (P: all; −1: none)."""
    num_pools = training.sizes.shape[1]
    total, best, where = 0.0, 0.0, -1
    for p in range(num_pools):
        left = max(future.stock[month, p] - course.used[month, p], 0.0)
        speed = future.speed[g, p] * _speed(training, g, p, left)
        total += speed
        if speed > best:
            best, where = speed, p
    if training.mixed[g] * total > best:
        return training.mixed[g] * total, num_pools
    return best, where


@jit
def _speed(training: Training, g: int, p: int, chips: float) -> float:
    """FLOP/s of the largest gang of up to ``chips``; linear between the sizes, which are close."""
    count = training.sizes[g, p]
    if count == 0 or chips < training.chips[g, p, 0]:
        return 0.0
    for i in range(1, count):
        if chips < training.chips[g, p, i]:
            low, high = training.chips[g, p, i - 1], training.chips[g, p, i]
            below, above = training.speed[g, p, i - 1], training.speed[g, p, i]
            return float(below + (above - below) * (chips - low) / (high - low))
    return float(training.speed[g, p, count - 1])
