"""Futures of a runway: the one that is planned for, and drawn ones; many of them side by side.

Every draw has random numbers of its own, seeded by its index, so that the answer is the same whoever
draws, and however many of them.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from seedcorn.planner.placement import Floats, Ints
from seedcorn.planner.runway import NEVER, Future, Outlook, look_ahead
from seedcorn.workers import InTurn, Workers

Z90 = 1.2815515655446004
"""Standard normal quantile of 0.9."""
YEAR_S = 365.25 * 86400
_BATCH = 25
"""Draws that a worker does at a time."""
STARTING_S = 5.0
"""What is left must take longer than this here before workers are called in: starting them takes about half of it."""
ALONE = InTurn()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Odds:
    """What may happen: M months, S services, P pools, G generations, N supplies, D deliveries.

    Three columns are P10, P50 and P90. Between and beyond them a quantity follows a normal distribution
    on either side of its median.

    Attributes:
        month_s: (M + 1,) starts of months, and the end, in seconds.
        chips, spare: (P,) at the start.
        retire_month: (P,) month from which the pool is gone; ``NEVER``.
        mtbf_s: (P,) until a chip fails for good; ``inf``.
        load: (S,) at the start.
        growth: (S, 3) demand in a year against the year before.
        delivery_supply, delivery_pool, delivery_chips, delivery_s: (D,)
        delivered: (N, 3) share of each delivery that arrives; delay_s: (N, 3).
        forms: (P,) supply that forms the pool, −1 where it is there.
        porting_s: (S, P) from the first delivery of the supply that forms the pool until the service runs.
        step_sigma: (S, P) of ln(true step time / predicted); ``caution`` times it is planned for.
        speed_sigma: (G, P) of ln(true training speed / predicted).
    """

    month_s: Floats
    chips: Floats
    spare: Floats
    retire_month: Ints
    mtbf_s: Floats
    load: Floats
    growth: Floats
    delivery_supply: Ints
    delivery_pool: Ints
    delivery_chips: Floats
    delivery_s: Floats
    delivered: Floats
    delay_s: Floats
    forms: Ints
    porting_s: Floats
    step_sigma: Floats
    speed_sigma: Floats
    caution: float


def planned(odds: Odds) -> Future:
    """The future that is planned for: medians, mean failures, step times at the planning confidence."""
    arrivals, first_month = _arrivals(odds, odds.delivered[:, 1], odds.delay_s[:, 1])
    return _future(
        odds,
        stock=_mean_surviving(odds, arrivals),
        first_month=first_month,
        growth=odds.growth[:, 1],
        capacity=np.ones(odds.step_sigma.shape),
        speed=np.ones(odds.speed_sigma.shape),
    )


def drawn(odds: Odds, seed: int, index: int, *, chips_fail: bool = True) -> Future:
    """The future ``index`` of those that ``seed`` stands for.

    Growth is one draw for all services, since one economy drives them; step times and training speeds err
    alike on all chips of a pool; deliveries of one supply share their share and their delay.

    Args:
        chips_fail: One by one, at random; else as many as on the mean, so that futures of one index differ only by
            what differs in their odds.
    """
    rng = np.random.default_rng([seed, index])
    num_pools, num_supplies = len(odds.chips), len(odds.delivered)
    z_growth = rng.standard_normal()
    z_step, z_speed = rng.standard_normal(num_pools), rng.standard_normal(num_pools)
    share = np.clip(between(odds.delivered, rng.standard_normal(num_supplies)), 0.0, 1.0)
    delay_s = np.maximum(between(odds.delay_s, rng.standard_normal(num_supplies)), 0.0)
    arrivals, first_month = _arrivals(odds, share, delay_s)
    return _future(
        odds,
        stock=_surviving(odds, arrivals, rng) if chips_fail else _mean_surviving(odds, arrivals),
        first_month=first_month,
        growth=np.maximum(between(odds.growth, np.full(len(odds.load), z_growth)), 1e-3),
        capacity=np.exp(odds.step_sigma * (odds.caution - z_step)),
        speed=np.exp(odds.speed_sigma * z_speed),
    )


def between(quantiles: Floats, z: Floats) -> Floats:
    """(n,) values at standard normal ``z`` (n,) of what has these (n, 3) P10, P50 and P90."""
    side = np.where(z > 0, quantiles[:, 2] - quantiles[:, 1], quantiles[:, 1] - quantiles[:, 0])
    return quantiles[:, 1] + z / Z90 * side


def _arrivals(odds: Odds, share: Floats, delay_s: Floats) -> tuple[Floats, Ints]:
    """(M, P) chips that can be used from each month on, and (N,) the first month with any of each supply.

    A delivery counts from the first month that begins on its day or later.
    """
    months = len(odds.month_s) - 1
    arrivals = np.zeros((months, len(odds.chips)))
    first_month = np.full(len(odds.delivered), NEVER)
    supply = odds.delivery_supply
    month = np.searchsorted(odds.month_s[:-1], odds.delivery_s + delay_s[supply])
    chips = np.floor(odds.delivery_chips * share[supply] + 1e-9)
    for d in np.flatnonzero((month < months) & (chips > 0)):
        arrivals[month[d], odds.delivery_pool[d]] += chips[d]
        first_month[supply[d]] = min(first_month[supply[d]], month[d])
    return arrivals, first_month


def _mean_surviving(odds: Odds, arrivals: Floats) -> Floats:
    """(M, P) whole chips at the start of each month, on the mean."""
    stock = np.zeros(arrivals.shape)
    chips = odds.chips.copy()
    for month, lasts_s in enumerate(np.diff(odds.month_s)):
        chips = chips + arrivals[month]
        stock[month] = np.floor(chips + 1e-9)
        chips = chips * np.exp(-lasts_s / odds.mtbf_s)
    return stock


def _surviving(odds: Odds, arrivals: Floats, rng: Generator) -> Floats:
    """(M, P) chips at the start of each month: each fails by itself, at its pool's rate."""
    fails = np.flatnonzero(np.isfinite(odds.mtbf_s))
    lives = np.exp(-np.diff(odds.month_s)[:, np.newaxis] / odds.mtbf_s[fails])
    stock = np.cumsum(arrivals, axis=0) + odds.chips
    chips = odds.chips[fails].astype(np.int64)
    for month in range(len(arrivals)):
        chips = chips + arrivals[month, fails].astype(np.int64)
        stock[month, fails] = chips
        chips = rng.binomial(chips, lives[month])
    return stock


