"""NVIDIA AIPerf's ``profile_export_aiperf.json``: statistics that each name their unit."""

from seedcorn.domain.workload import Statistic
from seedcorn.errors import InputError
from seedcorn.evidence.found import Driver, Found, a_point
from seedcorn.evidence.report import Report

TOOL = "aiperf"
NAMES = {Statistic.MEAN: "avg", Statistic.P50: "p50", Statistic.P99: "p99"}


def knows(report: Report) -> bool:
    """Whether this is such an export."""
    return "input_config" in report.data and "request_latency" in report.data


def read(report: Report, asked: Driver) -> Found:
    """The one benchmark it holds. Its ``inter_token_latency`` is (e2e − TTFT) / (tokens − 1) of each request."""
    return Found(
        tool=TOOL,
        model=_model(report.part("input_config", "endpoint")),
        points=(
            a_point(
                report.where,
                driver=_driver(report.part("input_config")),
                asked=asked,
                num_requests=report.part("request_count").count("avg") or 0,
                failed=report.part("error_request_count").count("avg") or 0,
                input_tokens=report.part("input_sequence_length").number("avg"),
                output_tokens=report.part("output_sequence_length").number("avg"),
                ttft_s=_latency_s(report.part("time_to_first_token")),
                tpot_s=_latency_s(report.part("inter_token_latency")),
                output_tokens_per_s=report.part("output_token_throughput").number("avg"),
            ),
        ),
    )


def _latency_s(metric: Report) -> dict[Statistic, float | None]:
    unit = metric.text("unit") or "ms"
    return {statistic: metric.time_s(unit, name) for statistic, name in NAMES.items()}


def _model(endpoint: Report) -> str | None:
    names = endpoint.data.get("model_names")
    return str(names[0]) if isinstance(names, list) and len(names) == 1 else None


def _driver(config: Report) -> Driver:
    """Of the profiling phase. Requests at a rate arrive as a Poisson process unless another mode is named."""
    load = config.part("loadgen")
    if isinstance(config.data.get("phases"), list):
        load = next((phase for phase in config.parts("phases") if phase.text("name") == "profiling"), load)
    rate_per_s, concurrency = load.number("request_rate", "rate"), load.count("concurrency")
    if rate_per_s is None:
        return Driver(concurrency=concurrency)
    mode = load.text("request_rate_mode", "arrival_pattern") or "poisson"
    if concurrency is not None or mode not in ("poisson", "constant"):
        raise InputError(
            f"{load.where}: {rate_per_s:g} requests/s ({mode}) under {concurrency or 'no'} concurrency cannot be "
            "replayed; measure with a concurrency alone, or a Poisson or constant rate alone"
        )
    return Driver(rate_per_s=rate_per_s, evenly_spaced=mode == "constant")
