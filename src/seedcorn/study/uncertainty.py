"""What a plan does not know: how far deployed capacities may be off, and the chips that stand by for it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seedcorn.domain.offer import Candidate
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
    deployed = [(service, deployment) for service in services for deployment in service.deployments]
    known: dict[str, list[Deployment]] = {service.service: [] for service in services}
    found = workers.map(_uncertainty, asking, deployed)
    for done, ((service, deployment), uncertainty) in enumerate(zip(deployed, found, strict=True), start=1):
        known[service.service].append(replace(deployment, uncertainty=uncertainty))
        progress("what uncertainty costs", done, len(deployed))
    return tuple(replace(service, deployments=tuple(known[service.service])) for service in services)


def _uncertainty(asking: Asking, deployed: tuple[ServicePlan, Deployment]) -> Uncertainty:
    service_plan, deployment = deployed
    offer = deployment.offer
    slow, likely, fast = (
        capacity_at(asking, offer.candidate, offer.request_class, q) for q in (SLOW, LIKELY, FAST)
    )
    service = asking.scenario.service(service_plan.service)
    load = deployment.share * demand_req_per_s(service, asking.scenario, service_plan.load_factor)
    saved = _replicas(load, offer.capacity_req_per_s) - _replicas(load, likely)
    return Uncertainty(
        capacity_req_per_s=Interval(value=likely, low=slow, high=fast),
        replicas=max(deployment.replicas - saved, 0),
    )


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
