"""Request classes: a service's traffic split by length where that saves chips.

A long prompt in a batch delays everybody there, so replicas that see short requests alone carry more of
them; and a chip too small or too slow for the longest requests may be the best one for the rest. Where
traffic is split, a replica serves one class and no other: its capacity is then a replay like any other,
where adding up the loads of several classes on one replica would promise too much.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.offer import Candidate, Offer
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import ALL_REQUESTS, RequestClass, Service, Trace
from seedcorn.errors import Infeasible
from seedcorn.perf import StepModel
from seedcorn.replay import Capacity, CapacitySearch, Replica, part, scaled
from seedcorn.replay.capacity import FEWEST
from seedcorn.study.offers import (
    OfferBook,
    Progress,
    cautious_step_model,
    demand_req_per_s,
    offer_of,
    planned_traffic,
    serving_candidates,
)
from seedcorn.workers import HERE, Workers

EDGES = (0.75, 0.9, 0.97)
"""Quantiles of a length at which traffic may be split. The dear requests are the few long ones, so the
edges are closer there."""

LEAST_GAIN = 0.02
"""A split must save this share of what the service costs: each class is a configuration to keep, and
estimates are good to about as much."""

FEWEST_REQUESTS = 100
"""Of the trace in a class: fewer say nothing of a 99th percentile."""

ESTIMATE_REQUESTS = 20_000
"""Of the traffic on which splits are compared; offers of those chosen are sized on all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Care:
    """How carefully a capacity is found.

    Attributes:
        tolerance: Relative, of the rate.
        requests: Fewest in a replay.
    """

    tolerance: float
    requests: int


ESTIMATE = Care(tolerance=0.02, requests=1_500)
"""Of the rates that compare splits: 15 requests lie beyond the 99th percentile. What is chosen is sized with
care, and replayed beside the plan without it."""

SIZING = Care(tolerance=0.005, requests=FEWEST)
"""Of an offer's capacity, as for a whole service."""

FREE = 1e-9
"""A price that stands in for 0, so that costs can be compared."""


def split_book(
    scenario: Scenario,
    book: OfferBook,
    prices: Mapping[PoolName, float],
    progress: Progress,
    workers: Workers = HERE,
) -> OfferBook:
    """``book`` with offers by class for services that a split makes cheaper, by :data:`LEAST_GAIN` or more.

    Args:
        prices: What a chip-hour of each pool costs, scarcity included.
    """
    services = scenario.services
    by_class: dict[str, tuple[Offer, ...]] = {}
    progress("splitting traffic into classes", 0, len(services))
    found = workers.map(_offers_by_class, (scenario, prices, book), services)
    for service, offers in zip(services, found, strict=True):
        by_class[service.name] = offers
        progress("splitting traffic into classes", len(by_class), len(services))
    return replace(book, by_class=by_class)


def class_weights(classes: Sequence[RequestClass], trace: Trace) -> dict[RequestClass, float]:
    """Each class's part of the requests."""
    return {request_class: float(request_class.holds(trace).mean()) for request_class in classes}


def chosen_classes(
    service: Service,
    scenario: Scenario,
    prices: Mapping[PoolName, float],
    whole_offers: Sequence[Offer] = (),
) -> tuple[RequestClass, ...]:
    """The split of the traffic that costs least at these prices: a tree that grows while a cut pays.

    A cut halves one class at one of :data:`EDGES`, by prompt length, which a router knows; by output
    length too where the scenario says that the router knows it.

    Args:
        whole_offers: What is known of replicas that serve all requests; none: it is found out.
    """
    planning = scenario.planning
    demand = demand_req_per_s(service, scenario)
    count = min(ESTIMATE_REQUESTS, planned_traffic(service, scenario).num_requests)
    traffic = scaled(service.trace, rate_per_s=demand, seed=planning.seed, num_requests=count)
    replicas = _replicas(service, scenario)
    known: dict[RequestClass, float] = {}
    if whole_offers:
        known[ALL_REQUESTS] = min(_whole_cost(offer, demand, prices) for offer in whole_offers)

    def cost(request_class: RequestClass) -> float:
        if request_class not in known:
            call = _call(request_class, service, traffic, demand, prices, ESTIMATE, planning.seed)
            best = call.cheapest(replicas)
            known[request_class] = math.inf if best is None else best.cost
        return known[request_class]

    classes = [ALL_REQUESTS]
    while len(classes) < planning.classes:
        cheapest, best = (1 - LEAST_GAIN) * sum(map(cost, classes)), None
        for whole in classes:
            others = sum(cost(c) for c in classes if c != whole)
            for long, short in _cuts(whole, service.trace, by_output=planning.output_known):
                so_far = others + cost(long)
                if so_far < cheapest and so_far + cost(short) < cheapest:
                    cheapest, best = so_far + cost(short), (whole, (short, long))
        if best is None:
            break
        whole, halves = best
        at = classes.index(whole)
        classes[at : at + 1] = halves
    return tuple(classes)


