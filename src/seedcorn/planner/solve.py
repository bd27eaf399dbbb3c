"""Clear a market: prices, whole numbers, a proven gap."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    Market,
    MarketOffer,
    MarketPool,
    MarketService,
    Objective,
    Shortage,
    Status,
)
from seedcorn.jit import is_compiled
from seedcorn.planner.answer import allocation_of, refusal
from seedcorn.planner.chains import join
from seedcorn.planner.day import Decided, day_of, decided_for, pays_for_starts
from seedcorn.planner.fair import share_fairly
from seedcorn.planner.problem import problem_of
from seedcorn.planner.responses import best_responses
from seedcorn.planner.search import Search
from seedcorn.planner.shortage import late, parted, shortages, unserved, without
from seedcorn.planner.switching import respond_over_days
from seedcorn.planner.verify import verify

_REMEDY_S = 5.0
"""Time for each remedy of a market that cannot clear."""
_REMEDY_GAP = 0.001
_TINY = Market(
    pools=(MarketPool(name=PoolName("pool"), chips=9),),
    services=tuple(
        MarketService(
            name=f"{len(classes)} classes",
            demand=dict.fromkeys(classes, 1.5),
            offers=tuple(
                MarketOffer(name=name, chips={PoolName("pool"): 1}, capacity=dict.fromkeys(classes, capacity))
                for name, capacity in (("slow", 0.7), ("fast", 1.0))
            ),
        )
        for classes in (("a",), ("a", "b"))
    ),
)
"""A market that calls every kernel but that of switching."""
_TINY_DAY = replace(
    _TINY,
    slots=2,
    services=tuple(
        replace(service, offers=tuple(replace(offer, switch_cost=0.1) for offer in service.offers))
        for service in _TINY.services
    ),
)


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
    """The allocation of ``market`` with the highest objective, to within ``gap``, and the proof.

    The same market, gap and seed give the same allocation, unless the time limit or Ctrl-C cuts in.
    Ctrl-C ends the search, not the call: the best allocation so far comes back as ``feasible``.

    Args:
        gap: Relative distance of the objective from its bound at which to stop.
        time_limit_s: 0 gives the best allocation at hand, with an honest gap. Compiling the kernels, once
            after an install, does not count; and until an allocation is known the search may go on for
            5 s more.
        seed: Of every random choice.
        progress: Called now and then.

    Raises:
        KeyboardInterrupt: Before any allocation was known.
    """
    for kernel, tiny in ((best_responses, _TINY), (respond_over_days, _TINY_DAY)):
        needed = tiny is _TINY or pays_for_starts(market)
        if needed and not is_compiled(kernel):
            _clear(tiny, gap=0.1, time_limit_s=1.0, seed=seed, progress=None)  # compiling is not searching
    began = time.perf_counter()
    if market.objective is Objective.MAX_MIN:
        return _checked(market, share_fairly(market))
    joined = join(market)
    hopeless = (*unserved(market), *late(market), *parted(market))
    served = without(joined.whole, hopeless) if hopeless else joined.whole
    answer = _clear(served, gap=gap, time_limit_s=time_limit_s, seed=seed, progress=progress)

    short = _explained(served, time_limit_s, seed) if answer.status is Status.INFEASIBLE else ()
    if hopeless or short:
        seconds = time.perf_counter() - began
        return refusal(market, (*hopeless, *short), status=Status.INFEASIBLE, seconds=seconds)
    return _checked(market, joined.allocation(answer)) if answer.objective is not None else answer


def _explained(market: Market, time_limit_s: float, seed: int) -> tuple[Shortage, ...]:
    """Remedies; of a large market those that are found in about the time that the search had, but at least one."""
    ends_s, found = time.perf_counter() + max(time_limit_s, _REMEDY_S), False

    def clear(changed: Market) -> Allocation:
        nonlocal found
        if found and time.perf_counter() > ends_s:
            return refusal(changed, (), status=Status.UNKNOWN, seconds=0.0)
        # a slot's part of the gap: all of it might be lost in one
        gap = _REMEDY_GAP / changed.slots
        answer = _clear(changed, gap=gap, time_limit_s=_REMEDY_S, seed=seed, progress=None)
        found |= answer.objective is not None
        return answer

    return shortages(market, clear)


def _checked(market: Market, answer: Allocation) -> Allocation:
    broken = verify(market, answer)
    assert not broken, broken
    return answer


def _clear(
    market: Market, *, gap: float, time_limit_s: float, seed: int, progress: Callable[[Progress], None] | None
) -> Allocation:
    """``solve``, without saying why where the answer is no: jobs of each priority after those of the higher ones.

    Where time runs out between two priorities, the lower ones wait.
    """
    ends_s = time.perf_counter() + time_limit_s
    answer: Allocation | None = None
    for tier in sorted({job.priority for job in market.jobs}, reverse=True) or [0]:
        last, decided = answer, decided_for(market, tier, answer)
        left_s = max(ends_s - time.perf_counter(), 0.0)
        answer = _clear_tier(market, decided, gap=gap, time_limit_s=left_s, seed=seed, progress=progress)
        if last is not None and answer.objective is None:
            answer = replace(last, status=Status.FEASIBLE, bound=math.inf, gap=math.inf)
        if answer.objective is None:
            break
    assert answer is not None
    return answer


def _clear_tier(
    market: Market,
    decided: Decided,
    *,
    gap: float,
    time_limit_s: float,
    seed: int,
    progress: Callable[[Progress], None] | None,
) -> Allocation:
    """The allocation in which jobs do what they have decided, and the others what is best."""
    began = time.perf_counter()
    day = day_of(market, decided)
    problem = problem_of(day.plain, day.constant, day.ties)

    def report(search: Search) -> None:
        if progress is not None:
            seconds = time.perf_counter() - began
            objective = None if search.point is None else -search.cost * problem.unit
            progress(Progress(seconds=seconds, objective=objective, bound=-search.bound * problem.unit))

    search = Search(problem, gap=gap, deadline_s=began + time_limit_s, seed=seed, report=report)
    search.run()
    seconds = time.perf_counter() - began
    if search.point is None or search.claims is None:
        if search.interrupted:
            raise KeyboardInterrupt
        status = Status.INFEASIBLE if search.bound == math.inf else Status.UNKNOWN
        return refusal(market, (), status=status, seconds=seconds)
    answer = allocation_of(
        problem, search.point, bound=search.bound, scarcity=search.claims.scarcity, gap=gap, seconds=seconds
    )
    return day.allocation(answer)
