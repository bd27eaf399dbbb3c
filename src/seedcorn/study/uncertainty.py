"""What a plan does not know: how far deployed capacities may be off, and the chips that stand by for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seedcorn.domain.offer import Candidate, Offer
from seedcorn.domain.plan import Deployment, ServicePlan, Uncertainty
from seedcorn.domain.prediction import CONFIDENCE, Interval
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import RequestClass, Trace
from seedcorn.errors import MissesSlo
from seedcorn.replay import CapacitySearch, capacity, part
from seedcorn.study.disaggregation import unit_of
from seedcorn.study.offers import Progress, cautious_step_model, demand_req_per_s, planned_traffic
from seedcorn.workers import HERE, Workers

SLOW, LIKELY, FAST = 0.5 + CONFIDENCE / 2, 0.5, 0.5 - CONFIDENCE / 2
"""Quantiles of the time of a step: the ends of its interval, and its middle."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What capacities are asked about: the scenario, and each service's traffic at the planned rate."""

    scenario: Scenario
    traffic: Mapping[str, Trace]

    @staticmethod
    def about(scenario: Scenario) -> "Asking":
        """Every service of the scenario."""
        traffic = {service.name: planned_traffic(service, scenario) for service in scenario.services}
        return Asking(scenario=scenario, traffic=traffic)


def with_uncertainty(
    services: Sequence[ServicePlan], scenario: Scenario, progress: Progress, workers: Workers = HERE
) -> tuple[ServicePlan, ...]:
    """The services, every deployment with the interval of its capacity and what it would need without doubt."""
    asking = Asking.about(scenario)
    offers = list(dict.fromkeys(d.offer for service in services for d in service.deployments))
    capacities: dict[Offer, Interval] = {}
    for offer, capacity_req_per_s in zip(offers, workers.map(_interval, asking, offers), strict=True):
        capacities[offer] = capacity_req_per_s
        progress("what uncertainty costs", len(capacities), len(offers))

    def known(service: ServicePlan, deployment: Deployment) -> Deployment:
        capacity_req_per_s = capacities[deployment.offer]
        saved = _saved(service, deployment, scenario, capacity_req_per_s.value)
        replicas = max(deployment.replicas - saved, 0)
        uncertainty = Uncertainty(capacity_req_per_s=capacity_req_per_s, replicas=replicas)
        return replace(deployment, uncertainty=uncertainty)

    return tuple(replace(s, deployments=tuple(known(s, d) for d in s.deployments)) for s in services)


def _interval(asking: Asking, offer: Offer) -> Interval:
    slow, likely, fast = (
        capacity_at(asking, offer.candidate, offer.request_class, q) for q in (SLOW, LIKELY, FAST)
    )
    return Interval(value=likely, low=slow, high=fast)


def _saved(
    service_plan: ServicePlan, deployment: Deployment, scenario: Scenario, likely_req_per_s: float
) -> int:
    """Replicas fewer that the deployment's load takes where steps take as long as predicted."""
    service, slot = scenario.service(service_plan.service), deployment.slot
    factor = service_plan.slots[slot].load_factor if service_plan.slots else service_plan.load_factor
    load = deployment.share * demand_req_per_s(service, scenario, factor, slot)
    return _replicas(load, deployment.offer.capacity_req_per_s) - _replicas(load, likely_req_per_s)


def _replicas(load: float, capacity_req_per_s: float) -> int:
    """That carry a load; a share is rounded, so a billionth of a replica is none.

    0 where one carries nothing: at a confidence below one half the likely step is the longer one.
    """
    if capacity_req_per_s == 0:
        return 0
    return math.ceil(load / capacity_req_per_s - 1e-9)


def capacity_at(asking: Asking, candidate: Candidate, request_class: RequestClass, quantile: float) -> float:
    """Requests/s of one replica whose steps take as long as that quantile says; 0: it misses an objective at any rate."""
    planning = asking.scenario.planning
    scenario = replace(asking.scenario, planning=replace(planning, confidence=quantile))
    slo, traffic = scenario.service(candidate.service).slo, asking.traffic[candidate.service]
    mine = part(traffic, request_class.holds(traffic))
    try:
        if candidate.prefill is None:
            model = cautious_step_model(candidate, scenario)
            return capacity(model, candidate.engine, mine, slo, seed=planning.seed).rate_per_s
        unit = unit_of(candidate, scenario)
        return CapacitySearch(unit, mine, slo, seed=planning.seed).capacity().rate_per_s
    except MissesSlo:
        return 0.0
