"""``kind: evidence``: one measurement as the store keeps it, and anyone may read it."""

from collections.abc import Mapping
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from seedcorn.domain.hardware import ChipName
from seedcorn.domain.measurement import BenchmarkPoint, EvidenceKey, Measurement, RequestLog
from seedcorn.domain.model import ModelName
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings, Statistic
from seedcorn.errors import InputError
from seedcorn.wire._fields import Count, Document, DtypeName, Many, Name
from seedcorn.wire._text import Json
from seedcorn.wire._writing import json_bytes
from seedcorn.wire.outcome import Number, NumberOrNan

Positive = Annotated[Number, Field(gt=0)]
Times = Many[NumberOrNan]
StatisticName = Annotated[Statistic, Field(strict=False)]
Latency = dict[StatisticName, Positive]


class PointDocument(Document):
    """One benchmark summed up."""

    input_tokens: Positive = Field(description="Mean prompt length.")
    output_tokens: Positive = Field(description="Mean answer length.")
    num_requests: Count = Field(description="Requests that finished.")
    concurrency: Count | None = Field(description="Clients of a closed loop.")
    rate_per_s: Positive | None = Field(description="Arrivals per second of an open loop.")
    evenly_spaced: bool = Field(description="Whether arrivals kept one gap; else Poisson.")
    ttft_s: Latency = Field(description="Time to first token, by statistic over requests.")
    tpot_s: Latency = Field(description="Time per output token after the first, likewise.")
    output_tokens_per_s: Positive | None = Field(description="Of the whole server.")


class RequestsDocument(Document):
    """A run, request by request, in order of arrival, by column."""

    arrival_s: Times = Field(description="Since the first arrival.")
    input_tokens: Many[Count] = Field(description="Prompt lengths.")
    output_tokens: Many[Count] = Field(description="Answer lengths.")
    first_token_s: Times = Field(description="On the same clock; `null` where not seen.")
    last_token_s: Times = Field(description="Likewise.")


class EvidenceDocument(Document):
    """One measurement, and exactly what it was made on."""

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["evidence"] = Field(description="What this document is.")
    model: Name = Field(description="The model, as the catalogue names it.")
    dtype: DtypeName = Field(description="Number format of the weights.")
    chip: Name = Field(description="The chip, as the catalogue names it.")
    engine: Name = Field(description="The serving engine.")
    engine_version: Name = Field(description="Its version.")
    tp: Count = Field(description="Tensor parallelism of one replica.")
    pp: Count = Field(description="Pipeline stages.")
    ep: Count = Field(description="Expert parallelism.")
    replicas: Count = Field(description="Servers that shared the load.")
    max_num_seqs: Count = Field(description="Sequences per step.")
    max_num_batched_tokens: Count = Field(description="Tokens per step.")
    gpu_memory_utilization: Positive = Field(description="Share of memory that the engine may use.")
    kv_tokens: Count | None = Field(description="KV tokens that a replica reported.")
    source: Name = Field(description="Tool and file, or the server.")
    points: Many[PointDocument] = Field(description="Benchmarks summed up.")
    requests: RequestsDocument | None = Field(description="A run by request.")


def evidence_json(measurement: Measurement) -> bytes:
    """The document of a measurement."""
    key, engine = measurement.key, measurement.engine
    document = EvidenceDocument(
        seedcorn=1,
        kind="evidence",
        model=key.model,
        dtype=key.dtype,
        chip=key.chip,
        engine=key.engine,
        engine_version=key.engine_version,
        tp=key.parallelism.tp,
        pp=key.parallelism.pp,
        ep=key.parallelism.ep,
        replicas=measurement.replicas,
        max_num_seqs=engine.max_num_seqs,
        max_num_batched_tokens=engine.max_num_batched_tokens,
        gpu_memory_utilization=engine.gpu_memory_utilization,
        kv_tokens=measurement.kv_tokens,
        source=measurement.source,
        points=tuple(
            PointDocument.model_validate(point, from_attributes=True) for point in measurement.points
        ),
        requests=None if measurement.log is None else _requests(measurement.log),
    )
    data: Json = document.model_dump(mode="json")
    return json_bytes(data)


def evidence_from(content: bytes, where: str) -> Measurement:
    """The measurement that a document holds.

    Raises:
        InputError: It is no such document.
    """
    try:
        document = EvidenceDocument.model_validate_json(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        path = ".".join(map(str, first["loc"]))
        raise InputError(f"no evidence document: {path}: {first['msg']}", where=where) from None
    return Measurement(
        key=EvidenceKey(
            model=ModelName(document.model),
            dtype=document.dtype,
            chip=ChipName(document.chip),
            engine=document.engine,
            engine_version=document.engine_version,
            parallelism=Parallelism(tp=document.tp, pp=document.pp, ep=document.ep),
        ),
        replicas=document.replicas,
        engine=EngineSettings(
            max_num_seqs=document.max_num_seqs,
            max_num_batched_tokens=document.max_num_batched_tokens,
            gpu_memory_utilization=document.gpu_memory_utilization,
        ),
        kv_tokens=document.kv_tokens,
        points=tuple(_point(point) for point in document.points),
        log=None if document.requests is None else _log(document.requests),
        source=document.source,
    )


def _point(document: PointDocument) -> BenchmarkPoint:
    latencies: Mapping[str, Latency] = {"ttft_s": document.ttft_s, "tpot_s": document.tpot_s}
    return BenchmarkPoint(
        input_tokens=document.input_tokens,
        output_tokens=document.output_tokens,
        num_requests=document.num_requests,
        concurrency=document.concurrency,
        rate_per_s=document.rate_per_s,
        evenly_spaced=document.evenly_spaced,
        output_tokens_per_s=document.output_tokens_per_s,
        **latencies,
    )


def _requests(log: RequestLog) -> RequestsDocument:
    return RequestsDocument(
        arrival_s=tuple(log.arrival_s.tolist()),
        input_tokens=tuple(log.input_tokens.tolist()),
        output_tokens=tuple(log.output_tokens.tolist()),
        first_token_s=tuple(log.first_token_s.tolist()),
        last_token_s=tuple(log.last_token_s.tolist()),
    )


def _log(document: RequestsDocument) -> RequestLog:
    def times_s(values: tuple[float, ...]) -> NDArray[np.float64]:
        return np.array(values, dtype=np.float64)

    return RequestLog(
        arrival_s=times_s(document.arrival_s),
        input_tokens=np.array(document.input_tokens, dtype=np.int32),
        output_tokens=np.array(document.output_tokens, dtype=np.int32),
        first_token_s=times_s(document.first_token_s),
        last_token_s=times_s(document.last_token_s),
    )
