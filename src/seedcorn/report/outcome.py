"""A replay's outcome for people."""

from rich.table import Table

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import Metric, Statistic
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_seconds, format_share


def outcome_page(outcome: Outcome) -> Page:
    """Latencies, then throughput and counts."""
    return [_latencies(outcome), "", _counts(outcome)]


def _latencies(outcome: Outcome) -> Table:
    table = plain_table("latency", *Statistic, right=tuple(Statistic))
    for metric in Metric:
        latency = outcome.latency(metric)
        table.add_row(
            metric.upper(), *(format_seconds(latency.value_s(statistic)) for statistic in Statistic)
        )
    return table


def _counts(outcome: Outcome) -> str:
    return (
        f"{outcome.arrived:,} requests arrived, {outcome.finished:,} finished, {outcome.refused:,} refused "
        f"in {format_seconds(outcome.duration_s)}; {outcome.preemptions:,} preemptions, {outcome.steps:,} steps\n"
        f"{outcome.input_tokens_per_s:,.0f} input and {outcome.output_tokens_per_s:,.0f} output tokens/s; "
        f"replicas busy {format_share(outcome.busy_share)} of the time"
    )
