"""Why a market cannot clear, and what would make it: each remedy is found by clearing a market of its own.

How many chips must pool p gain? Give it more than anybody could use, let only its chips cost anything,
and clear that market: the chips of p it uses, less those that are there, are enough. How much of service
s must go? Give s one more offer that serves nothing and costs a little. The numbers are therefore those
of an allocation that exists.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    Market,
    MarketOffer,
    MarketPool,
    MarketService,
    Shortage,
)
from seedcorn.planner.claims import Branch, Claims
from seedcorn.planner.master import Master
from seedcorn.planner.problem import Problem, classes

_SHED_STEPS = 1000
"""Load is shed in steps of a thousandth of the service."""
_SHED_POOL = PoolName("(shed)")
_SERVICES_ASKED = 3

Clear = Callable[[Market], Allocation]


def unserved(market: Market) -> tuple[Shortage, ...]:
    """Classes that no offer serves: no chips help there."""
    return tuple(
        Shortage(
            claimant=service.name,
            binds=f"class {name!r}: demand {service.demand[name]:g}, but no offer has capacity for it",
            remedy=f"give service {service.name!r} an offer with capacity for class {name!r}, "
            f"or shed its {service.demand[name]:g}",
            shed={name: service.demand[name]},
            needed=True,
        )
        for service in market.services
        for name in classes(service)
        if not any(name in offer.capacity for offer in service.offers)
    )


def without(market: Market, gone: tuple[Shortage, ...]) -> Market:
    """``market`` less the classes shed in ``gone``."""
    dropped = {(shortage.claimant, name) for shortage in gone for name in shortage.shed}
    return replace(
        market,
        services=tuple(
            replace(
                service,
                demand={name: d for name, d in service.demand.items() if (service.name, name) not in dropped},
            )
            for service in market.services
        ),
    )


def shortages(market: Market, problem: Problem, clear: Clear) -> tuple[Shortage, ...]:
    """Changes that make ``market`` feasible, each alone; empty only where time was too short to find any.

    Args:
        clear: Clears a market without explaining.
    """
    core = _core(market)
    claims = _scarce(problem)
    scarce = [market.pools[p].name for p in np.argsort(-claims.scarcity) if claims.scarcity[p] > 1e-9]
    payers = [market.services[s] for s in np.argsort(-claims.service_bound, kind="stable")]
    found = [
        *_more_chips(core, claims, scarce, payers, clear),
        *_less_load(core, scarce, payers[:_SERVICES_ASKED], clear),
        *_waiting(core, scarce, clear),
    ]
    return tuple(found)


def _core(market: Market) -> Market:
    """What must be done, at no cost."""
    return Market(
        pools=tuple(replace(pool, price=0.0) for pool in market.pools),
        services=tuple(
            replace(service, offers=tuple(replace(offer, cost=0.0) for offer in service.offers))
            for service in market.services
        ),
        jobs=tuple(replace(job, weight=0.0) for job in market.jobs if job.required),
    )


def _scarce(problem: Problem) -> Claims:
    """The round of answers at the prices where the fewest chips are lacking."""
    needed = np.where(np.isfinite(problem.load), problem.load, 0.0)
    most = np.ceil(needed).sum() + 1.0
    elastic = replace(
        problem,
        offer_cost=np.zeros_like(problem.offer_cost),
        option_value=np.zeros_like(problem.option_value),
        max_replicas=np.full_like(problem.max_replicas, most),
    )
    branch = Branch(options=np.ones(len(problem.option_value), dtype=np.bool_), required=problem.required)
    start = np.zeros(len(problem.stock))
    return Master(elastic).relax(branch, start, precision=1e-3, keep_going=lambda: True).claims


def _more_chips(
    core: Market, claims: Claims, scarce: list[PoolName], payers: list[MarketService], clear: Clear
) -> Iterator[Shortage]:
    """Chips added to one scarce pool; to all of them together where none helps alone."""
    alone = [extra for pool in scarce if (extra := _extra_chips(core, [pool], clear)) is not None]
    together = _extra_chips(core, scarce, clear) if not alone and len(scarce) > 1 else None
    for extra in alone if together is None else [together]:
        there = {pool.name: pool.chips for pool in core.pools}
        listed = " and ".join(f"add {count:,} chips to pool {pool}" for pool, count in extra.items())
        binds = " and ".join(
            f"pool {pool}: {there[pool] + n:,} chips needed, {there[pool]:,} there"
            for pool, n in extra.items()
        )
        yield Shortage(claimant=_who(core, payers, extra), binds=binds, remedy=listed, add_chips=extra)


def _extra_chips(core: Market, pools: list[PoolName], clear: Clear) -> dict[PoolName, int] | None:
    """Chips that ``pools`` must gain, everything else being as it is; ``None``: no number is enough."""
    most = _most_chips(core)
    larger = replace(
        core,
        pools=tuple(
            replace(pool, chips=pool.chips + most, price=1.0) if pool.name in pools else pool
            for pool in core.pools
        ),
    )
    answer = clear(larger)
    if answer.objective is None:
        return None
    there = {pool.name: pool.chips for pool in core.pools}
    extra = {use.pool: use.used - there[use.pool] for use in answer.pools if use.pool in pools}
    return {pool: count for pool, count in extra.items() if count > 0}


def _most_chips(core: Market) -> int:
    """More chips than anybody could use in one pool."""
    total = 0
    for service in core.services:
        for offer in service.offers:
            replicas = sum(
                math.ceil(service.demand[name] / capacity)
                for name, capacity in offer.capacity.items()
                if service.demand.get(name, 0.0) > 0
            )
            total += replicas * sum(offer.chips.values())
    return total + sum(sum(option.chips.values()) for job in core.jobs for option in job.options)


def _who(core: Market, payers: list[MarketService], pools: dict[PoolName, int]) -> str:
    """The claimant that leans most on one of ``pools``: the services first, in the order given."""
    for service in payers:
        if any(pool in pools for offer in service.offers for pool in offer.chips):
            return service.name
    return next(
        job.name for job in core.jobs if any(pool in pools for option in job.options for pool in option.chips)
    )


def _less_load(
    core: Market, scarce: list[PoolName], payers: list[MarketService], clear: Clear
) -> Iterator[Shortage]:
    """Load that one service gives up."""
    for service in payers:
        carried = classes(service)
        nothing = MarketOffer(
            name="(shed)",
            chips={_SHED_POOL: 1},
            capacity={name: service.demand[name] / _SHED_STEPS for name in carried},
            cost=1.0,
        )
        pool = MarketPool(name=_SHED_POOL, chips=_SHED_STEPS * len(carried))
        lighter = replace(
            core,
            pools=(*core.pools, pool),
            services=tuple(
                replace(service, offers=(*service.offers, nothing)) if other.name == service.name else other
                for other in core.services
            ),
        )
        answer = clear(lighter)
        if answer.objective is None:
            continue
        share = next(
            d.share for d in answer.deployments if (d.service, d.offer) == (service.name, nothing.name)
        )
        shed = {  # up to the next step, so that what is left does fit
            name: min(math.ceil(part * _SHED_STEPS) / _SHED_STEPS, 1.0) * service.demand[name]
            for name, part in share.items()
        }
        listed = " and ".join(f"{load:.4g} of class {name!r}" for name, load in shed.items())
        yield Shortage(
            claimant=service.name,
            binds=_names(scarce),
            remedy=f"shed {listed} of service {service.name!r}",
            shed=shed,
        )


def _waiting(core: Market, scarce: list[PoolName], clear: Clear) -> Iterator[Shortage]:
    """A required job that waits."""
    for job in core.jobs:
        rest = replace(core, jobs=tuple(other for other in core.jobs if other.name != job.name))
        if clear(rest).objective is not None:
            yield Shortage(
                claimant=job.name, binds=_names(scarce), remedy=f"let job {job.name!r} wait", wait=True
            )


def _names(pools: list[PoolName]) -> str:
    return f"pool{'s' if len(pools) > 1 else ''} {', '.join(pools)}"
