"""A sweep for people."""

from collections.abc import Sequence

from rich.markup import escape

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.sweep import SweepPoint
from seedcorn.report.tables import Page, plain_table


def sweep_page(name: str, points: Sequence[SweepPoint]) -> Page:
    """A row per point: what was changed, what that frees, what it leaves; then why points have no plan."""
    paths = list(points[0].changes)
    pools = list(dict.fromkeys(pool for point in points for pool in point.pools))
    free = [f"{pool} free" for pool in pools]
    found = ["chips freed", "of today's", "gap", "SLOs", *free]
    table = plain_table(*map(escape, paths), *found, right=(*paths, *found))
    for point in points:
        changed = (escape(point.changes[path]) for path in paths)
        table.add_row(*changed, *_found(point), *(_free(point, pool) for pool in pools))
    reasons = dict.fromkeys(point.reason for point in points if point.reason)
    no_plan = (f"\nno plan: {escape(reason)}" for reason in reasons)
    return [f"{escape(name)}: {len(points)} what-ifs", "", table, *no_plan]


def _found(point: SweepPoint) -> tuple[str, str, str, str]:
    if point.reason:
        return "no plan", "", "", ""
    assert point.gap is not None
    held = "held" if point.slos_held else "missed"
    return f"{point.training_chips_freed:,}", f"{point.today_chips:,}", f"{point.gap:.2%}", held


def _free(point: SweepPoint, pool: PoolName) -> str:
    return f"{point.pools[pool].free:,}" if pool in point.pools else ""
