"""A day for people: replicas and chips from the emptiest slot to the fullest, and who has the chips when."""

from collections.abc import Iterable, Sequence

from rich.table import Table

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.plan import Deployment, JobPlan, Plan, ServicePlan
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_slot


def spread(numbers: Iterable[int]) -> str:
    """``12 to 31``, or the number where all are alike."""
    low, high = min(values := tuple(numbers)), max(values)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def by_offer(deployments: Sequence[Deployment], slots: int) -> list[tuple[Deployment, list[int]]]:
    """Of each offer a deployment, and its replicas in every slot, the offer with most replicas first."""
    replicas: dict[str, list[int]] = {}
    named: dict[str, Deployment] = {}
    for d in deployments:
        named.setdefault(d.offer.name, d)
        replicas.setdefault(d.offer.name, [0] * slots)[d.slot] += d.replicas
    return sorted(
        ((named[name], counts) for name, counts in replicas.items()), key=lambda pair: -sum(pair[1])
    )


def replays(plan: Plan) -> list[tuple[ServicePlan, str, Outcome]]:
    """Every service that was replayed, slot by slot where the day has several; with the name of the replay."""
    found: list[tuple[ServicePlan, str, Outcome]] = []
    for service in plan.services:
        if service.outcome is not None and not service.slots:
            found.append((service, service.service, service.outcome))
        found += [
            (service, f"{service.service} from {format_slot(slot.slot, plan.num_slots)}", slot.outcome)
            for slot in service.slots
            if slot.outcome is not None
        ]
    return found


def elastic_jobs(plan: Plan) -> list[list[JobPlan]]:
    """Jobs that take another gang in every slot, each with its slots."""
    slots: dict[str, list[JobPlan]] = {}
    for job in plan.jobs:
        if job.slot is not None:
            slots.setdefault(job.job, []).append(job)
    return list(slots.values())


def day_part(plan: Plan) -> Page:
    """Who has the chips of each pool, slot by slot."""
    slots = plan.num_slots
    pools = [pool for pool in plan.pools if any(slot.used for slot in pool.slots)]
    columns = [pool.pool for pool in pools]
    parts = "services + training + sold" if plan.resale else "services + training"
    table = plain_table("from", *columns, right=columns)
    for t in range(slots):
        uses = [pool.slots[t] for pool in pools]
        table.add_row(
            format_slot(t, slots),
            *(
                " + ".join(
                    f"{n:,}"
                    for n in (u.used_by_services, u.used_by_jobs, *((u.sold,) if plan.resale else ()))
                )
                for u in uses
            ),
        )
    return [f"The day, slot by slot: chips of each pool ({parts})", table]


def resale_table(plan: Plan) -> Table:
    """What is sold, and what it brings."""
    table = plain_table(
        "product",
        "pool",
        "kind",
        "chips",
        "chip-hours a day",
        "price",
        "income a day",
        right=("chips", "chip-hours a day", "price", "income a day"),
        title="Resale",
    )
    for sale in plan.resale:
        amount, currency = sale.price
        table.add_row(
            sale.product,
            sale.pool,
            sale.kind,
            spread(sale.chips),
            f"{sale.chip_hours_a_day:,.0f}",
            f"{amount:,.2f} {currency}",
            f"{sale.income_a_day:,.0f} {currency}",
        )
    return table
