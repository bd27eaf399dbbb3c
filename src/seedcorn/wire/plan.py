"""``plan.json``: the plan, and all that is needed to explain it or replay it.

The scenario is embedded as it was written, with a hash over all that its names led to, so a plan can be
read alone and checked against what it was made from. Offers are written once per service and
named; deployments and alternatives refer to them.
"""

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, TypeAdapter

from seedcorn.domain.hardware import ChipName, PoolName
from seedcorn.domain.market import Status
from seedcorn.domain.offer import (
    Candidate,
    Evidence,
    Offer,
    Parallelism,
    Predicted,
    PrefillSide,
    Refusal,
    RefusalKind,
)
from seedcorn.domain.plan import Alternative, Deployment, JobPlan, Plan, PoolPlan, ServicePlan
from seedcorn.domain.workload import ALL_REQUESTS
from seedcorn.wire._fields import Count, Document, DtypeName, Many
from seedcorn.wire._reading import Located, Problem, did_you_mean, read_document
from seedcorn.wire._text import Step
from seedcorn.wire._writing import json_bytes, write_text_atomically
from seedcorn.wire.classes import RequestClassDocument
from seedcorn.wire.outcome import (
    BoundDocument,
    FoundDocument,
    Number,
    NumberOrInf,
    OutcomeFields,
    found_document,
    outcome_fields,
    outcome_from,
)
from seedcorn.wire.robustness import TrialDocument, trial_document, trial_from
from seedcorn.wire.scenario import (
    EngineDocument,
    ScenarioDocument,
    objective_from,
    scenario_problems,
)
from seedcorn.wire.slots import PoolSlotDocument, SalePlanDocument, SlotPlanDocument
from seedcorn.wire.uncertainty import UncertaintyDocument
from seedcorn.wire.waves import (
    RunningDocument,
    WaveDocument,
    running_document,
    running_from,
    wave_document,
    wave_from,
)


class PrefillSideDocument(Document):
    """The replicas that compute the prompts of a unit; the rest of the offer is then one decode replica."""

    replicas: Count = Field(description="Prefill replicas of a unit.")
    decode_replicas: Count = Field(description="Decode replicas of a unit.")
    pool: str = Field(description="The pool that they run on.")
    dtype: DtypeName = Field(description="Number format.")
    tp: Count = Field(description="Tensor-parallel size.")
    pp: Count = Field(description="Pipeline-parallel size.")
    ep: Count = Field(description="Expert-parallel size, over chips already counted.")
    engine: EngineDocument = Field(description="Scheduler limits.")


class CandidateFields(Document):
    """One kind of replica: where, in what number format, how spread."""

    name: str = Field(description="Unique among the service's offers: `h20/fp8/tp2`.")
    pool: str = Field(description="The pool it runs on.")
    dtype: DtypeName = Field(description="Number format.")
    tp: Count = Field(description="Tensor-parallel size.")
    pp: Count = Field(description="Pipeline-parallel size.")
    ep: Count = Field(description="Expert-parallel size, over chips already counted.")
    chips: int = Field(description="Chips of one replica: tp × pp; of a unit, those of all its replicas.")
    engine: EngineDocument = Field(description="Scheduler limits.")
    prefill: PrefillSideDocument | None = Field(
        default=None,
        description="Where prompts are computed, if not where answers are: the offer is a unit of both sides.",
    )


class OfferDocument(CandidateFields):
    """A kind of replica that works, and what one of it carries."""

    evidence: Annotated[Evidence, Field(strict=False)] = Field(
        description="Grade of the least trusted number behind it."
    )
    capacity_req_per_s: Number = Field(description="Requests per second within every objective.")
    kv_tokens: int = Field(description="KV-cache capacity, in tokens.")
    predicted: Many[FoundDocument] = Field(description="Each objective at that rate.")
    binds: BoundDocument = Field(description="The objective that stops the rate from being higher.")
    request_class: RequestClassDocument | None = Field(
        default=None, description="The requests it serves, and was sized for; `null`: all of them."
    )


class RefusalDocument(CandidateFields):
    """A kind of replica that does not work, and why."""

    refused: Annotated[RefusalKind, Field(strict=False)] = Field(description="Why, in one word.")
    reason: str = Field(description="Why, with the numbers.")
    missed: FoundDocument | None = Field(
        description="The objective missed by most, at next to no load; `null`: it is not about latency."
    )


