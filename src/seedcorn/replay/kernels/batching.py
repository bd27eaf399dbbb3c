"""Continuous batching on one replica, from event to event: the exact simulator's only loop.

Three facts keep the state small. Every decoding sequence emits one token in every step, so when it
will finish is known (as a step number) the moment it starts to decode. Requests are admitted and
preempted by rank (level of priority, then arrival), so whoever is preempted is the running request of
the greatest rank, and the preempted ones are a stack. And the blocks that a set of sequences holds
follow from their summed lengths and from how many have each length modulo the block size, so nothing
is counted block by block. ``docs/explanation/replay.md`` proves what is skipped.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import inlined, jit
from seedcorn.replay.kernels.gaps import add_run
from seedcorn.replay.kernels.heap import push, remove
from seedcorn.replay.kernels.prefix import (
    IDLE,
    SHARED,
    Prefixes,
    clear,
    evict,
    forget_uses,
    hit_blocks,
    hit_blocks_in_use,
    release,
    remember,
    use_hits,
)

# Columns of Replicas.counters.
STEP = 0  # steps run so far: the number of the next one
DECODING = 1  # sequences in the heap
CACHED = 2  # KV tokens that they hold
HEAD = 3  # first queued request, -1 when there is none
WAITING = 4  # how many are queued
PARTIAL = 5  # the request whose prompt is partly computed, -1 when there is none
PARTIAL_CACHED = 6  # KV tokens that it holds
PARTIAL_GENERATED = 7  # output tokens that it had before it was preempted
PREEMPTED = 8  # height of the stack of preempted requests
FREED = 9  # blocks ever given back to the free queue
REUSED = 10  # blocks ever taken back out of the free queue by the sequence that filled them
WORK = 11  # tokens to compute of all unfinished requests, those already in the cache included
NUM_COUNTERS = 12

# Columns of Replicas.preempted.
REQUEST, GENERATED, BLOCKS, FULL_BLOCKS, MARK = 0, 1, 2, 3, 4
NUM_PREEMPTED_COLUMNS = 5

ID_BITS = 32  # a heap key is (number of the last step) << 32 | request
LEVEL_SHIFT = 48  # a rank is (level of priority) << 48 | place in the order of arrival


class Limits(NamedTuple):
    """The scheduler's limits, the same for all replicas of a run; ``block_size = 1 << block_shift``."""

    max_num_seqs: int
    max_num_batched_tokens: int
    block_shift: int
    prefix_caching: bool


class Requests(NamedTuple):
    """What arrives, how it is queued, and what becomes of it; all (num_requests,).

    ``arrival_s`` is when a request was sent to its replica. Who has the least ``rank`` is admitted first
    and preempted last; it is given anew to a request that is sent again. ``loaded`` are the tokens of its
    prompt, fewer than all, whose KV comes with the request and is in the cache when it is first admitted.
    ``next_queued`` chains each replica's queue by rank, −1 at the end. The last three are results.
    """

    arrival_s: NDArray[np.float64]
    input_tokens: NDArray[np.int32]
    output_tokens: NDArray[np.int32]
    loaded: NDArray[np.int32]
    rank: NDArray[np.int64]
    next_queued: NDArray[np.int32]
    first_token_s: NDArray[np.float64]
    finish_s: NDArray[np.float64]
    preemptions: NDArray[np.int32]


