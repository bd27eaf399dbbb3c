"""Replay a trace on replicas behind a router: domain values in, per-request times out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.workload import EngineSettings, Prompts, Router, SchedulingPolicy, Trace
from seedcorn.errors import InputError
from seedcorn.jit import is_compiled
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.kernels import batching, gaps, prefix, routing


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RequestTimes:
    """What became of every request of a trace.

    Attributes:
        first_token_s: (num_requests,) on the trace's clock; NaN for a refused request.
        finish_s: (num_requests,) likewise, of the last token.
        preemptions: (num_requests,) times each was preempted.
        replica: (num_requests,) which replica served it; below 0: refused, and why (``TOO_LONG``,
            ``FULL`` or ``NONE_UP`` of ``kernels.routing``).
        gap_counts: (NUM_BINS,) gaps between consecutive tokens of a request, by duration.
        busy_s: (num_replicas,) time each replica spent in steps.
        steps: Engine steps run, all replicas together.
        service_s: (num_replicas,) time each was in service; ``None``: all of them throughout.
        retried: Times a request was sent again after the replica that held it was lost.
        lost_gaps_s: Seconds between tokens of answers that were lost; these gaps are counted too.
    """

    first_token_s: NDArray[np.float64]
    finish_s: NDArray[np.float64]
    preemptions: NDArray[np.int32]
    replica: NDArray[np.int32]
    gap_counts: NDArray[np.int64]
    busy_s: NDArray[np.float64]
    steps: int
    service_s: NDArray[np.float64] | None = None
    retried: int = 0
    lost_gaps_s: float = 0.0


def kernels_are_compiled(router: Router = Router.ROUND_ROBIN) -> bool:
    """Whether a replay with ``router`` can start at once; otherwise its first one compiles for some seconds."""
    entry: dict[Router, Callable[..., object]] = {
        Router.ROUND_ROBIN: routing.run_until,
        Router.LEAST_OUTSTANDING: routing.run_least_outstanding,
        Router.POWER_OF_TWO: routing.run_power_of_two,
        Router.PREFIX_AWARE: routing.run_least_work,
    }
    return is_compiled(entry[router])


def held_tokens(step_model: StepModel, engine: EngineSettings) -> int:
    """KV tokens that a replica can give to requests: vLLM keeps one block back, the null block."""
    return max(step_model.kv_tokens // engine.block_size - 1, 0) * engine.block_size


def dealt(trace: Trace, capacity_tokens: NDArray[np.int64], share: NDArray[np.float64]) -> NDArray[np.int32]:
    """Deal the requests of ``trace`` out in proportion to ``share``, as evenly spread in time as can be.

    Args:
        trace: What is dealt.
        capacity_tokens: (R,) KV tokens that each can hold.
        share: (R,) > 0, relative to their sum.

    Returns:
        (num_requests,) to which of the R; −1 where none can hold the request.
    """
    return Dealer(capacity_tokens, share).deal(trace)


class Dealer:
    """Deals requests out chunk by chunk, as :func:`dealt` does for a whole trace.

    Args:
        capacity_tokens: (R,) KV tokens that each can hold.
        share: (R,) > 0, relative to their sum.
    """

    def __init__(self, capacity_tokens: NDArray[np.int64], share: NDArray[np.float64]) -> None:
        self._capacity_tokens = capacity_tokens
        self._share = share
        self._credit = np.zeros(share.shape[0])
        self._takes_turns = bool((share == share[0]).all())
        self._next = 0

    def deal(self, chunk: Trace) -> NDArray[np.int32]:
        """(num_requests,) to which of the R each request goes; −1 where none can hold it."""
        num, fewest = self._share.shape[0], int(self._capacity_tokens.min())
        if self._takes_turns and int(peak_tokens(chunk).max(initial=0)) <= fewest:
            turns = self._next + np.arange(chunk.num_requests)
            self._next = (self._next + chunk.num_requests) % num
            return np.asarray(turns % num, dtype=np.int32)
        if self._takes_turns:  # from here on someone is passed over: go on by credit
            self._takes_turns = False
            self._credit = self._share * (self._next - num * (np.arange(num) < self._next))
        dealt_to = np.full(chunk.num_requests, -1, dtype=np.int32)
        routing.deal(kernel_requests(chunk), self._capacity_tokens, self._share, self._credit, dealt_to)
        return dealt_to


def peak_tokens(trace: Trace) -> NDArray[np.int64]:
    """(num_requests,) KV tokens that each request holds in its last step; its last token is never cached."""
    return np.asarray(trace.input_tokens.astype(np.int64) + trace.output_tokens - 1, dtype=np.int64)


def replay_requests(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    trace: Trace,
    *,
    router: Router = Router.ROUND_ROBIN,
    seed: int = 0,
) -> RequestTimes:
    """Replay ``trace`` until its last request is done.

    Args:
        replicas: One step model per replica; they may differ.
        engine: The scheduler's limits, the same for all replicas.
        trace: What arrives.
        router: ``ROUND_ROBIN`` deals requests out in turn; ``LEAST_OUTSTANDING`` sends each to the
            replica with the fewest tokens still to be computed; ``POWER_OF_TWO`` to the one of two drawn
            at random that has fewer; ``PREFIX_AWARE`` to the one that has the fewest, what its cache
            holds of the request's own prompt taken off. None asks a replica whose KV cache could never hold the request.
        seed: Of the draws of ``POWER_OF_TWO``.

    Raises:
        InputError: The engine's limits contradict each other.
    """
    capacity_tokens = np.array([held_tokens(model, engine) for model in replicas])
    if router is Router.ROUND_ROBIN or len(replicas) == 1:
        return replay_dealt(replicas, engine, trace, dealt(trace, capacity_tokens, np.ones(len(replicas))))
    return _replay_routed(
        replicas,
        engine,
        trace,
        np.full(trace.num_requests, routing.TOO_LONG, dtype=np.int32),
        router,
        seed=seed,
    )


def _replay_routed(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    trace: Trace,
    dealt_to: NDArray[np.int32],
    router: Router,
    *,
    seed: int = 0,
    loaded: NDArray[np.int32] | None = None,
) -> RequestTimes:
    requests, gap_counts = kernel_requests(trace, engine.scheduling_policy, loaded=loaded), no_gaps()
    running = RoutedReplicas(
        replicas, engine, router, levels=num_levels(requests), seed=seed, prompts=trace.prompts
    )
    running.send(np.arange(trace.num_requests), dealt_to, requests, gap_counts)
    running.run(np.inf, requests, gap_counts)
    return request_times(requests, running.state, gap_counts, dealt_to)


OPEN = routing.Door(max_waiting=2**62, spill_waiting=2**62, spill_tokens=0)


class RoutedReplicas:
    """Replicas behind a router, under way: what each holds, and what the router knows of them.

    Args:
        replicas: One step model per replica.
        engine: The scheduler's limits, the same for all.
        router: ``ROUND_ROBIN`` sends requests where they were dealt to, and so does any before one replica.
        levels: Of priority.
        seed: Of the draws of ``POWER_OF_TWO``.
        prompts: What the requests' prompts have in common.
    """

    def __init__(
        self,
        replicas: Sequence[StepModel],
        engine: EngineSettings,
        router: Router,
        *,
        levels: int = 1,
        seed: int = 0,
        prompts: Prompts | None = None,
    ) -> None:
        self.limits = engine_limits(engine)
        self.state = idle_replicas(replicas, engine, levels=levels, prompts=prompts)
        self._shares = self.state.prefixes.block_tokens > 0
        self.deals = router is Router.ROUND_ROBIN or len(replicas) == 1
        self._router = router
        self._rng = np.random.default_rng(seed)
        if router is Router.LEAST_OUTSTANDING:
            self._outlook, self._near = _no_outlook(self.state, engine), _nobody_near(len(replicas))

    def send(
        self,
        sent: NDArray[np.int64],
        dealt_to: NDArray[np.int32],
        requests: batching.Requests,
        gap_counts: NDArray[np.int64],
        door: routing.Door = OPEN,
    ) -> None:
        """Send requests in order, none before those of an earlier call.

        Args:
            sent: (k,) their numbers.
            dealt_to: (num_requests,) where each goes, written in place; read first if the replicas are dealt to.
            requests: All there are.
            gap_counts: (NUM_BINS,) added to in place.
            door: Of every replica.
        """
        limits, state = self.limits, self.state
        if (
            self.deals and door is OPEN and state.tails.shape[1] == 1
        ):  # a queue does not hang on how replicas fare
            routing.enqueue_dealt(sent, dealt_to, requests, state)
        elif self.deals:
            routing.run_dealt(sent, dealt_to, door, limits, requests, state, gap_counts)
        elif self._router is Router.PREFIX_AWARE or (
            self._router is Router.LEAST_OUTSTANDING and self._shares
        ):
            deducts_hits = self._router is Router.PREFIX_AWARE and self._shares
            routing.run_least_work(sent, deducts_hits, dealt_to, door, limits, requests, state, gap_counts)
        elif self._router is Router.LEAST_OUTSTANDING:
            routing.run_least_outstanding(
                sent, dealt_to, door, limits, requests, state, self._outlook, self._near, gap_counts
            )
        else:
            pairs = drawn_pairs(self._rng, sent.shape[0], state.clock_s.shape[0])
            routing.run_power_of_two(sent, pairs, dealt_to, door, limits, requests, state, gap_counts)

    def run(self, until_s: float, requests: batching.Requests, gap_counts: NDArray[np.int64]) -> None:
        """Run every replica through the steps that start before ``until_s``."""
        routing.run_until(until_s, self.limits, requests, self.state, gap_counts)


def drawn_pairs(rng: np.random.Generator, num_requests: int, num_replicas: int) -> NDArray[np.int64]:
    """(num_requests, 2) two different replicas for each request; drawing in parts gives the same."""
    pairs = (rng.random((num_requests, 2)) * [num_replicas, num_replicas - 1]).astype(np.int64)
    pairs[:, 1] += pairs[:, 1] >= pairs[:, 0]
    return np.asarray(pairs, dtype=np.int64)


def _no_outlook(state: batching.Replicas, engine: EngineSettings) -> routing.Outlook:
    """Nothing known yet, but how fast each step model decodes at its best."""
    n = state.clock_s.shape[0]
    seqs = np.arange(engine.max_num_seqs + 1)
    fastest_per_s = np.maximum.accumulate(seqs / state.dense_s[:, : seqs.shape[0]], axis=1)
    return routing.Outlook(
        outstanding=np.zeros(n, dtype=np.int64),
        next_s=np.zeros(n),
        until_s=np.zeros(n),
        sure_s=np.zeros(n),
        decoding=np.zeros(n, dtype=np.int64),
        first_s=np.zeros(n),
        growth_s=np.zeros(n),
        steps=np.zeros(n, dtype=np.int64),
        started=np.zeros(n, dtype=np.int64),
        near_s=np.zeros(n),
        mark=np.zeros(1, dtype=np.int64),
        peak_per_s=fastest_per_s,
    )


def _nobody_near(num_replicas: int) -> routing.Near:
    """Room for every replica."""
    return routing.Near(
        replica=np.zeros(num_replicas, dtype=np.int64),
        outstanding=np.zeros(num_replicas, dtype=np.int64),
        next_s=np.zeros(num_replicas),
        due=np.zeros(num_replicas, dtype=np.int64),
    )


def replay_dealt(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    trace: Trace,
    dealt_to: NDArray[np.int32],
    *,
    loaded: NDArray[np.int32] | None = None,
) -> RequestTimes:
    """Replay ``trace`` with each request on the replica it was dealt to.

    Args:
        replicas: One step model per replica.
        engine: The scheduler's limits.
        trace: What arrives.
        dealt_to: (num_requests,) index of a replica that can hold the request; −1 to leave it out.
        loaded: (num_requests,) tokens of each prompt, fewer than all, whose KV comes with the request.
    """
    return _replay_routed(replicas, engine, trace, dealt_to, Router.ROUND_ROBIN, loaded=loaded)


def no_gaps() -> NDArray[np.int64]:
    """(NUM_BINS,) no gap counted yet."""
    return np.zeros(gaps.NUM_BINS, dtype=np.int64)


def request_times(
    requests: batching.Requests,
    state: batching.Replicas,
    gap_counts: NDArray[np.int64],
    dealt_to: NDArray[np.int32],
) -> RequestTimes:
    """What the kernels left in their arrays."""
    return RequestTimes(
        first_token_s=requests.first_token_s,
        finish_s=requests.finish_s,
        preemptions=requests.preemptions,
        replica=dealt_to,
        gap_counts=gap_counts,
        busy_s=state.busy_s,
        steps=int(state.counters[:, batching.STEP].sum()),
    )


def engine_limits(engine: EngineSettings) -> batching.Limits:
    """The engine's limits, checked as vLLM checks them."""
    if engine.max_num_seqs < 1 or engine.max_num_batched_tokens < engine.max_num_seqs:
        raise InputError(
            f"max_num_batched_tokens ({engine.max_num_batched_tokens}) must be at least max_num_seqs "
            f"({engine.max_num_seqs}), and that at least 1: every running sequence decodes one token a step"
        )
    shift = engine.block_size.bit_length() - 1
    if engine.block_size < 1 or engine.block_size != 1 << shift:
        raise InputError(f"block_size {engine.block_size} is not a power of two; vLLM's default is 16")
    return batching.Limits(engine.max_num_seqs, engine.max_num_batched_tokens, shift, engine.prefix_caching)


