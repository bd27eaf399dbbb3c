"""Set a trace's rate without losing its bursts, or take a part of it."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.workload import Prompts, Trace
from seedcorn.errors import InputError

_WINDOW_REQUESTS = 200  # per window of the rate curve: its counts are then known to about 7 % (1/√200)
_BLOCK_REQUESTS = 64  # in a row that stay together when a trace is reshuffled


def compressed(trace: Trace, rate_per_s: float) -> Trace:
    """``trace`` with its clock sped up or slowed down to a mean of ``rate_per_s``, nothing else changed.

    Keeps the requests, their order, the gaps' distribution relative to their mean (so their CV and
    autocorrelation, exactly) and the rate curve relative to the trace's length. Does not keep time
    scales: at half the rate a burst lasts twice as long.
    """
    speed = rate_per_s / _mean_rate_per_s(trace)
    return replace(trace, arrival_s=(trace.arrival_s - trace.arrival_s[0]) / speed)


def part(trace: Trace, picked: NDArray[np.int64] | NDArray[np.bool_]) -> Trace:
    """The ``picked`` requests of ``trace``, in that order, on the same clock."""
    return replace(
        trace,
        arrival_s=trace.arrival_s[picked],
        input_tokens=trace.input_tokens[picked],
        output_tokens=trace.output_tokens[picked],
        priority=None if trace.priority is None else trace.priority[picked],
        prompts=None if trace.prompts is None else _part_of_prompts(trace.prompts, picked),
    )


def _part_of_prompts(prompts: Prompts, picked: NDArray[np.int64] | NDArray[np.bool_]) -> Prompts:
    """The ``picked`` rows, in that order."""
    starts, lengths = prompts.first[:-1][picked], np.diff(prompts.first)[picked]
    first = np.concatenate(([0], np.cumsum(lengths)))
    within = np.arange(first[-1]) - np.repeat(first[:-1], lengths)
    return replace(prompts, first=first, ids=prompts.ids[np.repeat(starts, lengths) + within])


def scaled(trace: Trace, *, rate_per_s: float, seed: int, num_requests: int | None = None) -> Trace:
    """A trace like ``trace`` at a mean of ``rate_per_s``, as bursty and with the same rate curve.

    In operational time (arrivals counted along the smoothed cumulative rate curve) the mean gap is 1
    and what is left is burstiness. Runs of 64 requests, each with the gap before it and its lengths,
    are shuffled and repeated until there are enough, held to the mean over every 200 requests, and
    mapped back along the curve, raised or lowered to the new rate.

    Kept: the mean rate (exactly ``rate_per_s``), the rate curve over windows of about 200 requests of
    ``trace``, the distribution of gaps relative to the rate of the moment and their order within
    runs, the joint distribution of lengths. Not kept: which lengths come at which time of the trace,
    and correlation of gaps over more than 64 requests that the rate curve does not show.

    Args:
        trace: Two requests or more, over some time.
        rate_per_s: Mean from the first arrival to the last.
        seed: Same seed, same trace.
        num_requests: ``None``: as many as keep the trace's duration. Otherwise the rate curve is
            stretched or squeezed to the duration that so many requests take.
    """
    assert rate_per_s > 0
    span_s = (trace.num_requests - 1) / _mean_rate_per_s(trace)
    count = max(num_requests if num_requests is not None else round(rate_per_s * span_s) + 1, 2)
    curve_s, curve = _rate_curve(trace)
    operational = np.interp(trace.arrival_s, curve_s, curve)
    around = trace.num_requests - operational[-1] + operational[0]  # from the last request to the first
    gap_before = np.diff(operational, prepend=operational[0] - around)
    order = _shuffled_runs(trace.num_requests, count, np.random.default_rng(seed))
    position = np.cumsum(gap_before[order])
    anchors = np.unique(np.append(np.arange(0, count, _WINDOW_REQUESTS), count - 1))
    position = np.interp(position, position[anchors], anchors / (count - 1))  # no drift from the curve
    along = np.interp(position, curve / curve[-1], (curve_s - curve_s[0]) / (curve_s[-1] - curve_s[0]))
    made = replace(part(trace, order), arrival_s=along * ((count - 1) / rate_per_s))
    if made.prompts is None:
        return made
    return replace(made, prompts=_new_every_pass(made.prompts, trace.num_requests))


def _new_every_pass(prompts: Prompts, num_requests: int) -> Prompts:
    """Rows of repeated passes over ``num_requests`` requests with new ids in each pass: a request that is
    repeated to fill the traffic stands for another one like it, not for the same one asked again."""
    passes = np.repeat(np.arange(prompts.first.shape[0] - 1) // num_requests, np.diff(prompts.first))
    return replace(prompts, ids=prompts.ids + passes * (int(prompts.ids.max(initial=0)) + 1))


def _mean_rate_per_s(trace: Trace) -> float:
    """The trace's mean rate, if it has one."""
    if trace.mean_rate_per_s <= 0:
        raise InputError(
            f"trace {trace.name!r} has no rate to scale: it needs two requests or more that arrive at different times"
        )
    return trace.mean_rate_per_s


def _rate_curve(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of equal windows from the first arrival to the last, and requests up to each, strictly rising."""
    num_windows = max(trace.num_requests // _WINDOW_REQUESTS, 1)
    counts, edges_s = np.histogram(trace.arrival_s, bins=num_windows)
    quiet = 1e-6  # requests in an empty window, so that the curve can be inverted
    curve = np.concatenate(([0.0], np.cumsum(np.maximum(counts, quiet))))
    return edges_s, curve * (trace.num_requests / curve[-1])


def _shuffled_runs(num_requests: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(count,) indices of requests: whole passes over the trace's runs, each in its own random order."""
    starts = np.arange(0, num_requests, _BLOCK_REQUESTS)
    passes = -(-count // num_requests)
    shuffled = np.concatenate([rng.permutation(starts) for _ in range(passes)])
    order = (shuffled[:, None] + np.arange(_BLOCK_REQUESTS)).reshape(-1)
    inside = np.repeat(num_requests - shuffled, _BLOCK_REQUESTS) > np.tile(
        np.arange(_BLOCK_REQUESTS), shuffled.shape[0]
    )
    return order[inside][:count]
