"""Gaps between tokens, counted in bins a fixed share of their value wide.

The bins are the leading bits of a float64: each power of two is cut into 256 equal parts, so a bin
is between 1/512 and 1/256 (0.39 %) of its value wide and finding one is a shift, not a logarithm.
"""

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit

_PARTS_BITS = 8
_SHIFT = 52 - _PARTS_BITS
_LOWEST_EXPONENT, _HIGHEST_EXPONENT = -24, 16  # 60 ns to 18 h: beyond any step or wait
_FIRST = (1023 + _LOWEST_EXPONENT) << _PARTS_BITS
NUM_BINS = (_HIGHEST_EXPONENT - _LOWEST_EXPONENT) << _PARTS_BITS


@jit
def bin_of(gap_s: float) -> int:
    """The bin that ``gap_s`` falls in; the first or last one beyond the range."""
    index = int(np.float64(gap_s).view(np.int64) >> _SHIFT) - _FIRST
    return min(max(index, 0), NUM_BINS - 1)


@jit
def bin_start_s(index: int) -> float:
    """The least gap of bin ``index``."""
    return float(np.int64((index + _FIRST) << _SHIFT).view(np.float64))


@jit
def add_run(first_s: float, growth_s: float, num_steps: int, weight: int, counts: NDArray[np.int64]) -> None:
    """Count ``weight`` gaps in each of ``num_steps`` steps that last ``first_s + j · growth_s``.

    Args:
        first_s: Duration of the first step.
        growth_s: Added with every step, ≥ 0.
        num_steps: j runs from 0 to ``num_steps`` − 1.
        weight: Sequences that emit a token in each of the steps.
        counts: (NUM_BINS,) added to in place.
    """
    index = bin_of(first_s)
    last = bin_of(first_s + growth_s * (num_steps - 1))
    done = 0
    while index < last:
        edge_s = bin_start_s(index + 1)
        below = max(
            int((edge_s - first_s) / growth_s), done
        )  # steps shorter than the edge; fixed up for rounding
        while below > done and first_s + growth_s * (below - 1) >= edge_s:
            below -= 1
        while below < num_steps and first_s + growth_s * below < edge_s:
            below += 1
        counts[index] += weight * (below - done)
        done = below
        index += 1
    counts[index] += weight * (num_steps - done)
