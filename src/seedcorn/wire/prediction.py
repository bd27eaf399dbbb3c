"""``kind: prediction``: what ``seedcorn predict`` answers, for programs."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Evidence
from seedcorn.domain.prediction import PREDICTED_STATISTICS, Interval, ServingPrediction, TrainingPrediction
from seedcorn.domain.workload import EngineName, Statistic
from seedcorn.wire._fields import Document
from seedcorn.wire._text import Json
from seedcorn.wire._writing import json_bytes
from seedcorn.wire.outcome import Number, NumberOrInf


class IntervalDocument(Document):
    """A value, and the bounds that the true one lies within nine times in ten."""

    value: Number = Field(description="What is predicted.")
    low: Number = Field(description="5 % of true values lie below.")
    high: NumberOrInf = Field(description="5 % lie above; `null`: the slow end would not keep up.")


Latencies = dict[Statistic, IntervalDocument]
Spread = Annotated[str, BeforeValidator(str)]
"""Parallelism as people write it."""


class EngineFields(Document):
    """Scheduler limits of one replica, by vLLM's own names."""

    engine: EngineName = Field(
        description="Whose pace was predicted; the scheduler replayed is vLLM's for all."
    )
    max_num_seqs: int = Field(description="Sequences per step.")
    max_num_batched_tokens: int = Field(description="Tokens per step.")
    block_size: int = Field(description="Tokens per KV block.")
    gpu_memory_utilization: Number = Field(description="Share of memory that the engine may use.")
    prefix_caching: bool = Field(description="Whether preempted sequences find surviving blocks again.")


class LoadDocument(Document):
    """Requests of one size, from clients in a closed loop or arriving at a rate."""

    input_tokens: int = Field(description="Prompt length.")
    output_tokens: int = Field(description="Answer length.")
    concurrency: int | None = Field(description="Clients, each with one request under way.")
    rate_per_s: Number | None = Field(description="Poisson arrivals per second.")


class ServingDocument(Document):
    """How a model would serve a load."""

    seedcorn: Literal[1] = Field(default=1, description="Version of the document's form.")
    kind: Literal["prediction"] = Field(default="prediction", description="What this document is.")
    of: Literal["serving"] = Field(default="serving", description="What was asked about.")
    model: str = Field(description="The model.")
    chip: str = Field(description="The chip.")
    chips: int = Field(description="Chips used.")
    replicas: int = Field(description="Copies that serve.")
    dtype: Dtype = Field(description="Number format of the weights.")
    parallelism: Spread = Field(description="Spread of one replica.")
    engine: EngineFields = Field(description="The scheduler's limits.")
    load: LoadDocument = Field(description="What was asked to be served.")
    kv_tokens: int = Field(description="KV-cache capacity of one replica, in tokens.")
    requests: int = Field(description="Requests replayed; all of them count.")
    ttft_s: Latencies = Field(description="Time to first token, by statistic over requests.")
    tpot_s: Latencies = Field(description="Time per output token after the first, likewise.")
    output_tokens_per_s: IntervalDocument = Field(description="Of all replicas together.")
    evidence: Evidence = Field(description="Grade of the least trusted fact inside.")
    binds: str = Field(description="compute, bandwidth, link, host or memory.")
    shares: dict[str, Number] = Field(description="Where a request's time goes, by resource.")
    defaults: dict[str, str] = Field(description="What was filled in.")


