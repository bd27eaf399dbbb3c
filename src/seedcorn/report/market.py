"""The allocation of a market as tables."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TypeVar

from rich.table import Table

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, Status
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_share

_Row = TypeVar("_Row")
_Key = TypeVar("_Key", bound=Hashable)


def allocation_page(allocation: Allocation) -> Page:
    """How good, who gets what, what a chip more is worth; or why not, and what would do."""
    if allocation.objective is None:
        return _refusal_page(allocation)
    return (
        f"{allocation.status}: objective {allocation.objective:,.6g}, no more than {allocation.bound:,.6g} "
        f"(gap {format_share(allocation.gap)}), {allocation.seconds:.2f} s",
        "",
        _pools(allocation),
        *(("", _deployments(allocation)) if allocation.deployments else ()),
        *(("", _jobs(allocation)) if allocation.jobs else ()),
        *(("", _sales(allocation)) if allocation.resale else ()),
    )


def _refusal_page(allocation: Allocation) -> Page:
    if allocation.status is Status.UNKNOWN:
        return (
            f"unknown: no allocation found in {allocation.seconds:.0f} s, and none ruled out; give more time",
        )
    table = plain_table("claimant", "binds", "what would do")
    for shortage in allocation.shortages:
        remedy = f"needed: {shortage.remedy}" if shortage.needed else f"one of: {shortage.remedy}"
        table.add_row(shortage.claimant, shortage.binds, remedy)
    return ("infeasible: the chips do not carry the demand", "", table)


def _pools(allocation: Allocation) -> Table:
    """A row for each pool: over its slots, lowest to highest; one more chip is one in every slot."""
    numbers = ("chips", "used", "free", "one more adds")
    table = plain_table("pool", *numbers, right=numbers)
    for pool, uses in _grouped(allocation.pools, lambda use: use.pool).items():
        adds = sum(use.shadow_price for use in uses) / len(uses)
        used, free = _range(use.used for use in uses), _range(use.free for use in uses)
        table.add_row(pool, f"{uses[0].chips:,}", used, free, f"{adds:,.4g}")
    return table


def _deployments(allocation: Allocation) -> Table:
    """A row for each offer of a service; over the slots, lowest to highest."""
    moves = any(d.started is not None for d in allocation.deployments)
    columns = ("service", "offer", "replicas", *(("started",) if moves else ()), "chips", "carries")
    table = plain_table(*columns, right=("replicas", "started")[: 1 + moves])
    for group in _grouped(allocation.deployments, lambda d: (d.service, d.offer)).values():
        idle = [0] * (_num_slots(allocation) - len(group))  # slots without it
        started = [_range([*idle, *(d.started or 0 for d in group)])] if moves else []
        table.add_row(
            group[0].service,
            group[0].offer,
            _range([*idle, *(d.replicas for d in group)]),
            *started,
            _chip_range([*({} for _ in idle), *(d.chips for d in group)]),
            _carries([*({} for _ in idle), *(d.share for d in group)]),
        )
    return table


def _jobs(allocation: Allocation) -> Table:
    """A row for each job; over its slots, or its parts of the time, lowest to highest."""
    table = plain_table("job", "chips", "progress", right=("progress",))
    for job, awards in _grouped(allocation.jobs, lambda award: award.job).items():
        if any(award.share is not None for award in awards):
            parts = [
                f"{_chips(a.chips)} for {format_share(a.share or 0.0)} of the time" for a in awards if a.share
            ]
            table.add_row(job, "; ".join(parts) or "-", f"{sum(a.progress for a in awards):,.6g}")
            continue
        waits = all(award.option is None for award in awards)
        progress = "waits" if waits else _range((a.progress for a in awards), ",.6g")
        table.add_row(job, _chip_range([award.chips for award in awards]), progress)
    return table


def _sales(allocation: Allocation) -> Table:
    table = plain_table("product", "pool", "chips sold", right=("chips sold",))
    for product, awards in _grouped(allocation.resale, lambda award: award.product).items():
        table.add_row(product, awards[0].pool, _range(award.chips for award in awards))
    return table


def _grouped(rows: Iterable[_Row], key: Callable[[_Row], _Key]) -> dict[_Key, list[_Row]]:
    """Rows by key, keys in the order in which they come first."""
    groups: dict[_Key, list[_Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _num_slots(allocation: Allocation) -> int:
    return 1 + max(use.slot for use in allocation.pools)


def _range(values: Iterable[float], form: str = ",") -> str:
    """``lowest–highest``, or the value where they are one."""
    found = list(values)
    low, high = format(min(found), form), format(max(found), form)
    return low if low == high else f"{low}–{high}"


def _chip_range(uses: list[Mapping[PoolName, int]]) -> str:
    pools = dict.fromkeys(pool for use in uses for pool in use)
    return " + ".join(f"{_range(use.get(pool, 0) for use in uses)} {pool}" for pool in pools) or "-"


def _carries(shares: list[Mapping[str, float]]) -> str:
    names = dict.fromkeys(name for share in shares for name in share)
    return ", ".join(
        f"{_share_range([share.get(name, 0.0) for share in shares])} of {name}" for name in names
    )


def _share_range(shares: list[float]) -> str:
    low, high = format_share(min(shares)), format_share(max(shares))
    return low if low == high else f"{low}–{high}"


def _chips(chips: Mapping[PoolName, int]) -> str:
    return " + ".join(f"{count:,} {pool}" for pool, count in chips.items()) or "-"
