"""Max-min fairness: jobs share chips by time, so that the worst off is as well off as can be.

    max t    Σ_k g_jk·x_jk ≥ t·w_j  ∀j      Σ_k x_jk ≤ 1  ∀j      Σ_jk a_jkp·x_jk ≤ N_p  ∀p      x ≥ 0

x_jk is the part of the time that job j runs its option k, of progress g_jk and a_jkp chips. This is the policy of
Gavel (Narayanan et al., OSDI 2020, §4.1), with w_j its weight times the throughput it is measured
against. It is a linear program: the answer is its optimum.
"""

import math
import time

import numpy as np

from seedcorn.domain.market import Allocation, JobAward, Market, PoolUse, Status
from seedcorn.planner.answer import relative_gap
from seedcorn.planner.highs import MasterLp
from seedcorn.planner.problem import Floats, Problem, problem_of

_IDLE = 1e-9
"""A part of the time under this is rounding."""


def share_fairly(market: Market) -> Allocation:
    """The shares of time under which the least progress/weight of any job is highest.

    Services, resale, slots and moves have no part in it.
    """
    began = time.perf_counter()
    problem = problem_of(market)
    best, share, worth = _optimum(problem)
    share = _clean(problem, share)
    level = _level(problem, share)
    return Allocation(
        status=Status.OPTIMAL,
        objective=level,
        bound=max(best, level),
        gap=relative_gap(level, max(best, level)),
        deployments=(),
        jobs=_awards(problem, share),
        pools=_pools(problem, share, worth),
        seconds=time.perf_counter() - began,
    )


def _optimum(problem: Problem) -> tuple[float, Floats, Floats]:
    """The highest level, (num_options,) parts of the time, and (num_pools,) what one more chip adds to the level."""
    jobs, num_jobs, num_pools = problem.job_of_option, problem.num_jobs, len(problem.stock)
    market = problem.market
    pace = np.array([option.progress / job.weight for job in market.jobs for option in job.options])
    fits = np.all(problem.option_chips <= problem.stock, axis=1)
    unit = float(np.median(pace)) or 1.0
    scale = np.maximum(problem.stock, 1.0)
    # rows: a job's progress less the level, its time, then pools
    lp = MasterLp(
        np.concatenate([np.zeros(num_jobs), np.full(num_jobs + num_pools, -np.inf)]),
        np.concatenate([np.full(num_jobs, np.inf), np.ones(num_jobs), problem.stock / scale]),
        solver="ipm",  # with crossover; the simplex takes 1.3 to 5 times as long
    )
    everybody = np.arange(num_jobs, dtype=np.int32)
    lp.add(np.full(1, -1.0), np.full(1, np.inf), np.zeros(1, np.int32), everybody, np.full(num_jobs, -1.0))
    rows = np.concatenate(
        [
            jobs[:, None],
            num_jobs + jobs[:, None],
            np.broadcast_to(2 * num_jobs + np.arange(num_pools), (len(jobs), num_pools)),
        ],
        axis=1,
    )
    values = np.concatenate(
        [pace[:, None] / unit, np.ones((len(jobs), 1)), problem.option_chips / scale], axis=1
    )
    there = values != 0.0
    starts = np.concatenate([[0], np.cumsum(there.sum(axis=1))[:-1]])
    lp.add(
        np.zeros(len(jobs)),
        np.where(fits, np.inf, 0.0),
        starts.astype(np.int32),
        rows[there].astype(np.int32),
        values[there],
    )
    value, x, dual = lp.solve()
    return -value * unit, x[1:], np.maximum(-dual[2 * num_jobs :], 0.0) / scale * unit


def _clean(problem: Problem, share: Floats) -> Floats:
    """(num_options,) parts of the time that keep every limit, whatever the solver's tolerance left over."""
    share = np.where(share > _IDLE, share, 0.0)
    busy = np.bincount(problem.job_of_option, share, minlength=problem.num_jobs)
    share = share / np.maximum(busy, 1.0)[problem.job_of_option]
    return np.asarray(share / max(float((share @ problem.option_chips / problem.stock).max()), 1.0))


def _level(problem: Problem, share: Floats) -> float:
    """The least progress/weight of any job."""
    weight = np.array([job.weight for job in problem.market.jobs])
    gained = np.array([option.progress for job in problem.market.jobs for option in job.options]) * share
    return float((np.bincount(problem.job_of_option, gained, minlength=problem.num_jobs) / weight).min())


def _awards(problem: Problem, share: Floats) -> tuple[JobAward, ...]:
    """Each job's options that run at all; one award of nothing where none does."""
    awards = []
    for j, job in enumerate(problem.market.jobs):
        parts = share[problem.options(j)]
        running = [
            JobAward(
                job=job.name,
                option=k,
                chips=option.chips,
                progress=option.progress * float(part),
                share=float(part),
            )
            for k, (option, part) in enumerate(zip(job.options, parts, strict=True))
            if part > 0.0
        ]
        awards += running or [JobAward(job=job.name, option=None, share=0.0)]
    return tuple(awards)


def _pools(problem: Problem, share: Floats, worth: Floats) -> tuple[PoolUse, ...]:
    used = share @ problem.option_chips
    return tuple(
        PoolUse(
            pool=pool.name,
            chips=pool.chips,
            used=math.ceil(float(used[p]) * (1 - _IDLE)),
            shadow_price=float(worth[p]),
        )
        for p, pool in enumerate(problem.market.pools)
    )
