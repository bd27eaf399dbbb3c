"""The parts of ``scenario.yaml`` that look ahead: generations to train, supply, attrition, levers, sourcing."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from seedcorn.domain.hardware import Dtype
from seedcorn.wire._fields import (
    Absent,
    BytesPerS,
    Count,
    Date,
    Document,
    DtypeName,
    Many,
    Money,
    Name,
    Seconds,
    UncertainSeconds,
    UncertainShare,
    Watts,
)
from seedcorn.wire._reading import Problem, did_you_mean
from seedcorn.wire._text import Step

if TYPE_CHECKING:
    from seedcorn.wire.scenario import ScenarioDocument

SECTIONS = ("runway", "generations", "supply", "attrition", "levers", "sourcing")
"""Keys of the scenario that only ``runway`` and ``source`` read."""


class RunwayDocument(Document):
    """How far ahead, from when."""

    start: Annotated[Date | None, Absent("`fleet.on`, else `rules.on`")] = Field(
        default=None, description="The first day looked at; the fleet is as of that day."
    )
    months: Annotated[int, Field(ge=1, le=240)] = Field(default=60, description="Calendar months looked at.")
    draws: Annotated[int, Field(ge=0, le=1_000_000)] = Field(
        default=1000, description="Futures drawn for P10, P50 and P90; 0: none."
    )


class GenerationChipsDocument(Document):
    """How many chips a generation may take."""

    min: Annotated[Count | None, Absent("one node")] = Field(default=None, description="Fewest chips.")
    max: Annotated[Count | None, Absent("the whole pool")] = Field(default=None, description="Most chips.")


class GenerationDocument(Document):
    """A model generation to train: its compute (`flop`), or a model (`model` or `params`) and `tokens`.

    Generations train one after another, in the order given, each on the pool where the chips that
    inference leaves train it fastest.
    """

    name: Name = Field(description="Unique among generations.")
    flop: float | None = Field(
        default=None,
        gt=0,
        description="Training compute: 6 · active parameters · tokens. Alone, the model is dense and "
        "compute-optimal (20 tokens a parameter).",
    )
    model: str | None = Field(
        default=None, min_length=1, description="As for services. With `tokens` or `flop`."
    )
    params: float | None = Field(
        default=None, gt=0, description="Total parameters, instead of `model`. With `tokens` or `flop`."
    )
    active_params: float | None = Field(
        default=None,
        gt=0,
        description="Parameters that one token passes. Only with `params`; left out, the model is dense.",
    )
    tokens: float | None = Field(default=None, gt=0, description="Tokens to train on. Instead of `flop`.")
    count: Annotated[int, Field(ge=1, le=100)] = Field(
        default=1, description="So many generations in a row, named `name-1`, `name-2`, …"
    )
    growth: float = Field(default=1.0, gt=0, description="Compute of each of them against the one before.")
    every: Annotated[Annotated[Seconds, Field(gt=0)] | None, Absent("as soon as the one before is done")] = (
        Field(
            default=None,
            description="Time from the earliest start (and required finish) of one to that of the next.",
        )
    )
    earliest: Annotated[Date | None, Absent("the start")] = Field(
        default=None, description="Not before this day."
    )
    by: Annotated[Date | None, Absent("the last month looked at")] = Field(
        default=None, description="Required finish."
    )
    pools: Annotated[Many[str], Absent("every pool")] = Field(
        default=(), description="Pools (or supplies) it may train on."
    )
    mixed: bool = Field(
        default=False, description="Whether its gang may span pools: an estimate, see the runway page."
    )
    chips: GenerationChipsDocument = Field(
        default_factory=GenerationChipsDocument, description="Bounds of the gang, in each pool."
    )
    batch_tokens: Annotated[float | None, Absent("by the batch-size scaling law")] = Field(
        default=None, gt=0, description="Tokens of one optimizer step."
    )
    sequence_length: Count = Field(default=4096, description="Tokens of one training sequence.")
    dtype: DtypeName = Field(default=Dtype.BF16, description="Number format of matrix multiplications.")


class DeliveryDocument(Document):
    """Chips of a supply that arrive together."""

    on: Date = Field(description="The day they can be used.")
    chips: Count = Field(description="How many.")


class PortingDocument(Document):
    """What it takes before models of a family run on chips of a new kind."""

    family: str = Field(
        min_length=1, description="The `model_type` of the config.json, such as qwen2; `*`: every other."
    )
    time: Annotated[Seconds, Field(ge=0)] = Field(
        default=0.0,
        description="From the first delivery until models of the family run.",
        json_schema_extra={"default": "0 s"},
    )
    cost: Money | None = Field(default=None, description="Paid once.")


class SupplyDocument(Document):
    """Chips that are to come, or are offered."""

    name: Name = Field(
        description="Unique among supplies; the pool they form is called so unless `pool` is given."
    )
    chip: str = Field(min_length=1, description="As for pools.")
    pool: Annotated[str | None, Absent("a pool of its own")] = Field(
        default=None, description="The pool they join, of the same chip."
    )
    chips: Annotated[Count | None, Absent("the sum of the deliveries")] = Field(
        default=None, description="Chips ordered or offered."
    )
    chips_per_node: Annotated[Count | None, Absent("that of `pool`, else 8")] = Field(
        default=None, description="Chips of one node."
    )
    network: Annotated[BytesPerS | None, Absent("that of `pool`, else unknown")] = Field(
        default=None, description="As for pools."
    )
    deliveries: Many[DeliveryDocument] = Field(
        default=(), description="The schedule. Instead of `lead_time`."
    )
    order: Annotated[Date | None, Absent("the start of the runway")] = Field(
        default=None, description="The day of the order. With `lead_time`."
    )
    lead_time: Annotated[
        Annotated[Seconds, Field(ge=0)] | None, Absent("a public fact, where there is one")
    ] = Field(default=None, description="From the order until all of it can be used.")
    delivered: Annotated[UncertainShare | None, Absent("a public fact, where there is one, else all")] = (
        Field(default=None, description="Share of each delivery that arrives: one, or [P10, P50, P90].")
    )
    delay: Annotated[UncertainSeconds, Absent("on time")] = Field(
        default=(0.0, 0.0, 0.0),
        description="By how much deliveries are late: one, or [P10, P50, P90].",
        json_schema_extra={"default": "0 s"},
    )
    price_per_chip: Annotated[Money | None, Absent("a public fact, where there is one")] = Field(
        default=None, description="What one chip costs, with its share of the server."
    )
    porting: Many[PortingDocument] = Field(
        default=(), description="Only without `pool`: software runs there already."
    )
    readiness: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the predicted speed that the software reaches. Only without `pool`.",
    )
    power_per_chip: Annotated[Watts | None, Absent("the catalogue's TDP")] = Field(
        default=None, description="Power that one chip takes, with its share of the server."
    )
    committed: bool = Field(
        default=False, description="Already ordered: `source` counts on it and does not weigh it."
    )
    licence_held: bool = Field(
        default=False, description="You hold the licence that the export rules ask for."
    )


class AttritionDocument(Document):
    """Chips that go: of a pool, of every pool of a chip, or of all pools that no other line names."""

    pool: str | None = Field(default=None, description="A pool, or a supply that forms one.")
    chip: str | None = Field(default=None, min_length=1, description="As for pools.")
    mtbf: Annotated[Annotated[Seconds, Field(gt=0)] | None, Absent("none fails for good")] = Field(
        default=None, description="Mean time until a chip fails for good."
    )
    retire: Annotated[Date | None, Absent("none is retired")] = Field(
        default=None, description="The day on which those that are left go."
    )


class LeverDocument(Document):
    """A change that would make the stock last longer, to be ranked against others."""

    name: Name = Field(description="Unique among levers.")
    serving_speedup: float = Field(
        default=1.0, gt=0, description="Load that a replica carries, against today."
    )
    training_speedup: float = Field(default=1.0, gt=0, description="Training speed (MFU), against today.")
    mfu: Annotated[float | None, Absent("as predicted")] = Field(
        default=None, gt=0, le=1, description="MFU of every gang. Instead of `training_speedup`."
    )
    dtypes: Annotated[Many[DtypeName], Absent("the service's own")] = Field(
        default=(), description="Number formats accepted besides the service's own: quantisation."
    )
    demand: float = Field(default=1.0, gt=0, description="Demand, against the forecast.")
    services: Annotated[Many[str], Absent("every service")] = Field(
        default=(), description="Services it applies to; training is not concerned."
    )


class SourcingDocument(Document):
    """What to weigh, and within which limits."""

    candidates: Many[str] = Field(
        default=(), description="Catalogue chips to weigh, beside every supply that is not committed."
    )
    budget: Annotated[Money | None, Absent("no limit")] = Field(default=None, description="Most to spend.")
    power: Annotated[Watts | None, Absent("no limit")] = Field(
        default=None, description="Most power of all that is bought."
    )
    exchange: Mapping[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="What one unit of a currency is worth in the currency of the budget, such as {USD: 7.2}.",
    )


def horizon_problems(scenario: "ScenarioDocument") -> Iterator[Problem]:
    """What is wrong between fields of these sections."""
    for i, generation in enumerate(scenario.generations):
        yield from _generation_problems(("generations", i), generation)
    for i, supply in enumerate(scenario.supply):
        yield from _supply_problems(("supply", i), supply, scenario)
    for i, line in enumerate(scenario.attrition):
        yield from _attrition_problems(("attrition", i), line)
    for i, lever in enumerate(scenario.levers):
        yield from _lever_problems(("levers", i), lever, [service.name for service in scenario.services])
    if scenario.sourcing is not None and scenario.sourcing.exchange and scenario.sourcing.budget is None:
        yield Problem(("sourcing", "exchange"), "rates are into the currency of the budget: give a 'budget'")


def pools_named(scenario: "ScenarioDocument") -> Iterator[tuple[tuple[Step, ...], str]]:
    """Every place of these sections that names a pool, and the name."""
    for i, generation in enumerate(scenario.generations):
        yield from ((("generations", i, "pools", j), name) for j, name in enumerate(generation.pools))
    for i, line in enumerate(scenario.attrition):
        if line.pool is not None:
            yield ("attrition", i, "pool"), line.pool


def _generation_problems(steps: tuple[Step, ...], generation: GenerationDocument) -> Iterator[Problem]:
    name = generation.name
    if generation.model is not None and generation.params is not None:
        yield Problem(steps, f"generation {name!r}: give 'model' or 'params', not both")
    if (generation.flop is None) == (generation.tokens is None):
        yield Problem(steps, f"generation {name!r} needs one of 'flop' and 'tokens'")
    elif generation.tokens is not None and generation.model is None and generation.params is None:
        yield Problem((*steps, "tokens"), "tokens of what? give 'model' or 'params', or 'flop' instead")
    if generation.active_params is not None and generation.active_params > (generation.params or 0.0):
        said = "without 'params'" if generation.params is None else f"more than params, {generation.params:g}"
        yield Problem((*steps, "active_params"), f"{generation.active_params:g} active parameters {said}")
    if generation.by is not None and generation.earliest is not None and generation.by <= generation.earliest:
        yield Problem(
            (*steps, "by"), f"{generation.by} is not after the earliest start, {generation.earliest}"
        )
    if generation.every is not None and generation.count == 1:
        yield Problem((*steps, "every"), "one generation has no next: give a 'count'")
    low, high = generation.chips.min, generation.chips.max
    if low is not None and high is not None and low > high:
        yield Problem((*steps, "chips"), f"min {low} is more than max {high}")


def _supply_problems(
    steps: tuple[Step, ...], supply: SupplyDocument, scenario: "ScenarioDocument"
) -> Iterator[Problem]:
    pools = [pool.name for pool in scenario.fleet.pools]
    if supply.pool is None and supply.name in pools:
        yield Problem(
            (*steps, "name"),
            f"{supply.name!r} is a pool already: give 'pool: {supply.name}', or another name",
        )
    if supply.pool is not None and scenario.fleet.stock is None and supply.pool not in pools:
        yield Problem(
            (*steps, "pool"), f"no pool {supply.pool!r} in the fleet{did_you_mean(supply.pool, pools)}"
        )
    if supply.pool is not None and (supply.porting or supply.readiness != 1.0):
        key = "porting" if supply.porting else "readiness"
        yield Problem(
            (*steps, key), f"software runs on pool {supply.pool!r} already: leave this out, or 'pool'"
        )
    if supply.deliveries and (supply.lead_time is not None or supply.order is not None):
        key = "order" if supply.lead_time is None else "lead_time"
        yield Problem((*steps, key), "give a delivery schedule, or an order and its lead time, not both")
    scheduled = sum(delivery.chips for delivery in supply.deliveries)
    if supply.chips is None and not supply.deliveries:
        yield Problem(steps, f"supply {supply.name!r}: how many? give 'chips', or 'deliveries'")
    if supply.chips is not None and supply.deliveries and supply.chips != scheduled:
        yield Problem(
            (*steps, "chips"), f"{supply.chips:,} chips, but {scheduled:,} are scheduled to be delivered"
        )


def _attrition_problems(steps: tuple[Step, ...], line: AttritionDocument) -> Iterator[Problem]:
    if line.pool is not None and line.chip is not None:
        yield Problem(steps, "give 'pool' or 'chip', not both")
    if line.mtbf is None and line.retire is None:
        yield Problem(steps, "nothing goes: give 'mtbf' or 'retire'")


def _lever_problems(steps: tuple[Step, ...], lever: LeverDocument, services: list[str]) -> Iterator[Problem]:
    if lever.mfu is not None and lever.training_speedup != 1.0:
        yield Problem((*steps, "mfu"), "give 'mfu' or 'training_speedup', not both")
    for j, name in enumerate(lever.services):
        if name not in services:
            yield Problem((*steps, "services", j), f"no service {name!r}{did_you_mean(name, services)}")
    changes = lever.serving_speedup != 1.0 or lever.training_speedup != 1.0 or lever.demand != 1.0
    if not (changes or lever.dtypes or lever.mfu is not None):
        yield Problem(
            steps,
            f"lever {lever.name!r} changes nothing: give serving_speedup, training_speedup, mfu, dtypes or demand",
        )
