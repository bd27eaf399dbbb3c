"""What prompts have in common, and which of it a replica still holds: a cache of prompt blocks, least recently used first out.

A prompt is known by the ids of its blocks (a trace's ``hash_ids``): equal ids up to some block mean equal
prompts up to there. Blocks of running sequences are held once, however many use them; blocks that
nobody uses stay until their memory is wanted, those used longest ago first, and of one prompt the last first.
Entries of a replica are numbered: a hash table of chains finds them, a doubly linked list keeps the order.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit

# Columns of Prefixes.counters.
IDLE = 0  # entries that nobody uses
SHARED = 1  # uses of entries beyond the first
VACANT = 2  # first unused entry, -1 when there is none
HIT = 3  # prompt tokens that were found in the cache, in all
NUM_COUNTERS = 4

NONE = -1
_MIX = np.uint64(
    0x9E3779B97F4A7C15
)  # 2^64 over the golden ratio (Knuth, TAOCP vol. 3, 6.4): spreads successive ids


class Prefixes(NamedTuple):
    """Prompts as blocks, and R replicas' caches of E entries each.

    Attributes:
        block_tokens: Tokens of one block; 0: prompts have nothing in common.
        first: (num_requests + 1,), where the blocks of each request start in the next two.
        ids: (num_blocks,)
        used: (num_blocks,), entry of its replica's cache that the request uses for the block, −1 for none.
        bucket: (R, buckets), first entry of each chain; buckets are a power of two.
        chain: (R, E), next entry of the chain; of vacant entries the next vacant one.
        id: (R, E), the block that the entry holds.
        uses: (R, E), sequences that use it.
        older, newer: (R, E + 1), neighbours among the idle ones; place E is both ends of the list.
        counters: (R, NUM_COUNTERS)
    """

    block_tokens: int
    first: NDArray[np.int64]
    ids: NDArray[np.int64]
    used: NDArray[np.int32]
    bucket: NDArray[np.int32]
    chain: NDArray[np.int32]
    id: NDArray[np.int64]
    uses: NDArray[np.int32]
    older: NDArray[np.int32]
    newer: NDArray[np.int32]
    counters: NDArray[np.int64]


@jit
def _bucket_of(block: int, buckets: int) -> int:
    return int((np.uint64(block) * _MIX) >> np.uint64(32)) & (buckets - 1)


@jit
def find(i: int, block: int, prefixes: Prefixes) -> int:
    """Entry of replica ``i`` that holds ``block``, −1 if none does."""
    entry = prefixes.bucket[i, _bucket_of(block, prefixes.bucket.shape[1])]
    while entry >= 0 and prefixes.id[i, entry] != block:
        entry = prefixes.chain[i, entry]
    return int(entry)


@jit
def hit_blocks(i: int, request: int, tokens: int, prefixes: Prefixes) -> int:
    """Blocks from the prompt's start on that replica ``i`` holds, of as many as leave one of ``tokens`` to compute."""
    start, end = prefixes.first[request], prefixes.first[request + 1]
    most = min(end - start, (tokens - 1) // prefixes.block_tokens)
    hit = 0
    while hit < most and find(i, prefixes.ids[start + hit], prefixes) >= 0:
        hit += 1
    return hit


@jit
def hit_blocks_in_use(i: int, request: int, hit: int, prefixes: Prefixes) -> int:
    """How many of the first ``hit`` blocks some sequence uses: these take no more memory."""
    start = prefixes.first[request]
    in_use = 0
    for k in range(start, start + hit):
        if prefixes.uses[i, find(i, prefixes.ids[k], prefixes)] > 0:
            in_use += 1
    return in_use


@jit
def use_hits(i: int, request: int, hit: int, prefixes: Prefixes) -> None:
    """``request`` uses the first ``hit`` blocks of its prompt, which replica ``i`` holds."""
    start, counters = prefixes.first[request], prefixes.counters[i]
    counters[HIT] += hit * prefixes.block_tokens
    for k in range(start, start + hit):
        entry = find(i, prefixes.ids[k], prefixes)
        if prefixes.uses[i, entry] == 0:
            _unlink(i, entry, prefixes)
            counters[IDLE] -= 1
        else:
            counters[SHARED] += 1
        prefixes.uses[i, entry] += 1
        prefixes.used[k] = entry


@jit
def remember(i: int, request: int, prefixes: Prefixes) -> None:
    """The prompt of ``request`` is computed: those of its blocks that replica ``i`` does not hold yet can be found from now on."""
    for k in range(prefixes.first[request], prefixes.first[request + 1]):
        if prefixes.used[k] >= 0 or find(i, prefixes.ids[k], prefixes) >= 0:
            continue  # another sequence computed the same: both keep their own, and one can be found
        entry = prefixes.counters[i, VACANT]
        assert entry >= 0  # there are as many entries as blocks in memory
        prefixes.counters[i, VACANT] = prefixes.chain[i, entry]
        b = _bucket_of(prefixes.ids[k], prefixes.bucket.shape[1])
        prefixes.chain[i, entry] = prefixes.bucket[i, b]
        prefixes.bucket[i, b] = entry
        prefixes.id[i, entry] = prefixes.ids[k]
        prefixes.uses[i, entry] = 1
        prefixes.used[k] = entry


@jit
def release(i: int, request: int, prefixes: Prefixes) -> None:
    """``request`` uses its blocks no more: those that nobody uses are idle, the prompt's last the first to go."""
    counters = prefixes.counters[i]
    for k in range(prefixes.first[request + 1] - 1, prefixes.first[request] - 1, -1):
        entry = prefixes.used[k]
        if entry < 0:
            continue
        prefixes.used[k] = NONE
        prefixes.uses[i, entry] -= 1
        if prefixes.uses[i, entry] > 0:
            counters[SHARED] -= 1
        else:
            _link_newest(i, entry, prefixes)
            counters[IDLE] += 1


@jit
def forget_uses(request: int, prefixes: Prefixes) -> None:
    """``request`` uses nothing: its replica is lost."""
    prefixes.used[prefixes.first[request] : prefixes.first[request + 1]] = NONE


@jit
def evict(i: int, most: int, prefixes: Prefixes) -> None:
    """Forget idle blocks of replica ``i``, the longest unused first, until there are ``most``."""
    ends = prefixes.older.shape[1] - 1
    while prefixes.counters[i, IDLE] > most:
        entry = prefixes.newer[i, ends]  # the oldest: after the end of the list comes its start
        _unlink(i, entry, prefixes)
        prefixes.counters[i, IDLE] -= 1
        _forget(i, entry, prefixes)


@jit
def clear(i: int, prefixes: Prefixes) -> None:
    """Replica ``i`` is lost and its cache with it; no request uses it any more."""
    entries = prefixes.chain.shape[1]
    prefixes.bucket[i, :] = NONE
    prefixes.uses[i, :] = 0
    for entry in range(entries):
        prefixes.chain[i, entry] = entry + 1 if entry + 1 < entries else NONE
    prefixes.older[i, entries] = prefixes.newer[i, entries] = entries
    prefixes.counters[i, IDLE] = prefixes.counters[i, SHARED] = 0
    prefixes.counters[i, VACANT] = 0 if entries > 0 else NONE


@jit
def _forget(i: int, entry: int, prefixes: Prefixes) -> None:
    b = _bucket_of(prefixes.id[i, entry], prefixes.bucket.shape[1])
    at = prefixes.bucket[i, b]
    if at == entry:
        prefixes.bucket[i, b] = prefixes.chain[i, entry]
    else:
        while prefixes.chain[i, at] != entry:
            at = prefixes.chain[i, at]
        prefixes.chain[i, at] = prefixes.chain[i, entry]
    prefixes.chain[i, entry] = prefixes.counters[i, VACANT]
    prefixes.counters[i, VACANT] = entry


@jit
def _unlink(i: int, entry: int, prefixes: Prefixes) -> None:
    before, after = prefixes.older[i, entry], prefixes.newer[i, entry]
    prefixes.newer[i, before] = after
    prefixes.older[i, after] = before


@jit
def _link_newest(i: int, entry: int, prefixes: Prefixes) -> None:
    ends = prefixes.older.shape[1] - 1
    newest = prefixes.older[i, ends]
    prefixes.older[i, entry], prefixes.newer[i, entry] = newest, ends
    prefixes.newer[i, newest] = entry
    prefixes.older[i, ends] = entry