class Replicas(NamedTuple):
    """Resumable state of R replicas, of M different step models, that serve requests of L levels of priority.

    Attributes:
        dense_s: (M, max_num_batched_tokens + 1), seconds that depend on a step's tokens alone.
        context_s: (M,), per KV token read by a decode.
        pair_s: (M,), per (query, key) pair of a prefill.
        model: (R,), row of the above.
        usable_blocks: (R,)
        takes: (R,), whether routers send it requests.
        clock_s: (R,), the last step boundary.
        busy_s: (R,), time spent in steps.
        counters: (R, NUM_COUNTERS)
        tails: (R, L), last queued request of each level, −1 where there is none.
        decoding: (R, max_num_seqs), heap of (last step, request).
        residues: (R, block_size), decoding sequences by (cached tokens − next step) modulo block size.
        preempted: (R, max_num_seqs, NUM_PREEMPTED_COLUMNS), stack.
        last_token_s: (R, max_num_seqs + 1), time of each preempted request's last token; the last
            place is the partial one's.
        emerging: (max_num_seqs, 2) and
        emerging_s: (max_num_seqs,), scratch: requests whose prompt the step completes, the tokens
            they had generated, and when the last of these came.
        prefixes: What prompts have in common. Where they have something, a preempted request finds what the
            cache holds of its prompt, and nothing else.
    """

    dense_s: NDArray[np.float64]
    context_s: NDArray[np.float64]
    pair_s: NDArray[np.float64]
    model: NDArray[np.int64]
    usable_blocks: NDArray[np.int64]
    takes: NDArray[np.bool_]
    clock_s: NDArray[np.float64]
    busy_s: NDArray[np.float64]
    counters: NDArray[np.int64]
    tails: NDArray[np.int64]
    decoding: NDArray[np.int64]
    residues: NDArray[np.int64]
    preempted: NDArray[np.int64]
    last_token_s: NDArray[np.float64]
    emerging: NDArray[np.int64]
    emerging_s: NDArray[np.float64]
    prefixes: Prefixes


@jit
def room(i: int, limits: Limits, replicas: Replicas) -> int:
    """Blocks that replica ``i``'s sequences may hold, those that several share counted for each."""
    prefixes = replicas.prefixes
    twice = prefixes.counters[i, SHARED] * (prefixes.block_tokens >> limits.block_shift)
    return int(replicas.usable_blocks[i] + twice)


@jit
def last_step(key: int) -> int:
    """The step in which the sequence of a heap key emits its last token."""
    return key >> ID_BITS


@jit
def blocks_held(cached: int, step: int, residues: NDArray[np.int64], shift: int) -> int:
    """KV blocks that the decoding sequences hold: Σ ceil(tokens / block size), from the residues."""
    mask = (1 << shift) - 1
    padding = 0
    for residue in range(mask + 1):
        padding += residues[residue] * (-(residue + step) & mask)
    return (cached + padding) >> shift


@jit
def blocks_after_decodes(cached: int, step: int, residues: NDArray[np.int64], shift: int) -> int:
    """``blocks_held``, and those that the decodes of step ``step`` take: of sequences whose last block is full."""
    return blocks_held(cached, step, residues, shift) + int(residues[-step & ((1 << shift) - 1)])


@jit
def steps_that_fit(free: int, decoding: int, step: int, residues: NDArray[np.int64], shift: int) -> int:
    """Decode steps that ``free`` blocks last for. Each block size of steps takes one block a sequence."""
    mask = (1 << shift) - 1
    rounds = free // decoding
    left = free - rounds * decoding
    steps = rounds << shift
    while residues[-(step + steps) & mask] <= left:
        left -= residues[-(step + steps) & mask]
        steps += 1
    return steps


@jit
def run_s(first_s: float, growth_s: float, steps: int) -> float:
    """Seconds of ``steps`` steps in a row that last ``first_s + j · growth_s``."""
    return steps * first_s + growth_s * (0.5 * steps * (steps - 1))


@jit
def steps_until(wait_s: float, first_s: float, growth_s: float, most: int) -> int:
    """Fewest steps that take at least ``wait_s``, at least one and no more than ``most``.

    The root of growth/2 · n² + (first − growth/2) · n = wait, then fixed up for rounding.
    """
    if run_s(first_s, growth_s, most) < wait_s:
        return most
    linear_s = first_s - 0.5 * growth_s
    root = 2.0 * wait_s / (linear_s + np.sqrt(linear_s * linear_s + 2.0 * growth_s * wait_s))
    steps = min(max(int(root), 1), most)
    while steps > 1 and run_s(first_s, growth_s, steps - 1) >= wait_s:
        steps -= 1
    while steps < most and run_s(first_s, growth_s, steps) < wait_s:
        steps += 1
    return steps


