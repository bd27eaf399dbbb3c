"""The allocation of a market as tables."""

from collections.abc import Mapping

from rich.table import Table

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, Status
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_share


def allocation_page(allocation: Allocation) -> Page:
    """How good, who gets what, what a chip more is worth; or why not, and what would do."""
    if allocation.objective is None:
        return _refusal_page(allocation)
    return (
        f"{allocation.status}: objective {allocation.objective:,.6g}, no more than {allocation.bound:,.6g} "
        f"(gap {format_share(allocation.gap)}), {allocation.seconds:.2f} s",
        "",
        _pools(allocation),
        "",
        _deployments(allocation),
        *(("", _jobs(allocation)) if allocation.jobs else ()),
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
    numbers = ("chips", "used", "free", "one more adds")
    table = plain_table("pool", *numbers, right=numbers)
    for use in allocation.pools:
        table.add_row(
            use.pool, f"{use.chips:,}", f"{use.used:,}", f"{use.free:,}", f"{use.shadow_price:,.4g}"
        )
    return table


def _deployments(allocation: Allocation) -> Table:
    table = plain_table("service", "offer", "replicas", "chips", "carries", right=("replicas",))
    for deployment in allocation.deployments:
        carries = ", ".join(f"{format_share(share)} of {name}" for name, share in deployment.share.items())
        table.add_row(
            deployment.service,
            deployment.offer,
            f"{deployment.replicas:,}",
            _chips(deployment.chips),
            carries,
        )
    return table


def _jobs(allocation: Allocation) -> Table:
    table = plain_table("job", "chips", "progress", right=("progress",))
    for award in allocation.jobs:
        progress = "waits" if award.option is None else f"{award.progress:,.6g}"
        table.add_row(award.job, _chips(award.chips), progress)
    return table


def _chips(chips: Mapping[PoolName, int]) -> str:
    return " + ".join(f"{count:,} {pool}" for pool, count in chips.items()) or "-"
