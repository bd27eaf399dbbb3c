"""Plan, replay the plan, tighten, plan again; then say it all in one value."""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from seedcorn.domain.fault import FaultRates
from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation
from seedcorn.domain.moves import Running
from seedcorn.domain.outcome import Outcome
from seedcorn.domain.plan import Deployment, Plan, ServicePlan, SlotPlan
from seedcorn.domain.robustness import Trial
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.errors import FleetTooSmall, Infeasible, InputError
from seedcorn.study.classes import split_book
from seedcorn.study.clearing import (
    LoadFactors,
    alternatives_of,
    check_every_service_has_an_offer,
    cleared,
    clears,
    demands,
    deployments_of,
    full_prices,
    market_of,
)
from seedcorn.study.disaggregation import with_units
from seedcorn.study.faults import Standing, idle_outages, standings
from seedcorn.study.gangs import Gang, chips_held, gangs_of, job_plan
from seedcorn.study.numeraire import Numeraire, numeraire
from seedcorn.study.offers import OfferBook, Progress, demand_req_per_s, offer_book
from seedcorn.study.pools import most_used_by_services, pool_plan
from seedcorn.study.proof import TIGHTEN, Faults, misses, nearest_to_missing, no_spill, replay_service
from seedcorn.study.relaxing import add_slo_changes
from seedcorn.study.resale import sale_plan, with_leftovers_sold
from seedcorn.study.robustness import at_load, failures, shortfall, trials, worst_trials
from seedcorn.study.slots import runs_through_days
from seedcorn.study.switchover import tight_starts
from seedcorn.study.today import running_today
from seedcorn.study.uncertainty import with_uncertainty
from seedcorn.study.waves import way_to
from seedcorn.workers import HERE, Workers

MOST_MADE_UP = 0.5
"""Share of a service's rate that one round makes up for at most: what a lost node takes shrinks against a
service that grows."""

Outcomes: TypeAlias = Mapping[str, tuple[Outcome | None, ...]]
"""Service → the replay of each slot of the day; ``None`` where nothing comes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One pass: the market cleared under these load factors, and what replay said of it (by service and slot)."""

    load_factors: LoadFactors
    allocation: Allocation
    deployments: Mapping[str, tuple[Deployment, ...]]
    outcomes: Outcomes
    trials: Mapping[str, tuple[Trial, ...]]

    def missed(self, service: Service) -> set[int]:
        """Slots in which an objective was missed, in the traffic planned for or in a trial."""
        outcomes = enumerate(self.outcomes[service.name])
        missed = {
            slot for slot, outcome in outcomes if outcome is not None and not outcome.meets(service.slo)
        }
        return missed | {trial.slot for trial in self.trials[service.name] if not trial.slos_held}


def plan_scenario(scenario: Scenario, progress: Progress, workers: Workers = HERE) -> Plan:
    """The plan, replayed; planned again with more load for services whose replay missed an objective.

    Raises:
        Infeasible: A service or job that nothing can carry, or a fleet that cannot carry all; says what
            binds and the nearest change that works.
    """
    found = proven_plan(scenario, progress, workers)
    return replace(found, services=with_uncertainty(found.services, scenario, progress, workers))


def proven_plan(scenario: Scenario, progress: Progress, workers: Workers = HERE) -> Plan:
    """``plan_scenario`` without what uncertainty costs: the best plan, traffic split or whole."""
    worth = numeraire(scenario)
    gangs = gangs_of(scenario, worth)
    book = with_units(offer_book(scenario, progress, workers), scenario, progress, workers)
    running = running_today(scenario, book, progress, workers)
    try:
        return _best_of_whole_and_split(scenario, book, worth, gangs, running, progress, workers)
    except FleetTooSmall as error:
        load_factors = {service.name: (1.0,) * scenario.planning.slots for service in scenario.services}

        def would_clear(changed: OfferBook) -> bool:
            return clears(market_of(scenario, changed, worth, gangs, load_factors, running), scenario)

        add_slo_changes(error, scenario, book, would_clear, progress, workers)
        raise


