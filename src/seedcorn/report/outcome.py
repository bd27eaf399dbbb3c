"""A replay's outcome for people."""

from rich.markup import escape
from rich.table import Table

from seedcorn.domain.offer import Offer
from seedcorn.domain.outcome import Outcome, SingleReplay
from seedcorn.domain.prediction import times_off
from seedcorn.domain.workload import Metric, Objective, Statistic
from seedcorn.report.tables import Page, plain_table
from seedcorn.units import format_seconds, format_share


def single_page(replayed: SingleReplay) -> Page:
    """What was replayed, latencies, then throughput and counts."""
    engine = replayed.engine
    setting = (
        f"max_num_seqs {engine.max_num_seqs:,}, max_num_batched_tokens {engine.max_num_batched_tokens:,}, "
        f"KV cache {replayed.kv_tokens:,} tokens a replica; step times: {replayed.evidence}, "
        f"within a factor {times_off(replayed.log_sigma):.2f} nine times in ten"
    )
    return [escape(replayed.name), setting, "", _latencies(replayed.outcome), "", _counts(replayed.outcome)]


def slo_found(offer: Offer, outcome: Outcome | None) -> str:
    """Each objective of the service that ``offer`` serves, with what the replay gave."""
    if outcome is None:
        return "not replayed"
    return ", ".join(_held(p.objective, outcome) for p in offer.predicted)


def _held(objective: Objective, outcome: Outcome) -> str:
    got_s = outcome.latency(objective.metric).value_s(objective.statistic)
    sign = "≤" if got_s <= objective.bound_s else "MISSES"
    return f"{objective.name} {format_seconds(got_s)} {sign} {format_seconds(objective.bound_s)}"


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
