"""Which replica serves a request. A replica whose KV cache could never hold a request is not asked."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.replay.kernels._jit import jit
from seedcorn.replay.kernels.batching import (
    CACHED,
    PARTIAL_CACHED,
    WORK,
    Limits,
    Replicas,
    Requests,
    advance,
    enqueue,
)


@jit
def peak_tokens(request: int, requests: Requests) -> int:
    """KV tokens that ``request`` holds in its last step; its last token is never cached."""
    return requests.input_tokens[request] + requests.output_tokens[request] - 1


@jit
def deal(
    requests: Requests,
    capacity_tokens: NDArray[np.int64],
    share: NDArray[np.float64],
    credit: NDArray[np.float64],
    dealt_to: NDArray[np.int32],
) -> None:
    """Deal requests out in proportion to ``share``, as evenly spread in time as can be.

    Smooth weighted round-robin: each request adds every candidate's share to its credit; the
    greatest credit gets the request and pays the sum. Equal shares make it plain round-robin.

    Args:
        requests: Only lengths are read.
        capacity_tokens: (R,) KV tokens that each can hold.
        share: (R,) > 0.
        credit: (R,) zeros, scratch.
        dealt_to: (num_requests,) written in place; −1 where no candidate can hold the request.
    """
    for r in range(dealt_to.shape[0]):
        tokens = peak_tokens(r, requests)
        best, paid = -1, 0.0
        for i in range(share.shape[0]):
            if tokens > capacity_tokens[i]:
                continue
            credit[i] += share[i]
            paid += share[i]
            if best < 0 or credit[i] > credit[best]:
                best = i
        if best >= 0:
            credit[best] -= paid
        dealt_to[r] = best


@jit
def run_dealt(
    dealt_to: NDArray[np.int32],
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """Run every replica on the requests dealt to it, to the end."""
    for r in range(dealt_to.shape[0]):
        if dealt_to[r] >= 0:
            enqueue(dealt_to[r], r, requests, replicas)
    for i in range(replicas.clock_s.shape[0]):
        advance(i, np.inf, limits, requests, replicas, gap_counts)


@jit
def run_least_outstanding(
    dealt_to: NDArray[np.int32],
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """Send each request, as it arrives, to the replica with the fewest outstanding tokens; run to the end.

    Outstanding are the tokens of the replica's unfinished requests that no step started before the
    arrival computes: prompt and output tokens still to be computed, those lost to preemption
    included. Ties go to the first replica.

    Args:
        dealt_to: (num_requests,) written in place; −1 where no replica can hold the request.
    """
    num_replicas = replicas.clock_s.shape[0]
    for r in range(dealt_to.shape[0]):
        tokens = peak_tokens(r, requests)
        best, fewest = -1, 0
        for i in range(num_replicas):
            if tokens > replicas.usable_blocks[i] << limits.block_shift:
                continue
            advance(i, requests.arrival_s[r], limits, requests, replicas, gap_counts)
            counters = replicas.counters[i]
            outstanding = counters[WORK] - counters[CACHED] - counters[PARTIAL_CACHED]
            if best < 0 or outstanding < fewest:
                best, fewest = i, outstanding
        dealt_to[r] = best
        if best >= 0:
            enqueue(best, r, requests, replicas)
    for i in range(num_replicas):
        advance(i, np.inf, limits, requests, replicas, gap_counts)
