"""Clear a market: prices, whole numbers, a proven gap."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from seedcorn.domain.market import Allocation, Market, Status
from seedcorn.planner.answer import allocation_of, refusal
from seedcorn.planner.integer import round_up
from seedcorn.planner.master import Master
from seedcorn.planner.problem import problem_of
from seedcorn.planner.verify import verify


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where a solve stands. ``objective`` is ``None`` until an allocation is known."""

    seconds: float
    objective: float | None
    bound: float


def solve(
    market: Market,
    *,
    gap: float = 0.001,
    time_limit_s: float = 60.0,
    seed: int = 0,
    progress: Callable[[Progress], None] | None = None,
) -> Allocation:
    """Clear ``market``."""
    began = time.perf_counter()
    problem = problem_of(market)
    master = Master(problem)
    relaxation = master.relax(
        precision=gap / 10, keep_going=lambda: time.perf_counter() - began < time_limit_s
    )
    claims = relaxation.claims
    result = round_up(
        problem,
        relaxation.columns,
        np.zeros(0, dtype=np.int64),
        np.arange(problem.num_services),
        claims,
        options=np.ones(len(problem.option_value), dtype=np.bool_),
        gap=gap,
        target=-np.inf,
        time_limit_s=time_limit_s,
    )
    seconds = time.perf_counter() - began
    if result.point is None:
        return refusal(problem, (), status=Status.INFEASIBLE, seconds=seconds)
    answer = allocation_of(
        problem,
        result.point,
        bound=max(result.bound, claims.bound),
        scarcity=claims.scarcity,
        gap=gap,
        seconds=seconds,
    )
    broken = verify(market, answer)
    assert not broken, broken
    return answer
