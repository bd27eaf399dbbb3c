"""Evidence for people: what was measured, on what, how much of it."""

from collections.abc import Sequence
from pathlib import Path

from seedcorn.domain.measurement import BenchmarkPoint, Measurement
from seedcorn.domain.workload import Statistic
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_seconds

Kept = Sequence[tuple[Path, Measurement]]


def kept_page(measurement: Measurement, path: Path, *, is_new: bool) -> Page:
    """What was kept, every default filled in, and where."""
    engine = measurement.engine
    cache = f"{measurement.kv_tokens:,}" if measurement.kv_tokens is not None else "as predicted"
    return [
        f"{'kept' if is_new else 'already kept'}: {measurement.key.name}",
        f"{measurement.replicas} replica(s), max_num_seqs {engine.max_num_seqs:,}, "
        f"max_num_batched_tokens {engine.max_num_batched_tokens:,}, gpu_memory_utilization "
        f"{engine.gpu_memory_utilization:g}, KV tokens {cache}",
        *(f"  {_point(point)}" for point in measurement.points),
        *([f"  {measurement.log.arrival_s.shape[0]:,} requests, one by one"] if measurement.log else []),
        str(path),
    ]


def _point(point: BenchmarkPoint) -> str:
    if point.concurrency is not None:
        driver = f"{point.concurrency:,} clients"
    else:
        driver = f"{point.rate_per_s:g} requests/s, {'evenly spaced' if point.evenly_spaced else 'Poisson'}"
    latencies = [
        f"{name} {statistic} {format_seconds(values[statistic])}"
        for name, values in (("TTFT", point.ttft_s), ("TPOT", point.tpot_s))
        for statistic in (Statistic.MEAN, Statistic.P50, Statistic.P99)
        if statistic in values
    ]
    rate = [] if point.output_tokens_per_s is None else [f"{point.output_tokens_per_s:,.0f} output tokens/s"]
    return (
        f"{driver}, {point.input_tokens:,.0f} tokens in, {point.output_tokens:,.0f} out, "
        f"{point.num_requests:,} requests: {', '.join(latencies + rate)}"
    )


def evidence_page(kept: Kept, folder: Path) -> Page:
    """Every measurement of the store."""
    if not kept:
        return [f"no evidence in {folder}; import a benchmark's report: seedcorn evidence import FILE"]
    table = plain_table(
        "model",
        "dtype",
        "chip",
        "engine",
        "spread",
        "benchmarks",
        "requests",
        "file",
        right=("benchmarks", "requests"),
    )
    for path, measurement in kept:
        key = measurement.key
        table.add_row(
            key.model,
            key.dtype,
            key.chip,
            f"{key.engine} {key.engine_version}",
            str(key.parallelism),
            f"{len(measurement.points):,}",
            f"{_requests(measurement):,}",
            path.name,
        )
    return [table, "", str(folder)]


def evidence_rows(kept: Kept) -> list[dict[str, str | int]]:
    """The same, for programs."""
    return [
        {
            "file": path.name,
            "model": measurement.key.model,
            "dtype": measurement.key.dtype,
            "chip": measurement.key.chip,
            "engine": measurement.key.engine,
            "engine_version": measurement.key.engine_version,
            "parallelism": str(measurement.key.parallelism),
            "benchmarks": len(measurement.points),
            "requests": _requests(measurement),
            "source": measurement.source,
        }
        for path, measurement in kept
    ]


def _requests(measurement: Measurement) -> int:
    seen = 0 if measurement.log is None else measurement.log.arrival_s.shape[0]
    return seen + sum(point.num_requests for point in measurement.points)
