"""``vllm bench serve --save-result``, and SGLang's ``bench_serving``, which writes the same keys."""

from seedcorn.domain.workload import Statistic
from seedcorn.errors import InputError
from seedcorn.evidence.found import Driver, Found, a_point
from seedcorn.evidence.report import Report

TOOL = "vllm bench serve"
NAMES = {Statistic.MEAN: "mean", Statistic.P50: "median", Statistic.P99: "p99"}


def knows(report: Report) -> bool:
    """Whether this is such a result."""
    return "completed" in report.data and (
        "mean_ttft_ms" in report.data or "request_throughput" in report.data
    )


def read(report: Report, asked: Driver) -> Found:
    """The one benchmark it holds."""
    completed = report.count("completed") or 0
    prompts = report.count("num_prompts")
    driver = _driver(report, prompts)
    return Found(
        tool=TOOL,
        model=report.text("model_id"),
        points=(
            a_point(
                report.where,
                driver=driver,
                asked=asked,
                num_requests=completed,
                failed=report.count("failed") or max((prompts or 0) - completed, 0),
                input_tokens=_mean(report.number("total_input_tokens", "total_input"), completed),
                output_tokens=_mean(report.number("total_output_tokens", "total_output"), completed),
                ttft_s={s: report.time_s("ms", f"{name}_ttft_ms") for s, name in NAMES.items()},
                tpot_s={s: report.time_s("ms", f"{name}_tpot_ms") for s, name in NAMES.items()},
                output_tokens_per_s=report.number("output_throughput"),
            ),
        ),
    )


def _driver(report: Report, prompts: int | None) -> Driver:
    """A rate of ``inf`` without a cap on concurrency sends all prompts at once."""
    concurrency, rate = report.count("max_concurrency"), report.data.get("request_rate")
    if rate is None:
        return Driver(concurrency=concurrency)
    if rate == "inf":
        return Driver(concurrency=concurrency or prompts)
    if concurrency is not None or report.number("burstiness") not in (None, 1.0):
        raise InputError(
            f"{report.where}: request_rate {rate} with max_concurrency {concurrency or 'none'} and burstiness "
            f"{report.data.get('burstiness', 1.0)} cannot be replayed; measure with a concurrency alone, or a rate "
            "alone at burstiness 1"
        )
    return Driver(rate_per_s=report.number("request_rate"))


def _mean(total: float | None, count: int) -> float | None:
    return None if total is None or count == 0 else total / count
