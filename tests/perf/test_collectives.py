"""All-reduce against the bounds that theory gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.perf.collectives import Link, all_reduce_s

LINK = Link(bytes_per_s=100e9, latency_s=5e-6)


@given(message_bytes=st.floats(0.0, 1e10), chips=st.integers(2, 16))
def test_no_all_reduce_beats_the_bandwidth_or_the_latency_bound(message_bytes, chips):
    """Each chip must send and receive 2(n−1)/n of the message (doi:10.1016/j.jpdc.2008.09.002)."""
    got_s = all_reduce_s(np.array([message_bytes]), chips=chips, link=LINK)[0]

    assert got_s >= 2 * (chips - 1) / chips * message_bytes / LINK.bytes_per_s
    assert got_s >= LINK.latency_s


def test_a_large_message_comes_near_the_bandwidth_bound():
    got_s = all_reduce_s(np.array([1e10]), chips=8, link=LINK)[0]

    assert got_s == pytest.approx(2 * 7 / 8 * 1e10 / 100e9, rel=0.01)


def test_an_empty_message_takes_one_hop():
    assert all_reduce_s(np.array([0.0]), chips=8, link=LINK)[0] == LINK.latency_s


def test_one_chip_has_nobody_to_talk_to():
    assert all_reduce_s(np.array([1e9]), chips=1, link=LINK)[0] == 0.0
