"""Serving rows predicted by a curve, through the replay that plans rest on."""

import math
from dataclasses import replace

from seedcorn.domain.accuracy import Quantity
from seedcorn.domain.offer import Evidence
from seedcorn.domain.outcome import Outcome
from seedcorn.domain.prediction import Interval
from seedcorn.domain.workload import EngineSettings, Router, Trace
from seedcorn.errors import DoesNotFit
from seedcorn.perf import StepModel, kv_tokens
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.roofline import Roofline
from seedcorn.replay import closed_loop, replay
from seedcorn.study.accuracy.score import HALF_WIDTH
from seedcorn.study.accuracy.serving_rows import Case

CONSTANT = Efficiency(
    memory_share=0.6,
    compute_share=0.6,
    power_exponent=0.0,
    eight_bit_share=1.0,
    four_bit_share=1.0,
    expert_share=1.0,
    context_share=0.6,
    pair_share=0.6,
    link_share=0.6,
    link_latency_s=0.0,
    kernel_s=0.0,
    eager_kernel_s=0.0,
    step_s=0.0,
    sequence_s=0.0,
    request_s=0.0,
    first_steps=0.0,
    log_sigma=0.0,
    ttft_log_sigma=0.0,
    evidence=Evidence.DATASHEET,
)
"""The baseline: every resource at 60 % of its data sheet, nothing else."""

MOST_BATCHED_TOKENS = 8192
"""Of a step that memory is kept for: engines that take whole batches of prompts at once keep no more."""

UNEXPLAINED_KV_TOKENS = 32_768
"""KV capacity where the catalogue's memory says that a run cannot have happened: it did, with little."""


def step_model_of(case: Case, curve: Efficiency) -> StepModel:
    """The roofline's step model of the replica that a row was measured on."""
    engine = replace(
        settings(case), max_num_batched_tokens=min(case.max_num_batched_tokens, MOST_BATCHED_TOKENS)
    )
    roofline = Roofline(
        model=case.model,
        chip=case.chip,
        dtype=case.dtype,
        parallelism=case.parallelism,
        engine=engine,
        curve=curve,
    )
    return roofline.step_model(kv_tokens=_kv_tokens(case, engine))


def settings(case: Case) -> EngineSettings:
    """The engine's limits as the row's reader knows them."""
    return EngineSettings(max_num_seqs=case.max_num_seqs, max_num_batched_tokens=case.max_num_batched_tokens)


def _kv_tokens(case: Case, engine: EngineSettings) -> int:
    """As the catalogue's memory leaves room, but never less than the longest request needed: it was served."""
    try:
        room = kv_tokens(case.model, case.chip, dtype=case.dtype, parallelism=case.parallelism, engine=engine)
    except DoesNotFit:
        room = UNEXPLAINED_KV_TOKENS
    return max(room, int(case.lengths.sum(axis=0).max()) + 2 * engine.block_size)


def measured(case: Case) -> dict[Quantity, float]:
    """What a row says; end to end where it says both parts."""
    found = {Quantity(_NAMES[name]): value for name, value in case.observed.items()}
    return _with_end_to_end(case, found)


_NAMES = {"ttft": "ttft", "tpot": "tpot", "tokens_per_s": "output_tokens_per_s"}


def _with_end_to_end(case: Case, found: dict[Quantity, float]) -> dict[Quantity, float]:
    if {Quantity.TTFT, Quantity.TPOT} <= found.keys():
        found[Quantity.E2E] = found[Quantity.TTFT] + (case.output_tokens - 1) * found[Quantity.TPOT]
    return found


def predicted(case: Case, curve: Efficiency) -> dict[Quantity, Interval]:
    """What a curve says of a row, by replay of its load.

    A closed loop has no pace of its own, so that steps twice as long make everything twice as slow; arrivals
    have, so that both ends of the interval are replayed.
    """
    step = step_model_of(case, curve)
    likely = by_step(case, step)
    factor = math.exp(HALF_WIDTH * step.log_sigma)
    if case.load.clients:
        ends = [
            {q: value / f if q is Quantity.TOKENS_PER_S else value * f for q, value in likely.items()}
            for f in (factor, 1 / factor)
        ]
    else:
        ends = [by_step(case, step.slowed(f)) for f in (factor, 1 / factor)]
    wider = math.exp(HALF_WIDTH * max(step.ttft_log_sigma - step.log_sigma, 0.0))
    found = {}
    for q, value in likely.items():
        extra = wider if q is Quantity.TTFT else 1.0
        found[q] = Interval(
            value=value,
            low=min(value, *(end[q] for end in ends)) / extra,
            high=max(value, *(end[q] for end in ends)) * extra,
        )
    return found


def by_step(case: Case, step: StepModel) -> dict[Quantity, float]:
    """Means over a row's requests as a client sees them, by replay."""
    outcome = _outcome(case, step)
    ttft_s, tpot_s = step.seen_by_client(
        outcome.ttft.mean_s, outcome.tpot.mean_s, output_tokens=case.output_tokens
    )
    found = {
        Quantity.TTFT: ttft_s,
        Quantity.TPOT: tpot_s,
        Quantity.TOKENS_PER_S: outcome.output_tokens_per_s,
    }
    return _with_end_to_end(case, found)


def _outcome(case: Case, step: StepModel) -> Outcome:
    input_tokens, output_tokens = case.lengths
    if case.load.clients:
        return closed_loop(
            [step],
            settings(case),
            concurrency=min(case.load.clients, case.load.num_requests),
            input_tokens=input_tokens,
            output_tokens=output_tokens,
        )
    trace = Trace(
        name=case.source,
        arrival_s=case.load.arrival_s,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )
    return replay([step], settings(case), trace, router=Router.ROUND_ROBIN)
