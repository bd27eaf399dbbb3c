"""inference-perf's ``stage_N_lifecycle_metrics.json``: one stage of load, times in seconds."""

from seedcorn.domain.workload import Statistic
from seedcorn.evidence.found import Driver, Found, a_point
from seedcorn.evidence.report import Report

TOOL = "inference-perf"
NAMES = {Statistic.MEAN: "mean", Statistic.P50: "median", Statistic.P99: "p99"}


def knows(report: Report) -> bool:
    """Whether this is such a report."""
    return "load_summary" in report.data and "successes" in report.data


def read(report: Report, asked: Driver) -> Found:
    """The stage. A report over all stages mixes loads and names none, and asks for one.

    A rate is only a driver where the options repeat it: the report does not say whether its requests
    kept one gap or came as a Poisson process.
    """
    successes = report.part("successes")
    latency = successes.part("latency")
    return Found(
        tool=TOOL,
        points=(
            a_point(
                report.where,
                driver=Driver(concurrency=report.part("load_summary").count("concurrency")),
                asked=asked,
                num_requests=successes.count("count") or 0,
                failed=report.part("failures").count("count") or 0,
                input_tokens=_mean_tokens(successes, "prompt_tokens", "prompt_len"),
                output_tokens=_mean_tokens(successes, "output_tokens", "output_len"),
                ttft_s=_latency_s(latency.part("time_to_first_token")),
                tpot_s=_latency_s(latency.part("time_per_output_token")),
                output_tokens_per_s=successes.part("throughput").number("output_tokens_per_sec"),
            ),
        ),
    )


def _mean_tokens(successes: Report, *names: str) -> float | None:
    return next((mean for name in names if (mean := successes.part(name).number("mean"))), None)


def _latency_s(metric: Report) -> dict[Statistic, float | None]:
    return {statistic: metric.time_s("s", name) for statistic, name in NAMES.items()}
