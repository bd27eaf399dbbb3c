"""Whole replicas: one integer program over deployments seen and deployments spelled out.

A service enters in one of two ways. *By column*: it picks one of the deployments that column generation
saw. *Spelled out*: its replica counts and shares are variables, so that it may take any deployment.
Few services are split between deployments in the relaxed market (at most one per pool, roughly), so
spelling out those alone leaves a small program; a small market is spelled out whole, and then the
program's bound is the market's.

Each spelled-out service also gets its best response as a cut, Σ price·n ≥ what the service costs at
the least at the scarcity prices: that hands the Lagrangian bound to the program's relaxation.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedcorn.planner.build import Build
from seedcorn.planner.claims import Branch, Claims
from seedcorn.planner.highs import solve_program
from seedcorn.planner.master import Columns
from seedcorn.planner.problem import Floats, Ints, Problem


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Point:
    """An allocation in whole numbers.

    Attributes:
        replicas: (num_offers,).
        option: (num_jobs,) row of the option taken, -1 for none.
    """

    replicas: Floats
    option: Ints

    def cost(self, problem: Problem) -> float:
        """What it costs at the pools' own prices, less what the jobs are worth and what is there anyway."""
        taken = self.option[self.option >= 0]
        earned = problem.option_value[taken].sum() + problem.constant
        return float(paid(problem, self.replicas) - earned)

    def used(self, problem: Problem) -> Floats:
        """(num_pools,) chips."""
        taken = self.option[self.option >= 0]
        return np.asarray(self.replicas @ problem.offer_chips + problem.option_chips[taken].sum(axis=0))


def paid(problem: Problem, replicas: Floats) -> float:
    """What (num_offers,) replicas and their starts cost at the pools' own prices."""
    return float(replicas @ problem.offer_cost + problem.start_costs(replicas).sum())


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rounding:
    """What the integer program found: the best point, if any, and a bound on what it was allowed to pick."""

    point: Point | None
    bound: float
    interrupted: bool


def round_up(
    problem: Problem,
    columns: Columns,
    kept: Ints,
    spelled_out: Ints,
    cuts: Sequence[Claims],
    *,
    branch: Branch,
    base: Point | None,
    gap: float,
    target: float,
    time_limit_s: float,
    node_limit: int,
    seed: int,
) -> Rounding:
    """The best allocation among what each claimant may pick.

    Args:
        kept: Columns of services that pick one.
        spelled_out: Services free to deploy anything.
        cuts: Rounds of answers that spelled-out services may not beat.
        branch: What jobs may do.
        base: What services in neither group keep.
        gap: Relative.
        target: Cost at which to stop.
        node_limit: Of branch and bound.
    """
    replicas = np.zeros(len(problem.offer_cost)) if base is None else base.replicas.copy()
    free = np.zeros(problem.num_services, dtype=np.bool_)
    free[columns.claimant[kept]] = True
    free[spelled_out] = True
    replicas[free[problem.service_of_offer]] = 0.0
    build = Build()
    stock = problem.stock - replicas @ problem.offer_chips
    pools = build.add_rows(np.full(len(stock), -np.inf), stock)
    taken = _add_options(build, problem, pools, branch)
    picked = _add_columns(build, problem, columns, kept, pools)
    counts = [_spell_out(build, problem, int(s), pools, cuts) for s in spelled_out]
    start = None
    if base is not None and not len(kept):
        chosen = np.zeros(len(taken))
        chosen[base.option[base.option >= 0]] = 1.0
        values = [base.replicas[problem.offers(int(s))] for s in spelled_out]
        start = (np.concatenate([taken, *counts]), np.concatenate([chosen, *values]))
    solution = solve_program(
        build.program(paid(problem, replicas) - problem.constant),
        start=start,
        gap=gap,
        time_limit_s=time_limit_s,
        node_limit=node_limit,
        seed=seed,
        target=target,
    )
    if solution.x is None:
        return Rounding(point=None, bound=solution.bound, interrupted=solution.interrupted)
    for column in kept[solution.x[picked] > 0.5]:
        offers = problem.offers(int(columns.claimant[column]))
        replicas[offers] = columns.replicas[columns.round[column]][offers]
    for service, cols in zip(spelled_out, counts, strict=True):
        replicas[problem.offers(int(service))] = np.round(solution.x[cols])
    option = np.full(problem.num_jobs, -1)
    won = np.flatnonzero(solution.x[taken] > 0.5)
    option[problem.job_of_option[won]] = won
    point = Point(replicas=replicas, option=option)
    return Rounding(point=point, bound=solution.bound, interrupted=solution.interrupted)


def _add_options(build: Build, problem: Problem, pools: Ints, branch: Branch) -> Ints:
    """Σ_k λ_jk ≤ 1, = 1 where the job is required."""
    one = np.ones(problem.num_jobs)
    rows = build.add_rows(np.where(branch.required, 1.0, 0.0), one)
    cols = build.add_cols(-problem.option_value, branch.options.astype(np.float64), integer=True)
    build.put(rows[problem.job_of_option], cols, np.ones(len(cols)))
    build.put_table(pools, cols, problem.option_chips)
    return cols


def _add_columns(build: Build, problem: Problem, columns: Columns, kept: Ints, pools: Ints) -> Ints:
    """Σ_c λ_sc = 1 for services that pick a column."""
    services, row = np.unique(columns.claimant[kept], return_inverse=True)
    rows = build.add_rows(np.ones(len(services)), np.ones(len(services)))
    cols = build.add_cols(columns.cost[kept], np.ones(len(kept)), integer=True)
    build.put(rows[row], cols, np.ones(len(cols)))
    build.put_table(pools, cols, columns.chips[kept])
    return cols


def _spell_out(build: Build, problem: Problem, service: int, pools: Ints, cuts: Sequence[Claims]) -> Ints:
    """The service's own rows, its chips, and the cuts; the columns of its replica counts."""
    offers = problem.offers(service)
    counts, starts = build.add_service(problem, service, problem.offer_cost)
    build.put_table(pools, counts, problem.offer_chips[offers])
    for claims in cuts:
        price = problem.offer_cost[offers] + problem.offer_chips[offers] @ claims.scarcity
        row = build.add_rows(claims.service_bound[[service]], np.full(1, np.inf))
        build.put(np.repeat(row, len(counts)), counts, price)
        build.put(np.repeat(row, len(starts)), starts, problem.start_cost[problem.cells(service)])
    return counts