def num_levels(requests: batching.Requests) -> int:
    """Levels of priority that some request has."""
    return int(requests.rank.max(initial=0) >> batching.LEVEL_SHIFT) + 1


def kernel_requests(
    trace: Trace,
    policy: SchedulingPolicy = SchedulingPolicy.FCFS,
    *,
    loaded: NDArray[np.int32] | None = None,
) -> batching.Requests:
    """The kernel's view of ``trace``, ranked by ``policy``, with room for the results.

    ``loaded``: (num_requests,) tokens of each prompt whose KV comes with the request; none: no KV does.
    """
    n = trace.num_requests
    rank = np.arange(n, dtype=np.int64)
    if policy is SchedulingPolicy.PRIORITY and trace.priority is not None:
        level = np.unique(trace.priority, return_inverse=True)[1]
        rank |= level.astype(np.int64) << batching.LEVEL_SHIFT
    return batching.Requests(
        arrival_s=np.ascontiguousarray(trace.arrival_s, dtype=np.float64),
        input_tokens=np.ascontiguousarray(trace.input_tokens, dtype=np.int32),
        output_tokens=np.ascontiguousarray(trace.output_tokens, dtype=np.int32),
        loaded=np.zeros(n, dtype=np.int32) if loaded is None else loaded,
        rank=rank,
        next_queued=np.full(n, -1, dtype=np.int32),
        first_token_s=np.full(n, np.nan),
        finish_s=np.full(n, np.nan),
        preemptions=np.zeros(n, dtype=np.int32),
    )


