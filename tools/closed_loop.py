"""What a step model says of a load of requests, mean latencies only: the replay's small cousin.

The product's replay follows open arrivals through vLLM's scheduler block by block. Fitting needs closed
loops of clients, engines that prefill first, and thousands of runs a minute; it does not need
preemption, routers or percentiles.
"""

from functools import cache
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from seedcorn.domain.offer import Evidence
from seedcorn.perf import StepModel
from seedcorn.study.accuracy.serving_rows import Case, drawn_lengths


def predicted(case: Case, step: StepModel) -> dict[str, float]:
    """Mean ``ttft`` and ``tpot`` in seconds as a client sees them, and ``tokens_per_s`` of output."""
    load = case.load
    if load.clients == 0:
        inputs, outputs = case.lengths.astype(np.int64)
        ttft_s, tpot_s, token_s = _replayed(
            _loop(case, step.kv_tokens), inputs, outputs, load.arrival_s, step
        )
    else:
        terms = np.concatenate([step.dense_s, [step.context_s, step.pair_s]])
        ttft_s, tpot_s, token_s = _weights(_loop(case, step.kv_tokens), tuple(step.tokens.tolist())) @ terms
    ttft_s, tpot_s = step.seen_by_client(ttft_s, tpot_s, output_tokens=case.output_tokens)
    return {"ttft": ttft_s, "tpot": tpot_s, "tokens_per_s": 1.0 / token_s}


class Loop(NamedTuple):
    """What decides the order of events, whatever a step takes."""

    input_tokens: float
    output_tokens: float
    spread: float
    num_requests: int
    clients: int
    max_num_seqs: int
    max_num_batched_tokens: int
    kv_tokens: int
    prefills_first: bool


def _loop(case: Case, kv_tokens: int) -> Loop:
    return Loop(
        case.input_tokens,
        case.output_tokens,
        case.load.spread,
        case.load.num_requests,
        case.load.clients,
        case.max_num_seqs,
        case.max_num_batched_tokens,
        kv_tokens,
        case.engine == "sglang",
    )


@cache
def _weights(loop: Loop, tokens: tuple[float, ...]) -> NDArray[np.float64]:
    """(3, G + 2): how often each term of a step model is in the mean TTFT, in the mean TPOT and in a token's time.

    Clients that ask again at once make the order of events a matter of counts, not of seconds: all three are linear
    in the terms. One term at a time is set to a second, the others to none.
    """
    inputs, outputs = drawn_lengths(*loop[:3], num_requests=loop.num_requests).astype(np.int64)
    units = np.eye(len(tokens) + 2)
    columns = [
        _replayed(
            loop,
            inputs,
            outputs,
            np.empty(0),
            StepModel(
                tokens=np.array(tokens),
                dense_s=unit[:-2],
                context_s=unit[-2],
                pair_s=unit[-1],
                kv_tokens=loop.kv_tokens,
                evidence=Evidence.CALIBRATED,
            ),
        )
        for unit in units
    ]
    return np.array(columns).T


def _replayed(
    loop: Loop,
    inputs: NDArray[np.int64],
    outputs: NDArray[np.int64],
    arrival_s: NDArray[np.float64],
    step: StepModel,
) -> tuple[float, float, float]:
    """Mean TTFT and TPOT, and seconds per token of output."""
    ttft_s, decode_s, total_s = _run(
        step.tokens,
        step.dense_s,
        step.context_s,
        step.pair_s,
        inputs,
        outputs,
        arrival_s,
        loop.clients,
        loop.max_num_seqs,
        loop.max_num_batched_tokens,
        loop.kv_tokens,
        loop.prefills_first,
    )
    gaps = outputs - 1
    has_gaps = gaps > 0
    tpot_s = float(np.mean(decode_s[has_gaps] / gaps[has_gaps])) if has_gaps.any() else 0.0
    return float(ttft_s.mean()), tpot_s, float(total_s / outputs.sum())


@njit(cache=True)
def _dense_s(tokens: NDArray[np.float64], dense_s: NDArray[np.float64], x: float) -> float:
    i = min(max(np.searchsorted(tokens, x, side="right") - 1, 0), tokens.shape[0] - 2)
    slope = (dense_s[i + 1] - dense_s[i]) / (tokens[i + 1] - tokens[i])
    return float(dense_s[i] + slope * (x - tokens[i]))


