"""Evidence in use: fit what was measured by replaying it, and take the best grade there is."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.measurement import BenchmarkPoint, Measurement, RequestLog
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import EngineSettings, Router, Statistic, Trace
from seedcorn.errors import Unsupported
from seedcorn.perf import StepModel, step_model
from seedcorn.perf.measured import Correction, corrected, fitted_correction, outvotable
from seedcorn.perf.silicon import silicon_step_model
from seedcorn.replay import closed_loop, replay, replay_requests

Floats = NDArray[np.float64]

TPOT_NOISE = 0.05
"""Standard deviation allowed ln(replayed / measured) of a TPOT or a throughput: what one server shows
between runs, and what a replay leaves out (sampling, detokenisation)."""

TTFT_NOISE = 0.15
"""The same of a TTFT, which carries HTTP, tokenisation and the load generator's own pace besides."""

MOST_PER_CLIENT = 10
"""Requests of a closed loop that are replayed per client; by then each has settled."""

MOST_ARRIVALS = 1_000
"""Requests at a given rate that are replayed."""


def best_step_model(
    model: ModelSpec,
    chip: Chip,
    *,
    dtype: Dtype,
    parallelism: Parallelism,
    engine: EngineSettings,
    chips_per_node: int,
    measurements: Sequence[Measurement] = (),
) -> StepModel:
    """The step model of the best grade: measured where there is evidence of exactly this; else from operators
    timed on the chip, where the ``silicon`` extra is installed and has them; else the roofline.

    Of several engine versions the newest is taken. The measurements need not have been made with the
    same limits: what they correct is the time of a step.

    Raises:
        Infeasible: As :func:`seedcorn.perf.step_model`.
    """
    relevant = _newest(
        [
            m
            for m in measurements
            if (m.key.model, m.key.dtype, m.key.chip, m.key.engine, m.key.parallelism)
            == (model.name, dtype, chip.name, engine.engine, parallelism)
        ]
    )

    def made_by(maker: Callable[..., StepModel]) -> StepModel:
        return maker(
            model,
            chip,
            dtype=dtype,
            parallelism=parallelism,
            engine=engine,
            chips_per_node=chips_per_node,
        )

    if relevant:
        correction = _correction(model, chip, chips_per_node, relevant)
        return corrected(made_by(step_model), correction, kv_tokens=_reported_kv_tokens(relevant, engine))
    try:
        return made_by(silicon_step_model)
    except Unsupported:  # not installed, or nothing of this chip, format or model was timed
        return made_by(step_model)


def _newest(measurements: Sequence[Measurement]) -> tuple[Measurement, ...]:
    """Those of the newest engine version, by its numbers: 0.19 is newer than 0.9."""
    if not measurements:
        return ()
    newest = max(measurements, key=lambda m: _version(m.key.engine_version)).key.engine_version
    return tuple(m for m in measurements if m.key.engine_version == newest)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", text))


def _reported_kv_tokens(measurements: Sequence[Measurement], engine: EngineSettings) -> int | None:
    """What an engine with the same share of the memory reported, if any did."""
    return next(
        (
            m.kv_tokens
            for m in measurements
            if m.kv_tokens is not None and m.engine.gpu_memory_utilization == engine.gpu_memory_utilization
        ),
        None,
    )


@lru_cache(maxsize=256)
def _correction(
    model: ModelSpec, chip: Chip, chips_per_node: int, measurements: tuple[Measurement, ...]
) -> Correction:
    """Fitted to all of the measurements, each replayed with the limits it was made with."""
    key = measurements[0].key
    prior = step_model(
        model,
        chip,
        dtype=key.dtype,
        parallelism=key.parallelism,
        engine=measurements[0].engine,
        chips_per_node=chips_per_node,
    )
    return fitted_correction(
        prior, lambda tried: np.concatenate([residuals(tried, measurement) for measurement in measurements])
    )


def residuals(model: StepModel, measurement: Measurement) -> Floats:
    """(R,) ln(replayed / measured) of everything the measurement says, in standard deviations."""
    model = replace(model, kv_tokens=_kv_tokens(model, measurement))
    found = [_point_residuals(model, measurement, point) for point in measurement.points]
    if measurement.log is not None:
        found.append(_log_residuals(model, measurement, measurement.log))
    return np.concatenate(found)


