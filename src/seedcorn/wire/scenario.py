"""``scenario.yaml``: what you have, what it must serve and train, and how to plan it.

The keys are a contract: more may be added, none is renamed. A key whose capability seedcorn does not
have yet is checked like any other and named by `ScenarioDocument.not_used_yet`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, Field

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.workload import (
    EngineName,
    EngineSettings,
    Metric,
    Objective,
    SchedulingPolicy,
    Slo,
    Statistic,
)
from seedcorn.units import format_seconds
from seedcorn.wire._fields import (
    Absent,
    BytesPerS,
    Count,
    Country,
    Date,
    Document,
    DtypeName,
    Many,
    Name,
    ObjectiveName,
    PricePerChipHour,
    Quantity,
    Seconds,
    UncertainFactor,
)
from seedcorn.wire._reading import Located, Problem, did_you_mean, dotted, read_document
from seedcorn.wire._text import Step
from seedcorn.wire.horizon import (
    SECTIONS,
    AttritionDocument,
    GenerationDocument,
    LeverDocument,
    RunwayDocument,
    SourcingDocument,
    SupplyDocument,
    horizon_problems,
    pools_named,
)
from seedcorn.wire.moves import StartingDocument, TodayDocument
from seedcorn.wire.robustness import LoadCaseDocument, case_problems
from seedcorn.wire.routing import RouterDocument
from seedcorn.wire.training import (
    CheckpointDocument,
    RestartDocument,
    Sequenced,
    sequence_problems,
)

_ENGINE = EngineSettings()


class PoolDocument(Document):
    """Identical nodes in one place."""

    name: Name = Field(description="Unique among pools.")
    chip: Annotated[str | None, Absent("the stock ledger's")] = Field(
        default=None,
        min_length=1,
        description="A catalogue id, an alias, or the path of a file of specs (from the scenario's folder). "
        "Required unless the fleet is of a `stock` ledger.",
    )
    chips: Annotated[int | None, Absent("those in service by the stock ledger")] = Field(
        default=None,
        le=10**9,
        description="Chips owned, spare ones included. At least 1. Required unless, and not given where, "
        "the fleet is of a `stock` ledger.",
    )
    chips_per_node: Count = Field(description="Chips of one node; the last node may be partial.")
    network: Annotated[BytesPerS | None, Absent("unknown")] = Field(
        default=None, description="Bandwidth per chip between nodes, one direction."
    )
    spare: int = Field(default=0, ge=0, description="Chips kept free for failures: never planned with.")
    price: Annotated[float | None, Absent("`planning.idle_value` of what it could train")] = Field(
        default=None, ge=0, description="Worth of one free chip-hour, in hours of the reference chip."
    )
    site: str | None = Field(default=None, description="Where the pool stands.")


class FleetDocument(Document):
    """The chips: listed as pools, or taken from the stock ledger as of a date."""

    pools: Many[PoolDocument] = Field(
        default=(),
        description="The pools. With `stock`: what the ledger does not know of each of its pools.",
    )
    reference: Annotated[str | None, Absent("the pool whose chip trains fastest")] = Field(
        default=None, description="The pool whose chip-hour values and prices are counted in."
    )
    stock: Name | None = Field(
        default=None,
        description="A stock ledger to take chips from: `default`, the path of an SQLite file (from the "
        "scenario's folder), or postgresql://….",
    )
    on: Date | None = Field(
        default=None,
        description="The date of the stock, such as 2026-11-24. Required with, and only with, `stock`.",
    )


class TrafficDocument(Document):
    """Requests: the shape from a trace, the mean rate from you."""

    trace: str = Field(
        min_length=1, description="A bundled trace, or the path of a file (from the scenario's folder)."
    )
    rate_per_s: Annotated[float | None, Absent("the trace's own")] = Field(
        default=None, gt=0, description="Mean requests per second; the trace's shape and burstiness are kept."
    )
    day: Annotated[str | None, Absent("the same rate all day")] = Field(
        default=None,
        min_length=1,
        description="How the rate runs over a day, `rate_per_s` being its mean: a bundled rate curve (`m-large`, "
        "`m-mid`, `m-small`, `deepseek-r1`, `mm-image`), or a CSV of `start_s,rate_per_s` (from the scenario's folder).",
    )


class EngineDocument(Document):
    """Scheduler limits of one replica, by vLLM's own names."""

    name: Annotated[EngineName, Field(strict=False)] = Field(
        default=_ENGINE.engine,
        description="Whose pace the step model takes; the scheduler replayed is vLLM's for all.",
    )
    max_num_seqs: Count = Field(
        default=_ENGINE.max_num_seqs, description="Most sequences that run at once in a replica."
    )
    max_num_batched_tokens: Annotated[Count, Absent("2048 or 8192, whichever carries more")] = Field(
        default=_ENGINE.max_num_batched_tokens, description="Most tokens processed in one step."
    )
    block_size: Count = Field(default=_ENGINE.block_size, description="Tokens per KV-cache block.")
    gpu_memory_utilization: float = Field(
        default=_ENGINE.gpu_memory_utilization,
        gt=0,
        le=1,
        description="Share of the chip's memory the engine may use.",
    )
    enable_prefix_caching: bool = Field(
        default=_ENGINE.prefix_caching,
        description="Whether a preempted sequence finds its surviving KV-cache blocks again.",
    )

    scheduling_policy: Annotated[SchedulingPolicy, Field(strict=False)] = Field(
        default=_ENGINE.scheduling_policy,
        description="Whom a replica admits first and preempts last: by arrival, or by the trace's column "
        "`priority` (the least first) and then by arrival.",
    )

    @classmethod
    def of(cls, settings: EngineSettings) -> "EngineDocument":
        """The limits as documents hold them."""
        return cls(
            name=settings.engine,
            max_num_seqs=settings.max_num_seqs,
            max_num_batched_tokens=settings.max_num_batched_tokens,
            block_size=settings.block_size,
            gpu_memory_utilization=settings.gpu_memory_utilization,
            enable_prefix_caching=settings.prefix_caching,
            scheduling_policy=settings.scheduling_policy,
        )

    @property
    def settings(self) -> EngineSettings:
        """The limits as the replay takes them."""
        return EngineSettings(
            engine=self.name,
            max_num_seqs=self.max_num_seqs,
            max_num_batched_tokens=self.max_num_batched_tokens,
            block_size=self.block_size,
            gpu_memory_utilization=self.gpu_memory_utilization,
            prefix_caching=self.enable_prefix_caching,
            scheduling_policy=self.scheduling_policy,
        )