@njit(cache=True)
def _run(
    tokens: NDArray[np.float64],
    dense_s: NDArray[np.float64],
    context_s: float,
    pair_s: float,
    inputs: NDArray[np.int64],
    outputs: NDArray[np.int64],
    arrival_s: NDArray[np.float64],
    clients: int,
    max_num_seqs: int,
    max_num_batched_tokens: int,
    kv_tokens: int,
    prefills_first: bool,
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Time to first token and from first to last token, per request, and the end of the last.

    Running sequences first, then prompts in order of arrival, in chunks of what the step has left
    (or prompts alone, where the engine prefills first). A prompt is admitted when it fits the cache
    as it is now; the cache may overflow later, as nothing is preempted.
    """
    count = inputs.shape[0]
    is_closed = arrival_s.shape[0] == 0
    came_s = np.zeros(count) if is_closed else arrival_s.copy()
    first_s, last_s = np.zeros(count), np.zeros(count)
    came = min(clients, count) if is_closed else 0
    admitted, finished = 0, 0
    slots = min(max_num_seqs, count)
    running, remaining = np.empty(slots, np.int64), np.empty(slots, np.int64)
    filling, filled = np.empty(slots, np.int64), np.empty(slots, np.int64)
    num_running, num_filling = 0, 0
    now_s, context, half_filled = 0.0, 0.0, 0.0
    while finished < count:
        if not is_closed:
            while came < count and came_s[came] <= now_s:
                came += 1
            if num_running == 0 and num_filling == 0 and admitted == came:
                now_s = came_s[came]
                came += 1
        decoding = num_running
        budget = max_num_batched_tokens - (0 if prefills_first else decoding)
        prefill, pairs = 0, 0.0
        for j in range(num_filling):
            chunk = min(budget, inputs[filling[j]] - filled[j])
            pairs += chunk * filled[j] + chunk * (chunk + 1) / 2.0
            filled[j] += chunk
            prefill += chunk
            budget -= chunk
        while (
            budget > 0
            and admitted < came
            and num_running + num_filling < slots
            and (
                context + half_filled + prefill + inputs[admitted] <= kv_tokens
                or num_running + num_filling == 0
            )
        ):
            chunk = min(budget, inputs[admitted])
            pairs += chunk * (chunk + 1) / 2.0
            filling[num_filling], filled[num_filling] = admitted, chunk
            num_filling += 1
            admitted += 1
            prefill += chunk
            budget -= chunk
        half_filled += prefill
        steps = 1
        if prefill > 0:
            if prefills_first:
                decoding = 0
            now_s += _dense_s(tokens, dense_s, float(decoding + prefill)) + pair_s * pairs
            now_s += context_s * context if decoding > 0 else 0.0
        else:
            steps = remaining[:num_running].min()
            fixed_s = _dense_s(tokens, dense_s, float(decoding))
            if not is_closed and came < count:
                until = np.ceil((came_s[came] - now_s) / (fixed_s + context_s * context))
                steps = min(steps, max(1, int(until)))
            now_s += steps * (fixed_s + context_s * (context + decoding * (steps - 1) / 2.0))
        done = 0
        if decoding > 0:
            context += decoding * steps
            kept = 0
            for j in range(num_running):
                remaining[j] -= steps
                request = running[j]
                if remaining[j] <= 0:
                    last_s[request] = now_s
                    done += 1
                    context -= inputs[request] + outputs[request] - 1
                else:
                    running[kept], remaining[kept] = request, remaining[j]
                    kept += 1
            num_running = kept
        kept = 0
        for j in range(num_filling):
            request = filling[j]
            if filled[j] < inputs[request]:
                filling[kept], filled[kept] = request, filled[j]
                kept += 1
                continue
            first_s[request] = now_s
            half_filled -= inputs[request]
            if outputs[request] <= 1:
                last_s[request] = now_s
                done += 1
            else:
                running[num_running], remaining[num_running] = request, outputs[request] - 1
                num_running += 1
                context += inputs[request]
        num_filling = kept
        finished += done
        if is_closed:
            for _ in range(min(done, count - came)):
                came_s[came] = now_s
                came += 1
    return first_s - came_s, last_s - first_s, now_s
