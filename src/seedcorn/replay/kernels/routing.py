"""Which replica serves a request. A replica whose KV cache could never hold a request is not asked."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedcorn.replay.kernels._jit import jit
from seedcorn.replay.kernels.batching import (
    CACHED,
    DECODING,
    HEAD,
    PARTIAL,
    PARTIAL_CACHED,
    PREEMPTED,
    STEP,
    WORK,
    Limits,
    Replicas,
    Requests,
    advance,
    enqueue,
    last_step,
    run_s,
)


@jit
def peak_tokens(request: int, requests: Requests) -> int:
    """KV tokens that ``request`` holds in its last step; its last token is never cached."""
    return int(requests.input_tokens[request] + requests.output_tokens[request] - 1)


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


class Outlook(NamedTuple):
    """What is known of each replica's outstanding tokens without running it; all (R,).

    Until ``clock_s`` of the replica they are ``outstanding``. From then to ``until_s`` they are no
    fewer than that, less one step's tokens, less ``tokens_per_s`` for the time since; later, unknown.
    """

    outstanding: NDArray[np.int64]
    step_tokens: NDArray[np.int64]
    tokens_per_s: NDArray[np.float64]
    until_s: NDArray[np.float64]


@jit
def look(i: int, limits: Limits, replicas: Replicas, outlook: Outlook) -> None:
    """Renew replica ``i``'s outlook from its state.

    It reaches as far as pure decode steps are sure to follow: to the first completion, unless a
    prompt waits that could be admitted before or blocks may run out. No such step is shorter than
    the first.
    """
    counters, shift = replicas.counters[i], limits.block_shift
    decoding, cached = counters[DECODING], counters[CACHED]
    outlook.outstanding[i] = counters[WORK] - cached - counters[PARTIAL_CACHED]
    outlook.step_tokens[i], outlook.tokens_per_s[i] = 0, 0.0
    outlook.until_s[i] = replicas.clock_s[i]
    if counters[PARTIAL] >= 0 or counters[PREEMPTED] > 0:
        return
    if counters[HEAD] >= 0 and decoding < limits.max_num_seqs:
        return
    if decoding == 0:
        outlook.until_s[i] = np.inf
        return
    steps = last_step(replicas.decoding[i, 0]) - counters[STEP] + 1
    blocks = ((cached + (decoding << shift)) >> shift) + decoding * ((steps >> shift) + 1)
    if blocks > replicas.usable_blocks[i]:
        return
    model = replicas.model[i]
    first_s = replicas.dense_s[model, decoding] + replicas.context_s[model] * (cached + decoding)
    outlook.step_tokens[i], outlook.tokens_per_s[i] = decoding, decoding / first_s
    outlook.until_s[i] += run_s(first_s, replicas.context_s[model] * decoding, steps)


@jit
def bring_up(
    i: int,
    now_s: float,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    outlook: Outlook,
    gap_counts: NDArray[np.int64],
) -> None:
    """Run replica ``i`` up to ``now_s`` and renew its outlook."""
    advance(i, now_s, limits, requests, replicas, gap_counts)
    look(i, limits, replicas, outlook)


@jit
def fewest_outstanding(i: int, at_s: float, replicas: Replicas, outlook: Outlook) -> float:
    """Least outstanding tokens that replica ``i`` can have at ``at_s``, within its outlook."""
    since_s = at_s - replicas.clock_s[i]
    if since_s <= 0:
        return float(outlook.outstanding[i])
    return float(outlook.outstanding[i] - outlook.step_tokens[i] - since_s * outlook.tokens_per_s[i])


@jit
def run_least_outstanding(
    dealt_to: NDArray[np.int32],
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    outlook: Outlook,
    gap_counts: NDArray[np.int64],
) -> None:
    """Send each request, as it arrives, to the replica with the fewest outstanding tokens; run to the end.

    Outstanding are the tokens of the replica's unfinished requests that no step started before the
    arrival computes: prompt and output tokens still to be computed, those lost to preemption
    included. Ties go to the first replica. Only replicas that may have the fewest are brought up to
    date for an arrival; the others' outlook rules them out.

    Args:
        dealt_to: (num_requests,) written in place; −1 where no replica can hold the request.
    """
    num_replicas = replicas.clock_s.shape[0]
    for i in range(num_replicas):
        look(i, limits, replicas, outlook)
    for r in range(dealt_to.shape[0]):
        now_s, tokens = requests.arrival_s[r], peak_tokens(r, requests)
        likely, least = -1, 0.0
        for i in range(num_replicas):
            if now_s > outlook.until_s[i]:
                bring_up(i, now_s, limits, requests, replicas, outlook, gap_counts)
            if tokens <= replicas.usable_blocks[i] << limits.block_shift:
                fewest = fewest_outstanding(i, now_s, replicas, outlook)
                if likely < 0 or fewest < least:
                    likely, least = i, fewest
        dealt_to[r] = -1
        if likely < 0:
            continue
        bring_up(likely, now_s, limits, requests, replicas, outlook, gap_counts)
        best = likely
        for i in range(num_replicas):
            if i == likely or tokens > replicas.usable_blocks[i] << limits.block_shift:
                continue
            if fewest_outstanding(i, now_s, replicas, outlook) > outlook.outstanding[best]:
                continue
            bring_up(i, now_s, limits, requests, replicas, outlook, gap_counts)
            ahead = outlook.outstanding[best] - outlook.outstanding[i]
            if ahead > 0 or (ahead == 0 and i < best):
                best = i
        dealt_to[r] = best
        enqueue(best, r, requests, replicas)
        look(best, limits, replicas, outlook)
        outlook.until_s[best] = max(replicas.clock_s[best], now_s)
    for i in range(num_replicas):
        bring_up(i, np.inf, limits, requests, replicas, outlook, gap_counts)
