"""What a report says: benchmarks, and as much of what they were made on as the tool knows."""

from collections.abc import Mapping
from dataclasses import dataclass

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.measurement import BenchmarkPoint, RequestLog
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import Statistic
from seedcorn.errors import InputError
from seedcorn.units import format_seconds

FAILED_SHARE = 0.01
"""Requests that may have failed: beyond, those that finished had a server that others had left."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """What the load generator did: ``None`` where the report does not say."""

    concurrency: int | None = None
    rate_per_s: float | None = None
    evenly_spaced: bool = False

    @property
    def is_known(self) -> bool:
        """Whether it can be replayed."""
        return (self.concurrency is None) != (self.rate_per_s is None)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A report, read. What is ``None`` the report does not say."""

    tool: str
    points: tuple[BenchmarkPoint, ...]
    log: RequestLog | None = None
    model: str | None = None
    chip: str | None = None
    dtype: Dtype | None = None
    engine: str | None = None
    engine_version: str | None = None
    parallelism: Parallelism | None = None
    replicas: int | None = None
    max_num_seqs: int | None = None
    max_num_batched_tokens: int | None = None
    gpu_memory_utilization: float | None = None
    kv_tokens: int | None = None


def a_point(
    where: str,
    *,
    driver: Driver,
    asked: Driver,
    num_requests: int,
    failed: int,
    input_tokens: float | None,
    output_tokens: float | None,
    ttft_s: dict[Statistic, float | None],
    tpot_s: dict[Statistic, float | None],
    output_tokens_per_s: float | None,
) -> BenchmarkPoint:
    """A benchmark, if what it needs is there and its numbers agree.

    Args:
        where: For messages.
        driver: What the report says of the load; ``asked``: what the options say.

    Raises:
        InputError: Says what is missing and which option gives it, or which numbers disagree.
    """
    if driver.is_known and asked != Driver() and driver != asked:
        raise InputError(f"{where}: the report says {_text(driver)}, the options say {_text(asked)}")
    driver = driver if driver.is_known else asked
    if not driver.is_known:
        raise InputError(
            f"{where}: the report does not say what drove the load: give --concurrency or --rate, as the tool was run"
        )
    if num_requests < 1:
        raise InputError(f"{where}: no request finished")
    if failed > FAILED_SHARE * (num_requests + failed):
        raise InputError(
            f"{where}: {failed:,} of {num_requests + failed:,} requests failed; measure again without failures"
        )
    if not input_tokens or not output_tokens:
        raise InputError(f"{where}: the report does not say how long prompts and answers were")
    point = BenchmarkPoint(
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        num_requests=num_requests,
        concurrency=driver.concurrency,
        rate_per_s=driver.rate_per_s,
        evenly_spaced=driver.evenly_spaced,
        ttft_s={s: value for s, value in ttft_s.items() if value},
        tpot_s={s: value for s, value in tpot_s.items() if value},
        output_tokens_per_s=output_tokens_per_s,
    )
    if not (point.ttft_s or point.tpot_s or point.output_tokens_per_s):
        raise InputError(
            f"{where}: neither TTFT nor TPOT nor throughput is reported; was the server asked to stream?"
        )
    check_agrees(where, point)
    return point


def _text(driver: Driver) -> str:
    if driver.concurrency is not None:
        return f"{driver.concurrency:,} clients"
    spacing = "evenly spaced" if driver.evenly_spaced else "Poisson"
    return f"{driver.rate_per_s:g} requests/s, {spacing}"


def check_agrees(where: str, point: BenchmarkPoint) -> None:
    """Refuse numbers that no server can show together: times in one unit read as another.

    Little's law: requests under way = throughput × time under way, and clients bound them. A benchmark
    that lets clients fall silent at its end stays below; factor 3 either way is beyond any of that.

    Raises:
        InputError: They disagree.
    """
    _check_statistics(f"{where}: TTFT", point.ttft_s)
    _check_statistics(f"{where}: TPOT", point.tpot_s)
    ttft_s, tpot_s = point.ttft_s.get(Statistic.MEAN), point.tpot_s.get(Statistic.MEAN)
    rate = point.output_tokens_per_s
    if ttft_s is None or tpot_s is None or rate is None or point.concurrency is None:
        return
    e2e_s = ttft_s + tpot_s * (point.output_tokens - 1)
    under_way = rate / point.output_tokens * e2e_s
    if not point.concurrency / 3 <= under_way <= 3 * point.concurrency:
        raise InputError(
            f"{where}: {rate:,.4g} output tokens/s at {e2e_s:,.4g} s a request would take {under_way:,.3g} requests "
            f"under way, but there were {point.concurrency:,} clients: are the times in another unit?"
        )


def _check_statistics(what: str, values_s: Mapping[Statistic, float]) -> None:
    """Half of all values are at least the median, so that the mean is at least half of it; and no percentile
    exceeds a higher one."""
    mean_s, p50_s, p99_s = (values_s.get(s) for s in (Statistic.MEAN, Statistic.P50, Statistic.P99))
    if mean_s is not None and p50_s is not None and mean_s < p50_s / 2:
        raise InputError(
            f"{what} of {format_seconds(mean_s)} in the mean and {format_seconds(p50_s)} in the median contradict "
            "each other: is one of them in another unit?"
        )
    if p50_s is not None and p99_s is not None and p99_s < p50_s:
        raise InputError(
            f"{what} has a 99th percentile of {format_seconds(p99_s)} below its median of {format_seconds(p50_s)}: is "
            "one of them in another unit?"
        )
