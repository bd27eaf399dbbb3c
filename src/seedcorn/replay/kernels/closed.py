"""Closed loops: each client sends its next request the moment its last one is done."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit
from seedcorn.replay.kernels.batching import (
    CACHED,
    DECODING,
    GENERATED,
    HEAD,
    PARTIAL,
    PARTIAL_GENERATED,
    PREEMPTED,
    REQUEST,
    STEP,
    Limits,
    Replicas,
    Requests,
    advance,
    enqueue,
    last_step,
    run_s,
)

_SHY = 1.0 - 1e-9  # of a run's seconds: ends it on its last step in spite of rounding, never before


@jit
def fewest_steps(i: int, fewest_output: int, requests: Requests, replicas: Replicas) -> int:
    """Steps of replica ``i`` up to and with the first in which a request can complete.

    Every request under way emits at most one token a step, preempted or not, so none completes before
    it has so many steps as tokens to emit.
    """
    counters = replicas.counters[i]
    steps = fewest_output  # of those that wait
    if counters[DECODING] > 0:
        steps = min(steps, last_step(replicas.decoding[i, 0]) - counters[STEP] + 1)
    if counters[PARTIAL] >= 0:
        steps = min(steps, requests.output_tokens[counters[PARTIAL]] - counters[PARTIAL_GENERATED])
    for height in range(counters[PREEMPTED]):
        waiting = replicas.preempted[i, height]
        steps = min(steps, requests.output_tokens[waiting[REQUEST]] - waiting[GENERATED])
    return int(steps)


@jit
def quiet_until_s(
    i: int, fewest_output: int, limits: Limits, requests: Requests, replicas: Replicas
) -> float:
    """A time that replica ``i`` reaches no later than in the step that completes its next request.

    Where nothing but decode steps is sure to follow, that step's very end; otherwise a lower bound: no
    step is shorter than one with a single token.
    """
    counters, shift = replicas.counters[i], limits.block_shift
    clock_s, model = replicas.clock_s[i], replicas.model[i]
    decoding, cached = counters[DECODING], counters[CACHED]
    steps = fewest_steps(i, fewest_output, requests, replicas)
    waits = counters[HEAD] >= 0 and decoding < limits.max_num_seqs
    sure = decoding > 0 and not waits and counters[PARTIAL] < 0 and counters[PREEMPTED] == 0
    if sure:
        steps = last_step(replicas.decoding[i, 0]) - counters[STEP] + 1
        blocks = ((cached + (decoding << shift)) >> shift) + decoding * ((steps >> shift) + 1)
        sure = blocks <= replicas.usable_blocks[i]
    if sure:
        first_s = replicas.dense_s[model, decoding] + replicas.context_s[model] * (cached + decoding)
        wait_s = run_s(first_s, replicas.context_s[model] * decoding, steps)
    else:
        wait_s = (steps - 1) * replicas.dense_s[model, 1]
    return float(max(clock_s + wait_s * _SHY, np.nextafter(clock_s, np.inf)))


@jit
def run_closed_loop(
    clients: NDArray[np.int64],
    first: NDArray[np.int64],
    fewest_output: NDArray[np.int64],
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
    pending: NDArray[np.int64],
) -> None:
    """Run every replica until its share of the requests is done; arrivals are written as they happen.

    Args:
        clients: (R,) of each replica, all of whom ask at time 0.
        first: (R + 1,) replica i serves requests ``first[i]`` to ``first[i + 1]``, in order.
        fewest_output: (R,) least output tokens of any of them.
        limits: The scheduler's.
        requests: ``arrival_s`` and the results are written in place.
        replicas: Idle, changed in place.
        gap_counts: (NUM_BINS,) added to in place.
        pending: (at least the most clients,) scratch: requests sent and not finished.
    """
    for i in range(clients.shape[0]):
        sent = first[i]
        num_pending = 0
        while sent < first[i + 1] and num_pending < clients[i]:
            requests.arrival_s[sent] = 0.0
            enqueue(i, sent, requests, replicas)
            pending[num_pending] = sent
            num_pending += 1
            sent += 1
        while num_pending > 0:
            until_s = quiet_until_s(i, fewest_output[i], limits, requests, replicas)
            advance(i, until_s, limits, requests, replicas, gap_counts)
            kept = 0
            for p in range(num_pending):
                if np.isnan(requests.finish_s[pending[p]]):
                    pending[kept] = pending[p]
                    kept += 1
            finished = num_pending - kept
            num_pending = kept
            while finished > 0 and sent < first[i + 1]:
                requests.arrival_s[sent] = replicas.clock_s[i]
                enqueue(i, sent, requests, replicas)
                pending[num_pending] = sent
                num_pending += 1
                sent += 1
                finished -= 1
