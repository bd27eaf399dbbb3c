"""The proof of a plan: every service's traffic, replayed on what the plan gives it."""

from collections.abc import Mapping, Sequence

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.plan import Deployment
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.replay import ReplicaGroup, UnitGroup, replay_groups
from seedcorn.study.disaggregation import unit_of
from seedcorn.study.offers import cautious_step_model, planned_traffic
from seedcorn.units import format_seconds

TIGHTEN = 1.05
"""Factor on a service's planned rate after a replay that missed an objective: small, so that nothing
is padded more than a round or two needs."""


def replay_service(service: Service, deployments: Sequence[Deployment], scenario: Scenario) -> Outcome:
    """The service's trace at its rate with the load margin on top, each request dealt to deployments of its
    class by share and within each in turn, as capacities were found; step models at the planning confidence."""
    groups = [_group(deployment, scenario) for deployment in deployments]
    return replay_groups(groups, planned_traffic(service, scenario), slo=service.slo)


def _group(deployment: Deployment, scenario: Scenario) -> ReplicaGroup | UnitGroup:
    candidate, request_class = deployment.offer.candidate, deployment.offer.request_class
    replicas, share = deployment.replicas, deployment.share
    if candidate.prefill is not None:
        unit = unit_of(candidate, scenario)
        return UnitGroup(unit=unit, replicas=replicas, share=share, request_class=request_class)
    return ReplicaGroup(
        step_model=cautious_step_model(candidate, scenario),
        engine=candidate.engine,
        replicas=replicas,
        share=share,
        request_class=request_class,
    )


def misses(scenario: Scenario, outcomes: Mapping[str, Outcome]) -> tuple[str, ...]:
    """Every objective that a replay missed, and every request refused, in words."""
    found: list[str] = []
    for service in scenario.services:
        outcome = outcomes[service.name]
        if outcome.refused:
            found.append(
                f"service {service.name!r}: {outcome.refused:,} requests are longer than any KV cache"
            )
        for objective in service.slo.objectives:
            got_s = outcome.latency(objective.metric).value_s(objective.statistic)
            if not got_s <= objective.bound_s:
                found.append(
                    f"service {service.name!r} misses {objective.name} in replay: {format_seconds(got_s)}, "
                    f"the SLO asks {format_seconds(objective.bound_s)}"
                )
    return tuple(found)
