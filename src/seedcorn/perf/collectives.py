"""Seconds of collectives between the chips of a replica, by message size and link."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What connects the chips of a replica.

    Attributes:
        bytes_per_s: One direction, per chip, as sustained.
        latency_s: Time of one hop of an empty message.
    """

    bytes_per_s: float
    latency_s: float


def all_reduce_s(message_bytes: NDArray[np.float64], *, chips: int, link: Link) -> NDArray[np.float64]:
    """Seconds to sum a message that every one of ``chips`` holds, over a link of its own.

    The faster of a one-shot exchange (every chip reads all others: one hop) and a ring
    (2(n−1) hops, each of 1/n of the message; Patarasuk & Yuan 2009, doi:10.1016/j.jpdc.2008.09.002),
    as engines choose by message size.

    Args:
        message_bytes: (G,) bytes each chip holds.

    Returns:
        (G,) seconds; 0 for one chip.
    """
    if chips == 1:
        return np.zeros_like(message_bytes)
    others = chips - 1
    one_shot = link.latency_s + others * message_bytes / link.bytes_per_s
    ring = 2 * others * (link.latency_s + message_bytes / (chips * link.bytes_per_s))
    return np.minimum(one_shot, ring)
