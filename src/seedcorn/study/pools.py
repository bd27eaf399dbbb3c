"""Who has the chips of each pool, slot by slot."""

from collections.abc import Iterable, Mapping, Sequence

from seedcorn.domain.hardware import Pool, PoolName
from seedcorn.domain.market import Allocation
from seedcorn.domain.plan import PoolPlan, PoolSlot, SalePlan, ServicePlan


def pool_plan(
    pool: Pool,
    price: float,
    allocation: Allocation,
    services: Sequence[ServicePlan],
    held_by_jobs: Sequence[Mapping[PoolName, int]],
    resale: Iterable[SalePlan],
) -> PoolPlan:
    """Who uses the pool; over a day of several slots, in the slot that leaves the fewest chips free.

    Args:
        held_by_jobs: (slots,) chips that training takes in each slot, by pool.
    """
    sales = [sale for sale in resale if sale.pool == pool.name]
    deployments = [d for service in services for d in service.deployments]
    slots = tuple(
        PoolSlot(
            slot=use.slot,
            used_by_services=sum(d.chips_of(pool.name) for d in deployments if d.slot == use.slot),
            used_by_jobs=held_by_jobs[use.slot].get(pool.name, 0),
            sold=sum(sale.chips[use.slot] for sale in sales),
            shadow_price=use.shadow_price,
        )
        for use in allocation.pools
        if use.pool == pool.name
    )
    fullest = max(slots, key=lambda slot: slot.used)
    return PoolPlan(
        pool=pool.name,
        chip=pool.chip.name,
        chips=pool.chips,
        spare=pool.spare,
        used_by_services=fullest.used_by_services,
        used_by_jobs=fullest.used_by_jobs,
        price=price,
        shadow_price=sum(slot.shadow_price for slot in slots) / len(slots),
        sold=fullest.sold,
        slots=slots if len(slots) > 1 else (),
    )


def most_used_by_services(pool: PoolPlan) -> int:
    """Chips of the pool that services use in the slot in which they use most."""
    return max((slot.used_by_services for slot in pool.slots), default=pool.used_by_services)