@jit
def preempt_one(i: int, limits: Limits, requests: Requests, replicas: Replicas) -> None:
    """Take its blocks from replica ``i``'s running request of the greatest rank; they join the free queue.

    ``MARK`` is the free queue's history before these blocks: blocks freed less blocks reused. As
    the last preempted is the first resumed, nothing is ever reused from in front of them, so the
    blocks evicted since are (freed − reused − free now) − mark, the tail of the sequence first.
    """
    counters, stack, rank = replicas.counters[i], replicas.preempted[i], requests.rank
    heap, size, step = replicas.decoding[i], counters[DECODING], counters[STEP]
    shift = limits.block_shift
    height = counters[PREEMPTED]
    at, victim = -1, counters[PARTIAL]
    for place in range(size):
        request = heap[place] & ((1 << ID_BITS) - 1)
        if victim < 0 or rank[request] > rank[victim]:
            at, victim = place, request
    if at < 0:
        generated = counters[PARTIAL_GENERATED]
        cached = counters[PARTIAL_CACHED]
        replicas.last_token_s[i, height] = replicas.last_token_s[i, -1]
        counters[PARTIAL] = -1
        counters[PARTIAL_CACHED] = 0
    else:
        generated = requests.output_tokens[victim] - (last_step(heap[at]) - step + 1)
        cached = requests.input_tokens[victim] + generated - 1
        remove(heap, size, at)
        counters[DECODING] -= 1
        counters[CACHED] -= cached
        replicas.residues[i, (cached - step) & ((1 << shift) - 1)] -= 1
        replicas.last_token_s[i, height] = replicas.clock_s[i]
    stack[height, REQUEST] = victim
    stack[height, GENERATED] = generated
    stack[height, BLOCKS] = (cached + (1 << shift) - 1) >> shift
    shares = replicas.prefixes.block_tokens > 0
    stack[height, FULL_BLOCKS] = cached >> shift if limits.prefix_caching and not shares else 0
    if shares:
        release(i, victim, replicas.prefixes)
    stack[height, MARK] = counters[FREED] - counters[REUSED]
    counters[FREED] += stack[height, BLOCKS]
    counters[PREEMPTED] = height + 1
    requests.preemptions[victim] += 1


@jit
def make_room(i: int, blocks: int, limits: Limits, requests: Requests, replicas: Replicas) -> None:
    """Preempt until all decodes of the next step find their blocks, and the partly computed prompt ``blocks`` more.

    That prompt may be preempted itself; then it wants none.
    """
    counters, shift = replicas.counters[i], limits.block_shift
    mask = (1 << shift) - 1
    while True:
        held = (counters[PARTIAL_CACHED] + mask) >> shift
        held += blocks_after_decodes(counters[CACHED], counters[STEP], replicas.residues[i], shift)
        if counters[PARTIAL] >= 0:
            held += blocks
        if held <= room(i, limits, replicas):
            return
        preempt_one(i, limits, requests, replicas)


