"""Chunks of a stream: count the requests that are done, keep those under way, and number these anew."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit
from seedcorn.replay.kernels.batching import (
    DECODING,
    HEAD,
    ID_BITS,
    PARTIAL,
    PREEMPTED,
    REQUEST,
    Replicas,
    Requests,
)
from seedcorn.replay.kernels.gaps import bin_of

TTFT, TPOT, E2E = 0, 1, 2  # rows of Tallies.counts and places of Tallies.bounds_s
FINISHED, ATTAINED, PREEMPTIONS, INPUT_TOKENS, OUTPUT_TOKENS = 0, 1, 2, 3, 4  # places of Tallies.totals
NUM_TOTALS = 5


class Tallies(NamedTuple):
    """Sums over finished requests.

    Attributes:
        bounds_s: (3,) of the objectives; infinite where there is none. Read only.
        counts: (3, NUM_BINS), requests by TTFT, TPOT and end-to-end time, in the bins of ``gaps``.
        sums_s: (3,), of the same.
        totals: (NUM_TOTALS,)
        last_s: (1,), when the last of them finished.
    """

    bounds_s: NDArray[np.float64]
    counts: NDArray[np.int64]
    sums_s: NDArray[np.float64]
    totals: NDArray[np.int64]
    last_s: NDArray[np.float64]


@jit
def count(request: int, requests: Requests, tallies: Tallies) -> None:
    """Count one finished request."""
    arrival_s, finish_s = requests.arrival_s[request], requests.finish_s[request]
    first_s, gaps_between = requests.first_token_s[request], requests.output_tokens[request] - 1
    counts, sums_s, totals, bounds_s = tallies.counts, tallies.sums_s, tallies.totals, tallies.bounds_s
    ttft_s, e2e_s, tpot_s = first_s - arrival_s, finish_s - arrival_s, 0.0
    if gaps_between > 0:
        tpot_s = (finish_s - first_s) / gaps_between
        counts[TPOT, bin_of(tpot_s)] += 1
        sums_s[TPOT] += tpot_s
    counts[TTFT, bin_of(ttft_s)] += 1
    counts[E2E, bin_of(e2e_s)] += 1
    sums_s[TTFT] += ttft_s
    sums_s[E2E] += e2e_s
    totals[FINISHED] += 1
    totals[PREEMPTIONS] += requests.preemptions[request]
    totals[INPUT_TOKENS] += requests.input_tokens[request]
    totals[OUTPUT_TOKENS] += requests.output_tokens[request]
    if ttft_s <= bounds_s[TTFT] and tpot_s <= bounds_s[TPOT] and e2e_s <= bounds_s[E2E]:
        totals[ATTAINED] += 1
    tallies.last_s[0] = max(tallies.last_s[0], finish_s)


@jit
def settle(
    dealt_to: NDArray[np.int32],
    requests: Requests,
    replicas: Replicas,
    new_number: NDArray[np.int64],
    tallies: Tallies,
) -> int:
    """Count what is done and move what is under way to the front, in order; how many that are.

    The scheduler knows requests by rank alone, which they keep, so a replay goes on from the new numbers
    as it would have from the old.

    Args:
        dealt_to: (num_requests,) −1 for the refused, which are dropped.
        requests: Moved in place.
        replicas: Their requests are renumbered.
        new_number: (num_requests,) scratch.
        tallies: Added to in place.
    """
    kept = 0
    for r in range(dealt_to.shape[0]):
        new_number[r] = -1
        if dealt_to[r] < 0:
            continue
        if not np.isnan(requests.finish_s[r]):
            count(r, requests, tallies)
            continue
        new_number[r] = kept
        requests.arrival_s[kept], requests.first_token_s[kept] = (
            requests.arrival_s[r],
            requests.first_token_s[r],
        )
        requests.input_tokens[kept], requests.output_tokens[kept] = (
            requests.input_tokens[r],
            requests.output_tokens[r],
        )
        requests.next_queued[kept], requests.preemptions[kept] = (
            requests.next_queued[r],
            requests.preemptions[r],
        )
        requests.rank[kept], requests.loaded[kept] = requests.rank[r], requests.loaded[r]
        requests.finish_s[kept] = np.nan
        kept += 1
    for k in range(kept):
        if requests.next_queued[k] >= 0:
            requests.next_queued[k] = new_number[requests.next_queued[k]]
    for i in range(replicas.clock_s.shape[0]):
        renumber(i, replicas, new_number)
    return kept


@jit
def renumber(i: int, replicas: Replicas, new_number: NDArray[np.int64]) -> None:
    """Call the requests of replica ``i`` by their new numbers."""
    counters, heap, stack = replicas.counters[i], replicas.decoding[i], replicas.preempted[i]
    tails = replicas.tails[i]
    if counters[HEAD] >= 0:
        counters[HEAD] = new_number[counters[HEAD]]
    for level in range(tails.shape[0]):
        if tails[level] >= 0:
            tails[level] = new_number[tails[level]]
    if counters[PARTIAL] >= 0:
        counters[PARTIAL] = new_number[counters[PARTIAL]]
    for place in range(counters[DECODING]):
        key = heap[place]
        heap[place] = key >> ID_BITS << ID_BITS | new_number[key & ((1 << ID_BITS) - 1)]
    for height in range(counters[PREEMPTED]):
        stack[height, REQUEST] = new_number[stack[height, REQUEST]]
