"""Waves against the rules by which chips and services live, and against every other way on tiny fleets."""

import itertools
from collections.abc import Iterator, Mapping, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import PoolName
from seedcorn.planner.waves import MOST_WAVES, Shift, Step, waves

A, B = PoolName("a"), PoolName("b")


def capacity(shifts: Sequence[Shift], counts: Sequence[int], service: str) -> float:
    return sum(s.capacity * n for s, n in zip(shifts, counts, strict=True) if s.service == service)


def used(shifts: Sequence[Shift], counts: Sequence[int], pool: PoolName) -> int:
    return sum(s.chips * n for s, n in zip(shifts, counts, strict=True) if s.pool == pool)


def what_breaks(
    shifts: Sequence[Shift], total: Mapping[PoolName, int], needs: Mapping[str, float], steps: Sequence[Step]
) -> list[str]:
    """Every rule that the waves break, replica by replica."""
    broken = []
    counts = [s.now for s in shifts]
    for w, step in enumerate(steps):
        counts = [n + more for n, more in zip(counts, step.starts, strict=True)]
        broken += [f"wave {w}: {pool} full" for pool in total if used(shifts, counts, pool) > total[pool]]
        counts = [n - fewer for n, fewer in zip(counts, step.stops, strict=True)]
        broken += [f"wave {w}: less than none" for n in counts if n < 0]
        for service, need in needs.items():
            allowed = need * (1 - step.lacking.get(service, 0.0))
            if capacity(shifts, counts, service) < allowed - 1e-6:
                broken.append(f"wave {w}: {service} short")
    return broken + ["not there"] * (counts != [s.then for s in shifts])


def needs_of(shifts: Sequence[Shift], demand: float = 1.0) -> dict[str, float]:
    """As much as is carried both now and then, or less."""
    return {
        name: demand
        * min(
            capacity(shifts, [s.now for s in shifts], name), capacity(shifts, [s.then for s in shifts], name)
        )
        for name in {s.service for s in shifts}
    }


@st.composite
def fleets(draw: st.DrawFn, most: int) -> tuple[list[Shift], dict[PoolName, int]]:
    shifts = [
        Shift(
            service=f"s{i}",
            pool=pool,
            chips=draw(st.sampled_from([1, 2, 4])),
            capacity=draw(st.floats(0.5, 3.0)),
            now=draw(st.integers(0, most)),
            then=draw(st.integers(0, most)),
        )
        for i in range(draw(st.integers(1, 3)))
        for pool in (A, B)
    ]
    ends = [[s.now for s in shifts], [s.then for s in shifts]]
    slack = draw(st.integers(0, 3))
    total = {pool: max(used(shifts, counts, pool) for counts in ends) + slack for pool in (A, B)}
    return shifts, total


def free_of(shifts: Sequence[Shift], total: Mapping[PoolName, int]) -> dict[PoolName, int]:
    return {pool: total[pool] - used(shifts, [s.now for s in shifts], pool) for pool in total}


@settings(max_examples=150, deadline=None)
@given(fleet=fleets(most=12), demand=st.sampled_from([1.0, 0.8, 0.5]))
def test_waves_lead_to_the_plan_and_never_past_a_pool_or_below_a_need(fleet, demand):
    shifts, total = fleet
    needs = needs_of(shifts, demand)

    steps = waves(shifts, free_of(shifts, total), needs)

    assert steps is not None  # all of it can be stopped, then started
    assert what_breaks(shifts, total, needs, steps) == []


def reachable(
    shifts: Sequence[Shift],
    total: Mapping[PoolName, int],
    needs: Mapping[str, float],
    counts: tuple[int, ...],
) -> Iterator[tuple[int, ...]]:
    """Every state that one wave without loss leads to."""
    between = [range(min(n, s.then), max(n, s.then) + 1) for n, s in zip(counts, shifts, strict=True)]
    for after in itertools.product(*between):
        peak = [max(n, m) for n, m in zip(counts, after, strict=True)]
        fits = all(used(shifts, peak, pool) <= total[pool] for pool in total)
        if fits and all(capacity(shifts, after, name) >= need - 1e-9 for name, need in needs.items()):
            yield after


def fewest(shifts: Sequence[Shift], total: Mapping[PoolName, int], needs: Mapping[str, float]) -> int | None:
    """Waves without loss, by looking at all of them; ``None``: no number is enough."""
    seen = {tuple(s.now for s in shifts)}
    edge, goal = set(seen), tuple(s.then for s in shifts)
    for count in itertools.count():
        if goal in seen:
            return count
        edge = {after for at in edge for after in reachable(shifts, total, needs, at)} - seen
        if not edge:
            return None
        seen |= edge
    raise AssertionError


@settings(max_examples=60, deadline=None)
@given(fleet=fleets(most=3), demand=st.sampled_from([1.0, 0.7]))
def test_no_other_way_takes_fewer_waves(fleet, demand):
    shifts, total = fleet
    needs = needs_of(shifts, demand)

    steps = waves(shifts, free_of(shifts, total), needs)

    assert steps is not None
    lossless = not any(step.lacking for step in steps)
    best = fewest(shifts, total, needs)
    assert lossless == (best is not None and best <= MOST_WAVES)
    if lossless:
        assert len(steps) == best


def test_two_services_that_trade_full_pools_lose_one_replica_at_a_time_and_say_so():
    full = {A: 2, B: 2}
    shifts = [
        Shift(service=name, pool=pool, chips=1, capacity=1.0, now=now, then=2 - now)
        for name, pool, now in (("x", A, 2), ("x", B, 0), ("y", A, 0), ("y", B, 2))
    ]
    needs = {"x": 2.0, "y": 2.0}

    steps = waves(shifts, free_of(shifts, full), needs)

    assert steps is not None and what_breaks(shifts, full, needs, steps) == []
    deepest = max(share for step in steps for share in step.lacking.values())
    assert deepest == pytest.approx(0.5)
    assert len({name for step in steps for name in step.lacking}) == 1


def test_chips_that_nobody_leaves_free_are_no_way():
    shift = Shift(service="x", pool=A, chips=4, capacity=1.0, now=0, then=1)
    assert waves([shift], {A: 3}, {"x": 0.0}) is None
