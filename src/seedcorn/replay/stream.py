"""Replay of a trace that comes in chunks: memory holds a chunk and what is under way, however long the trace."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.outcome import Latency, Outcome
from seedcorn.domain.workload import EngineSettings, Metric, Router, SchedulingPolicy, Slo, Trace
from seedcorn.errors import InputError
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.kernels import batching, gaps, tally
from seedcorn.replay.metrics import binned_latency, ratio
from seedcorn.replay.simulation import (
    Dealer,
    RoutedReplicas,
    held_tokens,
    kernel_requests,
    no_gaps,
)

_NO_REQUESTS = kernel_requests(
    Trace(
        name="none",
        arrival_s=np.empty(0),
        input_tokens=np.empty(0, dtype=np.int32),
        output_tokens=np.empty(0, dtype=np.int32),
    )
)
_ROW = {Metric.TTFT: tally.TTFT, Metric.TPOT: tally.TPOT, Metric.E2E: tally.E2E}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamSums:
    """Sums over the requests of one stream, or of several added up.

    Attributes:
        counts: (3, NUM_BINS) finished requests by TTFT, TPOT and end-to-end time.
        sums_s: (3,) of the same.
        gap_counts: (NUM_BINS,) gaps between tokens.
        arrived, finished, attained, preemptions, input_tokens, output_tokens, steps: How many; tokens of
            finished requests.
        first_s, last_s: First arrival and last token.
        busy_s: Replica-time spent in steps.
        replicas: How many replicas.
        has_slo: Whether ``attained`` means anything.
    """

    counts: NDArray[np.int64]
    sums_s: NDArray[np.float64]
    gap_counts: NDArray[np.int64]
    arrived: int
    finished: int
    attained: int
    preemptions: int
    input_tokens: int
    output_tokens: int
    steps: int
    first_s: float
    last_s: float
    busy_s: float
    replicas: int
    has_slo: bool

    def __add__(self, other: "StreamSums") -> "StreamSums":
        return StreamSums(
            counts=self.counts + other.counts,
            sums_s=self.sums_s + other.sums_s,
            gap_counts=self.gap_counts + other.gap_counts,
            arrived=self.arrived + other.arrived,
            finished=self.finished + other.finished,
            attained=self.attained + other.attained,
            preemptions=self.preemptions + other.preemptions,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            steps=self.steps + other.steps,
            first_s=min(self.first_s, other.first_s),
            last_s=max(self.last_s, other.last_s),
            busy_s=self.busy_s + other.busy_s,
            replicas=self.replicas + other.replicas,
            has_slo=self.has_slo and other.has_slo,
        )

    @property
    def outcome(self) -> Outcome:
        """What the sums say; means are exact, percentiles within a bin's width (0.4 %)."""
        duration_s = self.last_s - self.first_s if self.finished else 0.0
        return Outcome(
            arrived=self.arrived,
            finished=self.finished,
            refused=self.arrived - self.finished,
            preemptions=self.preemptions,
            steps=self.steps,
            duration_s=duration_s,
            busy_share=ratio(self.busy_s, duration_s * self.replicas),
            input_tokens_per_s=ratio(self.input_tokens, duration_s),
            output_tokens_per_s=ratio(self.output_tokens, duration_s),
            ttft=self._latency(tally.TTFT),
            tpot=self._latency(tally.TPOT),
            itl=binned_latency(self.gap_counts, float(self.sums_s[tally.E2E] - self.sums_s[tally.TTFT])),
            e2e=self._latency(tally.E2E),
            slo_attainment_share=ratio(self.attained, self.arrived) if self.has_slo else None,
        )

    def _latency(self, row: int) -> Latency:
        return binned_latency(self.counts[row], float(self.sums_s[row]))