def _best_of_whole_and_split(
    scenario: Scenario,
    whole: OfferBook,
    worth: Numeraire,
    gangs: Mapping[str, tuple[Gang, ...]],
    running: Mapping[str, tuple[Running, ...]],
    progress: Progress,
    workers: Workers,
) -> Plan:
    """The plan with traffic as it comes, or the one with traffic split into classes if that is better."""

    def proven(book: OfferBook) -> Round:
        check_every_service_has_an_offer(book)
        return _tightened(scenario, book, worth, gangs, running, progress, workers)

    def made(book: OfferBook, last: Round) -> Plan:
        return _plan(scenario, book, worth, gangs, running, last)

    if scenario.planning.classes == 1:
        return made(whole, proven(whole))
    unsplit: Round | None = None
    prices: Mapping[PoolName, float]
    try:
        unsplit = proven(whole)
        prices = full_prices(scenario.pools, worth, unsplit.allocation)
    except Infeasible as error:  # traffic that is split may need fewer chips
        refusal, prices = error, worth.prices
    split = split_book(scenario, whole, prices, progress, workers)
    if not any(split.by_class.values()):
        if unsplit is None:
            raise refusal
        return made(whole, unsplit)
    by_class = proven(split)
    if unsplit is not None and _worth(unsplit, scenario) >= _worth(by_class, scenario):
        return made(whole, unsplit)
    return made(split, by_class)


def _worth(tried: Round, scenario: Scenario) -> tuple[bool, float]:
    """To compare plans by: first that every SLO held, then the value."""
    assert tried.allocation.objective is not None  # it cleared
    return not any(map(tried.missed, scenario.services)), tried.allocation.objective


def _tightened(
    scenario: Scenario,
    book: OfferBook,
    worth: Numeraire,
    gangs: Mapping[str, tuple[Gang, ...]],
    running: Mapping[str, tuple[Running, ...]],
    progress: Progress,
    workers: Workers,
) -> Round:
    """The last of rounds in which load is added wherever a replay missed an objective, or too little outlives a lost node."""
    slots = range(scenario.planning.slots)
    load_factors: LoadFactors = {service.name: (1.0,) * len(slots) for service in scenario.services}
    for rounds_left in reversed(range(scenario.planning.rounds + 1)):
        last = _round(scenario, book, worth, gangs, running, load_factors, progress, workers)
        if rounds_left == 0 or not any(map(last.missed, scenario.services)):
            break
        load_factors = {
            s.name: tuple(
                load_factors[s.name][t] * (_tighter(s, last, scenario, t) if t in last.missed(s) else 1.0)
                for t in slots
            )
            for s in scenario.services
        }
    return last


def _tighter(service: Service, last: Round, scenario: Scenario, slot: int) -> float:
    """Factor on the planned rate after a miss: :data:`TIGHTEN`, or what makes up for a lost node if that is more."""
    here = [d for d in last.deployments[service.name] if d.slot == slot]
    lacking = shortfall(here, scenario, demand_req_per_s(service, scenario, slot=slot))
    return max(TIGHTEN, 1 / (1 - min(lacking, MOST_MADE_UP)))


def replay_plan(
    plan: Plan,
    scenario: Scenario,
    progress: Progress,
    workers: Workers = HERE,
    *,
    load: float | None = None,
    faults: Faults = (),
) -> Plan:
    """``plan`` with a fresh replay of every service, and of everything that it must withstand.

    Args:
        load: Replay this times the mean rates instead, without margin, and no trials.
        faults: What befalls its nodes meanwhile; not in trials.

    Raises:
        InputError: The plan leaves out a service of its scenario, or gives one nothing to run on.
    """
    left_out = {s.name for s in scenario.services} ^ {s.service for s in plan.services}
    if left_out:
        raise InputError(f"plan and scenario do not have the same services: {', '.join(sorted(left_out))}")
    deployments = {service.service: service.deployments for service in plan.services}
    if load is not None:
        scenario = at_load(scenario, {service.name: load for service in scenario.services})
    outcomes = _outcomes(scenario, deployments, progress, workers, faults)
    tried = _trials(scenario, deployments, progress, workers)
    services = tuple(
        replace(
            s,
            outcome=nearest_to_missing(scenario.service(s.service), outcomes[s.service]),
            trials=worst_trials(tried[s.service]),
            slots=tuple(replace(slot, outcome=outcomes[s.service][slot.slot]) for slot in s.slots),
        )
        for s in plan.services
    )
    missed = (*misses(scenario, outcomes), *failures(tried, scenario.planning.slots))
    warnings = (*no_spill(scenario, deployments), *_no_effect(scenario, deployments, faults), *missed)
    return replace(plan, services=services, replayed=True, slos_held=not missed, warnings=warnings)


