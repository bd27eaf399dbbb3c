"""How many requests per second a replica, or a unit of several, carries within its SLO: bisection of the rate, by replay."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from seedcorn.domain.offer import Predicted
from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import EngineSettings, Objective, Slo, Trace
from seedcorn.errors import MissesSlo, TooLong
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.metrics import outcome
from seedcorn.replay.simulation import held_tokens, peak_tokens, replay_dealt
from seedcorn.replay.traffic import compressed, part, scaled
from seedcorn.units import format_seconds, format_share

FEWEST = 4_000
"""Requests in a replay: 40 of them lie beyond the 99th percentile."""

_RATE_TOLERANCE = 0.005  # of the rate; well below what step models are known to
_HALVINGS = 12  # of the saturated rate, before a rate that still misses is called none


class Server(Protocol):
    """What serves requests; a fleet is copies of it, among which they are dealt in turn."""

    @property
    def held_tokens(self) -> int:
        """KV tokens of the longest request that it can hold."""
        ...

    def replayed(self, trace: Trace, copies: int = 1) -> Outcome:
        """Outcome of ``trace`` on ``copies`` of it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replica:
    """One replica, which does everything."""

    step_model: StepModel
    engine: EngineSettings

    @property
    def held_tokens(self) -> int:
        """See :class:`Server`."""
        return held_tokens(self.step_model, self.engine)

    def replayed(self, trace: Trace, copies: int = 1) -> Outcome:
        """See :class:`Server`."""
        turn = (np.arange(trace.num_requests) % copies).astype(np.int32)
        return outcome(replay_dealt([self.step_model] * copies, self.engine, trace, turn), trace)


@dataclass(frozen=True, slots=True, kw_only=True)
class Capacity:
    """What one replica carries.

    Attributes:
        rate_per_s: Highest rate found at which every objective holds.
        predicted: Every objective's value at that rate.
        binds: The objective nearest its bound there.
        outcome: Of the replay at that rate.
    """

    rate_per_s: float
    predicted: tuple[Predicted, ...]
    binds: Objective
    outcome: Outcome


def capacity(
    step_model: StepModel, engine: EngineSettings, trace: Trace, slo: Slo, *, seed: int = 0
) -> Capacity:
    """The highest rate of ``trace`` that one replica carries with every objective of ``slo`` held.

    At a rate below the trace's own the replica gets its share of the traffic, every n-th request at
    its own time, as one of n replicas among which requests are dealt in turn; the shares of several
    replicas are replayed where one holds too few requests for a 99th percentile. Above the trace's
    own rate the replica gets all of it, sped up.

    No rate above the saturated one (all requests at once, requests finished per second) is tried:
    there the queue would grow for as long as the traffic lasts, whatever the objectives say. The
    answer was itself replayed, and holds; the rate 0.5 % above it, where one was tried, does not.

    Args:
        step_model: The replica.
        engine: Its scheduler's limits.
        trace: The service's own traffic, at the rate that is planned for (see ``scaled``). Below
            4,000 requests it is repeated in shuffled runs.
        slo: At least one objective.
        seed: Of that shuffle.

    Raises:
        TooLong: Some requests exceed the replica's KV cache.
        MissesSlo: An objective is missed even by requests that have the replica to themselves, or at
            1/4096 of the saturated rate.
    """
    return CapacitySearch(Replica(step_model=step_model, engine=engine), trace, slo, seed=seed).capacity()


