"""Units whose prompts are computed on other replicas than their answers: which are worth offering, and what each carries.

Every pair of pools gets one unit. What each side carries alone, by replay, says which replica is the best
of its pool for that side and how many of each keep each other busy; then the whole unit is replayed,
link and all, and that is its capacity.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product
from math import gcd, inf

import numpy as np

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.offer import Candidate, Evidence, Offer, PrefillSide, Refusal
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Metric, Objective, Slo, Statistic
from seedcorn.errors import Infeasible
from seedcorn.perf.memory import kv_bytes_per_token
from seedcorn.replay import CapacitySearch, DecodeSide, Disaggregated, Link, Replica, Server, Side
from seedcorn.study.offers import (
    Judging,
    OfferBook,
    Progress,
    cautious_step_model,
    offer_of,
    planned_traffic,
    refusal_of,
    serving_candidates,
)
from seedcorn.workers import HERE, Workers

MOST_REPLICAS = 8
"""Of one side of a unit: finer ratios than eighths gain little, and a unit is bought whole."""


_COARSE = 0.05
"""How finely a side's own rate is searched: it only picks replicas and their ratio."""

_ALWAYS = Objective(metric=Metric.E2E, statistic=Statistic.MEAN, bound_s=inf)


class Role(StrEnum):
    """What one side of a unit does."""

    PREFILL = "prefill"
    DECODE = "decode"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rated:
    """What one replica carries of one role."""

    role: Role
    candidate: Candidate
    rate_per_s: float

    @property
    def per_chip(self) -> float:
        """Requests per second and chip."""
        return self.rate_per_s / self.candidate.parallelism.chips


def with_units(book: OfferBook, scenario: Scenario, progress: Progress, workers: Workers = HERE) -> OfferBook:
    """``book`` with an offer, or a refusal, for every unit of the services that may be disaggregated."""
    services = [service for service in scenario.services if service.disaggregate]
    if not services:
        return book
    traffic = {service.name: planned_traffic(service, scenario) for service in services}
    judging = Judging(scenario=scenario, traffic=traffic)
    asked = [
        (role, candidate)
        for service in services
        for role in Role
        for candidate in serving_candidates(service, scenario)
    ]
    rated = []
    for done, found in enumerate(workers.map(_rated, judging, asked), start=1):
        rated += [] if found is None else [found]
        progress("sides of units by replay", done, len(asked))
    units = [unit for service in services for unit in _units(service.name, rated)]
    offers, refusals = dict(book.offers), dict(book.refusals)
    for done, judged in enumerate(workers.map(_judged, judging, units), start=1):
        name = judged.candidate.service
        if isinstance(judged, Offer):
            offers[name] = (*offers[name], judged)
        else:
            refusals[name] = (*refusals[name], judged)
        progress("units by replay", done, len(units))
    return replace(book, offers=offers, refusals=refusals)


def unit_of(candidate: Candidate, scenario: Scenario) -> Disaggregated:
    """The unit as the replay takes it, its step models at the planning confidence.

    Raises:
        Infeasible: A pool whose network is not said has no known way for the KV cache.
    """
    assert candidate.prefill is not None
    side = candidate.prefill
    return Disaggregated(
        prefill=_side(side.candidate, side.replicas, scenario),
        decode=_side(candidate.decode, side.decode_replicas, scenario),
        link=_link(candidate, scenario),
    )


def _side(candidate: Candidate, replicas: int, scenario: Scenario) -> Side:
    return Side(
        step_model=cautious_step_model(candidate, scenario), engine=candidate.engine, replicas=replicas
    )


