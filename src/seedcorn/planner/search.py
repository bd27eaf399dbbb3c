"""The search for whole numbers: branch on the jobs whose size alone can spoil the gap, round the rest.

A gang of 1,024 chips in a pool of 1,752 runs or does not, while the relaxed market runs 60 % of it: no
rounding closes that. So the relaxed market is asked again, with the gang and without, and so on; each
part has its own prices and its own bound, and the least of them bounds the market. Claimants that are
small against the market need no branching: an integer program over their deployments finds a point
within the gap of the prices' bound. A small market is at the end spelled out whole.
"""

import heapq
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from seedcorn.planner.claims import Branch, Claims
from seedcorn.planner.greedy import first_fit
from seedcorn.planner.integer import Point, round_up
from seedcorn.planner.master import Master, Relaxation
from seedcorn.planner.problem import ROUNDING, Floats, Ints, Problem

_WHOLE = 1e-6
_SPELLED_OUT = 4_000
"""Variables that a program may spend on services spelled out; a market under this is spelled out whole."""
_FIRST_ANSWER_S = 5.0
"""How far past the limit the search goes on while it has nothing to show: an answer far from the best is worth
more than none."""
_EXACT = 1e-8
"""A gap under this is float rounding."""
_ROUNDING_NODES = 200
"""Of branch and bound in one rounding: past these HiGHS seldom finds better."""
_NO_LIMIT = 2**31 - 1
_SHORT_ROUNDS = 6
"""Rounds in which a mix may lack chips before it is asked whether every mix does."""
_PARTS = 300
"""Parts of the search that may be split in two."""
_CUTS = 10
"""Rounds of answers kept as cuts for the market spelled out whole."""
_LOOSENED = 15
"""Services spelled out, at random, in each polish beside those that the mix splits."""
_POLISHES = 4
"""Polishes in a row that find nothing before polishing ends."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Part:
    """One part of the search, kept for rounding.

    Attributes:
        near: Columns of services that an answer within the gap may hold.
        split: Services that the mix splits between deployments.
    """

    branch: Branch
    claims: Claims
    near: Ints
    split: Ints
    bound: float


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
        self._cuts: list[Claims] = []
        self._home: _Part | None = None  # where the best point was found

    @property
    def left_s(self) -> float:
        """Seconds until the deadline; later by :data:`_FIRST_ANSWER_S` until an allocation is known."""
        grace_s = _FIRST_ANSWER_S if self.point is None else 0.0
        return max(self._deadline_s + grace_s - time.perf_counter(), 0.0)

    @property
    def closed(self) -> bool:
        """Whether the gap is reached, or nothing is left to find."""
        return self.bound == np.inf or (
            self.bound > -np.inf and self.cost - self.bound <= self._slack(self.bound)
        )

    def _slack(self, bound: float) -> float:
        """How far above ``bound`` a cost may be."""
        scale = abs(bound) if not np.isfinite(self.cost) else max(abs(bound), abs(self.cost))
        return self._gap * scale + ROUNDING * self.problem.constant

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
        while heap and -born < 2 * _PARTS:
            bound, _, branch, scarcity = heapq.heappop(heap)
            relaxation = self._relax(branch, scarcity)
            bound = max(bound, relaxation.claims.bound)
            if self.claims is None:
                self.claims, self.bound = relaxation.claims, bound
            if np.isfinite(relaxation.claims.bound) and len(self._cuts) < _CUTS:
                self._cuts.append(relaxation.claims)
            option = None
            if bound < np.inf and self.cost - bound > self._slack(bound):
                option = self._lump(relaxation)
                self._try(relaxation, branch, bound, whole=option is None)
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
        precision, rounds = self._gap / 10, 0

        def short(_: Claims, lacking: float) -> bool:
            nonlocal rounds
            rounds = rounds + 1 if lacking > _WHOLE else 0
            return rounds > _SHORT_ROUNDS or not self._going()

        relaxation = self._master.relax(branch, scarcity, precision=precision, enough=short)
        if relaxation.excess.max(initial=0.0) <= _WHOLE or not self._going():
            return relaxation
        lacking = lacking_chips(self.problem, branch, out_of_time=lambda: not self._going())
        if proves_lack(self.problem, lacking.claims):
            return replace(relaxation, claims=replace(relaxation.claims, bound=np.inf))
        self._master.adopt(lacking.columns)
        return self._master.relax(branch, scarcity, precision=precision, enough=lambda *_: not self._going())

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

    def _try(self, relaxation: Relaxation, branch: Branch, bound: float, *, whole: bool) -> None:
        """First fit; then an integer program, which is wasted while the bound still rests on a part of a gang,
        unless nothing is known yet."""
        part = self._part(relaxation, branch, bound)
        if self._take(first_fit(self.problem, branch, relaxation)) or self._home is None:
            self._home = part
        whole = whole or self.point is None
        if whole and self.cost - bound > self._slack(bound) and self._going():
            self._round(part, np.zeros(0, dtype=np.int64))

    def _part(self, relaxation: Relaxation, branch: Branch, bound: float) -> _Part:
        """What an answer within the gap may be made of: only deployments that cost little more than the best.

        In an answer at cost C, deployments cost at most C − bound more, all together, than the best responses
        at the prices of the bound.
        """
        columns, claims = relaxation.columns, relaxation.claims
        services = np.flatnonzero(columns.claimant < self.problem.num_services)
        claimant, weight = columns.claimant[services], relaxation.weight[services]
        dearer = (
            columns.cost[services]
            + columns.chips[services] @ claims.scarcity
            - claims.service_bound[claimant]
        )
        near = services[(dearer <= self._slack(bound)) | (weight > _WHOLE)]
        split = np.unique(claimant[(weight > _WHOLE) & (weight < 1 - _WHOLE)])
        return _Part(branch=branch, claims=claims, near=near, split=split, bound=bound)

    def _round(self, part: _Part, also: Ints) -> None:
        """An integer program in which split services, and ``also``, may deploy anything, the rest what was seen."""
        claimant = self._master.columns.claimant
        loose = self._spellable(np.concatenate([part.split, np.setdiff1d(also, part.split)]))
        kept = part.near[~np.isin(claimant[part.near], loose)]
        if self._program(kept, loose, part.branch, [part.claims], part.bound, node_limit=_ROUNDING_NODES)[0]:
            self._home = part

    def _spellable(self, services: Ints) -> Ints:
        """As many of ``services``, from the first, as a program has room for."""
        return services[np.cumsum(self._columns[services]) <= _SPELLED_OUT]

    def _program(
        self,
        kept: Ints,
        loose: Ints,
        branch: Branch,
        cuts: Sequence[Claims],
        bound: float,
        *,
        node_limit: int,
    ) -> tuple[bool, float]:
        """Whether the integer program found a better point, and its own bound."""
        rounding = round_up(
            self.problem,
            self._master.columns,
            kept,
            loose,
            cuts,
            branch=branch,
            base=self.point,
            gap=self._gap if node_limit == _NO_LIMIT else self._gap / 4,
            target=bound + 0.9 * self._slack(bound),
            time_limit_s=self.left_s,
            node_limit=node_limit,
            seed=self._seed,
        )
        self.interrupted |= rounding.interrupted
        return self._take(rounding.point), rounding.bound

    def _finish(self) -> None:
        """Improve part by part, and spell a small market out whole."""
        if self.problem.num_services > 2 * _LOOSENED:
            self._polish()
        if not self.closed and self._going() and self._columns.sum() <= _SPELLED_OUT:
            nobody, everybody = np.zeros(0, dtype=np.int64), np.arange(self.problem.num_services)
            root = Branch.root(self.problem)
            _, bound = self._program(nobody, everybody, root, self._cuts, self.bound, node_limit=_NO_LIMIT)
            self.bound = min(max(self.bound, bound), self.cost)
            self._report(self)

    def _polish(self) -> None:
        """Round again where the best point was found, each time with other services spelled out."""
        rng = np.random.default_rng(self._seed)
        stalled = 0
        while self._home is not None and stalled < _POLISHES and not self.closed and self._going():
            before = self.cost
            self._round(self._home, rng.permutation(self.problem.num_services)[:_LOOSENED])
            stalled = 0 if self.cost < before else stalled + 1
            self._report(self)


def problem_sizes(problem: Problem) -> Ints:
    """(num_services,) variables that spelling each out takes."""
    offers = np.diff(problem.offer_start)
    parts = np.cumsum(
        np.append(0, offers + np.where(problem.num_classes > 1, offers * problem.num_classes, 0))
    )
    return np.diff(parts[problem.part_start]) + np.diff(problem.cell_start)


def lacking_chips(problem: Problem, branch: Branch, *, out_of_time: Callable[[], bool]) -> Relaxation:
    """Prices at which every mix lacks chips, or a mix that lacks none, everything but those chips being free."""
    free = replace(
        problem,
        offer_cost=np.zeros_like(problem.offer_cost),
        start_cost=np.zeros_like(problem.start_cost),
        option_value=np.zeros_like(problem.option_value),
        constant=0.0,
    )

    def decided(claims: Claims, lacking: float) -> bool:
        return lacking <= _WHOLE or proves_lack(free, claims) or out_of_time()

    return Master(free).relax(branch, np.zeros(len(problem.stock)), precision=1e-3, enough=decided)


def proves_lack(problem: Problem, claims: Claims) -> bool:
    """Whether ``claims``, where all is free, cannot be met: everybody's least claims are worth more than the chips (Farkas)."""
    return claims.bound > _WHOLE + ROUNDING * float(claims.scarcity @ problem.stock)
