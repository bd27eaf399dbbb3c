"""``kind: outcome``: what a replay found, for programs (``seedcorn replay --json``), and inside plans."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, TypeAdapter
from pydantic.json_schema import WithJsonSchema

from seedcorn.domain.offer import Predicted
from seedcorn.domain.outcome import Outcome, PoolOutcome
from seedcorn.domain.workload import Slo
from seedcorn.wire._fields import Document, Many, ObjectiveName
from seedcorn.wire._text import Json
from seedcorn.wire._writing import json_bytes

SIGNIFICANT_DIGITS = 9
"""Of every number in a plan or outcome: far finer than a replay resolves, far coarser than the noise of
summation order, so that the same plan is the same bytes."""


def rounded(value: float) -> float | None:
    """``value`` as documents hold it; ``None`` where JSON has no number for it."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}") if math.isfinite(value) else None


def _or(missing: float) -> BeforeValidator:
    return BeforeValidator(lambda value: missing if value is None else value)


_NUMBER_OR_NULL = WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "null"}]})
Number = Annotated[float, PlainSerializer(rounded, when_used="json")]
NumberOrInf = Annotated[Number, Field(allow_inf_nan=True), _or(math.inf), _NUMBER_OR_NULL]
"""``null`` in the file where there is no bound."""
NumberOrNan = Annotated[Number, Field(allow_inf_nan=True), _or(math.nan), _NUMBER_OR_NULL]
"""``null`` in the file where nothing was measured."""


class LatencyDocument(Document):
    """One latency over all requests (ITL: over all gaps), in seconds; ``null`` if there was none."""

    mean_s: NumberOrNan = Field(description="Mean.")
    p50_s: NumberOrNan = Field(description="Median.")
    p90_s: NumberOrNan = Field(description="90th percentile.")
    p95_s: NumberOrNan = Field(description="95th percentile.")
    p99_s: NumberOrNan = Field(description="99th percentile.")


class GroupOutcomeDocument(Document):
    """What the replicas of one deployment did."""

    finished: int = Field(description="Requests that they served.")
    busy_share: Number = Field(description="Share of their time in service that was spent in steps.")


class OutcomeFields(Document):
    """A replay in numbers. Percentiles are over requests, weighted equally."""

    arrived: int = Field(description="Requests that arrived: those that finished and those refused.")
    finished: int = Field(description="Requests that finished.")
    refused: int = Field(
        description="Requests not served: too long for any replica's KV cache, `turned_away` or `unserved`."
    )
    turned_away: int = Field(default=0, description="Of the refused, those that met a full queue.")
    unserved: int = Field(
        default=0, description="Of the refused, those for which no replica was in service again."
    )
    retried: int = Field(
        default=0, description="Times a request was sent again after the replica that held it was lost."
    )
    preemptions: int = Field(description="Times a request lost its KV cache and was recomputed.")
    steps: int = Field(description="Engine steps, all replicas together.")
    duration_s: Number = Field(description="First arrival to last token.")
    busy_share: Number = Field(description="Share of replica-time in service that was spent in steps.")
    input_tokens_per_s: Number = Field(description="Prompt tokens per second of the duration.")
    output_tokens_per_s: Number = Field(description="Output tokens per second of the duration.")
    ttft: LatencyDocument = Field(description="Arrival to first token, queueing included.")
    tpot: LatencyDocument = Field(description="(e2e − ttft) / (output tokens − 1), one per request.")
    itl: LatencyDocument = Field(description="Gaps between consecutive tokens.")
    e2e: LatencyDocument = Field(description="Arrival to last token.")
    slo_attainment_share: Number | None = Field(
        default=None, description="Share of requests within every per-request bound, where an SLO was given."
    )
    groups: Many[GroupOutcomeDocument] = Field(
        default=(), description="Of each deployment, in the plan's order."
    )


class BoundDocument(Document):
    """One objective."""

    objective: ObjectiveName = Field(description="As in scenarios: `ttft_p99`.")
    bound_s: Number = Field(description="The most it may be.")


class FoundDocument(BoundDocument):
    """One objective, and what the replay gave."""

    got_s: NumberOrNan = Field(description="What was found.")
    holds: bool = Field(description="Whether that is within the bound.")


class ReplayDocument(Document):
    """The replay of one service, or of one trace with no plan."""

    name: str = Field(description="The service, or the trace.")
    objectives: Many[FoundDocument] = Field(description="Its SLO; empty if none was given.")
    outcome: OutcomeFields = Field(description="What was found.")


class PoolOutcomeDocument(Document):
    """What the replicas of all services on one pool did."""

    pool: str = Field(description="Its name in the scenario.")
    replicas: int = Field(description="Replicas on it.")
    chips: int = Field(description="Chips of these.")
    finished: int = Field(description="Requests that they served.")
    busy_share: Number = Field(description="Share of their chips' time in service that was spent in steps.")


class OutcomeDocument(Document):
    """What a replay found."""

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["outcome"] = Field(description="What this document is.")
    name: str = Field(description="The plan, or the trace.")
    slos_held: bool | None = Field(description="Whether every objective holds; `null` if there is none.")
    replays: Many[ReplayDocument] = Field(description="One per service, in the order of the scenario.")
    pools: Many[PoolOutcomeDocument] = Field(
        default=(), description="Of a plan, every pool that services use, in the order of the fleet."
    )


def outcome_json(
    name: str, replays: Mapping[str, tuple[Outcome, Slo | None]], pools: Sequence[PoolOutcome] = ()
) -> bytes:
    """The document for replays by name, each against its SLO, and what they add up to on each pool."""
    held = [outcome.meets(slo) for outcome, slo in replays.values() if slo is not None]
    document = OutcomeDocument(
        seedcorn=1,
        kind="outcome",
        name=name,
        slos_held=all(held) if held else None,
        replays=tuple(_replay(key, outcome, slo) for key, (outcome, slo) in replays.items()),
        pools=tuple(PoolOutcomeDocument.model_validate(pool, from_attributes=True) for pool in pools),
    )
    data: Json = document.model_dump(mode="json")
    return json_bytes(data)


def _replay(name: str, outcome: Outcome, slo: Slo | None) -> ReplayDocument:
    objectives = slo.objectives if slo is not None else ()
    found = [Predicted(objective=o, got_s=outcome.latency(o.metric).value_s(o.statistic)) for o in objectives]
    return ReplayDocument(
        name=name, objectives=tuple(map(found_document, found)), outcome=outcome_fields(outcome)
    )


def found_document(found: Predicted) -> FoundDocument:
    """An objective and what was found, as documents hold them."""
    return FoundDocument(
        objective=found.objective.name,
        bound_s=found.objective.bound_s,
        got_s=found.got_s,
        holds=found.holds,
    )


def outcome_fields(outcome: Outcome) -> OutcomeFields:
    """The outcome as documents hold it."""
    return OutcomeFields.model_validate(outcome, from_attributes=True)


_OUTCOME = TypeAdapter(Outcome)


def outcome_from(fields: OutcomeFields) -> Outcome:
    """The outcome that a document holds."""
    return _OUTCOME.validate_python(fields.model_dump())
