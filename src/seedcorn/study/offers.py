"""Every way to serve a service, and what one replica of each carries: capacity by replay."""

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from statistics import NormalDist

from seedcorn.domain.hardware import Dtype, Pool
from seedcorn.domain.offer import Candidate, Offer, Parallelism, Predicted, Refusal, RefusalKind
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import ALL_REQUESTS, EngineSettings, RequestClass, Service, Slo, Trace
from seedcorn.errors import DoesNotFit, Infeasible, MissesSlo, TooLong, UnknownFact
from seedcorn.perf import StepModel, candidates
from seedcorn.replay import Capacity, capacity, scaled
from seedcorn.study.evidence import best_step_model
from seedcorn.study.slots import busiest_slot, slot_factors, slot_trace
from seedcorn.wire.scenario import objective_from
from seedcorn.workers import HERE, Workers

Progress = Callable[[str, int, int], None]
"""Called with (what, done, of how many)."""


def silent(_: str, __: int, ___: int) -> None:
    """No progress: of work inside other work that reports, here or on another machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OfferBook:
    """What was found for each service (by name): offers that work, and refusals that say why not.

    Attributes:
        by_class: Offers for one request class each, of services whose traffic is split; empty of others.
    """

    offers: dict[str, tuple[Offer, ...]]
    refusals: dict[str, tuple[Refusal, ...]]
    by_class: dict[str, tuple[Offer, ...]] = field(default_factory=dict)

    def in_use(self, service: str) -> tuple[Offer, ...]:
        """The offers that the service is planned with."""
        return self.by_class.get(service) or self.offers[service]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What every candidate is judged by."""

    scenario: Scenario
    traffic: Mapping[str, Trace]


def offer_book(scenario: Scenario, progress: Progress, workers: Workers = HERE) -> OfferBook:
    """Offers of every service in every pool it may run on; candidates are judged side by side."""
    variants = [variant for service in scenario.services for variant in _variants(service, scenario)]
    offers: dict[str, list[Offer]] = {service.name: [] for service in scenario.services}
    refusals: dict[str, list[Refusal]] = {service.name: [] for service in scenario.services}
    progress("capacity by replay", 0, len(variants))
    traffic = {service.name: planned_traffic(service, scenario) for service in scenario.services}
    judging = Judging(scenario=scenario, traffic=traffic)
    for done, judged in enumerate(workers.map(_judged, judging, variants), start=1):
        if isinstance(judged, Offer):
            offers[judged.candidate.service].append(judged)
        else:
            refusals[judged.candidate.service].append(judged)
        progress("capacity by replay", done, len(variants))
    return OfferBook(
        offers={name: tuple(found) for name, found in offers.items()},
        refusals={name: tuple(found) for name, found in refusals.items()},
    )


def demand_req_per_s(
    service: Service, scenario: Scenario, load_factor: float = 1.0, slot: int | None = None
) -> float:
    """Rate to plan for in a slot of the day (``None``: the busiest): the mean times the slot's factor, with the load
    margin, or the highest of the load cases if that is more; and what replays of earlier rounds asked for."""
    planning = scenario.planning
    above = max(1 + planning.load_margin, *(case.load.get(service.name, 0.0) for case in planning.cases), 0.0)
    factors = slot_factors(service, planning.slots)
    factor = max(factors) if slot is None else factors[slot]
    return service.rate_per_s * factor * above * load_factor


def planned_traffic(service: Service, scenario: Scenario, slot: int | None = None) -> Trace:
    """The service's trace at the rate to plan for in a slot of the day (``None``: the busiest)."""
    planning = scenario.planning
    at = busiest_slot(service, planning.slots) if slot is None else slot
    rate_per_s = demand_req_per_s(service, scenario, slot=at)
    return _traffic(service, at, planning.slots, rate_per_s, planning.seed)


@lru_cache(maxsize=16)  # offers are sized on the traffic that every replay of the plan takes again
def _traffic(service: Service, slot: int, slots: int, rate_per_s: float, seed: int) -> Trace:
    return scaled(slot_trace(service, slot, slots), rate_per_s=rate_per_s, seed=seed)


def pools_of(service: Service, scenario: Scenario) -> tuple[Pool, ...]:
    """Pools the service may run on, in fleet order."""
    return tuple(pool for pool in scenario.pools if not service.pools or pool.name in service.pools)


def cautious_step_model(candidate: Candidate, scenario: Scenario) -> StepModel:
    """The candidate's step model of the best grade, at the planning confidence: an uncertain chip gets honest headroom.

    Step times are log-normal about the prediction, so the quantile q slows every step by exp(z_q σ).
    """
    pool = scenario.pool(candidate.pool)
    predicted = best_step_model(
        scenario.service(candidate.service).model,
        pool.chip,
        dtype=candidate.dtype,
        parallelism=candidate.parallelism,
        engine=candidate.engine,
        chips_per_node=pool.chips_per_node,
        measurements=scenario.measurements,
    )
    z = NormalDist().inv_cdf(scenario.planning.confidence)
    return predicted.slowed(math.exp(z * predicted.log_sigma))