def _no_effect(
    scenario: Scenario, deployments: Mapping[str, tuple[Deployment, ...]], faults: Faults
) -> tuple[str, ...]:
    """Outages of nodes that the plan does not use, in words."""
    if isinstance(faults, FaultRates):
        return ()
    idle = tuple(faults)
    for slot in range(scenario.planning.slots):
        idle = tuple(idle_outages(standings(_in_slot(deployments, slot), scenario), idle))
    return tuple(
        f"node {outage.node} of pool {outage.pool!r} holds no replica of the plan: losing it changes nothing"
        for outage in idle
    )


def _round(
    scenario: Scenario,
    book: OfferBook,
    worth: Numeraire,
    gangs: Mapping[str, tuple[Gang, ...]],
    running: Mapping[str, tuple[Running, ...]],
    load_factors: LoadFactors,
    progress: Progress,
    workers: Workers,
) -> Round:
    market = market_of(scenario, book, worth, gangs, load_factors, running)
    allocation = with_leftovers_sold(cleared(market, scenario, progress), scenario, worth)
    deployments = {s.name: deployments_of(s, allocation, book) for s in scenario.services}
    return Round(
        load_factors=load_factors,
        allocation=allocation,
        deployments=deployments,
        outcomes=_outcomes(scenario, deployments, progress, workers),
        trials=_trials(scenario, deployments, progress, workers),
    )


def _trials(
    scenario: Scenario,
    deployments: Mapping[str, tuple[Deployment, ...]],
    progress: Progress,
    workers: Workers,
) -> dict[str, tuple[Trial, ...]]:
    """Of every service in every slot; empty where the plan need not withstand anything."""
    found: dict[str, tuple[Trial, ...]] = {service.name: () for service in scenario.services}
    if not (scenario.planning.spare or scenario.planning.cases):
        return found
    runs = [
        (service, slot, here)
        for service in scenario.services
        for slot in range(scenario.planning.slots)
        if (here := tuple(d for d in deployments[service.name] if d.slot == slot))
    ]
    for done, made in enumerate(workers.map(_service_trials, scenario, runs), start=1):
        found[runs[done - 1][0].name] += made
        progress("trying the plan", done, len(runs))
    return found


def _service_trials(
    scenario: Scenario, run: tuple[Service, int, tuple[Deployment, ...]]
) -> tuple[Trial, ...]:
    service, slot, deployments = run
    return trials(service, deployments, scenario, slot)


def _outcomes(
    scenario: Scenario,
    deployments: Mapping[str, tuple[Deployment, ...]],
    progress: Progress,
    workers: Workers,
    faults: Faults = (),
) -> Outcomes:
    """Of every service in every slot under its deployments there; slots that are alike are replayed once."""
    slots = range(scenario.planning.slots)
    runs: dict[Hashable, _Run] = {}
    key_of: dict[tuple[str, int], Hashable] = {}
    for slot in slots:
        here = _in_slot(deployments, slot)
        stand = standings(here, scenario) if faults else {}
        for service in scenario.services:
            demand = demand_req_per_s(service, scenario, slot=slot)
            if demand > 0:
                run = _Run(
                    service=service,
                    slot=slot,
                    deployments=here[service.name],
                    stand=tuple(stand.get(service.name, ())),
                    faults=faults,
                )
                cut = slot if runs_through_days(service) else None
                key: Hashable = (service.name, demand, run.deployments, run.stand, cut)
                key_of[service.name, slot] = key
                runs.setdefault(key, run)
    found: dict[Hashable, Outcome] = {}
    for run_key, outcome in zip(runs, workers.map(_outcome, scenario, list(runs.values())), strict=True):
        found[run_key] = outcome
        progress("replaying the plan", len(found), len(runs))
    return {
        s.name: tuple(found[key_of[s.name, t]] if (s.name, t) in key_of else None for t in slots)
        for s in scenario.services
    }


