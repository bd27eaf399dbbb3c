"""Closed loops: each client sends its next request the moment its last one is done."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.replay.kernels._jit import jit
from seedcorn.replay.kernels.batching import (
    CACHED,
    DECODING,
    HEAD,
    PARTIAL,
    PREEMPTED,
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
def quiet_until_s(i: int, limits: Limits, replicas: Replicas) -> float:
    """A time by which replica ``i`` has completed a request, and not one earlier than its last step.

    That is the end of the next step, unless nothing but decode steps is sure to follow: then it is the
    end of the step in which the first sequence completes.
    """
    counters, shift = replicas.counters[i], limits.block_shift
    clock_s = replicas.clock_s[i]
    decoding, cached = counters[DECODING], counters[CACHED]
    waits = counters[HEAD] >= 0 and decoding < limits.max_num_seqs
    if decoding == 0 or waits or counters[PARTIAL] >= 0 or counters[PREEMPTED] > 0:
        return float(np.nextafter(clock_s, np.inf))
    steps = last_step(replicas.decoding[i, 0]) - counters[STEP] + 1
    blocks = ((cached + (decoding << shift)) >> shift) + decoding * ((steps >> shift) + 1)
    if blocks > replicas.usable_blocks[i]:
        return float(np.nextafter(clock_s, np.inf))
    model = replicas.model[i]
    first_s = replicas.dense_s[model, decoding] + replicas.context_s[model] * (cached + decoding)
    return float(clock_s + run_s(first_s, replicas.context_s[model] * decoding, steps) * _SHY)


@jit
def run_closed_loop(
    clients: NDArray[np.int64],
    first: NDArray[np.int64],
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
            advance(i, quiet_until_s(i, limits, replicas), limits, requests, replicas, gap_counts)
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