class DeploymentDocument(Document):
    """Replicas of one offer."""

    offer: str = Field(description="Name of one of the service's offers.")
    replicas: int = Field(ge=0, description="How many.")
    chips: int = Field(ge=0, description="Chips of all of them.")
    share: Number = Field(description="Part of the service's traffic routed to them.")
    slot: int = Field(default=0, ge=0, description="Slot of the day in which they run: 0 begins at midnight.")
    class_share: Number | None = Field(
        default=None, description="Part of their offer's request class; `null`: traffic is not split."
    )
    uncertainty: UncertaintyDocument | None = Field(
        default=None, description="How far their capacity may be off, and what that costs; `null`: not known."
    )


class AlternativeDocument(Document):
    """What serving the whole service with one offer would take."""

    offer: str = Field(description="Name of one of the service's offers.")
    replicas: int = Field(ge=0, description="Replicas it would need.")
    chips: int = Field(ge=0, description="Chips of all of them.")
    cost: Number = Field(description="Reference-chip hours an hour, at the plan's prices.")


class ServicePlanDocument(Document):
    """Where one service goes, what else was considered, what replay said."""

    service: str = Field(description="Its name in the scenario.")
    today: str | None = Field(description="Pool it runs on now.")
    today_chips: int | None = Field(description="Chips it needs there.")
    running: Many[RunningDocument] = Field(default=(), description="The replicas that serve it today.")
    load_factor: Number = Field(description="What its rate was multiplied by after replays that missed.")
    deployments: Many[DeploymentDocument] = Field(description="Where it goes.")
    outcome: OutcomeFields | None = Field(
        description="Replay of the service under this plan, if it was replayed."
    )
    trials: Many[TrialDocument] = Field(
        default=(), description="The same under each case that the plan must withstand."
    )
    offers: Many[OfferDocument] = Field(description="Every kind of replica that works.")
    alternatives: Many[AlternativeDocument] = Field(description="Each offer alone, cheapest first.")
    refusals: Many[RefusalDocument] = Field(description="Every kind of replica that does not work.")
    slots: Many[SlotPlanDocument] = Field(
        default=(),
        description="Slot by slot, where the day has several; `outcome` is then of the one nearest to missing.",
    )


class JobPlanDocument(Document):
    """The gang that a training job gets."""

    job: str = Field(description="Its name in the scenario.")
    pool: str | None = Field(description="Where it trains; `null`: it waits.")
    chips: int = Field(ge=0, description="Chips of the gang.")
    parallelism: str = Field(description="How the gang is spread.")
    tokens_per_s: Number = Field(description="Training speed.")
    finishes_in_s: Number | None = Field(description="From now to its last token, where it has a last one.")
    progress: Number = Field(description="In reference-chip equivalents.")
    starts_in_s: Number = Field(
        default=0.0, description="When the job before it ends, whose chips it takes over."
    )
    rest_pool: str | None = Field(
        default=None, description="Where the last layers of a gang over two pools are."
    )
    rest_chips: int = Field(default=0, ge=0, description="Chips of the gang there.")
    slot: int | None = Field(default=None, ge=0, description="When it has that gang; `null`: all day.")
    tokens_per_s_low: Number | None = Field(
        default=None, description="5 % of true speeds lie below; `null`: not known."
    )
    tokens_per_s_high: Number | None = Field(
        default=None, description="5 % of true speeds lie above; `null`: not known."
    )
    evidence: Annotated[Evidence | None, Field(strict=False)] = Field(
        default=None, description="Grade of the least trusted number behind it; `null`: not known."
    )


class PoolPlanDocument(Document):
    """Who uses one pool, and what its chips are worth, in reference-chip hours an hour; over a day of several slots,
    in the slot that leaves the fewest chips free."""

    pool: str = Field(description="Its name in the scenario.")
    chip: str = Field(description="Its chip in the catalogue.")
    chips: int = Field(ge=0, description="Chips owned.")
    spare: int = Field(ge=0, description="Chips kept free for failures.")
    used_by_services: int = Field(ge=0, description="Chips that services use.")
    used_by_jobs: int = Field(ge=0, description="Chips that training jobs use.")
    sold: int = Field(default=0, ge=0, description="Chips that are sold.")
    free: int = Field(description="Chips left: neither used, sold nor spare.")
    price: Number = Field(description="Worth of a chip that nobody uses.")
    shadow_price: Number = Field(
        description="What one more chip would add on top, all day; 0 where chips are left over."
    )
    slots: Many[PoolSlotDocument] = Field(default=(), description="Slot by slot, where the day has several.")