class ServiceDocument(Document):
    """A model served to users, within latency objectives."""

    name: Name = Field(description="Unique among services.")
    model: str = Field(
        min_length=1,
        description="A Hugging Face id in the catalogue, or the path of a config.json (from the scenario's folder).",
    )
    dtypes: Annotated[Many[DtypeName], Absent("as published")] = Field(
        default=(), description="Number formats the owner accepts, in order of preference."
    )
    traffic: TrafficDocument = Field(description="What is asked of it.")
    slo: Mapping[ObjectiveName, Annotated[Seconds, Field(gt=0)]] = Field(
        min_length=1,
        json_schema_extra={"additionalProperties": False},
        description="Bounds, all of which must hold: a latency (`ttft`, `tpot`, `itl`, `e2e`), `_`, a statistic "
        "(`mean`, `p50`, `p90`, `p95`, `p99`).",
    )
    today: Annotated[TodayDocument | None, Absent("it runs nowhere yet")] = Field(
        default=None, description="Where it runs now."
    )
    pools: Annotated[Many[str], Absent("every pool")] = Field(default=(), description="Pools it may run on.")
    engine: EngineDocument = Field(default_factory=EngineDocument, description="The serving engine.")
    disaggregate: bool = Field(
        default=False,
        description="Whether prompts may be computed on other replicas, also of another pool, than answers.",
    )
    router: RouterDocument = Field(
        default_factory=RouterDocument, description="How its requests find a replica."
    )
    growth: Annotated[UncertainFactor, Absent("demand stays as it is")] = Field(
        default=(1.0, 1.0, 1.0),
        description="Demand in a year against today's, for `runway`: one, or [P10, P50, P90].",
        json_schema_extra={"default": 1},
    )

    @property
    def objectives(self) -> Slo:
        """The SLO as the replay takes it, in the order written."""
        return Slo(objectives=tuple(objective_from(name, bound_s) for name, bound_s in self.slo.items()))


