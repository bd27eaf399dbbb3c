"""Plan, replay the plan, tighten, plan again; then say it all in one value."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from seedcorn.domain.fault import FaultRates
from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation
from seedcorn.domain.moves import Running
from seedcorn.domain.outcome import Outcome
from seedcorn.domain.plan import Deployment, Plan, PoolPlan, ServicePlan
from seedcorn.domain.robustness import Trial
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.errors import Infeasible, InputError
from seedcorn.study.classes import split_book
from seedcorn.study.clearing import (
    alternatives_of,
    check_every_service_has_an_offer,
    cleared,
    deployments_of,
    full_prices,
    market_of,
)
from seedcorn.study.disaggregation import with_units
from seedcorn.study.faults import Standing, idle_outages, standings
from seedcorn.study.gangs import Gang, chips_held, gangs_of, job_plan
from seedcorn.study.numeraire import Numeraire, numeraire
from seedcorn.study.offers import OfferBook, Progress, demand_req_per_s, offer_book
from seedcorn.study.proof import TIGHTEN, Faults, misses, no_spill, replay_service
from seedcorn.study.robustness import at_load, failures, shortfall, trials
from seedcorn.study.today import running_today
from seedcorn.study.uncertainty import with_uncertainty
from seedcorn.study.waves import way_to
from seedcorn.workers import HERE, Workers

MOST_MADE_UP = 0.5
"""Share of a service's rate that one round makes up for at most: what a lost node takes shrinks against a
service that grows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One pass: the market cleared under these load factors, and what replay said of it (by service)."""

    load_factors: Mapping[str, float]
    allocation: Allocation
    deployments: Mapping[str, tuple[Deployment, ...]]
    outcomes: Mapping[str, Outcome]
    trials: Mapping[str, tuple[Trial, ...]]

    def holds(self, service: Service) -> bool:
        """Whether every objective held, in the traffic planned for and in every trial."""
        trials = self.trials[service.name]
        return self.outcomes[service.name].meets(service.slo) and all(t.slos_held for t in trials)


def plan_scenario(scenario: Scenario, progress: Progress, workers: Workers = HERE) -> Plan:
    """The plan, replayed; planned again with more load for services whose replay missed an objective.

    Raises:
        Infeasible: A service or job that nothing can carry, or a fleet that cannot carry all; says what
            binds and the nearest change that works.
    """
    found = _found(scenario, progress, workers)
    return replace(found, services=with_uncertainty(found.services, scenario, progress, workers))


def _found(scenario: Scenario, progress: Progress, workers: Workers) -> Plan:
    """The best plan, traffic split or whole."""
    worth = numeraire(scenario)
    gangs = gangs_of(scenario, worth)
    whole = with_units(offer_book(scenario, progress, workers), scenario, progress, workers)
    running = running_today(scenario, whole, progress, workers)

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
    return all(map(tried.holds, scenario.services)), tried.allocation.objective


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
    load_factors = {service.name: 1.0 for service in scenario.services}
    for rounds_left in reversed(range(scenario.planning.rounds + 1)):
        last = _round(scenario, book, worth, gangs, running, load_factors, progress, workers)
        missed = [service for service in scenario.services if not last.holds(service)]
        if not missed or rounds_left == 0:
            break
        load_factors = load_factors | {
            s.name: load_factors[s.name] * _tighter(s, last.deployments[s.name], scenario) for s in missed
        }
    return last


def _tighter(service: Service, deployments: Sequence[Deployment], scenario: Scenario) -> float:
    """Factor on the planned rate after a miss: :data:`TIGHTEN`, or what makes up for a lost node if that is more."""
    lacking = shortfall(deployments, scenario, demand_req_per_s(service, scenario))
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
    services = tuple(replace(s, outcome=outcomes[s.service], trials=tried[s.service]) for s in plan.services)
    missed = (*misses(scenario, outcomes), *failures(tried))
    warnings = (*no_spill(scenario, deployments), *_no_effect(scenario, deployments, faults), *missed)
    return replace(plan, services=services, replayed=True, slos_held=not missed, warnings=warnings)


def _no_effect(
    scenario: Scenario, deployments: Mapping[str, tuple[Deployment, ...]], faults: Faults
) -> tuple[str, ...]:
    """Outages of nodes that the plan does not use, in words."""
    idle = () if isinstance(faults, FaultRates) else idle_outages(standings(deployments, scenario), faults)
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
    load_factors: Mapping[str, float],
    progress: Progress,
    workers: Workers,
) -> Round:
    market = market_of(scenario, book, worth, gangs, load_factors, running)
    allocation = cleared(market, scenario, progress)
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
    """Of every service; empty where the plan need not withstand anything."""
    found: dict[str, tuple[Trial, ...]] = {service.name: () for service in scenario.services}
    if not (scenario.planning.spare or scenario.planning.cases):
        return found
    runs = [(service, deployments[service.name]) for service in scenario.services]
    for done, made in enumerate(workers.map(_service_trials, scenario, runs), start=1):
        found[runs[done - 1][0].name] = made
        progress("trying the plan", done, len(runs))
    return found


def _service_trials(scenario: Scenario, run: tuple[Service, tuple[Deployment, ...]]) -> tuple[Trial, ...]:
    service, deployments = run
    return trials(service, deployments, scenario)


def _outcomes(
    scenario: Scenario,
    deployments: Mapping[str, tuple[Deployment, ...]],
    progress: Progress,
    workers: Workers,
    faults: Faults = (),
) -> dict[str, Outcome]:
    """Of every service under its deployments; replayed side by side."""
    outcomes: dict[str, Outcome] = {}
    stand = standings(deployments, scenario) if faults else {}
    runs = [
        _Run(service=s, deployments=deployments[s.name], stand=stand.get(s.name, ()), faults=faults)
        for s in scenario.services
    ]
    for run, outcome in zip(runs, workers.map(_outcome, scenario, runs), strict=True):
        outcomes[run.service.name] = outcome
        progress("replaying the plan", len(outcomes), len(runs))
    return outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Run:
    """One service to replay."""

    service: Service
    deployments: tuple[Deployment, ...]
    stand: tuple[Standing, ...]
    faults: Faults


def _outcome(scenario: Scenario, run: _Run) -> Outcome:
    return replay_service(run.service, run.deployments, scenario, run.stand, run.faults)


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
    jobs = tuple(
        job_plan(job, gangs[job.name], award)
        for job, award in zip(scenario.jobs, allocation.jobs, strict=True)
    )
    by_services = _chips_by_pool(
        (pool, d.chips_of(pool)) for s in services for d in s.deployments for pool in d.offer.candidate.chips
    )
    by_jobs = chips_held(scenario.jobs, jobs)
    reference = worth.reference.name
    today = sum(s.today_chips or 0 for s in services if s.today == reference)
    missed = (*misses(scenario, last.outcomes), *failures(last.trials))
    way = way_to(scenario, running, last.deployments, last.load_factors)
    return Plan(
        name=scenario.name,
        inputs_hash=scenario.inputs_hash,
        seed=scenario.planning.seed,
        reference_pool=reference,
        services=services,
        jobs=jobs,
        pools=tuple(
            PoolPlan(
                pool=pool.name,
                chip=pool.chip.name,
                chips=pool.chips,
                spare=pool.spare,
                used_by_services=by_services[pool.name],
                used_by_jobs=by_jobs.get(pool.name, 0),
                price=worth.prices[pool.name],
                shadow_price=use.shadow_price,
            )
            for pool, use in zip(scenario.pools, allocation.pools, strict=True)
        ),
        status=allocation.status,
        objective=allocation.objective,
        bound=allocation.bound,
        gap=allocation.gap,
        today_chips=today,
        training_chips_freed=today - by_services[reference],
        replayed=True,
        slos_held=not missed,
        waves=way.waves,
        warnings=(
            *scenario.notes,
            *worth.warnings,
            *_unknown_today(services),
            *way.warnings,
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
    load_factor = last.load_factors[service.name]
    return ServicePlan(
        service=service.name,
        deployments=last.deployments[service.name],
        today=None if service.today is None else service.today.pool,
        today_chips=sum(r.chips for r in running) if running else None,
        running=running,
        alternatives=alternatives_of(service, scenario, book, prices, load_factor),
        refusals=book.refusals[service.name],
        load_factor=load_factor,
        outcome=last.outcomes[service.name],
        trials=last.trials[service.name],
    )


def _chips_by_pool(claims: Iterable[tuple[PoolName, int]]) -> Counter[PoolName]:
    chips: Counter[PoolName] = Counter()
    for pool, count in claims:
        chips[pool] += count
    return chips


def _unknown_today(services: Iterable[ServicePlan]) -> tuple[str, ...]:
    return tuple(
        f"service {s.service!r} runs on pool {s.today!r} today but has no such offer there within its SLO: the chips "
        "it takes there are unknown and count as 0; say its 'tp' and 'replicas' today"
        for s in services
        if s.today is not None and s.today_chips is None
    )
