"""A run of vLLM by request: ``requests.jsonl`` beside a ``meta.json`` (LLMServingSim's collector writes both).

Arrivals stand on the wall clock, engine times on the monotonic one; arrivals are moved onto it by the
least offset seen between arrival and queueing.
"""

from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.measurement import RequestLog
from seedcorn.domain.offer import Parallelism
from seedcorn.errors import InputError
from seedcorn.evidence.found import Found
from seedcorn.evidence.report import Report, parsed_report, read_report, read_text

TOOL = "vllm request log"
META = "meta.json"
DTYPES = {"bfloat16": Dtype.BF16, "float16": Dtype.FP16, "fp8": Dtype.FP8}


def read(path: Path) -> Found:
    """The run, with the settings that the ``meta.json`` beside it names.

    Raises:
        InputError: A request lacks a time, or its times run backwards.
    """
    reports = [
        parsed_report(line, f"{path}:{number}")
        for number, line in enumerate(read_text(path).splitlines(), start=1)
        if line.strip()
    ]
    if not reports:
        raise InputError(f"{path} is empty: expected a JSON object per request")
    meta = read_report(path.parent / META) if (path.parent / META).is_file() else Report({}, META)
    settings, cache = meta.part("engine_kwargs"), meta.part("kv_cache")
    return Found(
        tool=TOOL,
        points=(),
        log=_log(reports),
        model=meta.text("model"),
        chip=meta.part("hardware").text("device_name"),
        dtype=DTYPES.get(settings.text("quantization", "dtype") or ""),
        engine="vllm" if meta.text("vllm_version") else None,
        engine_version=meta.text("vllm_version"),
        parallelism=_parallelism(settings),
        replicas=settings.count("data_parallel_size"),
        max_num_seqs=settings.count("max_num_seqs"),
        max_num_batched_tokens=settings.count("max_num_batched_tokens"),
        gpu_memory_utilization=cache.number("gpu_memory_utilization"),
        kv_tokens=cache.count("num_kv_tokens"),
    )


def _parallelism(settings: Report) -> Parallelism | None:
    tp = settings.count("tensor_parallel_size")
    if tp is None:
        return None
    spreads_experts = settings.data.get("enable_expert_parallel") is True
    return Parallelism(
        tp=tp, pp=settings.count("pipeline_parallel_size") or 1, ep=tp if spreads_experts else 1
    )


def _log(reports: list[Report]) -> RequestLog:
    for report in reports:
        _check_order(report)
    column = {
        name: _column(reports, name)
        for name in ("arrival_time", "queued_ts", "first_token_ts", "last_token_ts")
    }
    order = np.argsort(column["arrival_time"], kind="stable")
    arrival_s = column["arrival_time"] - column["arrival_time"].min()
    start_s = (column["queued_ts"] - arrival_s).min()
    return RequestLog(
        arrival_s=arrival_s[order],
        input_tokens=_counts(reports, "input_toks")[order],
        output_tokens=_counts(reports, "output_toks")[order],
        first_token_s=(column["first_token_ts"] - start_s)[order],
        last_token_s=(column["last_token_ts"] - start_s)[order],
    )


def _check_order(report: Report) -> None:
    """Queued, then scheduled, then the first token, then the last."""
    names = [n for n in ("queued_ts", "scheduled_ts", "first_token_ts", "last_token_ts") if n in report.data]
    for earlier, later in pairwise(names):
        before, after = report.number(earlier), report.number(later)
        if before is not None and after is not None and after < before:
            raise InputError(f"{report.where}: {later} ({after:.6f}) comes before {earlier} ({before:.6f})")


def _column(reports: list[Report], name: str) -> NDArray[np.float64]:
    return np.array([_needed(report, name) for report in reports], dtype=np.float64)


def _counts(reports: list[Report], name: str) -> NDArray[np.int32]:
    for report in reports:
        if _needed(report, name) < 1 or _needed(report, name) != int(_needed(report, name)):
            raise InputError(f"{report.where}.{name}: expected a whole number of at least 1")
    return np.array([_needed(report, name) for report in reports], dtype=np.int32)


def _needed(report: Report, name: str) -> float:
    value = report.number(name)
    if value is None:
        raise InputError(f"{report.where}: {name} is missing")
    return value