def objective_from(name: str, bound_s: float) -> Objective:
    """The objective called ``name``, such as ``ttft_p99``, which must be one."""
    metric, statistic = name.split("_")
    return Objective(metric=Metric(metric), statistic=Statistic(statistic), bound_s=bound_s)


class GangDocument(Document):
    """How many chips a training job may take."""

    min: Annotated[Count | None, Absent("one node")] = Field(default=None, description="Fewest chips.")
    max: Annotated[Count | None, Absent("the whole pool")] = Field(default=None, description="Most chips.")


class TrainingDocument(Document):
    """A model to train: its architecture (`model`), or its size alone (`params`, `active_params`)."""

    name: Name = Field(description="Unique among training jobs.")
    model: str | None = Field(default=None, min_length=1, description="As for services. Instead of `params`.")
    params: float | None = Field(default=None, gt=0, description="Total parameters. Instead of `model`.")
    active_params: float | None = Field(
        default=None,
        gt=0,
        description="Parameters that one token passes. Only with `params`; left out, the model is dense.",
    )
    tokens: Annotated[float | None, Absent("open-ended")] = Field(
        default=None, gt=0, description="Tokens still to train on."
    )
    batch_tokens: Annotated[float | None, Absent("by the batch-size scaling law")] = Field(
        default=None, gt=0, description="Tokens of one optimizer step."
    )
    sequence_length: Count = Field(default=4096, description="Tokens of one training sequence.")
    dtype: DtypeName = Field(default=Dtype.BF16, description="Number format of matrix multiplications.")
    pools: Annotated[Many[str], Absent("every pool")] = Field(
        default=(), description="Pools it may train on."
    )
    chips: GangDocument = Field(default_factory=GangDocument, description="Bounds of the gang.")
    deadline: Annotated[Annotated[Seconds, Field(gt=0)] | None, Absent("as soon as may be")] = Field(
        default=None,
        description="Time by which `tokens` must be trained: from now, or from the end of the job it comes `after`.",
    )
    weight: float = Field(default=1.0, gt=0, description="Value of its progress against other jobs'.")
    priority: int = Field(
        default=0,
        description="Jobs of a lower one never displace those of a higher one, whatever they are worth.",
    )
    after: Annotated[str | None, Absent("none: it starts at once")] = Field(
        default=None, description="The job that it follows, on the same gang. Both run or both wait."
    )
    mixed_gang: bool = Field(
        default=False,
        description="Whether one gang may spread over two pools, the first layers on one, the rest on the other.",
    )
    checkpoint: CheckpointDocument = Field(
        default_factory=CheckpointDocument, description="When training is saved."
    )
    restart: RestartDocument = Field(default_factory=RestartDocument, description="When training fails.")
    elastic: bool = Field(
        default=False,
        description="Whether it may take another gang, or none, in every slot of the day. Not with `deadline`.",
    )


class ResaleDocument(Document):
    """Chips that may be sold by the hour where neither a service nor a training job needs them."""

    name: Name = Field(description="Unique among resale products.")
    pool: str = Field(description="A pool of the fleet.")
    max_chips: Count = Field(description="Most chips that the market takes.")
    price: PricePerChipHour = Field(description="What a chip-hour sells for.")
    kind: Literal["reserved", "spot"] = Field(
        description="Whether the buyer keeps it, or gives it back on notice."
    )
    notice: Annotated[Seconds, Field(ge=0)] | None = Field(
        default=None, description="Time a spot buyer gets to leave. Required for, and only for, `spot`."
    )


