"""The master problem: one scarcity price per pool, so that everybody's claims fit the chips.

Dantzig–Wolfe column generation. A column is one whole deployment of one service, or one option of a job.
The master LP mixes the columns known so far and prices the pools; every claimant answers those prices
with its best deployment; answers that beat the mix become columns. Each round of answers is also a
Lagrangian bound, so the distance to the best possible mix is known throughout.

Prices are smoothed (Wentges 1997): rounds are asked at a point between the master's prices and those
of the best bound so far, which keeps the prices from swinging while columns are few.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from seedcorn.planner.claims import Branch, Claims, respond, service_costs, service_totals
from seedcorn.planner.highs import MasterLp
from seedcorn.planner.problem import ROUNDING, Floats, Ints, Problem

SMOOTHING = 0.5
"""Weight of the best bound's prices in the point asked at."""
_PENALTY = 1000.0
"""Price of a chip that is not there, in prices of the dearest claim per chip."""


@dataclass(slots=True, eq=False)
class Columns:
    """Every deployment seen, in the order seen. Options of jobs are the first columns.

    Attributes:
        claimant: (num_columns,) service s as s, job j as num_services + j.
        cost: (num_columns,) at the pools' own prices.
        chips: (num_columns, num_pools).
        round: (num_columns,) index into ``replicas``; the option's row for a job.
        replicas: One (num_offers,) vector per round of answers.
    """

    claimant: Ints
    cost: Floats
    chips: Floats
    round: Ints
    replicas: list[Floats] = field(default_factory=list)

    @classmethod
    def of_jobs(cls, problem: Problem) -> "Columns":
        """Only the options of jobs."""
        return cls(
            claimant=problem.num_services + problem.job_of_option,
            cost=-problem.option_value,
            chips=problem.option_chips,
            round=np.arange(len(problem.option_value)),
        )

    def add(self, problem: Problem, services: Ints, replicas: Floats) -> None:
        """What ``services`` deploy in ``replicas``, as new columns."""
        cost = service_costs(problem, replicas, problem.offer_cost)[services]
        chips = service_totals(problem, replicas[:, None] * problem.offer_chips)[services]
        self.claimant = np.concatenate([self.claimant, services])
        self.cost = np.concatenate([self.cost, cost])
        self.chips = np.concatenate([self.chips, chips])
        self.round = np.concatenate([self.round, np.full(len(services), len(self.replicas))])
        self.replicas.append(replicas)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Relaxation:
    """The best mix of deployments, fractions allowed.

    Attributes:
        weight: (num_columns,) the mix.
        claims: The round of answers with the best bound: its scarcity prices are the pools' prices.
        cost: Of the mix, penalty for chips that are not there included.
        excess: (num_pools,) chips the mix lacks.
    """

    columns: Columns
    weight: Floats
    claims: Claims
    cost: float
    excess: Floats


