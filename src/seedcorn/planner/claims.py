"""What every claimant answers at given prices, and the Lagrangian bound their answers add up to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedcorn.planner.build import Build
from seedcorn.planner.highs import solve_program
from seedcorn.planner.problem import Floats, Problem
from seedcorn.planner.responses import NODE_LIMIT, best_responses
from seedcorn.planner.switching import respond_over_days

_SLACK_AT_SIZE = 5.0
"""Services too large for the compiled search may be this much further from their best: a proof costs them more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Branch:
    """What jobs may do in one part of the search.

    Attributes:
        options: (num_options,) options that may be taken.
        required: (num_jobs,) jobs that must take one.
    """

    options: NDArray[np.bool_]
    required: NDArray[np.bool_]

    @classmethod
    def root(cls, problem: Problem) -> "Branch":
        """Everything that the market allows and the pools hold."""
        return cls(
            options=np.all(problem.option_chips <= problem.stock, axis=1),
            required=problem.required,
        )

    def children(self, problem: Problem, option: int) -> tuple["Branch", "Branch"]:
        """Without the option, and with it."""
        job = int(problem.job_of_option[option])
        without, alone = self.options.copy(), self.options.copy()
        without[option] = False
        alone[problem.options(job)] = False
        alone[option] = True
        required = self.required.copy()
        required[job] = True
        return Branch(options=without, required=self.required), Branch(options=alone, required=required)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Claims:
    """Best responses of everybody to one vector of scarcity prices.

    Attributes:
        scarcity: (num_pools,) paid per chip on top of the pool's own price, ≥ 0.
        replicas: (num_offers,) best integer replicas found.
        answered: (num_services,) whether the search found any.
        service_bound: (num_services,) no deployment is cheaper at these prices.
        bound: No allocation costs less: Σ service_bound + Σ job bests − scarcity·stock − constant.
        start_price: (num_cells,) what a replica started there was priced at, 0 … its cost, for that bound.
        step: (num_services,) how far the next answer first moves those.
    """

    scarcity: Floats
    replicas: Floats
    answered: NDArray[np.bool_]
    service_bound: Floats
    bound: float
    start_price: Floats
    step: Floats


def respond(
    problem: Problem,
    branch: Branch,
    scarcity: Floats,
    *,
    known: Floats,
    start_price: Floats,
    step: Floats,
    tolerance: float,
) -> Claims:
    """Everybody's best response when a chip of pool p costs ``scarcity[p]`` more than its own price.

    Args:
        known: (num_offers,) replicas that carry every service, or 0 where none are known.
        start_price, step: First guesses of those in ``Claims``.
        tolerance: Relative distance from a service's best that will do.
    """
    price = problem.offer_cost + problem.offer_chips @ scarcity
    replicas, start_price, step = known.copy(), start_price.copy(), step.copy()
    num_parts = len(problem.num_classes)
    part_value, part_bound = np.full(num_parts, np.inf), np.full(num_parts, -np.inf)
    dense = problem.is_dense
    alone = np.repeat(np.diff(problem.part_start) == 1, np.diff(problem.part_start))
    best_responses(
        np.flatnonzero(dense & alone),
        price,
        problem.offer_start,
        problem.load_start,
        problem.load,
        problem.num_classes,
        problem.max_replicas,
        tolerance,
        NODE_LIMIT,
        replicas,
        part_value,
        part_bound,
    )
    value, bound = part_value[problem.part_start[:-1]], part_bound[problem.part_start[:-1]]
    tied = np.flatnonzero(np.diff(problem.part_start) > 1)
    is_dense = np.logical_and.reduceat(dense, problem.part_start[:-1]) if num_parts else dense
    if len(tied):  # a kernel that most markets never compile
        respond_over_days(
            tied[is_dense[tied]],
            price,
            problem.part_start,
            problem.offer_start,
            problem.load_start,
            problem.load,
            problem.num_classes,
            problem.max_replicas,
            problem.cell_start,
            problem.cell,
            problem.start_cost,
            tolerance,
            NODE_LIMIT,
            start_price,
            step,
            replicas,
            value,
            bound,
        )
    lost = is_dense & np.isinf(value) & np.isfinite(bound)  # the node limit struck before an answer
    for service in np.flatnonzero(~is_dense | lost):
        value[service], bound[service] = _respond_at_size(
            problem, int(service), price, _SLACK_AT_SIZE * tolerance, replicas
        )
    jobs = job_costs(problem, branch, scarcity)
    total = float(bound.sum() + jobs.sum() - scarcity @ problem.stock) - problem.constant
    return Claims(
        scarcity=scarcity,
        replicas=replicas,
        answered=np.isfinite(value),
        service_bound=bound,
        bound=total,
        start_price=start_price,
        step=step,
    )


def _respond_at_size(
    problem: Problem, service: int, price: Floats, tolerance: float, replicas: Floats
) -> tuple[float, float]:
    """One service's best response by HiGHS: (price, proven bound), and its ``replicas`` in place."""
    offers = problem.offers(service)
    build = Build()
    counts, _ = build.add_service(problem, service, price)
    solution = solve_program(build.program(), gap=tolerance, time_limit_s=np.inf, seed=0)
    if solution.x is None:
        return np.inf, solution.bound
    replicas[offers] = np.round(solution.x[counts])
    return solution.value, solution.bound


def job_costs(problem: Problem, branch: Branch, scarcity: Floats) -> Floats:
    """(num_jobs,) least net cost of each job at these prices: 0 where it had better wait and may."""
    net = problem.option_chips @ scarcity - problem.option_value
    best = np.full(problem.num_jobs, np.inf)
    allowed = branch.options
    np.minimum.at(best, problem.job_of_option[allowed], net[allowed])
    return np.where(branch.required, best, np.minimum(best, 0.0))


def service_totals(problem: Problem, per_offer: Floats) -> Floats:
    """Sums over each service's offers: (num_services,) of (num_offers,), or (num_services, k) of (num_offers, k)."""
    totals = np.zeros((problem.num_services, *per_offer.shape[1:]))
    first = problem.offer_start[problem.part_start]
    some = np.diff(first) > 0
    if some.any():
        totals[some] = np.add.reduceat(per_offer, first[:-1][some], axis=0)
    return totals


def service_costs(problem: Problem, replicas: Floats, price: Floats) -> Floats:
    """(num_services,) what (num_offers,) replicas at ``price`` each, and their starts, cost each service."""
    return service_totals(problem, replicas * price) + problem.start_costs(replicas)