class RulesDocument(Document):
    """Whose export rules apply, and as of when."""

    destination: Country = Field(description="Country the chips go to.")
    headquarters: Annotated[Country | None, Absent("the destination")] = Field(
        default=None, description="Country of the company's headquarters."
    )
    on: Annotated[Date | None, Absent("the newest rules known")] = Field(
        default=None, description="The date whose rules apply."
    )


class PlanningDocument(Document):
    """How hard to plan, and how cautiously."""

    gap: float = Field(
        default=0.001, ge=0, lt=1, description="Stop when the plan is proven this close to the best."
    )
    time_limit: Annotated[Seconds, Field(ge=0)] = Field(
        default=60.0,
        description="Stop planning then, and print the gap reached.",
        json_schema_extra={"default": "60 s"},
    )
    slots: int = Field(default=1, ge=1, le=24, description="Time slots of a day, each with its own replicas.")
    confidence: float = Field(
        default=0.9,
        gt=0,
        lt=1,
        description="Size offers at this quantile of the step model's own uncertainty.",
    )
    load_margin: float = Field(default=0.1, ge=0, description="Plan for the rate times 1 plus this.")
    idle_value: float = Field(
        default=0.5, ge=0, le=1, description="Worth of a free chip, as a share of what it could train."
    )
    rounds: int = Field(
        default=3, ge=0, description="Most times to plan again after a replay that missed an objective."
    )
    reference_price: Annotated[
        PricePerChipHour | None, Absent("values and prices are in reference-chip hours")
    ] = Field(default=None, description="What an hour of the reference chip is worth to you, in money.")
    classes: int = Field(
        default=2,
        ge=1,
        le=8,
        description="Most request classes, by length, that a service's traffic is split into where that saves chips.",
    )
    output_known: bool = Field(
        default=False,
        description="Whether routers know how long an answer will be (every client sets `max_tokens`), and may split by it.",
    )
    spare: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Nodes of each pool whose loss at once the plan withstands: the replicas left carry the planned rate, and "
        "as many nodes are kept free to start the lost ones again.",
    )
    scenarios: Many[LoadCaseDocument] = Field(
        default=(), description="Forecasts, any of which may come true: the plan holds in each as it stands."
    )
    max_moves: Annotated[int | None, Absent("any number")] = Field(
        default=None,
        ge=0,
        description="Most replicas that may be started beyond those of their kind that run today. Services without "
        "`today` are not counted.",
    )
    stickiness: float = Field(
        default=0.0,
        ge=0,
        description="Reference-chip hours an hour that starting a replica must gain, beyond what it costs.",
    )
    stands_for: Annotated[Seconds, Field(gt=0)] = Field(
        default=86_400.0,
        description="How long the plan is to stand: what a move costs once is spread over it.",
        json_schema_extra={"default": "1 d"},
    )
    starting: StartingDocument = Field(
        default_factory=StartingDocument, description="What starting and stopping a replica takes."
    )
    seed: int = Field(
        default=0, ge=0, le=2**63 - 1, description="Of every random draw: same input and seed, same plan."
    )


