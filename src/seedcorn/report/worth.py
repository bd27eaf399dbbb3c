"""One more node of a pool, for people: its price, what it would free, and what would change."""

from rich.table import Table
from rich.text import Text

from seedcorn.domain.plan import Plan
from seedcorn.domain.worth import NodeWorth
from seedcorn.report.tables import Page, plain_table


def node_worth_page(plan: Plan, worth: NodeWorth) -> Page:
    """The answer in a sentence, how sure it is, and the changes behind it."""
    pool = next(pool for pool in plan.pools if pool.pool == worth.pool)
    reference = plan.reference_pool
    page: list[Table | Text | str] = [
        f"One more node of {worth.pool} ({worth.chips} chips) is worth {worth.gain:.3f} {reference} chip-hours an hour, "
        f"{worth.unused:.3f} of them even if nobody uses it{_freed(worth.freed, reference)}.",
        f"Proven: between {worth.gain_least:.3f} and {worth.gain_most:.3f}. The first chip more would be worth "
        f"{pool.price + pool.shadow_price:.3f}.",
        f"Of the {pool.chips:,} owned, services use {pool.used_by_services:,}, training {pool.used_by_jobs:,}; {pool.spare:,} "
        f"are spare and {pool.free:,} free.",
    ]
    if worth.changes:
        table = plain_table(
            "", "", "without", "with the node", right=("without", "with the node"), title="What would change"
        )
        for change in worth.changes:
            table.add_row(change.claimant, change.what, f"{change.without:,}", f"{change.with_node:,}")
        page += ["", table]
    else:
        page.append("Nothing would change: nobody has a use for it but to keep it free.")
    return page


def _freed(freed: float, reference: str) -> str:
    if freed == 0:
        return ""
    return f"; services would use {abs(freed):,.4g} {reference} chips {'more' if freed < 0 else 'fewer'}"