def idle_replicas(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    *,
    levels: int = 1,
    prompts: Prompts | None = None,
) -> batching.Replicas:
    """Idle replicas for requests of ``levels`` levels; step models that several share are tabulated once.

    ``prompts``: what the requests' prompts have in common, if that is to be found again.
    """
    models = list({id(model): model for model in replicas}.values())
    row = {id(model): m for m, model in enumerate(models)}
    num_replicas, num_seqs = len(replicas), engine.max_num_seqs
    counters = np.zeros((num_replicas, batching.NUM_COUNTERS), dtype=np.int64)
    counters[:, [batching.HEAD, batching.PARTIAL]] = -1
    usable_blocks = np.array(
        [held_tokens(model, engine) // engine.block_size for model in replicas], dtype=np.int64
    )
    return batching.Replicas(
        dense_s=np.stack([_dense_table_s(model, engine.max_num_batched_tokens) for model in models]),
        context_s=np.array([model.context_s for model in models], dtype=np.float64),
        pair_s=np.array([model.pair_s for model in models], dtype=np.float64),
        model=np.array([row[id(model)] for model in replicas], dtype=np.int64),
        usable_blocks=usable_blocks,
        takes=np.ones(num_replicas, dtype=np.bool_),
        clock_s=np.zeros(num_replicas),
        busy_s=np.zeros(num_replicas),
        counters=counters,
        tails=np.full((num_replicas, levels), -1, dtype=np.int64),
        decoding=np.zeros((num_replicas, num_seqs), dtype=np.int64),
        residues=np.zeros((num_replicas, engine.block_size), dtype=np.int64),
        preempted=np.zeros((num_replicas, num_seqs, batching.NUM_PREEMPTED_COLUMNS), dtype=np.int64),
        last_token_s=np.zeros((num_replicas, num_seqs + 1)),
        emerging=np.zeros((num_seqs, 2), dtype=np.int64),
        emerging_s=np.zeros(num_seqs),
        prefixes=_no_prefixes(num_replicas)
        if prompts is None or not engine.prefix_caching
        else _empty_caches(prompts, engine, usable_blocks),
    )


def _no_prefixes(num_replicas: int) -> prefix.Prefixes:
    """Of prompts that have nothing in common."""
    return _prefixes(0, np.zeros(1, dtype=np.int64), np.zeros(0, dtype=np.int64), num_replicas, 0)


def _empty_caches(
    prompts: Prompts, engine: EngineSettings, usable_blocks: NDArray[np.int64]
) -> prefix.Prefixes:
    """Caches with as many entries as the largest replica's memory has room for."""
    if prompts.block_tokens % engine.block_size:
        raise InputError(
            f"the trace knows its prompts by blocks of {prompts.block_tokens:,} tokens, which are not whole KV blocks of "
            f"{engine.block_size}: choose a block_size that divides them"
        )
    entries = int(usable_blocks.max()) // (prompts.block_tokens // engine.block_size)
    return _prefixes(prompts.block_tokens, prompts.first, prompts.ids, usable_blocks.shape[0], entries)


def _prefixes(
    block_tokens: int, first: NDArray[np.int64], ids: NDArray[np.int64], num_replicas: int, entries: int
) -> prefix.Prefixes:
    buckets = 1 << max(entries, 1).bit_length()
    caches = prefix.Prefixes(
        block_tokens=block_tokens,
        first=first,
        ids=ids,
        used=np.full(ids.shape[0], prefix.NONE, dtype=np.int32),
        bucket=np.empty((num_replicas, buckets), dtype=np.int32),
        chain=np.empty((num_replicas, entries), dtype=np.int32),
        id=np.zeros((num_replicas, entries), dtype=np.int64),
        uses=np.empty((num_replicas, entries), dtype=np.int32),
        older=np.zeros((num_replicas, entries + 1), dtype=np.int32),
        newer=np.zeros((num_replicas, entries + 1), dtype=np.int32),
        counters=np.zeros((num_replicas, prefix.NUM_COUNTERS), dtype=np.int64),
    )
    for i in range(num_replicas):
        prefix.clear(i, caches)
    return caches


@lru_cache(maxsize=256)
def _dense_table_s(model: StepModel, max_tokens: int) -> NDArray[np.float64]:
    """(max_tokens + 1,) the model's dense seconds at every token count that a step can have."""
    x = np.arange(max_tokens + 1, dtype=np.float64)
    grid, dense_s = model.tokens, model.dense_s
    left = np.clip(np.searchsorted(grid, x, side="right") - 1, 0, grid.shape[0] - 2)
    slope = (dense_s[left + 1] - dense_s[left]) / (grid[left + 1] - grid[left])
    table_s: NDArray[np.float64] = dense_s[left] + slope * (x - grid[left])
    assert float(table_s[1:].min()) > 0, "a step takes time"
    return table_s