def serving_candidates(service: Service, scenario: Scenario) -> tuple[Candidate, ...]:
    """Every kind of replica of the service that fits its pool, in the owner's order of formats."""
    variants = _variants(service, scenario)
    return tuple(candidate for v in variants if not isinstance(v, Refusal) for candidate in v)


def offer_of(
    candidate: Candidate, model: StepModel, found: Capacity, request_class: RequestClass = ALL_REQUESTS
) -> Offer:
    """The candidate as an offer, with what replay found."""
    return Offer(
        candidate=candidate,
        capacity_req_per_s=found.rate_per_s,
        predicted=found.predicted,
        binds=found.binds,
        evidence=model.evidence,
        kv_tokens=model.kv_tokens,
        request_class=request_class,
    )


def _variants(service: Service, scenario: Scenario) -> Iterator[tuple[Candidate, ...] | Refusal]:
    """Per pool, number format and split: one candidate for each of the service's engine settings."""
    for pool in pools_of(service, scenario):
        spreads, refused = candidates(
            service.model,
            pool.chip,
            dtypes=service.dtypes,
            engine=service.engines[0],
            chips_per_node=pool.chips_per_node,
        )
        for spread in spreads:
            yield tuple(
                _candidate(service, pool, spread.dtype, spread.parallelism, e) for e in service.engines
            )
        for refusal in refused:
            candidate = _candidate(service, pool, refusal.dtype, refusal.parallelism, service.engines[0])
            yield refusal_of(candidate, refusal.error)


def _candidate(
    service: Service, pool: Pool, dtype: Dtype, parallelism: Parallelism, engine: EngineSettings
) -> Candidate:
    return Candidate(
        service=service.name, pool=pool.name, dtype=dtype, parallelism=parallelism, engine=engine
    )


def _judged(judging: Judging, variant: tuple[Candidate, ...] | Refusal) -> Offer | Refusal:
    """The best of the variant's candidates as an offer, or why none of them is one."""
    if isinstance(variant, Refusal):
        return variant
    judged = [
        _offer(candidate, judging.scenario, judging.traffic[candidate.service]) for candidate in variant
    ]
    offers = [result for result in judged if isinstance(result, Offer)]
    return max(offers, key=lambda offer: offer.capacity_req_per_s) if offers else judged[0]


def _offer(candidate: Candidate, scenario: Scenario, traffic: Trace) -> Offer | Refusal:
    """What one replica carries of the service's own traffic."""
    service = scenario.service(candidate.service)
    try:
        model = cautious_step_model(candidate, scenario)
        found = _capacity(model, candidate.engine, traffic, service.slo, scenario.planning.seed)
    except Infeasible as error:
        return refusal_of(candidate, error)
    return offer_of(candidate, model, found)


_KNOWN: dict[bytes, Capacity] = {}
"""Capacities found in this process, by all that they depend on: a study that looks at several scenarios
(what-ifs, months, purchases) asks most of them more than once."""


def _capacity(model: StepModel, engine: EngineSettings, traffic: Trace, slo: Slo, seed: int) -> Capacity:
    key = hashlib.sha256(_digest(traffic))
    key.update(repr((engine, slo, seed, model.context_s, model.pair_s, model.kv_tokens)).encode())
    key.update(model.tokens.tobytes() + model.dense_s.tobytes())
    if key.digest() not in _KNOWN:
        _KNOWN[key.digest()] = capacity(model, engine, traffic, slo, seed=seed)
    return _KNOWN[key.digest()]


@lru_cache(maxsize=32)
def _digest(traffic: Trace) -> bytes:
    """Of everything that a replay looks at."""
    digest = hashlib.sha256()
    for array in (traffic.arrival_s, traffic.input_tokens, traffic.output_tokens):
        digest.update(array.tobytes())
    if traffic.prompts is not None:
        digest.update(traffic.prompts.first.tobytes() + traffic.prompts.ids.tobytes())
    if traffic.priority is not None:
        digest.update(traffic.priority.tobytes())
    return digest.digest()


def refusal_of(candidate: Candidate, error: Infeasible) -> Refusal:
    """The candidate as a refusal that says why."""
    kinds = {
        DoesNotFit: RefusalKind.DOES_NOT_FIT,
        TooLong: RefusalKind.DOES_NOT_FIT,
        MissesSlo: RefusalKind.MISSES_SLO,
        UnknownFact: RefusalKind.UNKNOWN_FACT,
    }
    kind = kinds.get(type(error), RefusalKind.UNSUPPORTED)
    return Refusal(candidate=candidate, kind=kind, reason=error.message, missed=_missed(error))


def _missed(error: Infeasible) -> Predicted | None:
    if not isinstance(error, MissesSlo):
        return None
    return Predicted(objective=objective_from(error.objective, error.bound_s), got_s=error.got_s)