def replay_stream(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    chunks: Iterable[Trace],
    *,
    router: Router = Router.ROUND_ROBIN,
    slo: Slo | None = None,
    seed: int = 0,
) -> StreamSums:
    """Replay a trace that comes in chunks, until its last request is done.

    Every request fares as in ``replay_requests`` of the chunks put together, up to the rounding of
    sums that are cut at a chunk's end.

    Args:
        replicas: One step model per replica; they may differ.
        engine: The scheduler's limits, the same for all replicas.
        chunks: On one clock, each sorted and none before the one above it; chunks of many requests a
            replica (a thousand) go fastest.
        router: See ``replay_requests``.
        slo: For the attained.
        seed: Of the draws of ``POWER_OF_TWO``.

    Raises:
        InputError: A chunk starts before the one above it ended, the engine's limits contradict each other, or
            it goes by priority: a stream is served in the order of arrival.
    """
    if engine.scheduling_policy is SchedulingPolicy.PRIORITY:
        raise InputError(
            "a stream is replayed in the order of arrival; scheduling_policy priority needs the whole trace"
        )
    running = RoutedReplicas(replicas, engine, router, seed=seed)
    dealer = Dealer(_held(replicas, engine), np.ones(len(replicas)))
    gap_counts, tallies = no_gaps(), _no_tallies(slo)
    requests, arrived, first_s, now_s = _NO_REQUESTS, 0, np.inf, 0.0
    for chunk in chunks:
        if chunk.num_requests == 0:
            continue
        if chunk.arrival_s[0] < now_s:
            raise InputError(
                f"a chunk of {chunk.name!r} starts at {chunk.arrival_s[0]:g} s, before the end of the one "
                f"above it, {now_s:g} s; sort the trace by time"
            )
        arrived, now_s = arrived + chunk.num_requests, float(chunk.arrival_s[-1])
        first_s = min(first_s, float(chunk.arrival_s[0]))
        under_way = requests.arrival_s.shape[0]
        requests = _joined(requests, kernel_requests(chunk))
        requests.rank[under_way:] += arrived - chunk.num_requests
        dealt_to = np.zeros(requests.arrival_s.shape[0], dtype=np.int32)
        if running.deals:
            dealt_to[under_way:] = dealer.deal(chunk)
        running.send(np.arange(under_way, dealt_to.shape[0]), dealt_to, requests, gap_counts)
        running.run(now_s, requests, gap_counts)
        requests = _settled(dealt_to, requests, running.state, tallies)
    running.run(np.inf, requests, gap_counts)
    _settled(np.zeros(requests.arrival_s.shape[0], dtype=np.int32), requests, running.state, tallies)
    totals = tallies.totals.tolist()
    return StreamSums(
        counts=tallies.counts,
        sums_s=tallies.sums_s,
        gap_counts=gap_counts,
        arrived=arrived,
        finished=totals[tally.FINISHED],
        attained=totals[tally.ATTAINED],
        preemptions=totals[tally.PREEMPTIONS],
        input_tokens=totals[tally.INPUT_TOKENS],
        output_tokens=totals[tally.OUTPUT_TOKENS],
        steps=int(running.state.counters[:, batching.STEP].sum()),
        first_s=float(first_s),
        last_s=float(tallies.last_s[0]),
        busy_s=float(running.state.busy_s.sum()),
        replicas=len(replicas),
        has_slo=slo is not None,
    )


def _held(replicas: Sequence[StepModel], engine: EngineSettings) -> NDArray[np.int64]:
    return np.array([held_tokens(model, engine) for model in replicas], dtype=np.int64)


def _no_tallies(slo: Slo | None) -> tally.Tallies:
    """Nothing counted; of several objectives on one metric the least bound counts."""
    bounds_s = np.full(len(_ROW), np.inf)
    for objective in slo.objectives if slo is not None else ():
        if objective.metric in _ROW:
            row = _ROW[objective.metric]
            bounds_s[row] = min(bounds_s[row], objective.bound_s)
    return tally.Tallies(
        bounds_s=bounds_s,
        counts=np.zeros((len(_ROW), gaps.NUM_BINS), dtype=np.int64),
        sums_s=np.zeros(len(_ROW)),
        totals=np.zeros(tally.NUM_TOTALS, dtype=np.int64),
        last_s=np.zeros(1),
    )


def _joined(waiting: batching.Requests, new: batching.Requests) -> batching.Requests:
    """Those under way and then the new ones, copied: a chunk is not ours to change."""
    both = (waiting, new)
    return batching.Requests(
        arrival_s=np.concatenate([requests.arrival_s for requests in both]),
        input_tokens=np.concatenate([requests.input_tokens for requests in both]),
        output_tokens=np.concatenate([requests.output_tokens for requests in both]),
        loaded=np.concatenate([requests.loaded for requests in both]),
        rank=np.concatenate([requests.rank for requests in both]),
        next_queued=np.concatenate([requests.next_queued for requests in both]),
        first_token_s=np.concatenate([requests.first_token_s for requests in both]),
        finish_s=np.concatenate([requests.finish_s for requests in both]),
        preemptions=np.concatenate([requests.preemptions for requests in both]),
    )


def _settled(
    dealt_to: NDArray[np.int32],
    requests: batching.Requests,
    state: batching.Replicas,
    tallies: tally.Tallies,
) -> batching.Requests:
    """What is still under way; the rest is counted."""
    kept = tally.settle(dealt_to, requests, state, np.empty(dealt_to.shape[0], dtype=np.int64), tallies)
    return batching.Requests._make(column[:kept] for column in requests)