def _future(
    odds: Odds, *, stock: Floats, first_month: Ints, growth: Floats, capacity: Floats, speed: Floats
) -> Future:
    months = len(odds.month_s) - 1
    stock = np.where(np.arange(months)[:, np.newaxis] < odds.retire_month, stock, 0.0)
    middle_years = (odds.month_s[:-1] + odds.month_s[1:])[:, np.newaxis] / (2 * YEAR_S)
    return Future(
        month_s=odds.month_s,
        stock=np.maximum(stock - odds.spare, 0.0),
        demand=odds.load * growth**middle_years,
        opens=_opening(odds, first_month),
        capacity=capacity,
        speed=speed,
    )


def _opening(odds: Odds, first_month: Ints) -> Ints:
    """(S, P) month from which each service runs in each pool: at once, or when the pool is there and ported to."""
    opens = np.zeros(odds.porting_s.shape, dtype=np.int64)
    for pool in np.flatnonzero(odds.forms >= 0):
        first = first_month[odds.forms[pool]]
        if first == NEVER:
            opens[:, pool] = NEVER
        else:
            opens[:, pool] = np.searchsorted(odds.month_s, odds.month_s[first] + odds.porting_s[:, pool])
    return opens


def generations_drawn(
    outlook: Outlook,
    odds: Odds,
    *,
    draws: int,
    seed: int,
    workers: Workers = ALONE,
    starting_s: float = STARTING_S,
    progress: Callable[[int], None] = lambda done: None,
) -> Floats:
    """(draws, 2) generations trained in each drawn future, and the first month in which serving falls short (``inf``: none).

    Args:
        workers: Called in where what is left would take longer than ``starting_s`` here. The answer depends on neither.
        progress: Called with the number of draws done.
    """
    batches = [range(first, min(first + _BATCH, draws)) for first in range(0, draws, _BATCH)]
    drawing = Drawing(outlook=outlook, odds=odds, seed=seed)
    found: list[Floats] = []
    began_s = time.perf_counter()
    for i, batch in enumerate(batches):
        left_s = (time.perf_counter() - began_s) / max(i, 1) * (len(batches) - i)
        if left_s > starting_s and not isinstance(workers, InTurn):
            break
        found.append(_batch(drawing, batch))
        progress(batch.stop)
    rest = batches[len(found) :]
    for batch, result in zip(rest, workers.map(_batch, drawing, rest) if rest else (), strict=True):
        found.append(result)
        progress(batch.stop)
    return np.concatenate(found) if found else np.zeros((0, 2))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Drawing:
    """What every draw needs."""

    outlook: Outlook
    odds: Odds
    seed: int


def _batch(drawing: Drawing, indices: range) -> Floats:
    rows = []
    for index in indices:
        course = look_ahead(drawing.outlook, drawn(drawing.odds, drawing.seed, index))
        short = (course.unmet.sum(axis=1) > 0) | (course.short.sum(axis=1) > 0)
        rows.append((drawing.outlook.generations(course), float(np.argmax(short)) if short.any() else np.inf))
    return np.array(rows)