class ScenarioDocument(Document):
    """The whole scenario."""

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["scenario"] = Field(default="scenario", description="What this document is.")
    name: Name = Field(description="What the plan is called.")
    fleet: FleetDocument = Field(description="The chips.")
    services: Many[ServiceDocument] = Field(default=(), description="Models served to users.")
    training: Many[TrainingDocument] = Field(default=(), description="Models to train.")
    resale: Many[ResaleDocument] = Field(default=(), description="Chip-hours that may be sold.")
    rules: RulesDocument | None = Field(default=None, description="Export rules to keep to.")
    planning: PlanningDocument = Field(default_factory=PlanningDocument, description="How to plan.")
    runway: RunwayDocument | None = Field(default=None, description="How far ahead `runway` looks.")
    generations: Many[GenerationDocument] = Field(
        default=(), description="Model generations to train, in order: what `runway` counts."
    )
    supply: Many[SupplyDocument] = Field(default=(), description="Chips to come, or offered.")
    attrition: Many[AttritionDocument] = Field(default=(), description="Chips that fail or are retired.")
    levers: Many[LeverDocument] = Field(default=(), description="Changes that `runway` ranks.")
    sourcing: SourcingDocument | None = Field(default=None, description="What `source` weighs.")

    def not_used_yet(self) -> list[tuple[str, str]]:
        """(path, why) of everything written here that no command takes into account yet."""
        return list(_not_used_yet(self))

    def warnings(self) -> list[tuple[str, str]]:
        """(path, what) of what is accepted and looks odd."""
        return [*_partial_nodes(self), *_all_spare(self)]

    def defaults_used(self) -> dict[str, str]:
        """Path → default, for every key left out; items of a list share one line (``services[].pools``)."""
        return {key: shown for key, shown in _defaults_used(self) if not _looks_ahead(key)}

    def defaults_ahead(self) -> dict[str, str]:
        """The same of the keys that only ``runway`` and ``source`` read."""
        return {key: shown for key, shown in _defaults_used(self) if _looks_ahead(key)}


Paths: TypeAlias = Iterator[tuple[str, str]]


def read_scenario(path: Path) -> Located[ScenarioDocument]:
    """The scenario at ``path``, or the bundled one of that name, checked as far as it can be without catalogue or traces.

    Raises:
        InputError: Every mistake in it, each with ``file:line:column``, its path and what would work.
    """
    if str(path) in examples() and not path.is_file():
        path = example_folder(str(path)) / "scenario.yaml"
    return read_document(path, ScenarioDocument, kind="scenario", check=scenario_problems)


def examples() -> tuple[str, ...]:
    """Names of the scenarios that come with seedcorn."""
    return ("mixed-fleet", "after-the-october-rule")


def example_folder(name: str) -> Path:
    """Where the bundled scenario of that name is, with what belongs to it."""
    return Path(str(files("seedcorn"))) / "data" / "examples" / name


# -- what one field cannot see ------------------------------------------------------------------------


def scenario_problems(scenario: ScenarioDocument) -> Iterator[Problem]:
    """What is wrong between fields: names that clash or lead nowhere, numbers that disagree."""
    if not scenario.services and not scenario.training:
        yield Problem((), "nothing to plan: give at least one of services and training")
    for key in ("services", "training", "resale", "generations", "supply", "levers"):
        yield from _twice([item.name for item in getattr(scenario, key)], key, key="name")
    yield from _fleet_problems(scenario.fleet)
    if scenario.fleet.stock is None:
        yield from _unknown_pools(scenario)
    for i, service in enumerate(scenario.services):
        yield from _twice(service.dtypes, "services", i, "dtypes")
        yield from _twice(service.pools, "services", i, "pools")
        yield from service.router.problems(("services", i, "router"))
    for i, job in enumerate(scenario.training):
        yield from _training_problems(("training", i), job)
    sequenced = [Sequenced(job.name, job.after, job.tokens is not None) for job in scenario.training]
    yield from sequence_problems("training", sequenced, amount="tokens")
    for i, product in enumerate(scenario.resale):
        yield from _resale_problems(("resale", i), product)
    yield from horizon_problems(scenario)
    cases, names = scenario.planning.scenarios, [service.name for service in scenario.services]
    yield from _twice([case.name for case in cases], "planning", "scenarios", key="name")
    yield from case_problems(("planning", "scenarios"), cases, names)


def _twice(names: Sequence[str], *steps: Step, key: str | None = None) -> Iterator[Problem]:
    """Every name of the list at ``steps`` that was there before; ``key`` is what holds it in an item."""
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            place = (*steps, i) if key is None else (*steps, i, key)
            yield Problem(place, f"{name!r} is given twice: first as {dotted((*steps, first[name]))}")


