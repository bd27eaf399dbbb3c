"""Why a market cannot clear, and what would make it: each remedy is found by clearing a market of its own.

How many chips must pool p gain? Give it more than anybody could use, let only its chips cost anything,
and clear that market: the chips of p it uses, less those that are there, are enough. How much of service
s must go? Give s one more offer that serves nothing and costs a little. The numbers are therefore those
of an allocation that exists.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    JobOption,
    Market,
    MarketJob,
    MarketOffer,
    MarketPool,
    MarketService,
    Shortage,
)
from seedcorn.planner.chains import ways
from seedcorn.planner.claims import Branch, Claims
from seedcorn.planner.day import day_of
from seedcorn.planner.master import Master
from seedcorn.planner.problem import Problem, problem_of

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
            binds=f"class {name!r}: demand {load:g}, but no offer has capacity for it",
            remedy=f"give service {service.name!r} an offer with capacity for class {name!r}, "
            f"or shed its {load:g}",
            shed={name: load},
            needed=True,
        )
        for service in market.services
        for name, load in _peak(market, service).items()
        if not any(name in offer.capacity for offer in service.offers)
    )


def late(market: Market) -> tuple[Shortage, ...]:
    """Required jobs that no option finishes by their deadline, on whatever chips."""
    return tuple(
        _late(job, max(job.options, key=lambda option: option.progress))
        for job in market.jobs
        if _must_run(market, job) and not any(job.is_in_time(option) for option in job.options)
    )


def _must_run(market: Market, job: MarketJob) -> bool:
    """Whether the job, or one in sequence with it, is required."""
    return any(other.required for chain in market.chains if job in chain for other in chain) or job.required


def parted(market: Market) -> tuple[Shortage, ...]:
    """Required jobs in sequence that have no gang in common on which each is in time, though each alone would be."""
    return tuple(
        _parted(chain)
        for chain in market.chains
        if any(job.required for job in chain)
        and all(any(job.is_in_time(option) for option in job.options) for job in chain)
        and not ways(chain)
    )


def _parted(chain: tuple[MarketJob, ...]) -> Shortage:
    names = ", then ".join(repr(job.name) for job in chain)
    for j, job in enumerate(chain):
        if job.deadline_hours is None:
            continue
        patient = (*chain[:j], replace(job, deadline_hours=None), *chain[j + 1 :])
        hours = min(
            (job.finishes_in_hours(job.options[taken[j]]) for taken, _ in ways(patient)), default=math.inf
        )
        if math.isfinite(hours):
            return Shortage(
                claimant=job.name,
                binds=f"deadline {job.deadline_hours:,.4g} h: on a gang that jobs {names} can share, it takes {hours:,.4g} h",
                remedy=f"give job {job.name!r} a deadline of {hours:,.4g} h, or an option within the chips of the other's",
                deadline_hours=hours,
                needed=True,
            )
    return Shortage(
        claimant=chain[0].name,
        binds=f"jobs {names} share one gang, and none of their options has room for all of them",
        remedy=f"give them options in one pool, or let job {chain[0].name!r} and those after it wait",
        wait=True,
        needed=True,
    )


def _late(job: MarketJob, fastest: JobOption) -> Shortage:
    assert job.work is not None and job.deadline_hours is not None
    took, pace = job.finishes_in_hours(fastest), job.work / job.deadline_hours
    chips = " + ".join(f"{count:,} {pool}" for pool, count in fastest.chips.items())
    would_do = [f"an option with progress of at least {pace:.4g}", "let it wait"]
    if math.isfinite(took):
        would_do.insert(0, f"give job {job.name!r} a deadline of {took:,.4g} h")
        would_do.insert(1, f"cut its work to {job.deadline_hours * fastest.progress:.4g}")
    ends = f"would finish after {took:,.4g} h" if math.isfinite(took) else "would never finish"
    return Shortage(
        claimant=job.name,
        binds=f"deadline {job.deadline_hours:,.4g} h: its fastest option, {chips}, {ends}",
        remedy=", or ".join(would_do),
        deadline_hours=took if math.isfinite(took) else None,
        needed=True,
    )


def without(market: Market, gone: tuple[Shortage, ...]) -> Market:
    """``market`` less the classes shed in ``gone``, late jobs with the deadline that they can meet, if there is one."""
    dropped = {(shortage.claimant, name) for shortage in gone for name in shortage.shed}
    deadlines = {shortage.claimant: shortage.deadline_hours for shortage in gone if not shortage.shed}
    return replace(
        market,
        services=tuple(
            replace(
                service,
                demand={name: d for name, d in service.demand.items() if (service.name, name) not in dropped},
                tidal={name: d for name, d in service.tidal.items() if (service.name, name) not in dropped},
            )
            for service in market.services
        ),
        jobs=tuple(
            _given_up(replace(job, deadline_hours=deadlines[job.name]) if job.name in deadlines else job)
            for job in market.jobs
        ),
    )


def _given_up(job: MarketJob) -> MarketJob:
    """The job; not required where it has nothing to run."""
    able = any(job.is_in_time(option) for option in job.options)
    return replace(job, required=job.required and able)


def _peak(market: Market, service: MarketService) -> dict[str, float]:
    """Class → load in the slot where it is highest, of classes that have any."""
    loads = [service.load(slot) for slot in range(market.slots)]
    return {name: peak for name in loads[0] if (peak := max(load[name] for load in loads)) > 0}


def shortages(market: Market, clear: Clear) -> tuple[Shortage, ...]:
    """Changes that make ``market`` feasible, each alone; empty only where time was too short to find any.

    Args:
        clear: Clears a market without explaining.
    """
    core = _core(market)
    scarce, payers = _scarce(core)
    found = [  # the dearest pool and the service that pays most first: time may be short for the rest
        *_more_chips(core, scarce[:1], payers, clear),
        *_more_moves(core, payers, clear),
        *_less_load(core, scarce, payers[:1], clear),
        *_later(core, scarce, clear),
        *_waiting(core, scarce, clear),
        *_more_chips(core, scarce[1:], payers, clear),
        *_less_load(core, scarce, payers[1:_SERVICES_ASKED], clear),
    ]
    if not any(shortage.add_chips for shortage in found):
        found[:0] = _more_chips_together(core, scarce, payers, clear)
    return tuple(found or _more_of_both(core, clear))


def _core(market: Market) -> Market:
    """What must be done, at no cost."""
    return replace(
        market,
        pools=tuple(replace(pool, price=0.0) for pool in market.pools),
        services=tuple(_with_costs(service, cost=0.0, move_cost=0.0) for service in market.services),
        jobs=tuple(replace(job, weight=0.0, switch_cost=0.0) for job in market.jobs if job.required),
        resale=(),
    )


def _with_costs(service: MarketService, *, cost: float, move_cost: float) -> MarketService:
    offers = (replace(offer, cost=cost, move_cost=move_cost, switch_cost=0.0) for offer in service.offers)
    return replace(service, offers=tuple(offers))


def _scarce(market: Market) -> tuple[list[PoolName], list[MarketService]]:
    """Pools that lack chips, dearest first, and services, those that pay most first, where the fewest are lacking."""
    day = day_of(market)
    claims = _lacking(problem_of(day.plain))
    price, rent = np.zeros(len(market.pools)), np.zeros(len(market.services))
    for scarcity, pool in zip(claims.scarcity, day.plain.pools, strict=True):
        index = day.pools[pool.name].which
        if index >= 0:  # not an allowance of moves
            price[index] += scarcity
    for bound, service in zip(claims.service_bound, day.plain.services, strict=True):
        rent[day.services[service.name].which] += bound
    scarce = [market.pools[p].name for p in np.argsort(-price) if price[p] > 1e-9]
    return scarce, [market.services[s] for s in np.argsort(-rent, kind="stable")]


def _lacking(problem: Problem) -> Claims:
    """The round of answers at the prices where the fewest chips are lacking."""
    needed = np.where(np.isfinite(problem.load), problem.load, 0.0)
    offers = (offer for service in problem.market.services for offer in service.offers)
    allowed = np.array([np.inf if offer.most is None else offer.most for offer in offers])
    elastic = replace(
        problem,
        offer_cost=np.zeros_like(problem.offer_cost),
        option_value=np.zeros_like(problem.option_value),
        max_replicas=np.minimum(np.ceil(needed).sum() + 1.0, allowed),
    )
    branch = Branch(options=np.ones(len(problem.option_value), dtype=np.bool_), required=problem.required)
    start = np.zeros(len(problem.stock))
    return Master(elastic).relax(branch, start, precision=1e-3, enough=lambda *_: False).claims


def _more_chips(
    core: Market, scarce: list[PoolName], payers: list[MarketService], clear: Clear
) -> Iterator[Shortage]:
    """Chips added to one scarce pool."""
    for pool in scarce:
        extra = _extra_chips(core, [pool], clear)
        if extra is not None:
            yield _of_chips(core, payers, extra)


def _more_chips_together(
    core: Market, scarce: list[PoolName], payers: list[MarketService], clear: Clear
) -> Iterator[Shortage]:
    """Chips added to all scarce pools."""
    extra = _extra_chips(core, scarce, clear) if len(scarce) > 1 else None
    if extra is not None:
        yield _of_chips(core, payers, extra)


def _of_chips(core: Market, payers: list[MarketService], extra: dict[PoolName, int]) -> Shortage:
    there = {pool.name: pool.chips for pool in core.pools}
    binds = (
        f"pool {pool}: {there[pool] + n:,} chips needed, {there[pool]:,} there" for pool, n in extra.items()
    )
    return Shortage(
        claimant=_who(core, payers, extra),
        binds=" and ".join(binds),
        remedy=" and ".join(f"add {count:,} chips to pool {pool}" for pool, count in extra.items()),
        add_chips=extra,
    )


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
    peak = {name: max(use.used for use in answer.pools if use.pool == name) for name in pools}
    return {name: peak[name] - there[name] for name in pools if peak[name] > there[name]}


def _most_chips(core: Market) -> int:
    """More chips than anybody could use in one pool."""
    total = 0
    for service in core.services:
        for offer in service.offers:
            replicas = sum(
                math.ceil(load / offer.capacity[name])
                for name, load in _peak(core, service).items()
                if name in offer.capacity
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


def _more_moves(core: Market, payers: list[MarketService], clear: Clear) -> Iterator[Shortage]:
    """Replicas that may be started beyond those allowed."""
    if core.max_moves is None:
        return
    services = tuple(_with_costs(service, cost=0.0, move_cost=1.0) for service in core.services)
    answer = clear(replace(core, services=services, max_moves=None))
    if answer.objective is None:
        return
    started = [0] * core.slots
    for deployment in answer.deployments:
        started[deployment.slot] += deployment.started or 0
    if max(started) > core.max_moves:
        yield Shortage(
            claimant=payers[0].name,
            binds=f"max_moves: {max(started):,} replicas must be started, {core.max_moves:,} may be",
            remedy=f"allow {max(started) - core.max_moves:,} more moves",
            add_moves=max(started) - core.max_moves,
        )


def _more_of_both(core: Market, clear: Clear) -> Iterator[Shortage]:
    """Chips and moves together, where neither helps alone."""
    if core.max_moves is None:
        return
    free = replace(core, max_moves=None)
    scarce, payers = _scarce(free)
    alone = list(_more_chips(free, scarce, payers, clear))
    for chips in alone or _more_chips_together(free, scarce, payers, clear):
        for moves in _more_moves(_larger(core, chips.add_chips), payers, clear):
            yield replace(
                chips,
                binds=f"{chips.binds} and {moves.binds}",
                remedy=f"{chips.remedy} and {moves.remedy}",
                add_moves=moves.add_moves,
            )


def _larger(core: Market, extra: Mapping[PoolName, int]) -> Market:
    """``core`` with ``extra`` chips."""
    pools = (replace(pool, chips=pool.chips + extra.get(pool.name, 0)) for pool in core.pools)
    return replace(core, pools=tuple(pools))


def _less_load(
    core: Market, scarce: list[PoolName], payers: list[MarketService], clear: Clear
) -> Iterator[Shortage]:
    """Load that one service gives up."""
    for service in payers:
        peak = _peak(core, service)
        steps = _SHED_STEPS * len(peak)
        nothing = MarketOffer(
            name="(shed)",
            chips={_SHED_POOL: 1},
            capacity={name: load / _SHED_STEPS for name, load in peak.items()},
            cost=1.0,
            today=steps if core.counts_moves else 0,  # to shed is no move
        )
        pool = MarketPool(name=_SHED_POOL, chips=steps)
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
        part: dict[str, float] = defaultdict(float)  # of the peak
        for d in answer.deployments:
            if (d.service, d.offer) == (service.name, nothing.name):
                load = service.load(d.slot)
                for name, share in d.share.items():
                    part[name] = max(part[name], share * (load[name] / peak[name]))
        shed = {  # up to the next step, so that what is left does fit
            name: min(math.ceil(share * _SHED_STEPS) / _SHED_STEPS, 1.0) * peak[name]
            for name, share in part.items()
        }
        listed = " and ".join(f"{load:.4g} of class {name!r}" for name, load in shed.items())
        yield Shortage(
            claimant=service.name,
            binds=_names(scarce),
            remedy=f"shed {listed} of service {service.name!r}",
            shed=shed,
        )


def _later(core: Market, scarce: list[PoolName], clear: Clear) -> Iterator[Shortage]:
    """A required job that finishes after its deadline, as soon as the rest leaves room for."""
    for j, job in enumerate(core.jobs):
        if job.deadline_hours is None:
            continue
        patient = replace(job, deadline_hours=None, weight=1.0)
        answer = clear(replace(core, jobs=(*core.jobs[:j], patient, *core.jobs[j + 1 :])))
        if answer.objective is None:
            continue
        option = next(award.option for award in answer.jobs if award.job == job.name)
        assert option is not None
        hours = job.finishes_in_hours(job.options[option])
        if math.isfinite(hours):
            yield Shortage(
                claimant=job.name,
                binds=f"{_names(scarce)}; deadline {job.deadline_hours:,.4g} h",
                remedy=f"let job {job.name!r} finish after {hours:,.4g} h",
                deadline_hours=hours,
            )


def _waiting(core: Market, scarce: list[PoolName], clear: Clear) -> Iterator[Shortage]:
    """A required job that waits, and with it those that follow it."""
    for job in core.jobs:
        rest = replace(core, jobs=tuple(other for other in core.jobs if other.name != job.name))
        if clear(rest).objective is not None:
            yield Shortage(
                claimant=job.name, binds=_names(scarce), remedy=f"let job {job.name!r} wait", wait=True
            )


def _names(pools: list[PoolName]) -> str:
    if not pools:
        return "max_moves"
    return f"pool{'s' if len(pools) > 1 else ''} {', '.join(pools)}"
