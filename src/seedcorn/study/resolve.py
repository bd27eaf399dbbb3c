"""From a scenario document to the values its names stand for: chips, models, traces."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import PackageNotFoundError, version

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.market import ResaleKind
from seedcorn.domain.measurement import Measurement
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.sale import Product
from seedcorn.domain.scenario import Planning, Scenario
from seedcorn.domain.workload import EngineSettings, Service, Trace, TrainingJob
from seedcorn.errors import InputError, SeedcornError
from seedcorn.perf import active_params, total_params
from seedcorn.perf.silicon import PACKAGE
from seedcorn.replay import read_day, read_trace
from seedcorn.study.ledger_fleet import with_chips
from seedcorn.wire import Located, ScenarioDocument, evidence_json
from seedcorn.wire.scenario import (
    EngineDocument,
    PoolDocument,
    ResaleDocument,
    ServiceDocument,
    TrainingDocument,
)
from seedcorn.wire.training import interruptions

PREFILL_CHUNKS = (2048, 8192)
"""``max_num_batched_tokens`` tried where the scenario does not fix it: vLLM's defaults for small and
large chips. A small chunk keeps TPOT even, a large one lifts throughput."""

PUBLISHED_DTYPES = {
    "bfloat16": Dtype.BF16,
    "float16": Dtype.FP16,
    "float32": Dtype.FP32,
    "fp8": Dtype.FP8,
    "int8": Dtype.INT8,
    "fp4": Dtype.FP4,
}
"""Formats that ``config.json`` files name, of which seedcorn serves those."""


def resolve(located: Located[ScenarioDocument], measurements: Sequence[Measurement] = ()) -> Scenario:
    """The scenario with every name looked up.

    Args:
        located: The document.
        measurements: All evidence there is; what speaks of the scenario's models and chips is used.

    Raises:
        InputError: A name is unknown or a trace unreadable; placed at its line in the document.
        Infeasible: A model's shapes are not understood.
    """
    located, notes = with_chips(located)
    document = located.document
    traces: dict[str, Trace] = {}
    scenario = Scenario(
        name=document.name,
        pools=tuple(
            _pool(located, i, pool, document.planning.spare) for i, pool in enumerate(document.fleet.pools)
        ),
        services=tuple(_service(located, i, s, traces) for i, s in enumerate(document.services)),
        jobs=tuple(_job(located, i, job) for i, job in enumerate(document.training)),
        planning=_planning(document),
        reference=None if document.fleet.reference is None else PoolName(document.fleet.reference),
        products=tuple(_product(product) for product in document.resale),
        notes=notes,
    )
    scenario = replace(scenario, measurements=_relevant(measurements, scenario))
    return replace(scenario, inputs_hash=_inputs_hash(located, scenario))


@contextmanager
def placed(where: str) -> Iterator[None]:
    """Give an error that leaves this block its place in the document."""
    try:
        yield
    except SeedcornError as error:
        raise error.at(where) from None


def _pool(located: Located[ScenarioDocument], i: int, pool: PoolDocument, spare_nodes: int) -> Pool:
    assert pool.chip is not None and pool.chips is not None  # of the document, or of the ledger
    with placed(located.where("fleet", "pools", i, "chip")):
        chip = find_chip(located.reference(pool.chip)).chip
    return Pool(
        name=PoolName(pool.name),
        chip=chip,
        chips=pool.chips,
        chips_per_node=pool.chips_per_node,
        network_bytes_per_s=pool.network,
        spare=min(max(pool.spare, spare_nodes * pool.chips_per_node), pool.chips),
        price=pool.price,
    )


def _service(
    located: Located[ScenarioDocument], i: int, service: ServiceDocument, traces: dict[str, Trace]
) -> Service:
    with placed(located.where("services", i, "model")):
        model = find_model(located.reference(service.model)).model
        dtypes = service.dtypes or (published_dtype(model),)
    with placed(located.where("services", i, "traffic", "trace")):
        name = located.reference(service.traffic.trace)
        trace = traces.setdefault(name, read_trace(name))
    day = None
    if service.traffic.day is not None:
        with placed(located.where("services", i, "traffic", "day")):
            day = read_day(located.reference(service.traffic.day))
    return Service(
        name=service.name,
        model=model,
        trace=trace,
        rate_per_s=service.traffic.rate_per_s or trace.mean_rate_per_s,
        slo=service.objectives,
        dtypes=dtypes,
        day=day,
        today=None if service.today is None else service.today.today,
        pools=tuple(PoolName(pool) for pool in service.pools),
        engines=_engines(service.engine),
        disaggregate=service.disaggregate,
        routing=service.router.routing,
    )


def published_dtype(model: ModelSpec) -> Dtype:
    """The number format of the published weights.

    Raises:
        InputError: seedcorn does not serve it.
    """
    if model.torch_dtype not in PUBLISHED_DTYPES:
        raise InputError(
            f"model {model.name} is published in {model.torch_dtype}, which seedcorn does not serve: "
            f"give 'dtypes' out of {', '.join(Dtype)}"
        )
    return PUBLISHED_DTYPES[model.torch_dtype]


def _engines(engine: EngineDocument) -> tuple[EngineSettings, ...]:
    if "max_num_batched_tokens" in engine.model_fields_set:
        return (engine.settings,)
    return tuple(replace(engine.settings, max_num_batched_tokens=chunk) for chunk in PREFILL_CHUNKS)


def _job(located: Located[ScenarioDocument], i: int, job: TrainingDocument) -> TrainingJob:
    model = None
    params, active = job.params, job.active_params
    if job.model is not None:
        with placed(located.where("training", i, "model")):
            model = find_model(located.reference(job.model)).model
            params, active = float(total_params(model)), float(active_params(model))
    assert params is not None  # the document has one of model and params
    return TrainingJob(
        name=job.name,
        params=params,
        active_params=params if active is None else active,
        model=model,
        tokens=job.tokens,
        batch_tokens=job.batch_tokens,
        sequence_length=job.sequence_length,
        dtype=job.dtype,
        pools=tuple(PoolName(pool) for pool in job.pools),
        min_chips=job.chips.min,
        max_chips=job.chips.max,
        deadline_s=job.deadline,
        weight=job.weight,
        priority=job.priority,
        after=job.after,
        interruptions=interruptions(job.checkpoint, job.restart),
        mixed_gang=job.mixed_gang,
        elastic=job.elastic,
    )


def _product(product: ResaleDocument) -> Product:
    return Product(
        name=product.name,
        pool=PoolName(product.pool),
        max_chips=product.max_chips,
        price=product.price,
        kind=ResaleKind(product.kind),
        notice_s=product.notice or 0.0,
    )


def _planning(document: ScenarioDocument) -> Planning:
    planning = document.planning
    return Planning(
        gap=planning.gap,
        time_limit_s=planning.time_limit,
        confidence=planning.confidence,
        load_margin=planning.load_margin,
        idle_value=planning.idle_value,
        slots=planning.slots,
        rounds=planning.rounds,
        classes=planning.classes,
        output_known=planning.output_known,
        spare=planning.spare,
        cases=tuple(case.case for case in planning.scenarios),
        max_moves=planning.max_moves,
        stickiness=planning.stickiness,
        stands_for_s=planning.stands_for,
        starting=planning.starting.starting,
        seed=planning.seed,
        reference_price=planning.reference_price,
    )


def _relevant(measurements: Sequence[Measurement], scenario: Scenario) -> tuple[Measurement, ...]:
    models = {service.model.name for service in scenario.services}
    chips = {pool.chip.name for pool in scenario.pools}
    return tuple(m for m in measurements if m.key.model in models and m.key.chip in chips)


def _makers() -> str:
    """Versions of what makes step times: the roofline is ours, operators come with an extra."""
    try:
        silicon = version(PACKAGE)
    except PackageNotFoundError:
        silicon = "none"
    return f"seedcorn {version('seedcorn')}, silicon {silicon}"


def _inputs_hash(located: Located[ScenarioDocument], scenario: Scenario) -> str:
    """SHA-256 over the document and all that it resolved to, traces by content, and the makers of step times."""
    digest = hashlib.sha256(located.sha256.encode())
    digest.update(_makers().encode())
    for pool in scenario.pools:
        digest.update(repr(pool).encode())
    for service in scenario.services:
        digest.update(repr(service.model).encode())
        for values in (service.trace.arrival_s, service.trace.input_tokens, service.trace.output_tokens):
            digest.update(values.tobytes())
        if service.trace.priority is not None:
            digest.update(service.trace.priority.tobytes())
        if service.day is not None:
            digest.update(service.day.rate_per_s.tobytes())
    for job in scenario.jobs:
        digest.update(repr(job).encode())
    for measurement in scenario.measurements:
        digest.update(evidence_json(measurement))
    return digest.hexdigest()