@inlined
def advance(
    i: int,
    until_s: float,
    limits: Limits,
    requests: Requests,
    replicas: Replicas,
    gap_counts: NDArray[np.int64],
) -> None:
    """Run replica ``i`` through every step that starts before ``until_s``.

    Stops at the first step boundary that is not before ``until_s``, or when nothing is left to do.

    Args:
        i: Which replica.
        until_s: May be infinite: run until all queued requests are done.
        limits: The scheduler's.
        requests: Results are written in place.
        replicas: State, changed in place.
        gap_counts: (NUM_BINS,) gaps between tokens, added to in place.
    """
    max_num_seqs, shift = limits.max_num_seqs, limits.block_shift
    mask = (1 << shift) - 1
    arrival_s, input_tokens, output_tokens = requests.arrival_s, requests.input_tokens, requests.output_tokens
    loaded = requests.loaded
    counters, heap, residues = replicas.counters[i], replicas.decoding[i], replicas.residues[i]
    stack, last_token_s, tails = replicas.preempted[i], replicas.last_token_s[i], replicas.tails[i]
    emerging, emerging_s = replicas.emerging, replicas.emerging_s
    dense_s = replicas.dense_s[replicas.model[i]]
    context_s, pair_s = replicas.context_s[replicas.model[i]], replicas.pair_s[replicas.model[i]]
    prefixes, shares = replicas.prefixes, replicas.prefixes.block_tokens > 0
    entry_blocks = prefixes.block_tokens >> shift
    usable = room(i, limits, replicas)

    clock_s, busy_s = replicas.clock_s[i], replicas.busy_s[i]
    step, decoding, cached = counters[STEP], counters[DECODING], counters[CACHED]
    head, freed, work = counters[HEAD], counters[FREED], counters[WORK]
    waiting, has_levels = counters[WAITING], tails.shape[0] > 1
    partial, partial_cached = counters[PARTIAL], counters[PARTIAL_CACHED]
    partial_generated = counters[PARTIAL_GENERATED]
    while True:
        if decoding == 0 and partial < 0 and counters[PREEMPTED] == 0:
            if head < 0:
                break
            clock_s = max(clock_s, arrival_s[head])
        if clock_s >= until_s:
            break

        # 1. Decoding sequences take their blocks; while these do not suffice, the one of the greatest rank goes.
        # A lower bound on the free blocks is enough until memory is tight.
        preempted, exact = False, False
        granted = (partial_cached + mask) >> shift  # blocks of sequences that are not decoding
        free = usable - granted - ((cached + mask * decoding) >> shift) - decoding
        if free < 0:
            exact = True
            free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
            if free < 0:
                preempted = True
                counters[STEP], counters[DECODING], counters[CACHED] = step, decoding, cached
                counters[FREED], replicas.clock_s[i] = freed, clock_s
                counters[PARTIAL], counters[PARTIAL_CACHED] = partial, partial_cached
                counters[PARTIAL_GENERATED] = partial_generated
                make_room(i, 0, limits, requests, replicas)
                usable = room(i, limits, replicas)
                decoding, cached, freed = counters[DECODING], counters[CACHED], counters[FREED]
                partial, partial_cached = counters[PARTIAL], counters[PARTIAL_CACHED]
                granted = (partial_cached + mask) >> shift
                free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
        running = decoding
        budget = limits.max_num_batched_tokens - decoding
        pairs, read = 0.0, 0
        num_emerging = 0

        # 2. The partly computed prompt, always the last admitted, goes on with what is left.
        if partial >= 0:
            tokens = input_tokens[partial] + partial_generated
            chunk = min(tokens - partial_cached, budget)
            grown = (partial_cached + chunk + mask) >> shift
            if grown - granted > free and not exact:
                exact = True
                free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
            if grown - granted > free:
                preempted = True
                counters[STEP], counters[DECODING], counters[CACHED] = step, decoding, cached
                counters[FREED], replicas.clock_s[i] = freed, clock_s
                counters[PARTIAL], counters[PARTIAL_CACHED] = partial, partial_cached
                counters[PARTIAL_GENERATED] = partial_generated
                make_room(i, grown - granted, limits, requests, replicas)
                usable = room(i, limits, replicas)
                decoding, cached, freed = counters[DECODING], counters[CACHED], counters[FREED]
                partial, partial_cached = counters[PARTIAL], counters[PARTIAL_CACHED]
                granted = (partial_cached + mask) >> shift
                free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
                running = decoding
                budget = limits.max_num_batched_tokens - decoding
            if partial >= 0:
                free -= grown - granted
                granted = grown
                running += 1
                budget -= chunk
                pairs += chunk * (partial_cached + 0.5 * (chunk + 1))
                partial_cached += chunk
                if partial_cached == tokens:
                    emerging[0, 0], emerging[0, 1] = partial, partial_generated
                    emerging_s[0] = last_token_s[-1]
                    num_emerging = 1
                    partial, partial_cached = -1, 0

        # 3. Unless something was preempted, waiting requests are admitted by rank: of each level the preempted first.
        blocked = False
        if shares:
            exact = True
            free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
            evict(i, free // entry_blocks, prefixes)
        while not preempted and budget > 0 and running < max_num_seqs:
            height = counters[PREEMPTED]
            start, generated = 0, 0
            arrived = head >= 0 and arrival_s[head] <= clock_s
            resumes = height > 0 and not (
                has_levels and arrived and requests.rank[head] < requests.rank[stack[height - 1, REQUEST]]
            )
            if resumes:
                if not exact:
                    exact = True
                    free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
                top = stack[height - 1]
                request, generated = top[REQUEST], top[GENERATED]
                evicted = freed - counters[REUSED] - free - top[MARK]
                start = max(min(top[BLOCKS] - max(evicted, 0), top[FULL_BLOCKS]), 0) << shift
            elif arrived:
                request = head
                start = loaded[request]
            else:
                break
            tokens = input_tokens[request] + generated
            hit, in_use = 0, 0
            if shares and start == 0:
                hit = hit_blocks(i, request, tokens, prefixes)
                in_use = hit_blocks_in_use(i, request, hit, prefixes) * entry_blocks
                start = hit * prefixes.block_tokens
            chunk = min(tokens - start, budget)
            blocks = (start + chunk + mask) >> shift
            if blocks > free and not exact:
                exact = True
                free = usable - granted - blocks_after_decodes(cached, step, residues, shift)
            if blocks - in_use > free:
                blocked = True
                break
            free -= blocks - in_use
            granted += blocks
            if hit > 0:
                use_hits(i, request, hit, prefixes)
                usable += in_use
            if shares:
                evict(i, free // entry_blocks, prefixes)
            running += 1
            budget -= chunk
            if not resumes and hit == 0 < start == tokens - 1:  # its KV came with it: a decode
                read += tokens
            else:
                pairs += chunk * (start + 0.5 * (chunk + 1))
            token_s = 0.0
            if resumes:
                counters[PREEMPTED] = height - 1
                counters[REUSED] += 0 if shares else start >> shift
                token_s = last_token_s[height - 1]
            else:
                head = requests.next_queued[head]
                waiting -= 1
                level = requests.rank[request] >> LEVEL_SHIFT if has_levels else 0
                if tails[level] == request:
                    tails[level] = -1
            if start + chunk == tokens:
                emerging[num_emerging, 0], emerging[num_emerging, 1] = request, generated
                emerging_s[num_emerging] = token_s
                num_emerging += 1
            else:
                partial, partial_cached, partial_generated = request, start + chunk, generated
                last_token_s[-1] = token_s

        # 4. One step with a prefill in it, or as many pure decode steps as nothing can interrupt.
        tokens = limits.max_num_batched_tokens - budget
        first_s = dense_s[tokens] + context_s * (cached + decoding + read) + pair_s * pairs
        growth_s = 0.0
        steps = 1
        if tokens == decoding and not preempted:
            growth_s = context_s * decoding
            steps = last_step(heap[0]) - step + 1
            if decoding * ((steps >> shift) + 1) > free:
                free = usable - blocks_held(cached, step, residues, shift)
                steps = min(steps, steps_that_fit(free, decoding, step, residues, shift))
            if shares and blocked:  # who is blocked may need less once some of its blocks are evicted
                free = usable - blocks_held(cached, step, residues, shift)
                free -= prefixes.counters[i, IDLE] * entry_blocks
                steps = min(steps, steps_that_fit(free, decoding, step, residues, shift))
            wake_s = until_s
            if head >= 0 and running < max_num_seqs and not blocked:
                wake_s = min(wake_s, arrival_s[head])
            steps = steps_until(wake_s - clock_s, first_s, growth_s, steps)
        took_s = run_s(first_s, growth_s, steps)
        if decoding > 0:
            add_run(first_s, growth_s, steps, decoding, gap_counts)
        clock_s += took_s
        busy_s += took_s
        step += steps
        cached += decoding * steps

        if shares:  # what the steps took, before anything is given back
            free = usable - granted - blocks_held(cached, step, residues, shift)
            evict(i, free // entry_blocks, prefixes)

        # 5. Who emitted its last token leaves; whose prompt is complete has emitted one and decodes.
        while decoding > 0 and last_step(heap[0]) < step:
            request = heap[0] & ((1 << ID_BITS) - 1)
            remove(heap, decoding, 0)
            tokens = input_tokens[request] + output_tokens[request] - 1
            decoding -= 1
            cached -= tokens
            residues[(tokens - step) & mask] -= 1
            freed += (tokens + mask) >> shift
            work -= tokens
            requests.finish_s[request] = clock_s
            if shares:
                release(i, request, prefixes)
        for e in range(num_emerging):
            request, generated = emerging[e, 0], emerging[e, 1]
            tokens = input_tokens[request] + generated
            if shares:
                remember(i, request, prefixes)
            if generated == 0:
                requests.first_token_s[request] = clock_s
            else:
                add_run(clock_s - emerging_s[e], 0.0, 1, 1, gap_counts)
            left = output_tokens[request] - generated - 1
            if left == 0:
                freed += (tokens + mask) >> shift
                work -= tokens
                requests.finish_s[request] = clock_s
                if shares:
                    release(i, request, prefixes)
            else:
                push(heap, decoding, (step + left - 1) << ID_BITS | request)
                decoding += 1
                cached += tokens
                residues[(tokens - step) & mask] += 1
        if shares:
            usable = room(i, limits, replicas)

    replicas.clock_s[i], replicas.busy_s[i] = clock_s, busy_s
    counters[STEP], counters[DECODING], counters[CACHED] = step, decoding, cached
    counters[HEAD], counters[WAITING], counters[FREED], counters[WORK] = head, waiting, freed, work
    counters[PARTIAL], counters[PARTIAL_CACHED] = partial, partial_cached
    counters[PARTIAL_GENERATED] = partial_generated


@jit
def enqueue(i: int, request: int, requests: Requests, replicas: Replicas) -> None:
    """Put ``request`` into replica ``i``'s queue: behind all of its level or a lesser one."""
    counters, tails, next_queued = replicas.counters[i], replicas.tails[i], requests.next_queued
    level = requests.rank[request] >> LEVEL_SHIFT if tails.shape[0] > 1 else 0
    before = tails[level]
    at = level
    while before < 0 and at > 0:
        at -= 1
        before = tails[at]
    if before < 0:
        next_queued[request] = counters[HEAD]
        counters[HEAD] = request
    else:
        next_queued[request] = next_queued[before]
        next_queued[before] = request
    tails[level] = request
    counters[WAITING] += 1
    counters[WORK] += requests.input_tokens[request] + requests.output_tokens[request] - 1


@jit
def num_unfinished(i: int, replicas: Replicas) -> int:
    """Requests sent to replica ``i`` that are not done: queued, preempted and running."""
    counters = replicas.counters[i]
    running = counters[DECODING] + (1 if counters[PARTIAL] >= 0 else 0)
    return int(counters[WAITING] + counters[PREEMPTED] + running)


@jit
def lose(
    i: int, requests: Requests, replicas: Replicas, lost: NDArray[np.int64], last_token_s: NDArray[np.float64]
) -> None:
    """Empty replica ``i``: whatever it has not finished is lost with its cache.

    Args:
        i: Which replica.
        requests: What was known of the lost ones is forgotten, but for their preemptions.
        replicas: Replica ``i`` is idle afterwards.
        lost: (num_unfinished,) written in place, in no order.
        last_token_s: (num_unfinished,) written in place: when each emitted its last token; NaN where it never had.
    """
    counters, stack = replicas.counters[i], replicas.preempted[i]
    count = 0
    request = counters[HEAD]
    while request >= 0:
        lost[count], last_token_s[count] = request, np.nan
        count += 1
        request = requests.next_queued[request]
    for place in range(counters[DECODING]):
        lost[count] = replicas.decoding[i, place] & ((1 << ID_BITS) - 1)
        last_token_s[count] = replicas.clock_s[i]
        count += 1
    for height in range(counters[PREEMPTED]):
        lost[count] = stack[height, REQUEST]
        last_token_s[count] = replicas.last_token_s[i, height] if stack[height, GENERATED] > 0 else np.nan
        count += 1
    if counters[PARTIAL] >= 0:
        lost[count] = counters[PARTIAL]
        last_token_s[count] = replicas.last_token_s[i, -1] if counters[PARTIAL_GENERATED] > 0 else np.nan
        count += 1
    for k in range(count):
        requests.next_queued[lost[k]] = -1
        if replicas.prefixes.block_tokens > 0:
            forget_uses(lost[k], replicas.prefixes)
    clear(i, replicas.prefixes)
    steps = counters[STEP]
    counters[:] = 0
    counters[STEP] = steps
    counters[HEAD] = counters[PARTIAL] = -1
    replicas.tails[i, :] = -1
    replicas.residues[i, :] = 0