def _fleet_problems(fleet: FleetDocument) -> Iterator[Problem]:
    if fleet.stock is not None and fleet.on is None:
        what = "a stock ledger needs 'on', the date of the stock, such as 2026-11-24: the same plan tomorrow"
        yield Problem(("fleet",), what)
    if fleet.stock is None and not fleet.pools:
        yield Problem(("fleet",), "no pools: list at least one under 'pools', or name a 'stock' ledger")
    if fleet.stock is None and fleet.on is not None:
        yield Problem(("fleet", "on"), "a date needs a 'stock' ledger; pools are as they are")
    yield from _twice([pool.name for pool in fleet.pools], "fleet", "pools", key="name")
    for i, pool in enumerate(fleet.pools):
        yield from _pool_problems(("fleet", "pools", i), pool, is_stock=fleet.stock is not None)


def _pool_problems(steps: tuple[Step, ...], pool: PoolDocument, *, is_stock: bool) -> Iterator[Problem]:
    if is_stock and pool.chips is not None:
        message = f"the stock ledger says how many chips pool {pool.name!r} has: leave this out"
        yield Problem((*steps, "chips"), message)
    elif is_stock:
        return
    elif pool.chip is None or pool.chips is None:
        missing = " and ".join(repr(key) for key in ("chip", "chips") if getattr(pool, key) is None)
        yield Problem(steps, f"pool {pool.name!r} needs {missing}: only a 'stock' ledger knows them")
    elif pool.chips < 1:
        message = f"pool {pool.name!r} has {pool.chips} chips: give at least 1, or leave the pool out"
        yield Problem((*steps, "chips"), message)
    elif pool.spare >= pool.chips:
        message = (
            f"{pool.spare} spare of {pool.chips} chips leaves none to plan with: at most {pool.chips - 1}"
        )
        yield Problem((*steps, "spare"), message)


def _unknown_pools(scenario: ScenarioDocument) -> Iterator[Problem]:
    known = [pool.name for pool in scenario.fleet.pools]
    to_come = [*known, *(supply.name for supply in scenario.supply if supply.pool is None)]
    for steps, name in _pools_named(scenario):
        if name not in known:
            yield Problem(steps, f"no pool {name!r} in the fleet{did_you_mean(name, known)}")
    for steps, name in (*_pools_allowed(scenario), *pools_named(scenario)):
        if name not in to_come:
            yield Problem(steps, f"no pool {name!r} in the fleet{did_you_mean(name, to_come)}")