def _link(candidate: Candidate, scenario: Scenario) -> Link:
    """Between nodes, as fast as the slower replica's chips together: a unit's replicas need not share a node."""
    assert candidate.prefill is not None
    speeds = []
    for side in (candidate.prefill.candidate, candidate.decode):
        network = scenario.pool(side.pool).network_bytes_per_s
        if network is None:
            raise Infeasible(
                f"pool {side.pool!r} gives no 'network', so how fast a KV cache gets to other replicas is unknown"
            )
        speeds.append(network * side.parallelism.chips)
    model = scenario.service(candidate.service).model
    return Link(kv_bytes_per_token=kv_bytes_per_token(model), bytes_per_s=min(speeds))


def _rated(judging: Judging, asked: tuple[Role, Candidate]) -> _Rated | None:
    """What one replica carries of its role, within the objectives that speak of it; ``None``: nothing."""
    role, candidate = asked
    traffic = judging.traffic[candidate.service]
    slo = judging.scenario.service(candidate.service).slo
    server: Server
    metrics: tuple[Metric, ...]
    try:
        model = cautious_step_model(candidate, judging.scenario)
        if role is Role.PREFILL:
            traffic = replace(traffic, output_tokens=np.ones_like(traffic.output_tokens))
            server, metrics = Replica(step_model=model, engine=candidate.engine), (Metric.TTFT,)
        else:
            server = DecodeSide(side=Side(step_model=model, engine=candidate.engine, replicas=1))
            metrics = (Metric.TPOT, Metric.ITL)
        search = CapacitySearch(server, traffic, _about(slo, *metrics), seed=judging.scenario.planning.seed)
        return _Rated(role=role, candidate=candidate, rate_per_s=search.capacity(_COARSE).rate_per_s)
    except Infeasible:  # it makes no unit; the same replica alone says why it does not work
        return None


def _about(slo: Slo, *metrics: Metric) -> Slo:
    """The objectives that speak of these latencies; one that always holds where none does."""
    objectives = tuple(o for o in slo.objectives if o.metric in metrics)
    return Slo(objectives=objectives or (_ALWAYS,))


def _units(service: str, rated: Sequence[_Rated]) -> list[Candidate]:
    """For every two pools, and every pool with itself, the unit of their best replicas."""
    best: dict[tuple[Role, PoolName], _Rated] = {}
    for found in rated:
        key = found.role, found.candidate.pool
        if found.candidate.service == service and (key not in best or found.per_chip > best[key].per_chip):
            best[key] = found
    sides = [[found for (role, _), found in best.items() if role is side] for side in Role]
    return [_unit(prefill, decode) for prefill, decode in product(*sides)]


def _unit(prefill: _Rated, decode: _Rated) -> Candidate:
    """As many of each as keep each other busiest; of equally busy ones the fewest."""
    sizes = range(1, MOST_REPLICAS + 1)
    p, d = max(
        ((p, d) for p, d in product(sizes, sizes) if gcd(p, d) == 1),
        key=lambda pd: (_balance(pd[0] * prefill.rate_per_s, pd[1] * decode.rate_per_s), -pd[0] - pd[1]),
    )
    side = PrefillSide(candidate=prefill.candidate, replicas=p, decode_replicas=d)
    return replace(decode.candidate, prefill=side)


def _balance(one_per_s: float, other_per_s: float) -> float:
    """What the busier side leaves the other to do, in steps of a twentieth."""
    return round(20 * min(one_per_s, other_per_s) / max(one_per_s, other_per_s))


def _judged(judging: Judging, candidate: Candidate) -> Offer | Refusal:
    """What the whole unit carries of the service's own traffic."""
    scenario = judging.scenario
    service = scenario.service(candidate.service)
    try:
        unit = unit_of(candidate, scenario)
        search = CapacitySearch(unit, judging.traffic[service.name], service.slo, seed=scenario.planning.seed)
        found = search.capacity()
    except Infeasible as error:
        return refusal_of(candidate, error)
    models = (unit.prefill.step_model, unit.decode.step_model)
    offer = offer_of(candidate, unit.decode.step_model, found)
    return replace(offer, evidence=max((m.evidence for m in models), key=list(Evidence).index))