def _cuts(
    whole: RequestClass, trace: Trace, *, by_output: bool
) -> Iterator[tuple[RequestClass, RequestClass]]:
    """Every pair of halves of ``whole`` that both hold enough requests, the long half first: it is the dear one."""
    pairs = [whole.split(input_at=edge) for edge in _edges(trace.input_tokens)]
    if by_output:
        pairs += [whole.split(output_at=edge) for edge in _edges(trace.output_tokens)]
    for halves in pairs:
        if all(int(half.holds(trace).sum()) >= FEWEST_REQUESTS for half in halves):
            yield halves[1], halves[0]


def _edges(lengths: NDArray[np.int32]) -> list[int]:
    return sorted({int(edge) for edge in np.quantile(lengths, EDGES)})


def _whole_cost(offer: Offer, demand: float, prices: Mapping[PoolName, float]) -> float:
    unit = sum(chips * max(prices[pool], FREE) for pool, chips in offer.candidate.chips.items())
    return unit * math.ceil(demand / offer.capacity_req_per_s)


def _offers_by_class(
    common: tuple[Scenario, Mapping[PoolName, float], OfferBook], service: Service
) -> tuple[Offer, ...]:
    """For each class of the split that pays, the best offer of each pool; empty where none pays."""
    scenario, prices, book = common
    classes = chosen_classes(service, scenario, prices, book.offers[service.name])
    if len(classes) == 1:
        return ()
    traffic = planned_traffic(service, scenario)
    demand, seed = demand_req_per_s(service, scenario), scenario.planning.seed
    replicas = _replicas(service, scenario)
    found: list[Offer] = []
    for request_class in classes:
        call = _call(request_class, service, traffic, demand, prices, SIZING, seed)
        for pool in scenario.pools:
            best = call.cheapest([(c, model) for c, model in replicas if c.pool == pool.name])
            if best is not None:
                found.append(offer_of(best.candidate, best.model, best.capacity, request_class))
    return tuple(found)


def _replicas(service: Service, scenario: Scenario) -> list[tuple[Candidate, StepModel]]:
    """Every kind of replica of the service, those that differ in name only once: the preferred format."""
    found: dict[object, tuple[Candidate, StepModel]] = {}
    for candidate in serving_candidates(service, scenario):
        try:
            model = cautious_step_model(candidate, scenario)
        except Infeasible:  # its refusal is in the book of the whole traffic
            continue
        times = (model.dense_s.tobytes(), model.context_s, model.pair_s, model.kv_tokens)
        same = (candidate.pool, candidate.parallelism.chips, candidate.engine, times)
        found.setdefault(same, (candidate, model))
    return list(found.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bid:
    """What carrying a class on replicas of one kind costs, in whole replicas."""

    candidate: Candidate
    model: StepModel
    capacity: Capacity
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Call:
    """A class that asks for bids."""

    service: Service
    traffic: Trace
    demand: float
    prices: Mapping[PoolName, float]
    care: Care
    seed: int

    def cheapest(self, replicas: Sequence[tuple[Candidate, StepModel]]) -> _Bid | None:
        """The cheapest bid; ``None``: none of the replicas carries the class within the SLO.

        No replica carries more than it does when all requests come at once, which bounds its bid from
        below. Bids are asked for in the order of these bounds; whoever cannot win says so after one
        replay, at the rate it would have to carry.
        """
        best: _Bid | None = None
        for bound, unit, candidate, model, search in self._entries(replicas):
            if best is not None:
                if bound >= best.cost:
                    break
                fewer = math.ceil(best.cost / unit) - 1
                if fewer < 1 or not search.carries(self.demand / fewer):
                    continue
            try:
                capacity = search.capacity(self.care.tolerance)
            except Infeasible:  # misses the SLO in this trace's bursts, at any rate
                continue
            cost = unit * math.ceil(self.demand / capacity.rate_per_s)
            if best is None or cost < best.cost:
                best = _Bid(candidate=candidate, model=model, capacity=capacity, cost=cost)
        return best

    def _entries(
        self, replicas: Sequence[tuple[Candidate, StepModel]]
    ) -> list[tuple[float, float, Candidate, StepModel, CapacitySearch]]:
        """(no bid is lower, price of one replica, who), lowest first; those that fit."""
        found = []
        for candidate, model in replicas:
            try:
                replica = Replica(step_model=model, engine=candidate.engine)
                search = CapacitySearch(
                    replica, self.traffic, self.service.slo, seed=self.seed, fewest=self.care.requests
                )
            except Infeasible:  # too long for it
                continue
            unit = candidate.parallelism.chips * max(self.prices[candidate.pool], FREE)
            bound = unit * math.ceil(self.demand / search.saturated_per_s)
            found.append((bound, unit, candidate, model, search))
        return sorted(found, key=lambda entry: entry[0])


def _call(
    request_class: RequestClass,
    service: Service,
    traffic: Trace,
    demand: float,
    prices: Mapping[PoolName, float],
    care: Care,
    seed: int,
) -> _Call:
    mine = request_class.holds(traffic)
    return _Call(
        service=service,
        traffic=part(traffic, mine),
        demand=demand * float(mine.mean()),
        prices=prices,
        care=care,
        seed=seed,
    )