def _pools_allowed(scenario: ScenarioDocument) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Pools that services may run on, once they are there."""
    for i, service in enumerate(scenario.services):
        yield from ((("services", i, "pools", j), name) for j, name in enumerate(service.pools))


def _pools_named(scenario: ScenarioDocument) -> Iterator[tuple[tuple[Step, ...], str]]:
    if scenario.fleet.reference is not None:
        yield ("fleet", "reference"), scenario.fleet.reference
    for i, service in enumerate(scenario.services):
        if service.today is not None:
            yield ("services", i, "today", "pool"), service.today.pool
        if service.router.spill is not None:
            yield ("services", i, "router", "spill", "to"), service.router.spill.to
    for i, job in enumerate(scenario.training):
        yield from ((("training", i, "pools", j), name) for j, name in enumerate(job.pools))
    for i, product in enumerate(scenario.resale):
        yield ("resale", i, "pool"), product.pool


def _training_problems(steps: tuple[Step, ...], job: TrainingDocument) -> Iterator[Problem]:
    if (job.model is None) == (job.params is None):
        yield Problem(steps, f"job {job.name!r} needs one of 'model' and 'params'")
    if job.active_params is not None and job.active_params > (job.params or 0.0):
        said = "without 'params'" if job.params is None else f"more than params, {job.params:g}"
        yield Problem((*steps, "active_params"), f"{job.active_params:g} active parameters {said}")
    if job.deadline is not None and job.tokens is None:
        message = (
            f"a deadline of {format_seconds(job.deadline)} needs 'tokens': how many must be trained by then"
        )
        yield Problem((*steps, "deadline"), message)
    if job.elastic and job.deadline is not None:
        yield Problem(
            (*steps, "elastic"), "an elastic job has no sure pace: give it no deadline, or no 'elastic'"
        )
    if job.elastic and job.after is not None:
        yield Problem((*steps, "elastic"), "jobs in sequence share a gang, and none may be 'elastic'")
    low, high = job.chips.min, job.chips.max
    if low is not None and high is not None and low > high:
        yield Problem((*steps, "chips"), f"min {low} is more than max {high}")
    yield from _twice(job.pools, *steps, "pools")


def _resale_problems(steps: tuple[Step, ...], product: ResaleDocument) -> Iterator[Problem]:
    if product.kind == "spot" and product.notice is None:
        yield Problem(
            steps, "a spot product needs 'notice': the time its buyer gets to leave, such as '10 min'"
        )
    if product.kind == "reserved" and product.notice is not None:
        yield Problem((*steps, "notice"), "a reserved product is kept: it has no notice")


# -- what to tell the reader --------------------------------------------------------------------------


NOT_USED_YET = {
    "fleet.pools[].site": "nothing depends on sites yet",
}
"""Keys that are checked and then take no part, and why; documents that give one are told."""


@dataclass(frozen=True, slots=True)
class _Written:
    """A field of a document, written or left out."""

    path: str
    value: object
    metadata: Sequence[object]
    given: bool

    @property
    def key(self) -> str:
        """The path without indices: ``fleet.pools[].site``."""
        return re.sub(r"\[\d+\]", "[]", self.path)


def _fields(part: BaseModel, path: str = "") -> Iterator[_Written]:
    """Every field of ``part`` and of the documents inside it."""
    for name, info in type(part).model_fields.items():
        value, at = getattr(part, name), f"{path}.{name}".removeprefix(".")
        yield _Written(path=at, value=value, metadata=info.metadata, given=name in part.model_fields_set)
        if isinstance(value, BaseModel):
            yield from _fields(value, at)
        elif isinstance(value, tuple) and value and isinstance(value[0], BaseModel):
            for i, item in enumerate(value):
                yield from _fields(item, f"{at}[{i}]")


def _not_used_yet(scenario: ScenarioDocument) -> Paths:
    for field in _fields(scenario):
        if field.given and field.value not in (None, ()) and field.key in NOT_USED_YET:
            yield field.path, NOT_USED_YET[field.key]


def _defaults_used(scenario: ScenarioDocument) -> Paths:
    for field in _fields(scenario):
        shown = default_shown(field.value, field.metadata)
        if not (field.given or shown is None or field.key in NOT_USED_YET):
            yield field.key, shown


def _looks_ahead(key: str) -> bool:
    """Whether no plan depends on this key."""
    return key == "services[].growth" or key.split(".")[0].removesuffix("[]") in SECTIONS


def default_shown(value: object, metadata: Iterable[object]) -> str | None:
    """A default for people: what it means, or the value with its unit; ``None`` where it says nothing."""
    for item in metadata:
        if isinstance(item, Absent):
            return item.meaning
        if isinstance(item, Quantity) and isinstance(value, float):
            return item.show(value)
    if isinstance(value, bool):
        return str(value).lower()
    return None if value in (None, (), {}) or isinstance(value, BaseModel) else str(value)


def _partial_nodes(scenario: ScenarioDocument) -> Paths:
    for i, pool in enumerate(scenario.fleet.pools):
        left = (pool.chips or 0) % pool.chips_per_node
        if left:
            what = f"{pool.chips} chips are not whole nodes of {pool.chips_per_node}: the last has {left}"
            yield f"fleet.pools[{i}].chips", what


def _all_spare(scenario: ScenarioDocument) -> Paths:
    nodes = scenario.planning.spare
    for i, pool in enumerate(scenario.fleet.pools):
        if pool.chips is not None and nodes * pool.chips_per_node >= pool.chips:
            kept = f"planning.spare keeps {nodes} nodes of {pool.chips_per_node} chips free"
            yield f"fleet.pools[{i}]", f"{kept}: all of pool {pool.name!r}, so nothing is planned on it"
