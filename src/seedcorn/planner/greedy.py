"""An allocation at once, by first fit along the relaxed market: a start, and the answer when time is short."""

import numpy as np

from seedcorn.planner.claims import Branch
from seedcorn.planner.integer import Point
from seedcorn.planner.master import Relaxation
from seedcorn.planner.problem import Floats, Ints, Problem
from seedcorn.planner.responses import NODE_LIMIT, best_responses


def first_fit(problem: Problem, branch: Branch, relaxation: Relaxation) -> Point | None:
    """Required jobs, then services, then the other jobs, each to the best it can still have.

    Services that the mix settles go first and keep what they have there; the rest, the largest first, take
    their cheapest deployment seen that fits, or their best response to what is left.
    """
    free = problem.stock.copy()
    replicas = np.zeros(len(problem.offer_cost))
    option = np.full(problem.num_jobs, -1)
    scarcity = relaxation.claims.scarcity
    net = problem.option_chips @ scarcity - problem.option_value
    for job in np.flatnonzero(branch.required):
        option[job] = _first_option(problem, branch, int(job), net, free)
        if option[job] < 0:
            return None
        free -= problem.option_chips[option[job]]
    seen = _seen(problem, relaxation)
    for service in _in_order(problem, relaxation):
        chosen = _deployment(problem, relaxation, service, seen[service], free)
        if chosen is None:
            return None
        offers = problem.offers(service)
        replicas[offers] = chosen
        free -= chosen @ problem.offer_chips[offers]
    for job in np.argsort(_best_nets(problem, branch, net), kind="stable"):
        if branch.required[job]:
            continue
        row = _first_option(problem, branch, int(job), -problem.option_value, free)
        if row >= 0 and problem.option_value[row] > 0:
            option[job] = row
            free -= problem.option_chips[row]
    return Point(replicas=replicas, option=option)


def _best_nets(problem: Problem, branch: Branch, net: Floats) -> Floats:
    best = np.full(problem.num_jobs, np.inf)
    np.minimum.at(best, problem.job_of_option[branch.options], net[branch.options])
    return best


def _first_option(problem: Problem, branch: Branch, job: int, net: Floats, free: Floats) -> int:
    """The job's allowed option of least net cost that fits ``free``; -1: none does."""
    rows = problem.options(job)
    index = np.arange(rows.start, rows.stop)
    fits = index[branch.options[rows] & np.all(problem.option_chips[rows] <= free, axis=1)]
    return int(fits[np.argmin(net[fits])]) if len(fits) else -1


def _in_order(problem: Problem, relaxation: Relaxation) -> list[int]:
    """Services, settled ones first, then by the share of the pools they take."""
    columns, weight = relaxation.columns, relaxation.weight
    of_service = columns.claimant < problem.num_services
    settled = np.zeros(problem.num_services)
    np.maximum.at(settled, columns.claimant[of_service], weight[of_service])
    size = np.zeros(problem.num_services)
    filled = (columns.chips / np.maximum(problem.stock, 1.0)).max(axis=1, initial=0.0)
    np.maximum.at(size, columns.claimant[of_service], filled[of_service])
    return [int(s) for s in np.lexsort((-size, settled < 1 - 1e-6))]


def _seen(problem: Problem, relaxation: Relaxation) -> list[Ints]:
    """Columns of each service."""
    order = np.argsort(relaxation.columns.claimant, kind="stable")
    ends = np.cumsum(np.bincount(relaxation.columns.claimant, minlength=problem.num_services))
    return np.split(order, ends[: problem.num_services])[: problem.num_services]


def _deployment(
    problem: Problem, relaxation: Relaxation, service: int, mine: Ints, free: Floats
) -> Floats | None:
    """(num_offers of the service,) replicas that fit ``free``."""
    columns = relaxation.columns
    offers = problem.offers(service)
    mine = mine[np.all(columns.chips[mine] <= free, axis=1)]
    if len(mine):
        price = columns.cost[mine] + columns.chips[mine] @ relaxation.claims.scarcity
        best = mine[np.lexsort((price, -relaxation.weight[mine]))[0]]
        return np.asarray(columns.replicas[columns.round[best]][offers])
    return _fresh(problem, service, relaxation.claims.scarcity, free)


def _fresh(problem: Problem, service: int, scarcity: Floats, free: Floats) -> Floats | None:
    """The best response when each offer alone may use what is free; ``None`` if that does not fit together."""
    offers = problem.offers(service)
    with np.errstate(divide="ignore", invalid="ignore"):
        room = np.where(problem.offer_chips > 0, np.floor(free / problem.offer_chips), np.inf).min(axis=1)
    replicas = np.zeros(len(problem.offer_cost))
    value, bound = np.zeros(len(problem.num_classes)), np.zeros(len(problem.num_classes))
    best_responses(
        np.arange(problem.part_start[service], problem.part_start[service + 1]),
        problem.offer_cost + problem.offer_chips @ scarcity,
        problem.offer_start,
        problem.load_start,
        problem.load,
        problem.num_classes,
        np.minimum(problem.max_replicas, room),
        1e-2,
        NODE_LIMIT,
        replicas,
        value,
        bound,
    )
    fits = np.all(np.isfinite(value)) and np.all(replicas @ problem.offer_chips <= free)
    return replicas[offers] if fits else None
