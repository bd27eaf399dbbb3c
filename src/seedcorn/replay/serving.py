"""Groups of replicas that serve one trace together: requests spill, replicas come, drain and are lost.

Time is cut where a replica comes or goes. Between two cuts the groups are run one after the other,
whoever spills before whom it spills to: a group's fate does not hang on where its overflow goes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.workload import (
    ALL_REQUESTS,
    EngineSettings,
    RequestClass,
    Router,
    SchedulingPolicy,
    Trace,
)
from seedcorn.errors import InputError
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.availability import Spell
from seedcorn.replay.kernels import batching, routing
from seedcorn.replay.simulation import (
    OPEN,
    RequestTimes,
    RoutedReplicas,
    held_tokens,
    kernel_requests,
    no_gaps,
    num_levels,
    peak_tokens,
)

_NO_LIMIT = OPEN.max_waiting


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaGroup:
    """Like replicas behind a router of their own, that get ``share`` of the traffic (relative to other groups).

    A group may take requests of one class only; its share is then relative to other groups of that class.
    """

    step_model: StepModel
    engine: EngineSettings
    replicas: int
    share: float = 1.0
    request_class: RequestClass = ALL_REQUESTS

    @property
    def held_tokens(self) -> int:
        """KV tokens of the longest request that a replica can hold."""
        return held_tokens(self.step_model, self.engine)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations:
    """What befalls requests and replicas besides the dealing by share.

    Attributes:
        max_waiting: A replica with so many waiting requests, preempted ones included, refuses more.
        spill_to: Group that other groups' requests are sent on to
        spill_waiting: when the replica that their router chose has so many waiting.
        spells: When replicas are in service; those not named: throughout.
        seed: Of the draws of ``Router.POWER_OF_TWO``.
    """

    max_waiting: int | None = None
    spill_to: int | None = None
    spill_waiting: int = 0
    spells: tuple[Spell, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class _Change:
    """A replica comes (``up``) or goes; what it holds may be ``lost``. At one time, first go, then come."""

    at_s: float
    up: bool
    group: int
    replica: int
    lost: bool


def serve(
    groups: Sequence[ReplicaGroup],
    trace: Trace,
    group_of: NDArray[np.int32],
    *,
    router: Router = Router.ROUND_ROBIN,
    operations: Operations,
) -> RequestTimes:
    """What becomes of every request of ``trace``, until the last that can be served is done.

    A request goes to the group it was dealt to; if no replica of that one is in service, to the next
    group in a circle that has one and can hold it; if there is none, it waits until there is. A lost
    replica's requests are sent again at once, from scratch, before those that arrive then.

    Args:
        groups: All serving the same service.
        trace: What arrives.
        group_of: (num_requests,) to which group each was dealt, one that can hold it; below 0: to none.
        router: Within each group; ``ROUND_ROBIN`` goes round the replicas in service.
        operations: What befalls them.

    Raises:
        InputError: Engines differ in ``scheduling_policy`` or their limits contradict each other.
    """
    return _Service(groups, trace, group_of, router, operations).served()


class _Service:
    """The groups of one service, under way."""

    def __init__(
        self,
        groups: Sequence[ReplicaGroup],
        trace: Trace,
        group_of: NDArray[np.int32],
        router: Router,
        operations: Operations,
    ) -> None:
        self.trace, self.group_of, self.operations = trace, group_of, operations
        self.requests = kernel_requests(trace, _one_policy(groups))
        self.requests = self.requests._replace(arrival_s=trace.arrival_s.copy())  # moved when sent again
        self.levels = self.requests.rank & -(1 << batching.LEVEL_SHIFT)
        levels = num_levels(self.requests)
        self.running = [
            RoutedReplicas(
                [group.step_model] * group.replicas,
                group.engine,
                router,
                levels=levels,
                seed=operations.seed,
                prompts=trace.prompts,
            )
            for group in groups
        ]
        self.turns = [0] * len(groups)
        self.held = np.array([held_tokens(group.step_model, group.engine) for group in groups])
        self.tokens = peak_tokens(trace)
        self.sent = 0
        self.dealt_to = np.full(trace.num_requests, routing.TOO_LONG, dtype=np.int32)
        self.served_by = np.full(trace.num_requests, -1, dtype=np.int32)
        self.gap_counts = no_gaps()
        self.came_s = [np.full(group.replicas, trace.arrival_s[0]) for group in groups]
        self.drains_s = [np.full(group.replicas, np.nan) for group in groups]
        self.service_s = [np.zeros(group.replicas) for group in groups]
        self.retried, self.lost_gaps_s = 0, 0.0
        for spell in operations.spells:
            self.running[spell.group].state.takes[spell.replica] = False
        for spell in operations.spells:
            if spell.from_s <= 0:
                self.running[spell.group].state.takes[spell.replica] = True

    def served(self) -> RequestTimes:
        """Everything, from the first arrival on."""
        first, again = 0, np.empty(0, dtype=np.int64)
        changes = _changes(self.operations.spells)
        for at_s, at_once in groupby(changes, lambda change: change.at_s):
            last = int(np.searchsorted(self.trace.arrival_s, at_s))
            self._send(np.concatenate([again, np.arange(first, last)]))
            again = self._changed(at_s, list(at_once))
            first = last
        self._send(np.concatenate([again, np.arange(first, self.trace.num_requests)]))
        for running in self.running:
            running.run(np.inf, self.requests, self.gap_counts)
        return self._times()

    def _send(self, sent: NDArray[np.int64]) -> None:
        """Send requests in order of arrival, groups that spill before the one they spill to."""
        self.requests.rank[sent] = self.levels[sent] | (self.sent + np.arange(sent.shape[0]))
        self.sent += sent.shape[0]
        bound_for = self._bound_for(sent)
        spill_to = self.operations.spill_to
        order = sorted(range(len(self.running)), key=lambda g: g == spill_to)
        for g in order:
            mine = sent[bound_for == g]
            self._send_to(g, mine, self._door(g))
            spilled = mine[self.dealt_to[mine] == routing.SPILLED]
            bound_for[np.isin(sent, spilled)] = spill_to if spill_to is not None else -1

    def _send_to(self, g: int, mine: NDArray[np.int64], door: routing.Door) -> None:
        if mine.shape[0] == 0:
            return
        if self.running[g].deals:
            up = np.flatnonzero(self.running[g].state.takes)
            self.dealt_to[mine] = up[(self.turns[g] + np.arange(mine.shape[0])) % up.shape[0]]
            self.turns[g] += mine.shape[0]
        self.running[g].send(mine, self.dealt_to, self.requests, self.gap_counts, door)
        self.served_by[mine] = g

    def _bound_for(self, sent: NDArray[np.int64]) -> NDArray[np.int64]:
        """(k,) the group that each is sent to; −1: none, which ``dealt_to`` then says."""
        bound_for = self.group_of[sent].astype(np.int64)
        is_up = [bool(running.state.takes.any()) for running in self.running]
        for g in [g for g in range(len(is_up)) if not is_up[g]]:
            stranded = self.group_of[sent] == g
            for h in [*range(g + 1, len(is_up)), *range(g)]:
                if is_up[h]:
                    bound_for[stranded & (self.tokens[sent] <= self.held[h])] = h
                    stranded &= self.tokens[sent] > self.held[h]
            bound_for[stranded] = -1
            self.dealt_to[sent[stranded]] = routing.NONE_UP
        return bound_for

    def _door(self, g: int) -> routing.Door:
        """Of the replicas of group ``g``; who cannot hold a request, or is not up, is not spilled to."""
        operations, to = self.operations, self.operations.spill_to
        max_waiting = _NO_LIMIT if operations.max_waiting is None else operations.max_waiting
        if to is None or to == g or not self.running[to].state.takes.any():
            return OPEN if max_waiting == _NO_LIMIT else OPEN._replace(max_waiting=max_waiting)
        return routing.Door(
            max_waiting=max_waiting,
            spill_waiting=operations.spill_waiting,
            spill_tokens=int(self.held[to]),
        )

    def _changed(self, at_s: float, changes: Sequence[_Change]) -> NDArray[np.int64]:
        """Let replicas come and go; the requests to be sent again, those that found none up included."""
        again = [np.flatnonzero(self.dealt_to == routing.NONE_UP)]
        for change in changes:
            if change.up:
                self._come(at_s, change)
            else:
                again.append(self._go(at_s, change))
        found = np.sort(np.concatenate(again))
        self.requests.arrival_s[found] = at_s
        return found

    def _come(self, at_s: float, change: _Change) -> None:
        self._end_drain(at_s, change.group, change.replica)
        self.running[change.group].state.takes[change.replica] = True
        self.came_s[change.group][change.replica] = max(at_s, self.trace.arrival_s[0])

    def _go(self, at_s: float, change: _Change) -> NDArray[np.int64]:
        """Send a replica no more requests; those that it loses."""
        g, i = change.group, change.replica
        running, since_s = self.running[g], self.came_s[g][i]
        running.state.takes[i] = False
        if not change.lost:
            self.service_s[g][i] += max(at_s - since_s, 0.0)
            self.drains_s[g][i] = max(at_s, since_s)
            return np.empty(0, dtype=np.int64)
        running.run(at_s, self.requests, self.gap_counts)
        gone_s = max(at_s, running.state.clock_s[i])  # a step that has begun ends
        self.service_s[g][i] += max(gone_s - since_s, 0.0)
        lost = np.empty(batching.num_unfinished(i, running.state), dtype=np.int64)
        last_token_s = np.empty(lost.shape[0])
        batching.lose(i, self.requests, running.state, lost, last_token_s)
        self.lost_gaps_s += float(np.nansum(last_token_s - self.requests.first_token_s[lost]))
        self.requests.first_token_s[lost] = np.nan
        self.retried += lost.shape[0]
        return lost

    def _end_drain(self, at_s: float, g: int, i: int) -> None:
        """Count as service what a draining replica has run by ``at_s``."""
        if not np.isnan(self.drains_s[g][i]):
            running = self.running[g]
            running.run(at_s, self.requests, self.gap_counts)
            drained_s = min(running.state.clock_s[i], at_s)
            self.service_s[g][i] += max(drained_s - self.drains_s[g][i], 0.0)
            self.drains_s[g][i] = np.nan

    def _times(self) -> RequestTimes:
        served = self.dealt_to >= 0
        sizes = [running.state.clock_s.shape[0] for running in self.running]
        first_replica = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
        self.dealt_to[served] += first_replica[self.served_by[served]]
        end_s = float(self.requests.finish_s[served].max(initial=self.trace.arrival_s[0]))
        for g, running in enumerate(self.running):
            stays = running.state.takes
            self.service_s[g][stays] += np.maximum(end_s - self.came_s[g][stays], 0.0)
            for i in np.flatnonzero(~stays).tolist():
                self._end_drain(np.inf, g, i)
        states = [running.state for running in self.running]
        return RequestTimes(
            first_token_s=self.requests.first_token_s,
            finish_s=self.requests.finish_s,
            preemptions=self.requests.preemptions,
            replica=self.dealt_to,
            gap_counts=self.gap_counts,
            busy_s=np.concatenate([state.busy_s for state in states]),
            steps=sum(int(state.counters[:, batching.STEP].sum()) for state in states),
            service_s=np.concatenate(self.service_s),
            retried=self.retried,
            lost_gaps_s=self.lost_gaps_s,
        )


def _one_policy(groups: Sequence[ReplicaGroup]) -> SchedulingPolicy:
    """The scheduling policy of all groups."""
    policies = {group.engine.scheduling_policy for group in groups}
    if len(policies) > 1:
        raise InputError(
            f"groups of one service have different scheduling policies ({', '.join(sorted(policies))}); use one"
        )
    return policies.pop()


def _changes(spells: Sequence[Spell]) -> list[_Change]:
    """Comings and goings in order of time; replicas of a spell that begins at 0 are there from the start."""

    def each() -> Iterator[_Change]:
        for spell in spells:
            where = {"group": spell.group, "replica": spell.replica}
            if 0 < spell.from_s < np.inf:
                yield _Change(at_s=spell.from_s, up=True, lost=False, **where)
            if spell.to_s < np.inf:
                yield _Change(at_s=spell.to_s, up=False, lost=spell.lost, **where)

    return sorted(each())