class InputsDocument(Document):
    """What the plan was made from."""

    hash: str = Field(description="SHA-256 over the scenario and all that its names led to.")
    scenario_path: str = Field(description="The scenario's file, from the plan's folder.")
    scenario: ScenarioDocument = Field(description="The scenario as it was written.")


class PlanDocument(Document):
    """The whole plan. Numbers have nine significant digits."""

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["plan"] = Field(description="What this document is.")
    name: str = Field(description="The scenario's name.")
    status: Annotated[Status, Field(strict=False)] = Field(description="What the planner can say of it.")
    training_chips_freed: int = Field(description="Chips of the reference pool that services no longer need.")
    today_chips: int = Field(description="Chips of the reference pool that services need today.")
    reference_pool: str = Field(description="The pool whose chip-hour values and prices are counted in.")
    objective: Number = Field(description="Value of the plan.")
    bound: NumberOrInf = Field(description="No plan is worth more; `null`: unknown.")
    gap: NumberOrInf = Field(description="How far the plan may be from the best; `null`: unknown.")
    replayed: bool = Field(description="Whether the plan was replayed.")
    slos_held: bool | None = Field(description="Whether every SLO held in replay; `null`: not replayed.")
    seed: int = Field(description="Of every random draw.")
    warnings: Many[str] = Field(description="What the reader should know.")
    defaults: Mapping[str, str] = Field(description="Defaults that stood in for keys left out.")
    pools: Many[PoolPlanDocument] = Field(description="In the order of the fleet.")
    services: Many[ServicePlanDocument] = Field(description="In the order of the scenario.")
    jobs: Many[JobPlanDocument] = Field(description="In the order of the scenario.")
    waves: Many[WaveDocument] = Field(
        default=(),
        description="How to get there from today (over a day, to its first slot); empty where nothing moves, or "
        "`warnings` say why not.",
    )
    resale: Many[SalePlanDocument] = Field(
        default=(), description="Chips sold, in the order of the scenario."
    )
    inputs: InputsDocument = Field(description="The scenario, to explain and replay the plan with.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanFile:
    """A plan and the scenario it was made from; files that the scenario names are looked up beside its own."""

    plan: Plan
    scenario: Located[ScenarioDocument]


def read_plan(path: Path) -> PlanFile:
    """The plan at ``path``.

    Raises:
        InputError: It is no plan, or contradicts itself; every mistake with ``file:line:column``.
    """
    located = read_document(path, PlanDocument, kind="plan", check=_problems)
    document = located.document
    return PlanFile(
        plan=_plan(document),
        scenario=located.part(
            document.inputs.scenario, path.parent / document.inputs.scenario_path, "inputs", "scenario"
        ),
    )


def write_plan(path: Path, plan: Plan, scenario: Located[ScenarioDocument]) -> None:
    """Put the plan at ``path``, whole or not at all."""
    write_text_atomically(path, plan_json(plan, scenario, folder=path.parent))


def plan_json(plan: Plan, scenario: Located[ScenarioDocument], *, folder: Path) -> bytes:
    """The plan as ``plan.json`` holds it: the same plan is the same bytes.

    Args:
        folder: Where the plan will stand: the scenario's path is written relative to it.
    """
    inputs = InputsDocument(
        hash=plan.inputs_hash,
        scenario_path=Path(os.path.relpath(scenario.path, folder)).as_posix(),
        scenario=scenario.document,
    )
    data = _document(plan, inputs).model_dump(mode="json", exclude={"inputs": {"scenario"}})
    data["inputs"]["scenario"] = scenario.data
    return json_bytes(data)


def service_json(service: ServicePlan) -> bytes:
    """One service's part of ``plan.json``, as a document of its own."""
    data = _service_document(service).model_dump(mode="json")
    return json_bytes({"seedcorn": 1, "kind": "explanation", **data})


# -- plan to document ---------------------------------------------------------------------------------


def _document(plan: Plan, inputs: InputsDocument) -> PlanDocument:
    return PlanDocument(
        seedcorn=1,
        kind="plan",
        name=plan.name,
        status=plan.status,
        training_chips_freed=plan.training_chips_freed,
        today_chips=plan.today_chips,
        reference_pool=plan.reference_pool,
        objective=plan.objective,
        bound=plan.bound,
        gap=plan.gap,
        replayed=plan.replayed,
        slos_held=plan.slos_held,
        seed=plan.seed,
        warnings=plan.warnings,
        defaults=dict(sorted(plan.defaults.items())),
        pools=tuple(map(_pool_document, plan.pools)),
        services=tuple(map(_service_document, plan.services)),
        jobs=tuple(JobPlanDocument.model_validate(job, from_attributes=True) for job in plan.jobs),
        waves=tuple(map(wave_document, plan.waves)),
        resale=tuple(map(SalePlanDocument.of, plan.resale)),
        inputs=inputs,
    )


def _pool_document(pool: PoolPlan) -> PoolPlanDocument:
    usable = pool.chips - pool.spare
    return PoolPlanDocument(
        pool=pool.pool,
        chip=pool.chip,
        chips=pool.chips,
        spare=pool.spare,
        used_by_services=pool.used_by_services,
        used_by_jobs=pool.used_by_jobs,
        sold=pool.sold,
        free=pool.free,
        price=pool.price,
        shadow_price=pool.shadow_price,
        slots=tuple(PoolSlotDocument.of(slot, usable=usable) for slot in pool.slots),
    )


def _service_document(service: ServicePlan) -> ServicePlanDocument:
    names = _offer_names([*service.alternatives, *service.deployments])
    return ServicePlanDocument(
        service=service.service,
        today=service.today,
        today_chips=service.today_chips,
        running=tuple(map(running_document, service.running)),
        load_factor=service.load_factor,
        deployments=tuple(
            DeploymentDocument(
                offer=names[d.offer],
                replicas=d.replicas,
                chips=d.chips,
                share=d.share,
                slot=d.slot,
                class_share=_class_share(d, service.deployments),
                uncertainty=None
                if d.uncertainty is None
                else UncertaintyDocument.of(d.uncertainty, chips=d.chips_for_uncertainty),
            )
            for d in service.deployments
        ),
        outcome=None if service.outcome is None else outcome_fields(service.outcome),
        trials=tuple(map(trial_document, service.trials)),
        offers=tuple(_offer_document(name, offer) for offer, name in names.items()),
        alternatives=tuple(
            AlternativeDocument(offer=names[a.offer], replicas=a.replicas, chips=a.chips, cost=a.cost)
            for a in service.alternatives
        ),
        refusals=tuple(map(_refusal_document, service.refusals)),
        slots=tuple(map(SlotPlanDocument.of, service.slots)),
    )


def _class_share(deployment: Deployment, all_of_service: Iterable[Deployment]) -> float | None:
    """The deployment's part of its request class; ``None`` where that is all requests."""
    request_class = deployment.offer.request_class
    if request_class == ALL_REQUESTS:
        return None
    alike = (deployment.slot, request_class)
    whole = sum(d.share for d in all_of_service if (d.slot, d.offer.request_class) == alike)
    return deployment.share / whole if whole > 0 else 0.0


def _offer_names(users: Iterable[Alternative | Deployment]) -> dict[Offer, str]:
    """A name for each offer used: its candidate's, numbered where two offers differ in the engine alone."""
    names: dict[Offer, str] = {}
    for offer in dict.fromkeys(user.offer for user in users):
        name, taken = offer.name, set(names.values())
        alike = sum(other == name or other.startswith(f"{name}#") for other in taken)
        names[offer] = f"{name}#{alike + 1}" if alike else name
    return names


def _candidate_fields(name: str, candidate: Candidate) -> CandidateFields:
    return CandidateFields(
        name=name,
        pool=candidate.pool,
        dtype=candidate.dtype,
        tp=candidate.parallelism.tp,
        pp=candidate.parallelism.pp,
        ep=candidate.parallelism.ep,
        chips=candidate.num_chips,
        engine=EngineDocument.of(candidate.engine),
        prefill=None if candidate.prefill is None else _prefill_document(candidate.prefill),
    )


def _prefill_document(side: PrefillSide) -> PrefillSideDocument:
    candidate = side.candidate
    return PrefillSideDocument(
        replicas=side.replicas,
        decode_replicas=side.decode_replicas,
        pool=candidate.pool,
        dtype=candidate.dtype,
        tp=candidate.parallelism.tp,
        pp=candidate.parallelism.pp,
        ep=candidate.parallelism.ep,
        engine=EngineDocument.of(candidate.engine),
    )


def _offer_document(name: str, offer: Offer) -> OfferDocument:
    return OfferDocument(
        **dict(_candidate_fields(name, offer.candidate)),
        evidence=offer.evidence,
        capacity_req_per_s=offer.capacity_req_per_s,
        kv_tokens=offer.kv_tokens,
        predicted=tuple(map(found_document, offer.predicted)),
        binds=BoundDocument(objective=offer.binds.name, bound_s=offer.binds.bound_s),
        request_class=RequestClassDocument.of(offer.request_class),
    )


def _refusal_document(refusal: Refusal) -> RefusalDocument:
    return RefusalDocument(
        **dict(_candidate_fields(refusal.candidate.name, refusal.candidate)),
        refused=refusal.kind,
        reason=refusal.reason,
        missed=None if refusal.missed is None else found_document(refusal.missed),
    )


# -- document to plan ---------------------------------------------------------------------------------

_JOB_PLAN = TypeAdapter(JobPlan)


def _plan(document: PlanDocument) -> Plan:
    return Plan(
        name=document.name,
        inputs_hash=document.inputs.hash,
        seed=document.seed,
        reference_pool=PoolName(document.reference_pool),
        services=tuple(map(_service, document.services)),
        jobs=tuple(_JOB_PLAN.validate_python(job.model_dump()) for job in document.jobs),
        pools=tuple(map(_pool, document.pools)),
        resale=tuple(sale.sale_plan for sale in document.resale),
        status=document.status,
        objective=document.objective,
        bound=document.bound,
        gap=document.gap,
        today_chips=document.today_chips,
        training_chips_freed=document.training_chips_freed,
        replayed=document.replayed,
        slos_held=document.slos_held,
        waves=tuple(map(wave_from, document.waves)),
        warnings=document.warnings,
        defaults=document.defaults,
    )


def _pool(document: PoolPlanDocument) -> PoolPlan:
    return PoolPlan(
        pool=PoolName(document.pool),
        chip=ChipName(document.chip),
        chips=document.chips,
        spare=document.spare,
        used_by_services=document.used_by_services,
        used_by_jobs=document.used_by_jobs,
        price=document.price,
        shadow_price=document.shadow_price,
        sold=document.sold,
        slots=tuple(slot.pool_slot for slot in document.slots),
    )


def _service(document: ServicePlanDocument) -> ServicePlan:
    offers = {offer.name: _offer(document.service, offer) for offer in document.offers}
    return ServicePlan(
        service=document.service,
        deployments=tuple(
            Deployment(
                offer=offers[d.offer],
                replicas=d.replicas,
                share=d.share,
                slot=d.slot,
                uncertainty=None if d.uncertainty is None else d.uncertainty.value(),
            )
            for d in document.deployments
        ),
        today=None if document.today is None else PoolName(document.today),
        today_chips=document.today_chips,
        running=tuple(map(running_from, document.running)),
        alternatives=tuple(
            Alternative(offer=offers[a.offer], replicas=a.replicas, chips=a.chips, cost=a.cost)
            for a in document.alternatives
        ),
        refusals=tuple(_refusal(document.service, refusal) for refusal in document.refusals),
        load_factor=document.load_factor,
        outcome=None if document.outcome is None else outcome_from(document.outcome),
        trials=tuple(map(trial_from, document.trials)),
        slots=tuple(slot.slot_plan for slot in document.slots),
    )


def _candidate(service: str, fields: CandidateFields) -> Candidate:
    return Candidate(
        service=service,
        pool=PoolName(fields.pool),
        dtype=fields.dtype,
        parallelism=Parallelism(tp=fields.tp, pp=fields.pp, ep=fields.ep),
        engine=fields.engine.settings,
        prefill=None if fields.prefill is None else _prefill_side(service, fields.prefill),
    )


def _prefill_side(service: str, fields: PrefillSideDocument) -> PrefillSide:
    return PrefillSide(
        candidate=Candidate(
            service=service,
            pool=PoolName(fields.pool),
            dtype=fields.dtype,
            parallelism=Parallelism(tp=fields.tp, pp=fields.pp, ep=fields.ep),
            engine=fields.engine.settings,
        ),
        replicas=fields.replicas,
        decode_replicas=fields.decode_replicas,
    )


def _offer(service: str, document: OfferDocument) -> Offer:
    return Offer(
        candidate=_candidate(service, document),
        capacity_req_per_s=document.capacity_req_per_s,
        predicted=tuple(map(_found, document.predicted)),
        binds=objective_from(document.binds.objective, document.binds.bound_s),
        evidence=document.evidence,
        kv_tokens=document.kv_tokens,
        request_class=ALL_REQUESTS
        if document.request_class is None
        else document.request_class.request_class,
    )


def _refusal(service: str, document: RefusalDocument) -> Refusal:
    return Refusal(
        candidate=_candidate(service, document),
        kind=document.refused,
        reason=document.reason,
        missed=None if document.missed is None else _found(document.missed),
    )


def _found(document: FoundDocument) -> Predicted:
    return Predicted(objective=objective_from(document.objective, document.bound_s), got_s=document.got_s)


# -- a plan that contradicts itself -------------------------------------------------------------------

Problems: TypeAlias = Iterator[Problem]


def _problems(document: PlanDocument) -> Problems:
    for problem in scenario_problems(document.inputs.scenario):
        yield Problem(("inputs", "scenario", *problem.steps), problem.message, problem.at_key)
    for i, pool in enumerate(document.pools):
        usable = pool.chips - pool.spare
        yield from _wrong_free(("pools", i), pool, usable)
        for j, slot in enumerate(pool.slots):
            yield from _wrong_free(("pools", i, "slots", j), slot, usable)
    for i, service in enumerate(document.services):
        yield from _service_problems(("services", i), service)


def _wrong_free(steps: tuple[Step, ...], use: PoolPlanDocument | PoolSlotDocument, usable: int) -> Problems:
    left = usable - use.used_by_services - use.used_by_jobs - use.sold
    if use.free != left:
        yield Problem((*steps, "free"), f"expected {left} (chips − spare − used − sold), got {use.free}")


def _service_problems(steps: tuple[Step, ...], service: ServicePlanDocument) -> Problems:
    chips: dict[str, int] = {}
    for i, offer in enumerate(service.offers):
        if offer.name in chips:
            yield Problem((*steps, "offers", i, "name"), f"offer {offer.name!r} is given twice")
        chips[offer.name] = _chips_of(offer)
        yield from _wrong_chips((*steps, "offers", i), offer.chips, chips[offer.name])
    for i, deployment in enumerate(service.deployments):
        at = (*steps, "deployments", i)
        yield from _unknown_offer(at, deployment.offer, chips)
        expected = deployment.replicas * chips.get(deployment.offer, 0)
        yield from _wrong_chips(at, deployment.chips, expected)
    for i, alternative in enumerate(service.alternatives):
        yield from _unknown_offer((*steps, "alternatives", i), alternative.offer, chips)


def _chips_of(offer: OfferDocument) -> int:
    """tp × pp; of a unit, the replicas of each side times theirs."""
    if offer.prefill is None:
        return offer.tp * offer.pp
    side = offer.prefill
    return side.decode_replicas * offer.tp * offer.pp + side.replicas * side.tp * side.pp


def _wrong_chips(steps: tuple[Step, ...], got: int, expected: int) -> Problems:
    if got != expected:
        yield Problem((*steps, "chips"), f"expected {expected} (replicas × tp × pp), got {got}")


def _unknown_offer(steps: tuple[Step, ...], name: str, known: Iterable[str]) -> Problems:
    if name not in known:
        yield Problem(
            (*steps, "offer"), f"the service has no offer {name!r}{did_you_mean(name, list(known))}"
        )