def _in_slot(
    deployments: Mapping[str, tuple[Deployment, ...]], slot: int
) -> dict[str, tuple[Deployment, ...]]:
    """What every service has in one slot, as if it were the only one."""
    return {
        name: tuple(replace(d, slot=0) for d in those if d.slot == slot)
        for name, those in deployments.items()
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One service to replay in one slot."""

    service: Service
    slot: int
    deployments: tuple[Deployment, ...]
    stand: tuple[Standing, ...]
    faults: Faults


def _outcome(scenario: Scenario, run: _Run) -> Outcome:
    return replay_service(run.service, run.deployments, scenario, run.stand, run.faults, slot=run.slot)


def _plan(
    scenario: Scenario,
    book: OfferBook,
    worth: Numeraire,
    gangs: Mapping[str, tuple[Gang, ...]],
    running: Mapping[str, tuple[Running, ...]],
    last: Round,
) -> Plan:
    allocation = last.allocation
    assert allocation.objective is not None and allocation.bound is not None  # it cleared
    prices = full_prices(scenario.pools, worth, allocation)
    services = tuple(
        _service_plan(s, scenario, book, prices, running[s.name], last) for s in scenario.services
    )
    jobs_named = {job.name: job for job in scenario.jobs}
    jobs = tuple(job_plan(jobs_named[award.job], gangs[award.job], award) for award in allocation.jobs)
    resale = tuple(sale_plan(product, allocation, scenario.planning.slots) for product in scenario.products)
    held = [
        chips_held(scenario.jobs, tuple(job for job in jobs if job.slot in (None, slot)))
        for slot in range(scenario.planning.slots)
    ]
    pools = tuple(
        pool_plan(pool, worth.prices[pool.name], allocation, services, held, resale)
        for pool in scenario.pools
    )
    reference = worth.reference.name
    today = sum(s.today_chips or 0 for s in services if s.today == reference)
    in_use = most_used_by_services(next(pool for pool in pools if pool.pool == reference))
    tight = tight_starts(scenario, last.deployments, jobs, resale)
    missed = (*misses(scenario, last.outcomes), *failures(last.trials, scenario.planning.slots))
    first = _in_slot(last.deployments, 0)
    way = way_to(scenario, running, first, {name: f[0] for name, f in last.load_factors.items()})
    return Plan(
        name=scenario.name,
        inputs_hash=scenario.inputs_hash,
        seed=scenario.planning.seed,
        reference_pool=reference,
        services=services,
        jobs=jobs,
        pools=pools,
        resale=resale,
        status=allocation.status,
        objective=allocation.objective,
        bound=allocation.bound,
        gap=allocation.gap,
        today_chips=today,
        training_chips_freed=today - in_use,
        replayed=True,
        slos_held=not missed,
        waves=way.waves,
        warnings=(
            *scenario.notes,
            *worth.warnings,
            *_unknown_today(services),
            *way.warnings,
            *tight,
            *no_spill(scenario, last.deployments),
            *missed,
        ),
    )


def _service_plan(
    service: Service,
    scenario: Scenario,
    book: OfferBook,
    prices: Mapping[PoolName, float],
    running: tuple[Running, ...],
    last: Round,
) -> ServicePlan:
    load_factors, outcomes = last.load_factors[service.name], last.outcomes[service.name]
    load_factor = max(load_factors)
    rates = demands(service, scenario, (1.0,) * len(load_factors))
    slots = tuple(
        SlotPlan(slot=slot, demand_req_per_s=rate, load_factor=factor, outcome=outcome)
        for slot, (rate, factor, outcome) in enumerate(zip(rates, load_factors, outcomes, strict=True))
    )
    return ServicePlan(
        service=service.name,
        deployments=last.deployments[service.name],
        today=None if service.today is None else service.today.pool,
        today_chips=sum(r.chips for r in running) if running else None,
        running=running,
        alternatives=alternatives_of(service, scenario, book, prices, load_factor),
        refusals=book.refusals[service.name],
        load_factor=load_factor,
        outcome=nearest_to_missing(service, outcomes),
        trials=worst_trials(last.trials[service.name]),
        slots=slots if len(slots) > 1 else (),
    )


def _unknown_today(services: Iterable[ServicePlan]) -> tuple[str, ...]:
    return tuple(
        f"service {s.service!r} runs on pool {s.today!r} today but has no such offer there within its SLO: the chips "
        "it takes there are unknown and count as 0; say its 'tp' and 'replicas' today"
        for s in services
        if s.today is not None and s.today_chips is None
    )
