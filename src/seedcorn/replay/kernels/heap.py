"""A binary min-heap of int64 in a caller-owned array."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit


@jit
def _rise(heap: NDArray[np.int64], at: int, key: int) -> None:
    """Put ``key`` at ``at`` or above, wherever its parent is not greater."""
    while at > 0:
        parent = (at - 1) >> 1
        if heap[parent] <= key:
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = key


@jit
def _sink(heap: NDArray[np.int64], size: int, at: int, key: int) -> None:
    """Put ``key`` at ``at`` or below, wherever no child is less."""
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and heap[child + 1] < heap[child]:
            child += 1
        if key <= heap[child]:
            break
        heap[at] = heap[child]
        at = child
        child = 2 * at + 1
    heap[at] = key


@jit
def push(heap: NDArray[np.int64], size: int, key: int) -> None:
    """Add ``key`` to the ``size`` keys of ``heap``."""
    _rise(heap, size, key)


@jit
def remove(heap: NDArray[np.int64], size: int, at: int) -> None:
    """Take the key at ``at`` (0: the least) out of the ``size`` keys of ``heap``."""
    last = heap[size - 1]
    if at == size - 1:
        return
    if at > 0 and last < heap[(at - 1) >> 1]:
        _rise(heap, at, last)
    else:
        _sink(heap, size - 1, at, last)
