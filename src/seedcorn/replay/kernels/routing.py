"""Which replica serves a request.

A replica whose KV cache could never hold a request is not asked, nor one that takes none at the time. The
routers that look at replicas take ``sent``, the numbers of requests in the order in which they are sent,
none before an earlier call's, and write where each goes to ``dealt_to``: a replica, or why to none.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import inlined, jit
from seedcorn.replay.kernels.batching import (
    CACHED,
    DECODING,
    HEAD,
    PARTIAL,
    PARTIAL_CACHED,
    PREEMPTED,
    STEP,
    WAITING,
    WORK,
    Limits,
    Replicas,
    Requests,
    advance,
    blocks_after_decodes,
    enqueue,
    last_step,
    run_s,
    steps_until,
)
from seedcorn.replay.kernels.prefix import hit_blocks


@inlined
def peak_tokens(request: int, requests: Requests) -> int:
    """KV tokens that ``request`` holds in its last step; its last token is never cached."""
    return int(requests.input_tokens[request] + requests.output_tokens[request] - 1)


TOO_LONG, FULL, NONE_UP, SPILLED = -1, -2, -3, -4  # why a request goes to no replica


class Door(NamedTuple):
    """Which requests a replica's queue takes.

    Attributes:
        max_waiting: A replica with so many waiting requests, preempted ones included, takes no more.
        spill_waiting: One with so many sends them on
        spill_tokens: if they hold no more tokens than this at their end.
    """

    max_waiting: int
    spill_waiting: int
    spill_tokens: int


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
def enqueue_dealt(
    sent: NDArray[np.int64], dealt_to: NDArray[np.int32], requests: Requests, replicas: Replicas
) -> None:
    """Queue each of ``sent`` at its replica before any is run; those dealt to none (below 0) are left out."""
    for k in range(sent.shape[0]):
        i = int(dealt_to[sent[k]])
        if i >= 0:
            enqueue(i, sent[k], requests, replicas)


@jit
def run_until(
    until_s: float, limits: Limits, requests: Requests, replicas: Replicas, gap_counts: NDArray[np.int64]
) -> None:
    """Run every replica through the steps that start before ``until_s``."""
    for i in range(replicas.clock_s.shape[0]):
        advance(i, until_s, limits, requests, replicas, gap_counts)


@jit
def queue(i: int, request: int, door: Door, requests: Requests, replicas: Replicas) -> int:
    """Queue ``request`` at replica ``i`` if the door is open; ``i``, or why not."""
    waiting = replicas.counters[i, WAITING] + replicas.counters[i, PREEMPTED]
    if waiting >= door.spill_waiting and peak_tokens(request, requests) <= door.spill_tokens:
        return SPILLED
    if waiting >= door.max_waiting:
        return FULL
    enqueue(i, request, requests, replicas)
    return i


@jit
def refusal(tokens: int, limits: Limits, replicas: Replicas) -> int:
    """Why no replica is asked to hold ``tokens``."""
    for i in range(replicas.clock_s.shape[0]):
        if tokens <= replicas.usable_blocks[i] << limits.block_shift:
            return NONE_UP
    return TOO_LONG


@jit
def run_dealt(
    sent: NDArray[np.int64],
    dealt_to: NDArray[np.int32],
    door: Door,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """Send each request to the replica it was dealt to, if that one's queue takes it.

    Args:
        sent: (k,) whom to send, in order.
        dealt_to: (num_requests,) replicas that can hold them, or below 0; changed where the door is shut.
        door: Of every replica.
        limits: The scheduler's.
        requests: Results are written in place.
        replicas: Not run further than the doors need.
        gap_counts: (NUM_BINS,) gaps between tokens, added to in place.
    """
    for k in range(sent.shape[0]):
        r = sent[k]
        i = int(dealt_to[r])
        if i >= 0:
            advance(i, requests.arrival_s[r], limits, requests, replicas, gap_counts)
            dealt_to[r] = queue(i, r, door, requests, replicas)


@jit
def run_one(
    i: int,
    until_s: float,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """``advance``, not copied into its caller."""
    advance(i, until_s, limits, requests, replicas, gap_counts)


@jit
def next_able(i: int, tokens: int, limits: Limits, replicas: Replicas) -> int:
    """The first replica from ``i`` on, in a circle, that takes a request of ``tokens``; −1: none does."""
    num_replicas = replicas.clock_s.shape[0]
    for _ in range(num_replicas):
        if replicas.takes[i] and tokens <= replicas.usable_blocks[i] << limits.block_shift:
            return i
        i = (i + 1) % num_replicas
    return -1


@jit
def outstanding(i: int, replicas: Replicas) -> int:
    """Outstanding tokens of replica ``i`` at its clock: not yet computed, nor begun to be."""
    counters = replicas.counters[i]
    return int(counters[WORK] - counters[CACHED] - counters[PARTIAL_CACHED])


@jit
def run_power_of_two(
    sent: NDArray[np.int64],
    pairs: NDArray[np.int64],
    dealt_to: NDArray[np.int32],
    door: Door,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """Send each request, as it arrives, to the one of its pair of replicas with fewer outstanding tokens.

    A replica that does not take the request stands for the next one that does. Ties go to the first
    replica in order.

    Args:
        sent: (k,) whom to send, in order.
        pairs: (k, 2)
        dealt_to: (num_requests,) written in place.
        door: Of every replica.
        limits: The scheduler's.
        requests: Results are written in place.
        replicas: Not run further than the routing needs.
        gap_counts: (NUM_BINS,) gaps between tokens, added to in place.
    """
    for k in range(sent.shape[0]):
        r = sent[k]
        now_s, tokens = requests.arrival_s[r], peak_tokens(r, requests)
        best = next_able(int(pairs[k, 0]), tokens, limits, replicas)
        if best < 0:
            dealt_to[r] = refusal(tokens, limits, replicas)
            continue
        other = next_able(int(pairs[k, 1]), tokens, limits, replicas)
        for i in (best, other):
            advance(i, now_s, limits, requests, replicas, gap_counts)
        ahead = outstanding(best, replicas) - outstanding(other, replicas)
        if ahead > 0 or (ahead == 0 and other < best):
            best = other
        dealt_to[r] = queue(best, r, door, requests, replicas)


@jit
def run_least_work(
    sent: NDArray[np.int64],
    deducts_hits: bool,
    dealt_to: NDArray[np.int32],
    door: Door,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """Send each request, as it arrives, to the replica with the fewest outstanding tokens.

    All replicas are run up to every arrival: where prompts have something in common, a hit may take any
    number of tokens off what is outstanding, so nothing can be foretold. Ties go to the first in order.

    Args:
        sent: (k,) whom to send, in order.
        deducts_hits: Whether what a replica's cache holds of the request's prompt is taken off.
        dealt_to: (num_requests,) written in place.
        door: Of every replica.
        limits: The scheduler's.
        requests: Results are written in place.
        replicas: Run up to the last arrival.
        gap_counts: (NUM_BINS,) gaps between tokens, added to in place.
    """
    for k in range(sent.shape[0]):
        r = sent[k]
        tokens = peak_tokens(r, requests)
        best, least = -1, 0
        for i in range(replicas.clock_s.shape[0]):
            advance(i, requests.arrival_s[r], limits, requests, replicas, gap_counts)
            if not replicas.takes[i] or tokens > replicas.usable_blocks[i] << limits.block_shift:
                continue
            work = outstanding(i, replicas)
            if deducts_hits:
                hit = hit_blocks(i, r, int(requests.input_tokens[r]), replicas.prefixes)
                work -= hit * replicas.prefixes.block_tokens
            if best < 0 or work < least:
                best, least = i, work
        dealt_to[r] = (
            refusal(tokens, limits, replicas) if best < 0 else queue(best, r, door, requests, replicas)
        )


_NO_LIMIT = int(np.iinfo(np.int64).max)


class Outlook(NamedTuple):
    """What is known of each replica's outstanding tokens without running it; all (R,) but for the last two.

    Attributes:
        outstanding: Exact until ``next_s``.
        next_s: Start of the first step that is not counted in ``outstanding``; infinite when idle.
        until_s: End of the decode steps that are known; beyond it the replica must be run.
        sure_s: Until then no prompt is computed, so that the batch only shrinks.
        decoding: Tokens of each known step.
        first_s, growth_s: Known step j lasts ``first_s + j · growth_s``.
        steps: How many are known.
        started: How many of them are counted in ``outstanding``.
        near_s: Earliest time at which they may be ``mark`` or fewer.
        mark: (1,), tokens.
        peak_per_s: (M, max_num_seqs + 1), most tokens a second that so many sequences or fewer decode.
    """

    outstanding: NDArray[np.int64]
    next_s: NDArray[np.float64]
    until_s: NDArray[np.float64]
    sure_s: NDArray[np.float64]
    decoding: NDArray[np.int64]
    first_s: NDArray[np.float64]
    growth_s: NDArray[np.float64]
    steps: NDArray[np.int64]
    started: NDArray[np.int64]
    near_s: NDArray[np.float64]
    mark: NDArray[np.int64]
    peak_per_s: NDArray[np.float64]


class Near(NamedTuple):
    """The replicas that may have the fewest outstanding tokens until a horizon, in order; all (R,), scratch.

    ``due`` are the places of those that must be run.
    """

    replica: NDArray[np.int64]
    outstanding: NDArray[np.int64]
    next_s: NDArray[np.float64]
    due: NDArray[np.int64]


@jit
def look(i: int, limits: Limits, requests: Requests, replicas: Replicas, outlook: Outlook) -> None:
    """Renew replica ``i``'s outlook from its state.

    Steps are known up to the first completion, unless a prompt goes on or is admitted before, or
    blocks may run out.
    """
    counters, shift = replicas.counters[i], limits.block_shift
    decoding, cached, head = counters[DECODING], counters[CACHED], counters[HEAD]
    usable, clock_s = replicas.usable_blocks[i], replicas.clock_s[i]
    outlook.outstanding[i] = outstanding(i, replicas)
    outlook.steps[i] = outlook.started[i] = 0
    outlook.next_s[i] = outlook.until_s[i] = outlook.sure_s[i] = clock_s
    if counters[PARTIAL] >= 0 or counters[PREEMPTED] > 0:
        return
    if decoding == 0:
        if head < 0:
            outlook.next_s[i] = outlook.until_s[i] = outlook.sure_s[i] = np.inf
        return
    steps = last_step(replicas.decoding[i, 0]) - counters[STEP] + 1
    ample = (counters[WORK] + (decoding << shift)) >> shift <= usable  # for all of them to their ends
    if not ample or (head >= 0 and decoding < limits.max_num_seqs):
        free = usable - blocks_after_decodes(cached, counters[STEP], replicas.residues[i], shift)
        if head >= 0 and decoding < limits.max_num_seqs:
            chunk = min(requests.input_tokens[head], limits.max_num_batched_tokens - decoding)
            if (chunk + (1 << shift) - 1) >> shift <= free:
                return
        if free < 0:
            return
        steps = min(steps, 1 + (free // decoding << shift))
    model = replicas.model[i]
    outlook.decoding[i], outlook.steps[i] = decoding, steps
    outlook.first_s[i] = replicas.dense_s[model, decoding] + replicas.context_s[model] * (cached + decoding)
    outlook.growth_s[i] = replicas.context_s[model] * decoding
    outlook.until_s[i] = clock_s + run_s(outlook.first_s[i], outlook.growth_s[i], steps)
    outlook.sure_s[i] = np.inf if ample and head < 0 else outlook.until_s[i]


@inlined
def see_near(i: int, replicas: Replicas, outlook: Outlook) -> None:
    """Renew replica ``i``'s ``near_s`` from the rest of its outlook.

    A step of b tokens takes at least ``dense_s[b]``, so in t seconds steps of b tokens or fewer start to
    compute no more than one step's, and t times the peak. A token more allows for rounding.
    """
    mark = outlook.mark[0]
    if not replicas.takes[i]:
        outlook.near_s[i] = np.inf
        return
    if outlook.outstanding[i] <= mark:
        outlook.near_s[i] = -np.inf
        return
    near_s, decoding = outlook.next_s[i], outlook.decoding[i]
    above = outlook.outstanding[i] - decoding - 1 - mark
    if above > 0 and outlook.sure_s[i] > near_s:
        near_s += above / outlook.peak_per_s[replicas.model[i], decoding]
    outlook.near_s[i] = min(near_s, outlook.sure_s[i])


@jit
def set_mark(tokens: int, replicas: Replicas, outlook: Outlook) -> None:
    """Ask from now on who is near ``tokens``."""
    outlook.mark[0] = tokens
    for i in range(replicas.clock_s.shape[0]):
        see_near(i, replicas, outlook)


@inlined
def foresee(i: int, now_s: float, replicas: Replicas, outlook: Outlook) -> None:
    """Make replica ``i``'s outlook, which reaches to ``now_s``, exact there: without running it."""
    clock_s, first_s, growth_s = replicas.clock_s[i], outlook.first_s[i], outlook.growth_s[i]
    started = outlook.started[i] + 1  # mostly; so try it first
    if run_s(first_s, growth_s, started) < now_s - clock_s:
        started = steps_until(now_s - clock_s, first_s, growth_s, outlook.steps[i])
    outlook.outstanding[i] -= outlook.decoding[i] * (started - outlook.started[i])
    outlook.started[i] = started
    outlook.next_s[i] = clock_s + run_s(first_s, growth_s, started)
    see_near(i, replicas, outlook)


