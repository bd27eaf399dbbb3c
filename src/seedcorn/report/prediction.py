"""Predictions for people: each number with its interval, then what it rests on."""

import math
from collections.abc import Callable, Mapping

from rich.table import Table

from seedcorn.domain.prediction import CONFIDENCE, Interval, ServingPrediction, TrainingPrediction
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_flop_per_s, format_seconds, format_share

Format = Callable[[float], str]


def serving_page(prediction: ServingPrediction) -> Page:
    """What was asked, latencies and throughput with intervals, what binds."""
    load = prediction.load
    if load.rate_per_s is None:
        driver = f"{load.concurrency:,} clients, each asking again at once"
    else:
        driver = f"{load.rate_per_s:g} requests/s, Poisson"
    return [
        f"{prediction.model} {prediction.dtype} on {prediction.chips:,} x {prediction.chip}: "
        f"{prediction.replicas:,} x {prediction.parallelism}",
        f"{driver}; {load.input_tokens:,} tokens in, {load.output_tokens:,} out; "
        f"{prediction.requests:,} requests replayed, all counted",
        "",
        _serving_table(prediction),
        "",
        f"binds: {prediction.binds} ({_shares(prediction.shares)}); "
        f"KV cache {prediction.kv_tokens:,} tokens a replica; evidence: {prediction.evidence}",
        *_defaults(prediction.defaults),
    ]


def training_page(prediction: TrainingPrediction) -> Page:
    """What was asked, throughput with intervals, where the time goes."""
    table = _table()
    table.add_row("tokens/s", *_cells(prediction.tokens_per_s, _count))
    table.add_row("model FLOP/s per chip", *_cells(prediction.flop_per_s_per_chip, format_flop_per_s))
    table.add_row("MFU", *_cells(prediction.mfu, format_share))
    return [
        f"{prediction.model} {prediction.dtype}, sequences of {prediction.sequence_length:,} tokens, "
        f"on {prediction.chips:,} x {prediction.chip}: {prediction.parallelism}",
        "",
        table,
        "",
        f"binds: {prediction.binds} ({_shares(prediction.shares)}); "
        f"{format_share(prediction.effectiveness_share)} of wall-clock time makes progress; "
        f"evidence: {prediction.evidence}",
        *_defaults(prediction.defaults),
    ]


def _serving_table(prediction: ServingPrediction) -> Table:
    table = _table()
    for name, latency in (("TTFT", prediction.ttft_s), ("TPOT", prediction.tpot_s)):
        for statistic, interval in latency.items():
            table.add_row(f"{name} {statistic}", *_cells(interval, format_seconds))
    table.add_row("output tokens/s", *_cells(prediction.output_tokens_per_s, _count))
    return table


def _table() -> Table:
    return plain_table(
        "", "predicted", f"{CONFIDENCE:.0%} interval", right=("predicted", f"{CONFIDENCE:.0%} interval")
    )


def _cells(interval: Interval, format_value: Format) -> tuple[str, str]:
    if math.isinf(interval.high):
        return format_value(interval.value), f"{format_value(interval.low)} – would not keep up"
    return format_value(interval.value), f"{format_value(interval.low)} – {format_value(interval.high)}"


def _count(value: float) -> str:
    return f"{value:,.0f}"


def _shares(shares: Mapping[str, float]) -> str:
    """Shares of a percent and more, largest first."""
    largest = sorted(shares.items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {share:.0%}" for name, share in largest if share >= 0.01)


def _defaults(defaults: Mapping[str, str]) -> list[str]:
    if not defaults:
        return []
    return ["Defaults used: " + "; ".join(f"{key} = {value}" for key, value in defaults.items())]
