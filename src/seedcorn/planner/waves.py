"""From today to the plan in as few waves as may be, with every service at work all the while.

A wave starts replicas on chips that are free, waits until they serve, then drains and stops others; what
those leave is free for the next wave. Replicas start once and stop once, so only how many of which kind
in which wave is open: a small integer program for each number of waves, asked in turn.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from seedcorn.domain.hardware import PoolName
from seedcorn.planner.highs import Program, solve_program

MOST_WAVES = 6
"""Beyond these, losing some capacity for a while is preferred to another wave."""

_PER_PROGRAM_S = 5.0
_ROUNDING = 1e-6
_LASTING, _PATIENCE = 1e-2, 1e-4
"""Cost of a loss that lasts through every wave, and of doing everything a wave later, against the depth of
the loss: of ways as deep the shortest is taken, of those the earliest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shift:
    """Replicas of one kind: how many there are ``now``, and how many ``then``.

    Attributes:
        chips: Of one replica, all in ``pool``.
        capacity: Of one replica, in the unit of the service's need.
    """

    service: str
    pool: PoolName
    chips: int
    capacity: float
    now: int
    then: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One wave.

    Attributes:
        starts, stops: (num_shifts,) replicas of each shift.
        lacking: Service → share of its need that nothing carries from this wave's stops to the next one's
            starts, where chips are too few to move it at work.
    """

    starts: tuple[int, ...]
    stops: tuple[int, ...]
    lacking: Mapping[str, float] = field(default_factory=dict)


def waves(
    shifts: Sequence[Shift], free: Mapping[PoolName, int], needs: Mapping[str, float]
) -> tuple[Step, ...] | None:
    """The fewest waves that make every shift; empty where nothing moves.

    No service is left with less than its need, no pool asked for more than is free. Where that takes more
    than :data:`MOST_WAVES`, or no number is enough, the waves in which least is lacking.

    Args:
        free: Chips of each pool that nobody uses now.
        needs: Service → what must be carried throughout; no more than is carried now, and then.

    Returns:
        ``None``: chips are too few however much is lost, or time was too short to find any.
    """
    if all(shift.now == shift.then for shift in shifts):
        return ()
    for count in range(1, MOST_WAVES + 1):
        found = _waves(shifts, free, needs, count, may_lack=False)
        if found is not None:
            return found
    return _waves(shifts, free, needs, MOST_WAVES, may_lack=True)


def _waves(
    shifts: Sequence[Shift],
    free: Mapping[PoolName, int],
    needs: Mapping[str, float],
    count: int,
    *,
    may_lack: bool,
) -> tuple[Step, ...] | None:
    """``count`` waves or fewer; ``None``: there are none.

    Integers x[g, k]: replicas of shift g moved (started or stopped) in wave k; y[i, k]: lacking share of
    service i, at most its depth z[i].
    """
    num, moved = len(shifts), [abs(shift.then - shift.now) for shift in shifts]
    inf = float("inf")
    services = sorted({shift.service for shift in shifts if needs.get(shift.service, 0.0) > 0})
    size = num * count
    rows: list[tuple[list[tuple[int, float]], float, float]] = []  # entries, at least, at most
    rows += [([(g * count + k, 1.0) for k in range(count)], moved[g], moved[g]) for g in range(num)]
    rows += [
        (_chips_taken(shifts, pool, k, count), -inf, free.get(pool, 0))
        for pool in sorted({shift.pool for shift in shifts})
        for k in range(count)
    ]
    for i, service in enumerate(services):
        now = sum(s.capacity * s.now for s in shifts if s.service == service) / needs[service]
        for k in range(count):
            carried = _carried(shifts, service, needs[service], k, count)
            lacking, depth = size + i * count + k, size + len(services) * count + i
            rows.append(([*carried, (lacking, 1.0)], min(1.0, now) - now, inf))
            rows.append(([(depth, 1.0), (lacking, -1.0)], 0.0, inf))
    answer = solve_program(
        _program(rows, moved, len(services), count, may_lack=may_lack),
        gap=0.0,
        time_limit_s=_PER_PROGRAM_S,
        seed=0,
    )
    if answer.x is None:
        return None
    x = np.rint(answer.x[:size]).astype(int).reshape(num, count)
    y = answer.x[size : size + len(services) * count].reshape(len(services), count)
    steps = [
        Step(
            starts=tuple(int(n) if s.then > s.now else 0 for s, n in zip(shifts, x[:, k], strict=True)),
            stops=tuple(int(n) if s.then < s.now else 0 for s, n in zip(shifts, x[:, k], strict=True)),
            lacking={name: float(y[i, k]) for i, name in enumerate(services) if y[i, k] > _ROUNDING},
        )
        for k in range(count)
    ]
    return tuple(step for step in steps if any(step.starts) or any(step.stops))


def _chips_taken(shifts: Sequence[Shift], pool: PoolName, wave: int, count: int) -> list[tuple[int, float]]:
    """Σ chips started up to ``wave`` − Σ chips stopped before it."""
    return [
        (g * count + k, float(shift.chips if shift.then > shift.now else -shift.chips))
        for g, shift in enumerate(shifts)
        if shift.pool == pool
        for k in range(wave + 1 if shift.then > shift.now else wave)
    ]


def _carried(
    shifts: Sequence[Shift], service: str, need: float, wave: int, count: int
) -> list[tuple[int, float]]:
    """Capacity won less capacity lost by the end of ``wave``, as a share of the need."""
    return [
        (g * count + k, (1.0 if shift.then > shift.now else -1.0) * shift.capacity / need)
        for g, shift in enumerate(shifts)
        if shift.service == service
        for k in range(wave + 1)
    ]


def _program(
    rows: list[tuple[list[tuple[int, float]], float, float]],
    moved: list[int],
    num_services: int,
    count: int,
    *,
    may_lack: bool,
) -> Program:
    size, slack = len(moved) * count, num_services * (count + 1)
    entries = [(row, col, value) for row, (found, _, _) in enumerate(rows) for col, value in found]
    late = np.tile(np.arange(count, dtype=float), len(moved)) * _PATIENCE / (sum(moved) * count)
    return Program(
        cost=np.concatenate([late, np.full(num_services * count, _LASTING / count), np.ones(num_services)]),
        lower=np.zeros(size + slack),
        upper=np.concatenate(
            [np.repeat(np.array(moved, dtype=float), count), np.full(slack, 1.0 if may_lack else 0.0)]
        ),
        integer=np.arange(size + slack) < size,
        row_lower=np.array([low for _, low, _ in rows], dtype=float),
        row_upper=np.array([high for _, _, high in rows], dtype=float),
        rows=np.array([row for row, _, _ in entries], dtype=np.int64),
        cols=np.array([col for _, col, _ in entries], dtype=np.int64),
        values=np.array([value for _, _, value in entries], dtype=float),
    )