@inlined
def expect(i: int, tokens: int, now_s: float, outlook: Outlook) -> None:
    """Renew replica ``i``'s outlook, exact at ``now_s``, for a request of ``tokens`` that it was sent then.

    Nothing changes before the next step starts, at once in an idle replica; whom that one admits is not known.
    """
    starts_s = now_s if outlook.next_s[i] == np.inf else outlook.next_s[i]
    outlook.outstanding[i] += tokens
    outlook.next_s[i] = outlook.until_s[i] = outlook.sure_s[i] = starts_s


@inlined
def gather(until_s: float, outlook: Outlook, near: Near) -> int:
    """Collect in ``near`` every replica that may be at the mark or below until ``until_s``; how many."""
    count = 0
    for i in range(outlook.near_s.shape[0]):
        if outlook.near_s[i] <= until_s:
            near.replica[count] = i
            near.outstanding[count], near.next_s[count] = outlook.outstanding[i], outlook.next_s[i]
            count += 1
    return count


@jit
def run_least_outstanding(
    sent: NDArray[np.int64],
    dealt_to: NDArray[np.int32],
    door: Door,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    outlook: Outlook,
    near: Near,
    gap_counts: NDArray[np.int64],
) -> None:
    """Send each request, as it arrives, to the replica with the fewest outstanding tokens.

    Outstanding are the tokens of the replica's unfinished requests that no step started before the
    arrival computes: prompt and output tokens still to be computed, those lost to preemption
    included. Ties go to the first replica.

    An arrival looks at the near replicas alone. The others are known to have more outstanding tokens
    than the mark until the horizon, some arrivals ahead. When the horizon is reached the near are
    gathered anew; when the fewest of the near exceed the mark, it is set above these first. Where it
    is set decides how many are near, and so how long this takes, not what comes out.

    Args:
        sent: (k,) whom to send, in order.
        dealt_to: (num_requests,) written in place.
        door: Of every replica.
        limits: The scheduler's.
        requests: Results are written in place.
        replicas: Not run further than the routing needs.
        outlook: Renewed at the start.
        near: Scratch.
        gap_counts: (NUM_BINS,) gaps between tokens, added to in place.
    """
    num_sent, num_replicas = sent.shape[0], replicas.clock_s.shape[0]
    ahead = max(
        int(np.sqrt(num_replicas)), 8
    )  # one pass over all replicas an arrival costs as much as one over the near
    capacity_tokens, least_capacity = 0, _NO_LIMIT
    for i in range(num_replicas):
        look(i, limits, requests, replicas, outlook)
        if replicas.takes[i]:
            held = replicas.usable_blocks[i] << limits.block_shift
            capacity_tokens, least_capacity = max(capacity_tokens, held), min(least_capacity, held)
    is_limited = door.max_waiting < _NO_LIMIT >> 1 or door.spill_tokens > 0
    until_s, width, fewest, count = -np.inf, 1000.0, 0, 0
    set_mark(int(width), replicas, outlook)
    for n in range(num_sent):
        r = sent[n]
        now_s, tokens = requests.arrival_s[r], peak_tokens(r, requests)
        if tokens > capacity_tokens:
            dealt_to[r] = refusal(tokens, limits, replicas)
            continue
        if now_s > until_s:
            until_s = requests.arrival_s[sent[min(n + ahead, num_sent - 1)]]
            if count > 5 * ahead:
                width *= 0.7
                set_mark(fewest + int(width), replicas, outlook)
            count = gather(until_s, outlook, near)
        best, at = num_replicas, 0
        while best == num_replicas:
            num_due = 0
            for k in range(count):
                if now_s > near.next_s[k]:
                    i = int(near.replica[k])
                    if now_s > outlook.until_s[i]:
                        near.due[num_due] = k
                        num_due += 1
                    else:
                        foresee(i, now_s, replicas, outlook)
                        near.outstanding[k], near.next_s[k] = outlook.outstanding[i], outlook.next_s[i]
            for due in range(num_due):
                k = near.due[due]
                i = int(near.replica[k])
                advance(i, now_s, limits, requests, replicas, gap_counts)
                look(i, limits, requests, replicas, outlook)
                see_near(i, replicas, outlook)
                near.outstanding[k], near.next_s[k] = outlook.outstanding[i], outlook.next_s[i]
            fewest = _NO_LIMIT
            if tokens <= least_capacity:  # a loop that the processor takes in strides
                for k in range(count):
                    fewest = min(fewest, near.outstanding[k])
                at = 0
                while at < count and near.outstanding[at] > fewest:
                    at += 1
                best = near.replica[at] if at < count else num_replicas
            else:
                for k in range(count):
                    i = near.replica[k]
                    held = replicas.usable_blocks[i] << limits.block_shift
                    if near.outstanding[k] < fewest and tokens <= held:
                        fewest, best, at = near.outstanding[k], i, k
            if fewest > outlook.mark[0]:
                best = num_replicas
                width = max(1.2 * width, 1.0)
                set_mark(min(fewest, _NO_LIMIT >> 1) + int(width), replicas, outlook)
                count = gather(until_s, outlook, near)
        if is_limited:  # who waits now is known of a replica that was run up to now alone
            run_one(best, now_s, limits, requests, replicas, gap_counts)
            look(best, limits, requests, replicas, outlook)
        dealt_to[r] = queue(best, r, door, requests, replicas)
        if dealt_to[r] >= 0:
            expect(best, tokens, now_s, outlook)
        see_near(best, replicas, outlook)
        near.outstanding[at], near.next_s[at] = outlook.outstanding[best], outlook.next_s[best]
