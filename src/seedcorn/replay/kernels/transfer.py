"""KV caches on their way from the replicas that made them to those that decode."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.jit import jit
from seedcorn.replay.kernels.gaps import add_run


@jit
def transfer(
    ready_s: NDArray[np.float64],
    takes_s: NDArray[np.float64],
    sender: NDArray[np.int32],
    receiver: NDArray[np.int32],
    sends_at_s: NDArray[np.float64],
    receives_at_s: NDArray[np.float64],
    arrived_s: NDArray[np.float64],
) -> None:
    """Send caches in the order given; each has the links of both its ends to itself while it lasts.

    Args:
        ready_s: (n,) ascending, when each cache is complete.
        takes_s: (n,) how long each lasts.
        sender: (n,) by whom.
        receiver: (n,) to whom.
        sends_at_s: (senders,) when each one's link is free again; changed in place.
        receives_at_s: (receivers,) likewise.
        arrived_s: (n,) written in place.
    """
    for k in range(ready_s.shape[0]):
        p, d = sender[k], receiver[k]
        start_s = max(ready_s[k], sends_at_s[p], receives_at_s[d])
        arrived_s[k] = start_s + takes_s[k]
        sends_at_s[p] = receives_at_s[d] = arrived_s[k]


@jit
def add_gaps(gap_s: NDArray[np.float64], counts: NDArray[np.int64]) -> None:
    """Count each of ``gap_s`` (n,) once in ``counts`` (NUM_BINS,)."""
    for k in range(gap_s.shape[0]):
        add_run(gap_s[k], 0.0, 1, 1, counts)
