"""Closed loops: a fixed number of clients, each with one request under way, as load generators drive servers."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import EngineSettings, Trace
from seedcorn.errors import InputError, TooLong
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.kernels import batching, closed, gaps
from seedcorn.replay.metrics import outcome
from seedcorn.replay.simulation import (
    RequestTimes,
    engine_limits,
    held_tokens,
    idle_replicas,
    kernel_requests,
    request_times,
)


def closed_loop(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    *,
    concurrency: int,
    input_tokens: NDArray[np.int32],
    output_tokens: NDArray[np.int32],
) -> Outcome:
    """Outcome of a benchmark: ``concurrency`` clients ask at once, then each again when its answer is complete.

    Every request counts, as in the benchmarks of vLLM and others: those of the first burst, which wait
    for each other's prompts, and those of the end, when clients fall silent. With n requests a client
    the burst is one part in n of what is summed up.

    Args:
        replicas: Alike or not; clients are spread evenly and each stays with its replica.
        engine: The scheduler's limits, the same for all.
        concurrency: Clients in all.
        input_tokens: (num_requests,) of each request, in the order in which they are sent.
        output_tokens: (num_requests,) likewise.

    Raises:
        TooLong: A request exceeds the KV cache of a replica.
        InputError: Fewer requests than clients, or limits that contradict each other.
    """
    times, trace = closed_loop_requests(
        replicas, engine, concurrency=concurrency, input_tokens=input_tokens, output_tokens=output_tokens
    )
    return outcome(times, trace)


def closed_loop_requests(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    *,
    concurrency: int,
    input_tokens: NDArray[np.int32],
    output_tokens: NDArray[np.int32],
) -> tuple[RequestTimes, Trace]:
    """As :func:`closed_loop`, request by request: times, and the trace that came about (grouped by replica)."""
    num_requests = input_tokens.shape[0]
    if not 1 <= concurrency <= num_requests:
        raise InputError(
            f"{concurrency:,} clients with {num_requests:,} requests: give at least one request a client"
        )
    clients = _shares(concurrency, len(replicas))
    first = np.concatenate([[0], np.cumsum(_requests_of(clients, num_requests))])
    _check_fits(replicas, engine, input_tokens, output_tokens)
    requests = kernel_requests(
        Trace(
            name="closed loop",
            arrival_s=np.zeros(num_requests),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )
    )
    state = idle_replicas(replicas, engine)
    gap_counts = np.zeros(gaps.NUM_BINS, dtype=np.int64)
    pending = np.zeros(int(clients.max()), dtype=np.int64)
    fewest_output = np.array([output_tokens[a:b].min(initial=1 << 30) for a, b in pairwise(first.tolist())])
    closed.run_closed_loop(
        clients, first, fewest_output, engine_limits(engine), requests, state, gap_counts, pending
    )
    replica = np.repeat(np.arange(len(replicas), dtype=np.int32), np.diff(first))
    return request_times(requests, state, gap_counts, replica), _trace(requests)


def _shares(total: int, parts: int) -> NDArray[np.int64]:
    """(parts,) that sum to ``total`` and differ by one at most, the larger first."""
    return np.array([total // parts + (part < total % parts) for part in range(parts)], dtype=np.int64)


def _requests_of(clients: NDArray[np.int64], num_requests: int) -> NDArray[np.int64]:
    """(R,) requests in proportion to clients."""
    ends = np.cumsum(clients) * num_requests // int(clients.sum())
    return np.diff(ends, prepend=0)


def _trace(requests: batching.Requests) -> Trace:
    return Trace(
        name="closed loop",
        arrival_s=requests.arrival_s,
        input_tokens=requests.input_tokens,
        output_tokens=requests.output_tokens,
    )


def _check_fits(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    input_tokens: NDArray[np.int32],
    output_tokens: NDArray[np.int32],
) -> None:
    """Raise ``TooLong`` where some replica could never hold some request."""
    tokens = input_tokens.astype(np.int64) + output_tokens - 1
    held = min(held_tokens(model, engine) for model in replicas)
    longest = int(tokens.max())
    if longest > held:
        raise TooLong(
            f"a request of {longest:,} tokens (prompt and answer) exceeds the {held:,} that the KV cache of a "
            "replica holds. More chips per replica, or a smaller number format, leave more room",
            longest_tokens=longest,
            held_tokens=held,
            share=float((tokens > held).mean()),
        )