class Master:
    """Column generation on one problem; ``relax`` may be called again for other branches."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self.columns = Columns.of_jobs(problem)
        self._known = np.zeros(len(problem.offer_cost))
        self._start_price = np.where(problem.rising, problem.start_cost, 0.0)
        self._step = np.ones(problem.num_services)
        self._scale = np.maximum(problem.stock, 1.0)
        penalty = _PENALTY * _dearest_chip(problem)
        num_pools, num_claimants = len(problem.stock), problem.num_services + problem.num_jobs
        required = np.concatenate([np.ones(problem.num_services, dtype=np.bool_), problem.required])
        self._lp = MasterLp(
            np.concatenate([np.full(num_pools, -np.inf), np.where(required, 1.0, 0.0)]),
            np.concatenate([problem.stock / self._scale, np.ones(num_claimants)]),
        )
        excess = np.arange(num_pools, dtype=np.int32)
        self._lp.add(
            penalty * self._scale,
            np.full(num_pools, np.inf),
            excess,
            excess,
            np.full(num_pools, -1.0),
        )
        self._pass_columns(0)

    def _pass_columns(self, first: int) -> None:
        """Give the LP every column from ``first`` on."""
        columns = self.columns
        entries = columns.chips[first:] / self._scale
        count = len(entries)
        used = entries != 0.0
        num_pools = entries.shape[1]
        rows = np.concatenate(
            [
                np.where(used, np.arange(num_pools), -1),
                (num_pools + columns.claimant[first:]).reshape(-1, 1),
            ],
            axis=1,
        )
        values = np.concatenate([entries, np.ones((count, 1))], axis=1)
        keep = rows >= 0
        starts = np.concatenate([[0], np.cumsum(keep.sum(axis=1))[:-1]]) if count else np.zeros(0)
        self._lp.add(
            columns.cost[first:],
            np.full(count, np.inf),
            starts.astype(np.int32),
            rows[keep].astype(np.int32),
            values[keep],
        )

    def _beats(self, claims: Claims, scarcity: Floats, rent: Floats) -> Ints:
        """Services whose answer is cheaper, at the master's own prices, than the ``rent`` they pay in the mix."""
        problem = self._problem
        price = problem.offer_cost + problem.offer_chips @ scarcity
        saving = rent - service_costs(problem, claims.replicas, price)
        return np.flatnonzero(claims.answered & (saving > 1e-7 * np.maximum(np.abs(rent), 1e-6)))

    def _learn(self, claims: Claims, services: Ints) -> None:
        """The answers of ``services`` become columns."""
        if len(services):
            first = len(self.columns.cost)
            self.columns.add(self._problem, services, claims.replicas)
            self._pass_columns(first)
        self._known, self._start_price, self._step = claims.replicas, claims.start_price, claims.step

    def adopt(self, columns: Columns) -> None:
        """Learn every deployment in ``columns``, which are of the same market at other prices."""
        for index, replicas in enumerate(columns.replicas):
            services = columns.claimant[
                (columns.claimant < self._problem.num_services) & (columns.round == index)
            ]
            first = len(self.columns.cost)
            self.columns.add(self._problem, services, replicas)
            self._pass_columns(first)

    def relax(
        self, branch: Branch, scarcity: Floats, *, precision: float, enough: Callable[[Claims, float], bool]
    ) -> Relaxation:
        """Prices and mix for what ``branch`` allows, starting at ``scarcity``.

        Args:
            precision: Relative difference of mix and bound at which to end.
            enough: Whether to end now, given the round of answers with the best bound and the most chips
                of a pool that the mix lacks.
        """
        problem, num_pools = self._problem, len(self._problem.stock)
        self._restrict(branch)
        best = self._ask(branch, scarcity, precision)
        if not np.isfinite(best.bound):  # somebody has no answer at any price
            nothing = np.zeros(len(self.columns.cost))
            return Relaxation(
                columns=self.columns, weight=nothing, claims=best, cost=np.inf, excess=problem.stock
            )
        self._learn(best, np.flatnonzero(best.answered))
        smoothing, rose = (
            SMOOTHING,
            problem.start_cost.size > 0,
        )  # start prices converge from answer to answer
        while True:
            cost, weight, dual = self._lp.solve()
            cost -= problem.constant
            excess = weight[:num_pools] * self._scale
            allowed = precision * max(abs(cost), abs(best.bound)) + ROUNDING * problem.constant
            if cost - best.bound <= allowed or enough(best, float(excess.max(initial=0.0))):
                break
            prices = np.maximum(-dual[:num_pools], 0.0) / self._scale
            if not rose and np.allclose(prices, best.scarcity, rtol=1e-9, atol=0.0):  # already answered
                break
            rent = dual[num_pools : num_pools + problem.num_services]
            asked = smoothing * best.scarcity + (1 - smoothing) * prices
            claims = self._ask(branch, asked, precision)
            learnt = self._beats(claims, prices, rent)
            self._learn(claims, learnt)
            rose = problem.start_cost.size > 0 and claims.bound > best.bound + allowed / 10
            if claims.bound > best.bound:
                best = claims
            if not rose and not len(learnt) and smoothing == 0.0:
                break
            smoothing = SMOOTHING if len(learnt) else 0.0
        return Relaxation(
            columns=self.columns, weight=weight[num_pools:], claims=best, cost=cost, excess=excess
        )

    def _ask(self, branch: Branch, scarcity: Floats, precision: float) -> Claims:
        """Everybody's answer, from where the last round left off."""
        return respond(
            self._problem,
            branch,
            scarcity,
            known=self._known,
            start_price=self._start_price,
            step=self._step,
            tolerance=precision / 2,
        )

    def _restrict(self, branch: Branch) -> None:
        """Let jobs do what ``branch`` allows."""
        num_pools, num_options = len(self._problem.stock), len(branch.options)
        options = np.arange(num_pools, num_pools + num_options, dtype=np.int32)
        self._lp.set_upper(options, np.where(branch.options, np.inf, 0.0))
        first_job = num_pools + self._problem.num_services
        for job, required in enumerate(branch.required):
            self._lp.set_row(first_job + job, float(required), 1.0)


def _dearest_chip(problem: Problem) -> float:
    """The most that any claimant would pay for one chip at the pools' own prices, roughly."""
    chips = np.concatenate([problem.offer_chips.sum(axis=1), problem.option_chips.sum(axis=1)])
    worth = np.concatenate([problem.offer_cost, np.abs(problem.option_value)])
    return max(float((worth / np.maximum(chips, 1.0)).max(initial=0.0)), 1.0)