class TrainingDocument(Document):
    """How fast a gang would train."""

    seedcorn: Literal[1] = Field(default=1, description="Version of the document's form.")
    kind: Literal["prediction"] = Field(default="prediction", description="What this document is.")
    of: Literal["training"] = Field(default="training", description="What was asked about.")
    model: str = Field(description="The model, or its size.")
    chip: str = Field(description="The chip.")
    chips: int = Field(description="Chips that work.")
    dtype: Dtype = Field(description="Number format of matrix multiplications.")
    sequence_length: int = Field(description="Tokens of one sequence.")
    parallelism: Spread = Field(description="The layout.")
    tokens_per_s: IntervalDocument = Field(description="While it runs.")
    flop_per_s_per_chip: IntervalDocument = Field(description="6 · active parameters · tokens/s / chips.")
    mfu: IntervalDocument = Field(description="The same over the chip's dense peak in that format.")
    effectiveness_share: Number = Field(description="Share of wall-clock time that makes progress.")
    evidence: Evidence = Field(description="Grade of the least trusted fact inside.")
    binds: str = Field(description="What takes most of the time.")
    shares: dict[str, Number] = Field(description="Where the time goes, by cause.")
    defaults: dict[str, str] = Field(description="What was filled in.")


def prediction_json(prediction: ServingPrediction | TrainingPrediction) -> bytes:
    """The document of a prediction."""
    form = ServingDocument if isinstance(prediction, ServingPrediction) else TrainingDocument
    data: Json = form.model_validate(prediction, from_attributes=True).model_dump(mode="json")
    return json_bytes(data)


def _interval_columns(name: str) -> tuple[str, ...]:
    return (name, f"{name}_low", f"{name}_high")


def _latency_columns(name: str) -> tuple[str, ...]:
    return tuple(c for statistic in PREDICTED_STATISTICS for c in _interval_columns(f"{name}_{statistic}_s"))


SERVING_COLUMNS = (
    "replicas",
    "parallelism",
    "kv_tokens",
    *_latency_columns("ttft"),
    *_latency_columns("tpot"),
    *_interval_columns("output_tokens_per_s"),
    "evidence",
    "binds",
    "defaults",
)
"""Columns that answer a table's questions about serving."""

TRAINING_COLUMNS = (
    "parallelism",
    "chips_used",
    *_interval_columns("tokens_per_s"),
    *_interval_columns("flop_per_s_per_chip"),
    *_interval_columns("mfu"),
    "effectiveness_share",
    "evidence",
    "binds",
    "defaults",
)
"""Columns that answer a table's questions about training."""


def serving_cells(prediction: ServingPrediction) -> dict[str, str]:
    """The answer by :data:`SERVING_COLUMNS`."""
    latencies = {
        f"{name}_{statistic}_s": interval
        for name, latency in (("ttft", prediction.ttft_s), ("tpot", prediction.tpot_s))
        for statistic, interval in latency.items()
    }
    return {
        "replicas": str(prediction.replicas),
        "parallelism": str(prediction.parallelism),
        "kv_tokens": str(prediction.kv_tokens),
        **_interval_cells({**latencies, "output_tokens_per_s": prediction.output_tokens_per_s}),
        "evidence": prediction.evidence,
        "binds": prediction.binds,
        "defaults": _defaults(prediction.defaults),
    }


def training_cells(prediction: TrainingPrediction) -> dict[str, str]:
    """The answer by :data:`TRAINING_COLUMNS`."""
    return {
        "parallelism": prediction.parallelism,
        "chips_used": str(prediction.chips),
        **_interval_cells(
            {
                "tokens_per_s": prediction.tokens_per_s,
                "flop_per_s_per_chip": prediction.flop_per_s_per_chip,
                "mfu": prediction.mfu,
            }
        ),
        "effectiveness_share": f"{prediction.effectiveness_share:.6g}",
        "evidence": prediction.evidence,
        "binds": prediction.binds,
        "defaults": _defaults(prediction.defaults),
    }


def _interval_cells(intervals: Mapping[str, Interval]) -> dict[str, str]:
    """Value and bounds, to six digits; ``inf`` where there is no bound."""
    return {
        column: f"{number:.6g}"
        for name, interval in intervals.items()
        for column, number in zip(
            _interval_columns(name), (interval.value, interval.low, interval.high), strict=True
        )
    }


def _defaults(defaults: Mapping[str, str]) -> str:
    return "; ".join(f"{name} = {text}" for name, text in defaults.items())
