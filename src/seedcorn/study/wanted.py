"""``seedcorn evidence wanted``: which measurements would free the most chips."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from seedcorn.domain.offer import Candidate, Evidence, RefusalKind
from seedcorn.domain.plan import Plan, ServicePlan
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.wanted import Subject, Wanted
from seedcorn.domain.workload import ALL_REQUESTS
from seedcorn.study.offers import Progress, cautious_step_model, demand_req_per_s
from seedcorn.study.uncertainty import LIKELY, Asking, capacity_at
from seedcorn.workers import HERE, Workers

REACH = 3.0
"""Alternatives that cost up to so many times what the service costs are asked about: three standard
deviations of a typical doubt (0.3) make a step 2.5 times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Doubt:
    """One service's stake in one kind of replica, in reference-chip hours an hour."""

    candidate: Candidate
    frees: float = 0.0
    would_save: float = 0.0
    chips: float = 0.0


def wanted(plan: Plan, scenario: Scenario, progress: Progress, workers: Workers = HERE) -> tuple[Wanted, ...]:
    """Measurements worth making, the most valuable first; kinds of replica that are measured are not among them.

    What a measurement frees is what the plan's deployments of that kind stand by for; what it would save is
    what a service costs now, less what it would cost on that kind alone if steps take as long as
    predicted. Both at the plan's prices, each measurement by itself: savings of a service on several kinds do
    not add up.
    """
    doubts = [*_standing_by(plan), *_kept_elsewhere(plan, scenario, progress, workers)]
    by_subject: dict[Subject, list[_Doubt]] = defaultdict(list)
    for doubt in doubts:
        by_subject[_subject(doubt.candidate, scenario)].append(doubt)
    found = [_wanted(subject, stakes, scenario) for subject, stakes in by_subject.items()]
    useful = [one for one in found if one.worth > 0 and one.evidence is not Evidence.MEASURED]
    return tuple(sorted(useful, key=lambda one: (-one.worth, str(one.subject))))


def _standing_by(plan: Plan) -> Iterator[_Doubt]:
    """Of every deployment, the chips that its doubt takes, in the mean of the day's slots; each side of a unit
    answers for its own."""
    prices = plan.full_prices()
    for service in plan.services:
        for deployment in service.deployments:
            for candidate, replicas in _sides(deployment.offer.candidate):
                of_all_slots = deployment.replicas_for_uncertainty * replicas * candidate.parallelism.chips
                chips = of_all_slots / plan.num_slots
                yield _Doubt(candidate=candidate, frees=chips * prices[candidate.pool], chips=chips)


def _sides(candidate: Candidate) -> Iterator[tuple[Candidate, int]]:
    """The kinds of replica in a unit, and how many of each; a replica that does everything is its own."""
    side = candidate.prefill
    yield candidate.decode, 1 if side is None else side.decode_replicas
    if side is not None:
        yield side.candidate, side.replicas


def _kept_elsewhere(plan: Plan, scenario: Scenario, progress: Progress, workers: Workers) -> Iterator[_Doubt]:
    """Of every kind of replica that a service does not use, what it would save if the doubt were gone."""
    prices = plan.full_prices()
    asked = [(service, candidate) for service in plan.services for candidate in _unused(service, plan)]
    likely = workers.map(_likely_capacity, Asking.about(scenario), [candidate for _, candidate in asked])
    for done, ((service, candidate), capacity) in enumerate(zip(asked, likely, strict=True), start=1):
        progress("alternatives without doubt", done, len(asked))
        if capacity > 0:
            demand = demand_req_per_s(scenario.service(service.service), scenario, service.load_factor)
            replicas = math.ceil(demand / capacity)
            cost = replicas * candidate.parallelism.chips * prices[candidate.pool]
            yield _Doubt(candidate=candidate, would_save=max(_cost(service, plan) - cost, 0.0))


def _likely_capacity(asking: Asking, candidate: Candidate) -> float:
    return capacity_at(asking, candidate, ALL_REQUESTS, LIKELY)


def _unused(service: ServicePlan, plan: Plan) -> Iterator[Candidate]:
    """Kinds of replica that a service might move to: offers within reach, and what misses the SLO by its doubt.

    Units of prefill and decode replicas are left out: two measurements would have to be certain.
    """
    used = {d.offer.candidate.name for d in service.deployments}
    most = REACH * _cost(service, plan)
    for alternative in service.alternatives:
        candidate = alternative.offer.candidate
        is_whole = alternative.offer.request_class == ALL_REQUESTS
        is_alone = candidate.prefill is None
        if is_whole and is_alone and candidate.name not in used and alternative.cost <= most:
            yield candidate
    for refusal in service.refusals:
        candidate = refusal.candidate
        is_alone = candidate.prefill is None
        if refusal.kind is RefusalKind.MISSES_SLO and is_alone and candidate.name not in used:
            yield candidate


def _cost(service: ServicePlan, plan: Plan) -> float:
    """Of what the service runs; the mean of the day's slots."""
    prices = plan.full_prices()
    of_all_slots = sum(
        d.replicas * chips * prices[pool]
        for d in service.deployments
        for pool, chips in d.offer.candidate.chips.items()
    )
    return of_all_slots / plan.num_slots


def _subject(candidate: Candidate, scenario: Scenario) -> Subject:
    return Subject(
        model=scenario.service(candidate.service).model.name,
        dtype=candidate.dtype,
        chip=scenario.pool(candidate.pool).chip.name,
        engine=candidate.engine.engine,
        parallelism=candidate.parallelism,
    )


def _wanted(subject: Subject, stakes: Iterable[_Doubt], scenario: Scenario) -> Wanted:
    """All services' stakes in one kind of replica."""
    stakes = sorted(stakes, key=lambda doubt: -(doubt.frees + doubt.would_save))
    first = stakes[0].candidate
    model = cautious_step_model(first, scenario)
    services = tuple(dict.fromkeys(d.candidate.service for d in stakes if d.frees + d.would_save > 0))
    trace = scenario.service(first.service).trace
    return Wanted(
        subject=subject,
        settings=first.engine,
        evidence=model.evidence,
        log_sigma=model.log_sigma,
        frees=sum(doubt.frees for doubt in stakes),
        would_save=sum(doubt.would_save for doubt in stakes),
        chips=round(sum(doubt.chips for doubt in stakes)),
        services=services,
        input_tokens=round(float(trace.input_tokens.mean())),
        output_tokens=max(round(float(trace.output_tokens.mean())), 2),
    )
