"""From times per request to what people ask: TTFT, TPOT, ITL, end-to-end, throughput, attainment.

A percentile over requests weighs every request alike and interpolates linearly between the two
nearest (numpy's default, Hyndman and Fan's type 7). One over gaps weighs every gap alike and is read
off bins at most 0.39 % wide. A latency of which there is not one (TPOT where every request has a
single token) is 0: nothing was waited for.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.outcome import GroupOutcome, Latency, Outcome
from seedcorn.domain.workload import Metric, Slo, Statistic, Trace
from seedcorn.replay.kernels import gaps, routing
from seedcorn.replay.simulation import RequestTimes

_PERCENTILES = {Statistic.P50: 50.0, Statistic.P90: 90.0, Statistic.P95: 95.0, Statistic.P99: 99.0}
_NONE = Latency(mean_s=0.0, p50_s=0.0, p90_s=0.0, p95_s=0.0, p99_s=0.0)


def outcome(
    times: RequestTimes, trace: Trace, *, slo: Slo | None = None, sizes: Sequence[int] = ()
) -> Outcome:
    """Sum up a replay of ``trace``.

    Args:
        times: Of the replay.
        trace: What was replayed.
        slo: Its objectives give ``slo_attainment_share``. ITL objectives, which speak of gaps and not
            of requests, do not count there.
    """
    served = times.replica >= 0
    latencies_s = _latencies_s(times, trace)
    finished = int(served.sum())
    duration_s = float(np.max(times.finish_s[served]) - trace.arrival_s[0]) if finished else 0.0
    service_s = _service_s(times, duration_s)
    return Outcome(
        arrived=trace.num_requests,
        finished=finished,
        refused=trace.num_requests - finished,
        turned_away=int((times.replica == routing.FULL).sum()),
        unserved=int((times.replica == routing.NONE_UP).sum()),
        retried=times.retried,
        preemptions=int(times.preemptions.sum()),
        steps=times.steps,
        duration_s=duration_s,
        busy_share=ratio(float(times.busy_s.sum()), float(service_s.sum())),
        input_tokens_per_s=ratio(float(trace.input_tokens[served].sum()), duration_s),
        output_tokens_per_s=ratio(float(trace.output_tokens[served].sum()), duration_s),
        ttft=_over_requests(latencies_s[Metric.TTFT]),
        tpot=_over_requests(latencies_s[Metric.TPOT]),
        itl=_over_gaps(times),
        e2e=_over_requests(latencies_s[Metric.E2E]),
        slo_attainment_share=None if slo is None else _attainment_share(latencies_s, slo, trace.num_requests),
        groups=_groups(times, service_s, sizes),
    )


def _service_s(times: RequestTimes, duration_s: float) -> NDArray[np.float64]:
    """(num_replicas,) time each was in service."""
    if times.service_s is not None:
        return times.service_s
    return np.full(times.busy_s.shape[0], duration_s, dtype=np.float64)


def _groups(
    times: RequestTimes, service_s: NDArray[np.float64], sizes: Sequence[int]
) -> tuple[GroupOutcome, ...]:
    ends = np.cumsum(np.asarray(sizes, dtype=np.int64))
    group_of = np.searchsorted(ends, times.replica[times.replica >= 0], side="right")
    finished = np.bincount(group_of, minlength=len(sizes))
    parts = [slice(end - size, end) for end, size in zip(ends.tolist(), sizes, strict=True)]
    return tuple(
        GroupOutcome(
            finished=int(finished[g]),
            busy_share=ratio(float(times.busy_s[part].sum()), float(service_s[part].sum())),
        )
        for g, part in enumerate(parts)
    )


def ratio(part: float, whole: float) -> float:
    """``part / whole``; 0 of nothing."""
    return part / whole if whole > 0 else 0.0


def _latencies_s(times: RequestTimes, trace: Trace) -> dict[Metric, NDArray[np.float64]]:
    """(num_requests,) per metric of a request; NaN where undefined: refused, or one token and so no TPOT."""
    gaps_between = (trace.output_tokens - 1).astype(np.float64)
    decode_s = times.finish_s - times.first_token_s
    tpot_s = np.full(trace.num_requests, np.nan)
    np.divide(decode_s, gaps_between, out=tpot_s, where=gaps_between > 0)
    return {
        Metric.TTFT: times.first_token_s - trace.arrival_s,
        Metric.TPOT: tpot_s,
        Metric.E2E: times.finish_s - trace.arrival_s,
    }


def _over_requests(values_s: NDArray[np.float64]) -> Latency:
    """The statistics of the values that are defined."""
    defined = values_s.shape[0] - int(np.isnan(values_s).sum())
    if defined == 0:
        return _NONE
    ascending_s = np.sort(values_s)[:defined]  # NaN sorts last; a sort is faster than np.percentile
    rank = np.array(list(_PERCENTILES.values())) / 100 * (defined - 1)
    below = rank.astype(np.int64)
    above = np.minimum(below + 1, defined - 1)
    at_s = ascending_s[below] + (rank - below) * (ascending_s[above] - ascending_s[below])
    p50_s, p90_s, p95_s, p99_s = at_s.tolist()
    return Latency(mean_s=float(ascending_s.mean()), p50_s=p50_s, p90_s=p90_s, p95_s=p95_s, p99_s=p99_s)


def _over_gaps(times: RequestTimes) -> Latency:
    """Gaps between tokens, those of answers that were lost included: the mean exactly, percentiles to a bin's width."""
    sum_s = float(np.nansum(times.finish_s - times.first_token_s)) + times.lost_gaps_s
    return binned_latency(times.gap_counts, sum_s)


def binned_latency(counts: NDArray[np.int64], sum_s: float) -> Latency:
    """The statistics of latencies counted in the bins of ``gaps``.

    Args:
        counts: (NUM_BINS,)
        sum_s: Of all of them, for the mean.
    """
    total = int(counts.sum())
    if total == 0:
        return _NONE
    p50_s, p90_s, p95_s, p99_s = (gap_percentile_s(counts, q) for q in _PERCENTILES.values())
    return Latency(mean_s=sum_s / total, p50_s=p50_s, p90_s=p90_s, p95_s=p95_s, p99_s=p99_s)


def gap_percentile_s(gap_counts: NDArray[np.int64], percentile: float) -> float:
    """The gap that ``percentile`` of all gaps do not exceed, interpolated within its bin."""
    upto = np.cumsum(gap_counts)
    rank = percentile / 100 * upto[-1]
    index = int(np.searchsorted(upto, rank, side="left"))
    start_s, end_s = gaps.bin_start_s(index), gaps.bin_start_s(index + 1)
    return float(end_s - (end_s - start_s) * (upto[index] - rank) / gap_counts[index])


def _attainment_share(latencies_s: dict[Metric, NDArray[np.float64]], slo: Slo, arrived: int) -> float:
    """Share of arrived requests within every bound; an undefined TPOT is within, a refusal is not."""
    attained = ~np.isnan(latencies_s[Metric.TTFT])
    for objective in slo.objectives:
        if objective.metric in latencies_s:
            attained &= ~(latencies_s[objective.metric] > objective.bound_s)
    return float(attained.sum()) / arrived
