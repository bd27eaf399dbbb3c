"""The search for whole numbers: branch on the jobs whose size alone can spoil the gap, round the rest.

A gang of 1,024 chips in a pool of 1,752 runs or does not, while the relaxed market runs 60 % of it: no
rounding closes that. So the relaxed market is asked again, with the gang and without, and so on; each
part has its own prices and its own bound, and the least of them bounds the market. Claimants that are
small against the market need no branching: an integer program over their deployments finds a point
within the gap of the prices' bound. A small market is at the end spelled out whole.
"""

import heapq
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from seedcorn.planner.claims import Branch, Claims
from seedcorn.planner.greedy import first_fit
from seedcorn.planner.integer import Point, round_up
from seedcorn.planner.master import Master, Relaxation
from seedcorn.planner.problem import Floats, Ints, Problem

_WHOLE = 1e-6
_SPELLED_OUT = 4_000
"""Variables that a program may spend on services spelled out; a market under this is spelled out whole."""
_EXACT = 1e-8
"""A gap under this is float rounding."""
_ROUNDING_NODES = 200
_NO_LIMIT = 2**31 - 1
_POLISHES = 40


class Search:
    """One solve in progress.

    Attributes:
        point: The best allocation known, or ``None``.
        cost: Its cost; ``inf`` without one.
        bound: No allocation costs less; ``inf`` once none exists.
        claims: The root's round of answers: its scarcity prices are the market's.
        interrupted: Stopped by Ctrl-C.
    """

    def __init__(
        self,
        problem: Problem,
        *,
        gap: float,
        deadline_s: float,
        seed: int,
        report: Callable[["Search"], None],
    ) -> None:
        self.problem = problem
        self.point: Point | None = None
        self.cost = np.inf
        self.bound = -np.inf
        self.claims: Claims | None = None
        self.interrupted = False
        self._gap = max(gap, _EXACT)
        self._deadline_s = deadline_s
        self._seed = seed
        self._report = report
        self._master = Master(problem)
        self._columns = problem_sizes(problem)

    @property
    def left_s(self) -> float:
        """Seconds until the deadline."""
        return max(self._deadline_s - time.perf_counter(), 0.0)

    @property
    def closed(self) -> bool:
        """Whether the gap is reached, or nothing is left to find."""
        return self.bound == np.inf or (
            self.bound > -np.inf and self.cost - self.bound <= self._slack(self.bound)
        )

    def _slack(self, bound: float) -> float:
        """How far above ``bound`` a cost may be."""
        scale = abs(bound) if not np.isfinite(self.cost) else max(abs(bound), abs(self.cost))
        return self._gap * scale

    def _going(self) -> bool:
        return self.left_s > 0 and not self.interrupted

    def run(self) -> None:
        """Search until closed, out of time, out of ideas, or interrupted."""
        try:
            self._branch()
            if not self.closed and self._going():
                self._finish()
        except KeyboardInterrupt:
            self.interrupted = True

    def _branch(self) -> None:
        """Best bound first over what jobs may do."""
        root = Branch.root(self.problem)
        heap = [(-np.inf, 0, root, np.zeros(len(self.problem.stock)))]
        settled = np.inf  # least bound of the parts that are done with
        born = 0
        while heap:
            bound, _, branch, scarcity = heapq.heappop(heap)
            relaxation = self._relax(branch, scarcity)
            bound = max(bound, relaxation.claims.bound)
            if self.claims is None:
                self.claims = relaxation.claims
            option = None
            if bound < np.inf and self.cost - bound > self._slack(bound):
                option = self._lump(relaxation)
                self._round(relaxation, branch, bound)
            if option is None or self.cost - bound <= self._slack(bound):
                settled = min(settled, bound)
            else:
                for child in branch.children(self.problem, option):
                    born -= 1  # of equal bounds the last born first: dive
                    heapq.heappush(heap, (bound, born, child, relaxation.claims.scarcity))
            self.bound = min(settled, heap[0][0] if heap else np.inf)
            self._report(self)
            if self.closed or not self._going():
                return

    def _relax(self, branch: Branch, scarcity: Floats) -> Relaxation:
        """The relaxed market of one branch; its bound is ``inf`` where chips lack whatever is paid for them."""
        relaxation = self._master.relax(branch, scarcity, precision=self._gap / 4, keep_going=self._going)
        if relaxation.excess.max(initial=0.0) <= _WHOLE or not self._going():
            return relaxation
        lacking = lacking_chips(self.problem, branch, keep_going=self._going)
        if lacking.claims.bound > _WHOLE:
            return replace(relaxation, claims=replace(relaxation.claims, bound=np.inf))
        self._master.adopt(lacking.columns)
        return self._master.relax(branch, scarcity, precision=self._gap / 4, keep_going=self._going)

    def _lump(self, relaxation: Relaxation) -> int | None:
        """The option whose being split matters most to the gap, if any matters."""
        num_options = len(self.problem.option_value)
        weight = relaxation.weight[:num_options]
        worth = np.abs(self.problem.option_value) + self.problem.option_chips @ relaxation.claims.scarcity
        split = np.minimum(weight, 1.0 - weight)
        stake = np.where(split > _WHOLE, split * worth, 0.0)
        if not num_options or stake.max() <= 0.1 * self._slack(relaxation.claims.bound):
            return None
        return int(np.argmax(stake))

    def _take(self, point: Point | None) -> bool:
        """Keep ``point`` if it is the best so far."""
        if point is None or point.cost(self.problem) >= self.cost:
            return False
        assert np.all(point.used(self.problem) <= self.problem.stock)
        self.point, self.cost = point, point.cost(self.problem)
        return True

    def _round(self, relaxation: Relaxation, branch: Branch, bound: float) -> None:
        """First fit, then an integer program over the deployments that can be part of an answer within the gap."""
        self._take(first_fit(self.problem, branch, relaxation))
        slack = self._slack(bound)
        if self.cost - bound <= slack or not self._going():
            return
        columns, claims = relaxation.columns, relaxation.claims
        mine = np.flatnonzero(columns.claimant < self.problem.num_services)
        reduced = columns.cost[mine] + columns.chips[mine] @ claims.scarcity
        reduced -= claims.service_bound[columns.claimant[mine]]
        split = relaxation.weight[mine]
        loose = self._spellable(np.unique(columns.claimant[mine[(split > _WHOLE) & (split < 1 - _WHOLE)]]))
        near = (reduced <= slack) | (split > _WHOLE)
        kept = mine[near & ~np.isin(columns.claimant[mine], loose)]
        self._program(kept, loose, branch, claims, bound)

    def _spellable(self, services: Ints) -> Ints:
        """As many of ``services``, from the first, as a program has room for."""
        return services[np.cumsum(self._columns[services]) <= _SPELLED_OUT]

    def _program(
        self,
        kept: Ints,
        loose: Ints,
        branch: Branch,
        claims: Claims,
        bound: float,
        *,
        node_limit: int = _ROUNDING_NODES,
    ) -> float:
        """Round; what the program was bounded by."""
        rounding = round_up(
            self.problem,
            self._master.columns,
            kept,
            loose,
            claims,
            branch=branch,
            base=self.point,
            gap=self._gap / 10,
            target=bound + 0.9 * self._slack(bound),
            time_limit_s=self.left_s,
            node_limit=node_limit,
            seed=self._seed,
        )
        self.interrupted |= rounding.interrupted
        self._take(rounding.point)
        return rounding.bound

    def _finish(self) -> None:
        """Spell the market out whole if it is small; else improve it part by part."""
        assert self.claims is not None
        root = Branch.root(self.problem)
        nobody = np.zeros(0, dtype=np.int64)
        if self._columns.sum() <= _SPELLED_OUT:
            everybody = np.arange(self.problem.num_services)
            bound = self._program(nobody, everybody, root, self.claims, self.bound, node_limit=_NO_LIMIT)
            self.bound = min(max(self.bound, bound), self.cost)
            return
        rng = np.random.default_rng(self._seed)
        stalled = 0
        while self.point is not None and not self.closed and self._going() and stalled < _POLISHES:
            some = self._spellable(rng.permutation(self.problem.num_services))[:40]
            before = self.cost
            self._program(nobody, np.sort(some), root, self.claims, self.bound)
            stalled = 0 if self.cost < before else stalled + 1
            self._report(self)


def problem_sizes(problem: Problem) -> Ints:
    """(num_services,) variables that spelling each out takes."""
    offers = np.diff(problem.offer_start)
    return offers + np.where(problem.num_classes > 1, offers * problem.num_classes, 0)


def lacking_chips(problem: Problem, branch: Branch, *, keep_going: Callable[[], bool]) -> Relaxation:
    """The mix that needs the fewest chips that are not there, everything else being free."""
    free = replace(
        problem,
        offer_cost=np.zeros_like(problem.offer_cost),
        option_value=np.zeros_like(problem.option_value),
    )
    return Master(free).relax(branch, np.zeros(len(problem.stock)), precision=1e-3, keep_going=keep_going)
