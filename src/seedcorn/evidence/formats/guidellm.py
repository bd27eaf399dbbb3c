"""GuideLLM's ``benchmarks.json``: one benchmark per strategy of a sweep."""

from seedcorn.domain.measurement import BenchmarkPoint
from seedcorn.domain.workload import Statistic
from seedcorn.errors import InputError
from seedcorn.evidence.found import Driver, Found, a_point
from seedcorn.evidence.report import Report

TOOL = "guidellm"


def knows(report: Report) -> bool:
    """Whether this is such a report."""
    return isinstance(report.data.get("benchmarks"), list)


def read(report: Report, asked: Driver) -> Found:
    """Every benchmark whose load can be replayed; ``throughput`` sends as much as the server takes.

    Its ``time_per_output_token_ms`` counts the first token in, so TPOT is ``inter_token_latency_ms``,
    the mean over gaps.
    """
    benchmarks = [(b, _driver(b)) for b in report.parts("benchmarks")]
    points = tuple(_point(b, driver, asked) for b, driver in benchmarks if driver is not None)
    if not points:
        raise InputError(
            f"{report.where}: none of its benchmarks can be replayed: run the strategies synchronous, concurrent, "
            "poisson or constant"
        )
    return Found(tool=TOOL, points=points)


def _driver(benchmark: Report) -> Driver | None:
    """Where the strategy stands depends on the version: ``config.strategy`` since 0.4, ``args.strategy`` before."""
    strategy = benchmark.part("config", "strategy")
    strategy = strategy if strategy.data else benchmark.part("args", "strategy")
    kind = strategy.text("type_", "kind")
    if kind == "throughput":
        return None
    if kind == "synchronous":
        return Driver(concurrency=1)
    if kind == "concurrent":
        return Driver(concurrency=strategy.count("streams", "max_concurrency"))
    if kind in ("poisson", "constant"):
        return Driver(rate_per_s=strategy.number("rate"), evenly_spaced=kind == "constant")
    return Driver()


def _point(benchmark: Report, driver: Driver, asked: Driver) -> BenchmarkPoint:
    metrics = benchmark.part("metrics")
    totals = metrics.part("request_totals")
    return a_point(
        benchmark.where,
        driver=driver,
        asked=asked,
        num_requests=totals.count("successful") or 0,
        failed=totals.count("errored") or 0,
        input_tokens=_successful(metrics, "prompt_token_count").number("mean"),
        output_tokens=_successful(metrics, "output_token_count").number("mean"),
        ttft_s=_latency_s(_successful(metrics, "time_to_first_token_ms")),
        tpot_s=_latency_s(_successful(metrics, "inter_token_latency_ms")),
        output_tokens_per_s=_successful(metrics, "output_tokens_per_second").number("mean"),
    )


def _successful(metrics: Report, name: str) -> Report:
    return metrics.part(name, "successful")


def _latency_s(metric: Report) -> dict[Statistic, float | None]:
    return {
        Statistic.MEAN: metric.time_s("ms", "mean"),
        Statistic.P50: metric.time_s("ms", "median"),
        Statistic.P99: metric.part("percentiles").time_s("ms", "p99"),
    }
