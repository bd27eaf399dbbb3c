"""Plans that hold when a node of each pool fails, or when another forecast comes true.

A node holds replicas of one kind, as many as fit: the worst packing for the service. Its loss takes them
all; what is left must carry the planned rate within the SLO until the lost ones run again on spare nodes.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Market, MarketOffer, MarketService
from seedcorn.domain.offer import Candidate
from seedcorn.domain.plan import Deployment
from seedcorn.domain.robustness import NODE_LOSS, Trial
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.study.offers import OfferBook
from seedcorn.study.proof import replay_service
from seedcorn.study.slots import slot_name


def replicas_lost(candidate: Candidate, scenario: Scenario) -> int:
    """Replicas that ``planning.spare`` nodes take with them: those packed on a node, or one that spans several."""
    per_node = scenario.pool(candidate.pool).chips_per_node // candidate.parallelism.chips
    return scenario.planning.spare * max(per_node, 1)


def withstanding(market: Market, scenario: Scenario, book: OfferBook) -> Market:
    """``market`` in which offers carry what they carry with the lost replicas gone.

    A class of load x replicas needs ⌈x⌉ of an offer, and r more that may be lost: so one of ⌈x⌉ + r carries
    x / (⌈x⌉ + r) of its capacity. That is exact for a class on one kind of replica in its busiest slot; where
    kinds are mixed, and in other slots, a plan that falls short is seen by its trial, and planned again with more load.
    """
    if scenario.planning.spare == 0:
        return market

    def after_loss(service: MarketService) -> MarketService:
        candidates = {offer.name: offer.candidate for offer in book.in_use(service.name)}
        highest = {**service.demand, **{name: max(tide) for name, tide in service.tidal.items()}}

        def derated(offer: MarketOffer) -> MarketOffer:
            lost = replicas_lost(candidates[offer.name], scenario)
            return replace(
                offer,
                capacity={
                    name: _derated(capacity, highest[name] / capacity, lost)
                    for name, capacity in offer.capacity.items()
                },
            )

        return replace(service, offers=tuple(map(derated, service.offers)))

    return replace(market, services=tuple(map(after_loss, market.services)))


def _derated(capacity: float, load: float, lost: int) -> float:
    return capacity * load / (math.ceil(load * (1 - 1e-9)) + lost)


def survivors(deployments: Sequence[Deployment], scenario: Scenario) -> tuple[Deployment, ...]:
    """What is left of a service when in each pool the nodes that carry most of its traffic fail.

    Shares are dealt anew within each class, by what the rest carries; those of a class with no replica
    left are lost, and their sum falls short of 1.
    """
    struck: dict[PoolName, tuple[float, Deployment]] = {}
    for deployment in deployments:
        candidate = deployment.offer.candidate
        lost = min(replicas_lost(candidate, scenario), deployment.replicas)
        weight = deployment.share * lost / deployment.replicas
        if weight > struck.get(candidate.pool, (0.0, deployment))[0]:
            struck[candidate.pool] = (weight, deployment)
    worst = [deployment for _, deployment in struck.values()]
    left = [
        replace(d, replicas=max(d.replicas - replicas_lost(d.offer.candidate, scenario), 0))
        if d in worst
        else d
        for d in deployments
    ]
    return tuple(_dealt_anew(left, deployments))


def _dealt_anew(left: Sequence[Deployment], before: Sequence[Deployment]) -> Iterator[Deployment]:
    for deployment in left:
        request_class = deployment.offer.request_class
        share = sum(d.share for d in before if d.offer.request_class == request_class)
        carried = sum(_carries(d) for d in left if d.offer.request_class == request_class)
        if deployment.replicas:
            yield replace(deployment, share=share * _carries(deployment) / carried)


def _carries(deployment: Deployment) -> float:
    return deployment.replicas * deployment.offer.capacity_req_per_s


def trials(
    service: Service, deployments: Sequence[Deployment], scenario: Scenario, slot: int
) -> tuple[Trial, ...]:
    """Node loss, if the plan is to withstand any, then every load case that says something of the service.

    Args:
        deployments: What the service has in the slot.
    """
    found = []
    if scenario.planning.spare:
        found.append(_node_loss(service, deployments, scenario, slot))
    for case in scenario.planning.cases:
        if service.name in case.load:
            at = at_load(scenario, case.load)
            outcome = replay_service(at.service(service.name), deployments, at, slot=slot)
            held = outcome.meets(service.slo)
            found.append(Trial(case=case.name, lost=0, slos_held=held, outcome=outcome, slot=slot))
    return tuple(found)


def worst_trials(tried: Sequence[Trial]) -> tuple[Trial, ...]:
    """One trial of each case: of the first slot in which it does not hold, else of the first slot."""
    worst: dict[str, Trial] = {}
    for trial in tried:
        before = worst.setdefault(trial.case, trial)
        if before.slos_held and not trial.slos_held:
            worst[trial.case] = trial
    return tuple(worst.values())


def at_load(scenario: Scenario, load: Mapping[str, float]) -> Scenario:
    """``scenario`` with these mean rates against its own, and no margin on top: the traffic that comes."""
    return replace(
        scenario,
        services=tuple(
            replace(service, rate_per_s=service.rate_per_s * load.get(service.name, 1.0))
            for service in scenario.services
        ),
        planning=replace(scenario.planning, load_margin=0.0, spare=0, cases=()),
    )


def _node_loss(service: Service, deployments: Sequence[Deployment], scenario: Scenario, slot: int) -> Trial:
    left = survivors(deployments, scenario)
    lost = sum(d.replicas for d in deployments) - sum(d.replicas for d in left)
    if not math.isclose(sum(d.share for d in left), sum(d.share for d in deployments), rel_tol=1e-6):
        return Trial(case=NODE_LOSS, lost=lost, slos_held=False, outcome=None, slot=slot)
    outcome = replay_service(service, left, scenario, slot=slot)
    held = outcome.meets(service.slo)
    return Trial(case=NODE_LOSS, lost=lost, slos_held=held, outcome=outcome, slot=slot)


def failures(tried: Mapping[str, Sequence[Trial]], slots: int) -> tuple[str, ...]:
    """Every trial that did not hold, in words."""
    return tuple(
        f"service {name!r} does not hold under {trial.case!r}"
        + ("" if slots == 1 else f" from {slot_name(trial.slot, slots)}")
        + (f": {trial.lost:,} replicas are lost" if trial.lost else "")
        + ("" if trial.outcome is not None else " and some of its traffic with them")
        for name, those in tried.items()
        for trial in those
        if not trial.slos_held
    )


def shortfall(deployments: Sequence[Deployment], scenario: Scenario, demand_req_per_s: float) -> float:
    """Share of the demand, of the class that is hit most, that the survivors of a node loss do not carry."""
    left = survivors(deployments, scenario)
    worst = 0.0
    for request_class in {d.offer.request_class for d in deployments}:
        share = sum(d.share for d in deployments if d.offer.request_class == request_class)
        carried = sum(_carries(d) for d in left if d.offer.request_class == request_class)
        if share > 0:
            worst = max(worst, 1 - carried / (share * demand_req_per_s))
    return worst