class CapacitySearch:
    """A server and its share of a trace, asked rate by rate; other arguments, and what they raise, are :func:`capacity`'s.

    Args:
        fewest: Requests in a replay; a rougher answer needs fewer.

    Attributes:
        saturated_per_s: Requests finished per second when all come at once: no capacity is above it.
    """

    def __init__(
        self, server: Server, trace: Trace, slo: Slo, *, seed: int = 0, fewest: int = FEWEST
    ) -> None:
        assert slo.objectives, "an SLO has at least one objective"
        _check_fits(server, trace)
        if trace.num_requests < fewest:
            trace = scaled(trace, rate_per_s=trace.mean_rate_per_s, seed=seed, num_requests=fewest)
        self._server, self._trace, self._slo, self._fewest = server, trace, slo, fewest
        self._sample = _evenly_picked(trace, fewest)
        self._at_once_s = server.replayed(_spaced(self._sample, 0.0)).duration_s
        self._holds_alone: bool | None = None
        self.saturated_per_s = self._sample.num_requests / self._at_once_s

    def carries(self, rate_per_s: float) -> bool:
        """Whether every objective holds at ``rate_per_s``."""
        if self._holds_alone is None:
            self._holds_alone = self._alone().meets(self._slo)
        return (
            self._holds_alone and rate_per_s <= self.saturated_per_s and self._at(rate_per_s).meets(self._slo)
        )

    def capacity(self, tolerance: float = _RATE_TOLERANCE) -> Capacity:
        """The highest rate that holds; a rate ``tolerance`` above it, where one was tried, does not."""
        slo = self._slo
        if not self._holds_alone:
            _check_met(self._alone(), slo, "even when each request has the replica to itself")
            self._holds_alone = True
        missed_per_s = float("inf")
        held_per_s = self.saturated_per_s
        found = self._at(held_per_s)
        for _ in range(_HALVINGS):
            if found.meets(slo):
                break
            missed_per_s, held_per_s = held_per_s, held_per_s / 2
            found = self._at(held_per_s)
        _check_met(found, slo, f"even at {held_per_s:.3g} requests/s, in this trace's bursts")
        while missed_per_s < float("inf") and missed_per_s - held_per_s > tolerance * held_per_s:
            middle_per_s = 0.5 * (held_per_s + missed_per_s)
            tried = self._at(middle_per_s)
            if tried.meets(slo):
                held_per_s, found = middle_per_s, tried
            else:
                missed_per_s = middle_per_s
        return Capacity(
            rate_per_s=held_per_s,
            predicted=tuple(Predicted(objective=o, got_s=_got_s(found, o)) for o in slo.objectives),
            binds=_nearest(found, slo),
            outcome=found,
        )

    def _alone(self) -> Outcome:
        """What requests get that have the server to themselves."""
        return self._server.replayed(_spaced(self._sample, self._at_once_s))

    def _at(self, rate_per_s: float) -> Outcome:
        return self._server.replayed(*_share(self._trace, rate_per_s, self._fewest))


def _share(trace: Trace, rate_per_s: float, fewest: int) -> tuple[Trace, int]:
    """What replicas at ``rate_per_s`` each get of ``trace``, and of how many the share is shown, in turn."""
    replicas = trace.mean_rate_per_s / rate_per_s
    if replicas <= 1:
        return compressed(trace, rate_per_s), 1
    rounds = max(int(trace.num_requests / replicas), 1)
    streams = min(int(replicas), -(-fewest // rounds))
    first = np.ceil(np.arange(rounds) * replicas).astype(np.int64)
    picked = (first[:, None] + np.arange(streams)).reshape(-1)
    return part(trace, picked[picked < trace.num_requests]), streams


def _evenly_picked(trace: Trace, count: int) -> Trace:
    """About ``count`` requests from the whole length of ``trace``."""
    return part(trace, np.arange(0, trace.num_requests, max(trace.num_requests // count, 1)))


def _spaced(trace: Trace, gap_s: float) -> Trace:
    """The requests of ``trace``, one every ``gap_s``."""
    return replace(trace, arrival_s=np.arange(trace.num_requests, dtype=np.float64) * gap_s)


def _check_fits(server: Server, trace: Trace) -> None:
    """Refuse a server whose KV cache cannot hold every request of the trace."""
    tokens, held = peak_tokens(trace), server.held_tokens
    too_long = int((tokens > held).sum())
    if too_long:
        raise TooLong(
            f"{format_share(too_long / trace.num_requests)} of trace {trace.name!r} ({too_long:,} of "
            f"{trace.num_requests:,} requests) need more than the {held:,} tokens that the KV cache holds; "
            f"the longest needs {int(tokens.max()):,}. More chips per replica, or a smaller number format, "
            "leave more room",
            longest_tokens=int(tokens.max()),
            held_tokens=held,
            share=too_long / trace.num_requests,
        )


def _got_s(found: Outcome, objective: Objective) -> float:
    return found.latency(objective.metric).value_s(objective.statistic)


def _nearest(found: Outcome, slo: Slo) -> Objective:
    """The objective whose value is the greatest part of its bound."""
    return max(slo.objectives, key=lambda o: _got_s(found, o) / o.bound_s)


def _check_met(found: Outcome, slo: Slo, when: str) -> None:
    """Raise with the objective that is missed by most, if one is."""
    if found.meets(slo):
        return
    worst = _nearest(found, slo)
    got_s = _got_s(found, worst)
    raise MissesSlo(
        f"{worst.name} is {format_seconds(got_s)} {when}, the SLO asks {format_seconds(worst.bound_s)}",
        objective=worst.name,
        got_s=got_s,
        bound_s=worst.bound_s,
    )
