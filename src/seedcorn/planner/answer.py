"""From whole numbers back to names: shares of traffic, awards, pools, the stated gap."""

import math

import numpy as np

from seedcorn.domain.market import (
    Allocation,
    JobAward,
    Market,
    MarketDeployment,
    PoolUse,
    Shortage,
    Status,
)
from seedcorn.planner.highs import Program, solve_program
from seedcorn.planner.integer import Point, paid
from seedcorn.planner.problem import DENSE_LIMIT, ROUNDING, Floats, Problem, classes
from seedcorn.planner.responses import level_shares


def relative_gap(objective: float, bound: float) -> float:
    """(bound − objective) / max(|objective|, |bound|), never below 0; 0 when both are 0."""
    scale = max(abs(objective), abs(bound))
    return max(bound - objective, 0.0) / scale if scale > 0 else 0.0


def allocation_of(
    problem: Problem, point: Point, *, bound: float, scarcity: Floats, gap: float, seconds: float
) -> Allocation:
    """``point`` in the market's own names and units.

    Args:
        bound: No allocation costs less (scaled, as ``Point.cost``).
        scarcity: (num_pools,) scaled.
        gap: At or under which the answer counts as optimal.
    """
    objective = 0.0 - point.cost(problem) * problem.unit
    best = 0.0 - bound * problem.unit
    if best - objective <= ROUNDING * _turnover(problem, point) * problem.unit:
        best = objective
    reached = relative_gap(objective, best)
    return Allocation(
        status=Status.OPTIMAL if reached <= gap else Status.FEASIBLE,
        objective=objective,
        bound=best,
        gap=reached,
        deployments=_deployments(problem, point),
        jobs=_awards(problem, point),
        pools=_pools(problem, point.used(problem), scarcity),
        seconds=seconds,
    )


def _turnover(problem: Problem, point: Point) -> float:
    """What is paid and what is earned, added up: the scale of float rounding in their difference."""
    taken = point.option[point.option >= 0]
    traded = paid(problem, point.replicas) + np.abs(problem.option_value[taken]).sum()
    return float(traded + problem.constant)


def refusal(market: Market, shortages: tuple[Shortage, ...], *, status: Status, seconds: float) -> Allocation:
    """No allocation, and why."""
    return Allocation(
        status=status,
        objective=None,
        bound=None,
        gap=math.inf,
        deployments=(),
        jobs=(),
        pools=tuple(
            PoolUse(pool=pool.name, chips=pool.chips, used=0, shadow_price=0.0, slot=slot)
            for slot in range(market.slots)
            for pool in market.pools
        ),
        seconds=seconds,
        shortages=shortages,
    )


def _pools(problem: Problem, used: Floats, scarcity: Floats) -> tuple[PoolUse, ...]:
    return tuple(
        PoolUse(
            pool=pool.name,
            chips=pool.chips,
            used=round(float(used[p])),
            shadow_price=float(scarcity[p]) * problem.unit,
        )
        for p, pool in enumerate(problem.market.pools)
    )


def _awards(problem: Problem, point: Point) -> tuple[JobAward, ...]:
    awards = []
    for j, job in enumerate(problem.market.jobs):
        row = int(point.option[j])
        if row < 0:
            awards.append(JobAward(job=job.name, option=None))
            continue
        index = row - problem.options(j).start
        option = job.options[index]
        awards.append(JobAward(job=job.name, option=index, chips=option.chips, progress=option.progress))
    return tuple(awards)


def _deployments(problem: Problem, point: Point) -> tuple[MarketDeployment, ...]:
    deployments = []
    for s, service in enumerate(problem.market.services):
        replicas = point.replicas[problem.part_offers(s)]
        share = shares(problem.loads(s), replicas)
        names = classes(service)
        for o, offer in enumerate(service.offers):
            count = round(float(replicas[o]))
            if count == 0:
                continue
            deployments.append(
                MarketDeployment(
                    service=service.name,
                    offer=offer.name,
                    chips={pool: chips * count for pool, chips in offer.chips.items()},
                    replicas=count,
                    share={name: float(x) for name, x in zip(names, share[o], strict=True) if x > 0},
                )
            )
    return tuple(deployments)


def shares(load: Floats, replicas: Floats) -> Floats:
    """(num_offers, num_classes) share of each class on each offer, so that replicas are loaded evenly.

    Args:
        load: (num_offers, num_classes) replicas that carry a whole class.
        replicas: (num_offers,) that are known to carry everything.
    """
    if load.shape[1] == 1:
        carried = replicas / load[:, 0]
        return np.asarray(carried / max(carried.sum(), 1e-300))[:, None]
    share = np.zeros(load.shape)
    if not load.shape[1] or not replicas.any():
        return share
    used = replicas > 0
    num_used, num_classes = int(used.sum()), load.shape[1]
    if (num_used + num_classes) * num_used * num_classes <= DENSE_LIMIT:
        some = np.zeros((num_used, num_classes))
        level_shares(np.ascontiguousarray(load[used]), replicas[used], some)
    else:
        some = _level_shares_at_size(load[used], replicas[used])
    share[used] = some
    return share


def _level_shares_at_size(load: Floats, replicas: Floats) -> Floats:
    """``shares`` for services too large for a dense dictionary: min t, Σ_o x_or = 1, Σ_r w_or·x_or ≤ t·n_o."""
    num_o, num_r = load.shape
    offer, kind = np.nonzero(np.isfinite(load))
    num_x = len(offer)
    program = Program(
        cost=np.concatenate([np.zeros(num_x), [1.0]]),
        lower=np.zeros(num_x + 1),
        upper=np.full(num_x + 1, np.inf),
        integer=np.zeros(num_x + 1, dtype=np.bool_),
        row_lower=np.concatenate([np.ones(num_r), np.full(num_o, -np.inf)]),
        row_upper=np.concatenate([np.ones(num_r), np.zeros(num_o)]),
        rows=np.concatenate([kind, num_r + offer, num_r + np.arange(num_o)]),
        cols=np.concatenate([np.arange(num_x), np.arange(num_x), np.full(num_o, num_x)]),
        values=np.concatenate([np.ones(num_x), load[offer, kind], -replicas]),
    )
    solution = solve_program(program, gap=0.0, time_limit_s=np.inf, seed=0)
    assert solution.x is not None
    share = np.zeros(load.shape)
    share[offer, kind] = np.maximum(solution.x[:num_x], 0.0)
    return np.asarray(share / share.sum(axis=0))