def _kv_tokens(model: StepModel, measurement: Measurement) -> int:
    """As reported; else as predicted, but never less than the longest request needed: it was served."""
    if measurement.kv_tokens is not None:
        return measurement.kv_tokens
    longest = max((point.input_tokens + point.output_tokens for point in measurement.points), default=0.0)
    if measurement.log is not None:
        longest = max(longest, float((measurement.log.input_tokens + measurement.log.output_tokens).max()))
    return max(model.kv_tokens, round(longest) + 2 * measurement.engine.block_size)


def _point_residuals(model: StepModel, measurement: Measurement, point: BenchmarkPoint) -> Floats:
    outcome = _replayed([model] * measurement.replicas, measurement.engine, point)
    found = [
        math.log(got.value_s(statistic) / measured[statistic]) / noise
        for got, measured, noise in (
            (outcome.ttft, point.ttft_s, TTFT_NOISE),
            (outcome.tpot, point.tpot_s, TPOT_NOISE),
        )
        if (statistic := _middle(measured)) is not None and got.value_s(statistic) > 0
    ]
    if point.output_tokens_per_s is not None and not point.tpot_s:
        found.append(math.log(point.output_tokens_per_s / outcome.output_tokens_per_s) / TPOT_NOISE)
    return outvotable(np.array(found))


def _middle(measured: Mapping[Statistic, float]) -> Statistic | None:
    """The statistic that is fitted: the mean, or else the median. The 99th percentile of a benchmark of
    a few hundred requests is three of them."""
    return next((s for s in (Statistic.MEAN, Statistic.P50) if s in measured), None)


def _replayed(replicas: list[StepModel], engine: EngineSettings, point: BenchmarkPoint) -> Outcome:
    """The benchmark, with every request of mean length."""
    if point.concurrency is not None:
        requests = max(min(point.num_requests, MOST_PER_CLIENT * point.concurrency), point.concurrency)
        inputs, outputs = _lengths(point, requests)
        return closed_loop(
            replicas, engine, concurrency=point.concurrency, input_tokens=inputs, output_tokens=outputs
        )
    assert point.rate_per_s is not None
    trace = _trace(point, point.rate_per_s, min(point.num_requests, MOST_ARRIVALS))
    return replay(replicas, engine, trace, router=Router.LEAST_OUTSTANDING)


def _lengths(point: BenchmarkPoint, requests: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    return (
        np.full(requests, max(round(point.input_tokens), 1), dtype=np.int32),
        np.full(requests, max(round(point.output_tokens), 1), dtype=np.int32),
    )


def _trace(point: BenchmarkPoint, rate_per_s: float, requests: int) -> Trace:
    """Arrivals at a rate: always the same draw."""
    gaps_s = np.full(requests, 1 / rate_per_s)
    if not point.evenly_spaced:
        gaps_s = np.random.default_rng(0).exponential(gaps_s)
    inputs, outputs = _lengths(point, requests)
    return Trace(
        name=f"{rate_per_s:g} requests/s",
        arrival_s=np.cumsum(gaps_s) - gaps_s[0],
        input_tokens=inputs,
        output_tokens=outputs,
    )


def _log_residuals(model: StepModel, measurement: Measurement, log: RequestLog) -> Floats:
    """Of every request that was seen: TTFT relative to the mean TTFT (a millisecond of one must not
    outweigh a second of another), TPOT relative to itself. The engine's own clock adds no client's pace."""
    trace = Trace(
        name=measurement.source,
        arrival_s=log.arrival_s,
        input_tokens=log.input_tokens,
        output_tokens=log.output_tokens,
    )
    times = replay_requests(
        [model] * measurement.replicas, measurement.engine, trace, router=Router.LEAST_OUTSTANDING
    )
    seen = ~np.isnan(log.last_token_s)
    ttft = (times.first_token_s - log.first_token_s)[seen] / np.nanmean(log.first_token_s - log.arrival_s)
    decodes = seen & (log.output_tokens > 1)
    measured_s = (log.last_token_s - log.first_token_s)[decodes]
    tpot = np.log((times.finish_s - times.first_token_s)[decodes] / measured_s)
    return np.concatenate([ttft, tpot]) / TPOT_NOISE
