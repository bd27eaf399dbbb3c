"""What every claimant answers at given prices, and the Lagrangian bound their answers add up to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedcorn.planner.build import Build
from seedcorn.planner.highs import solve_program
from seedcorn.planner.problem import Floats, Problem
from seedcorn.planner.responses import NODE_LIMIT, best_responses

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
    """

    scarcity: Floats
    replicas: Floats
    answered: NDArray[np.bool_]
    service_bound: Floats
    bound: float


def respond(problem: Problem, branch: Branch, scarcity: Floats, *, known: Floats, tolerance: float) -> Claims:
    """Everybody's best response when a chip of pool p costs ``scarcity[p]`` more than its own price.

    Args:
        known: (num_offers,) replicas that carry every service, or 0 where none are known.
        tolerance: Relative distance from a service's best that will do.
    """
    price = problem.offer_cost + problem.offer_chips @ scarcity
    replicas = known.copy()
    value = np.empty(problem.num_services)
    bound = np.empty(problem.num_services)
    dense = problem.is_dense
    best_responses(
        np.flatnonzero(dense),
        price,
        problem.offer_start,
        problem.load_start,
        problem.load,
        problem.num_classes,
        problem.max_replicas,
        tolerance,
        NODE_LIMIT,
        replicas,
        value,
        bound,
    )
    lost = dense & np.isinf(value) & np.isfinite(bound)  # the node limit struck before an answer
    for service in np.flatnonzero(~dense | lost):
        value[service], bound[service] = _respond_at_size(
            problem, int(service), price, _SLACK_AT_SIZE * tolerance, replicas
        )
    jobs = job_costs(problem, branch, scarcity)
    total = float(bound.sum() + jobs.sum() - scarcity @ problem.stock) - problem.constant
    return Claims(
        scarcity=scarcity, replicas=replicas, answered=np.isfinite(value), service_bound=bound, bound=total
    )


def _respond_at_size(
    problem: Problem, service: int, price: Floats, tolerance: float, replicas: Floats
) -> tuple[float, float]:
    """One service's best response by HiGHS: (price, proven bound), and its ``replicas`` in place."""
    offers = problem.offers(service)
    build = Build()
    counts = build.add_service(price[offers], problem.loads(service), problem.max_replicas[offers])
    solution = solve_program(build.program(), gap=tolerance, time_limit_s=np.inf, seed=0)
    if solution.x is None:
        return np.inf, solution.bound
    replicas[offers] = np.round(solution.x[counts])
    return float(price[offers] @ replicas[offers]), solution.bound


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
    some = np.diff(problem.offer_start) > 0
    if some.any():
        totals[some] = np.add.reduceat(per_offer, problem.offer_start[:-1][some], axis=0)
    return totals
