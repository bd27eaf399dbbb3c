"""The proof of a plan: every service's traffic, replayed on what the plan gives it."""

from collections.abc import Iterator, Mapping, Sequence

from seedcorn.domain.fault import FaultRates, Outage
from seedcorn.domain.hardware import PoolName
from seedcorn.domain.outcome import GroupOutcome, Outcome, PoolOutcome
from seedcorn.domain.plan import Deployment, Plan
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.replay import Operations, ReplicaGroup, Spell, UnitGroup, replay_groups
from seedcorn.study.disaggregation import unit_of
from seedcorn.study.faults import Standing, fault_spells
from seedcorn.study.offers import cautious_step_model, planned_traffic
from seedcorn.study.slots import slot_name
from seedcorn.units import format_seconds

TIGHTEN = 1.05
"""Factor on a service's planned rate after a replay that missed an objective: small, so that nothing
is padded more than a round or two needs."""

Faults = FaultRates | tuple[Outage, ...]


def replay_service(
    service: Service,
    deployments: Sequence[Deployment],
    scenario: Scenario,
    stand: Sequence[Standing] = (),
    faults: Faults = (),
    *,
    slot: int | None = None,
) -> Outcome:
    """The service's trace at its rate with the load margin on top, each request dealt to deployments of its
    class by share and then by the service's router; step models at the planning confidence.

    Args:
        service: Whose.
        deployments: What it runs on.
        scenario: The fleet, and how to plan.
        stand: Where the deployments stand; only faults ask.
        faults: What befalls nodes.
        slot: Of the day; ``None``: the busiest.
    """
    if stand:
        stand = [standing for standing, d in zip(stand, deployments, strict=True) if d.serves]
    deployments = [deployment for deployment in deployments if deployment.serves]
    groups = [_group(deployment, scenario) for deployment in deployments]
    trace, routing = planned_traffic(service, scenario, slot), service.routing
    spells = fault_spells(stand, faults, until_s=float(trace.arrival_s[-1])) if stand else ()
    return replay_groups(
        groups,
        trace,
        router=routing.router,
        operations=_operations(service, deployments, spells, scenario.planning.seed),
        slo=service.slo,
    )


def _operations(
    service: Service, deployments: Sequence[Deployment], spells: tuple[Spell, ...], seed: int
) -> Operations | None:
    """What the service's router asks of the replay besides choosing replicas; ``None``: nothing."""
    routing, spill_to = service.routing, _spill_to(service, deployments)
    if routing.max_waiting is None and spill_to is None and not spells:
        return None
    return Operations(
        max_waiting=routing.max_waiting,
        spill_to=spill_to,
        spill_waiting=routing.spill.waiting if routing.spill is not None else 0,
        spells=spells,
        seed=seed,
    )


def _spill_to(service: Service, deployments: Sequence[Deployment]) -> int | None:
    """The first deployment on the pool that requests spill to."""
    if service.routing.spill is None:
        return None
    pools = [deployment.offer.candidate.pool for deployment in deployments]
    return pools.index(service.routing.spill.to) if service.routing.spill.to in pools else None


def pools_replayed(plan: Plan) -> tuple[PoolOutcome, ...]:
    """What a replayed plan's services did on each pool that they use, in the order of the fleet.

    A unit of two pools counts on both, and its requests where they are decoded. Nothing of a day of several
    slots: a busy share of all of them would hide the hour that matters.
    """
    if plan.num_slots > 1:
        return ()
    parts: dict[PoolName, list[tuple[Deployment, GroupOutcome]]] = {pool.pool: [] for pool in plan.pools}
    for service in plan.services:
        groups = service.outcome.groups if service.outcome is not None else ()
        serving = [deployment for deployment in service.deployments if deployment.serves]
        for deployment, group in zip(serving, groups, strict=True):
            for pool in deployment.offer.candidate.chips:
                parts[pool].append((deployment, group))
    return tuple(_pool_outcome(pool, here) for pool, here in parts.items() if here)


def _pool_outcome(pool: PoolName, here: Sequence[tuple[Deployment, GroupOutcome]]) -> PoolOutcome:
    chips = [deployment.chips_of(pool) for deployment, _ in here]
    busy = sum(n * group.busy_share for n, (_, group) in zip(chips, here, strict=True))
    return PoolOutcome(
        pool=pool,
        replicas=sum(deployment.replicas for deployment, _ in here),
        chips=sum(chips),
        finished=sum(group.finished for d, group in here if d.offer.candidate.pool == pool),
        busy_share=busy / sum(chips),
    )


def no_spill(scenario: Scenario, deployments: Mapping[str, Sequence[Deployment]]) -> tuple[str, ...]:
    """Every service that would spill to a pool where the plan gives it nothing, in words."""
    return tuple(
        f"service {service.name!r} has no replica on pool {service.routing.spill.to!r} to spill to: "
        "no request leaves its deployment"
        for service in scenario.services
        if service.routing.spill is not None and _spill_to(service, deployments[service.name]) is None
    )


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


def misses(scenario: Scenario, outcomes: Mapping[str, Sequence[Outcome | None]]) -> tuple[str, ...]:
    """Every objective that a replay missed, and every request refused, in words.

    Args:
        outcomes: Service → one for each slot of the day; ``None`` where nothing comes.
    """
    slots = scenario.planning.slots
    return tuple(
        f"service {service.name!r}{'' if slots == 1 else f' from {slot_name(slot, slots)}'}{what}"
        for service in scenario.services
        for slot, outcome in enumerate(outcomes[service.name])
        if outcome is not None
        for what in _misses(service, outcome)
    )


def _misses(service: Service, outcome: Outcome) -> Iterator[str]:
    refused = {
        "are longer than any KV cache of their class": outcome.refused
        - outcome.turned_away
        - outcome.unserved,
        "met a full queue and were refused": outcome.turned_away,
        "found no replica in service, nor was one again": outcome.unserved,
    }
    yield from (f": {n:,} requests {what}" for what, n in refused.items() if n)
    for objective in service.slo.objectives:
        got_s = outcome.latency(objective.metric).value_s(objective.statistic)
        if not got_s <= objective.bound_s:
            yield (
                f" misses {objective.name} in replay: {format_seconds(got_s)}, the SLO asks "
                f"{format_seconds(objective.bound_s)}"
            )


def nearest_to_missing(service: Service, outcomes: Sequence[Outcome | None]) -> Outcome | None:
    """Of a service's slots the outcome with an objective nearest its bound, or farthest beyond it."""

    def strain(outcome: Outcome) -> tuple[int, float]:
        return outcome.refused, max(
            outcome.latency(o.metric).value_s(o.statistic) / o.bound_s for o in service.slo.objectives
        )

    return max((outcome for outcome in outcomes if outcome is not None), key=strain, default=None)
