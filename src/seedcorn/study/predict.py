"""Predictions: what users ask before they plan. One question in, one answer with its interval out."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import partial
from statistics import NormalDist

import numpy as np

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Chip, Dtype, Pool, PoolName
from seedcorn.domain.measurement import Measurement
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.outcome import Latency, Outcome
from seedcorn.domain.prediction import (
    CONFIDENCE,
    PREDICTED_STATISTICS,
    Interval,
    Load,
    ServingPrediction,
    TrainingPrediction,
)
from seedcorn.domain.workload import EngineSettings, Router, Statistic, Trace, TrainingJob
from seedcorn.errors import Infeasible
from seedcorn.perf import Spread, StepModel, active_params, step_model, total_params
from seedcorn.perf.training import TrainingRate, best_training
from seedcorn.replay import closed_loop, replay
from seedcorn.study.evidence import best_step_model
from seedcorn.study.replica import CHIPS_PER_NODE, chosen_spread
from seedcorn.study.resolve import published_dtype
from seedcorn.units import format_bytes_per_s

REQUESTS_PER_CLIENT = 10
"""Requests replayed per client: what benchmarks of closed loops commonly send (InferenceX), so that
the first burst weighs a tenth."""

FEWEST_ARRIVALS = 2_000
"""Requests replayed at a given rate, at the least: 20 of them lie beyond the 99th percentile."""

MOST_REPLAYED = 16
"""Replicas replayed. Of more than these, so many are replayed on their share of the load."""

NETWORK_BYTES_PER_S = 50e9
"""Per chip, between nodes, where the question names none: 400 Gb/s, one port of a DGX H100 a chip."""

_Z = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingQuestion:
    """How fast does ``model`` serve ``load`` on ``chips`` of ``chip``?

    Attributes:
        model, chip: Names in the catalogue, or paths.
        chips: ``None``: one replica's.
        tp: ``None``: the least that fits.
        dtype: ``None``: as the model is published.
    """

    model: str
    chip: str
    load: Load
    chips: int | None = None
    tp: int | None = None
    dtype: Dtype | None = None
    engine: EngineSettings = field(default_factory=EngineSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingQuestion:
    """How fast do ``chips`` of ``chip`` train?

    Attributes:
        model: Name in the catalogue, or a path; or else ``params`` (and ``active_params`` of a mixture).
        network_bytes_per_s: Per chip, between nodes; ``None``: :data:`NETWORK_BYTES_PER_S`.
    """

    chip: str
    chips: int
    sequence_length: int
    model: str | None = None
    params: float | None = None
    active_params: float | None = None
    dtype: Dtype = Dtype.BF16
    network_bytes_per_s: float | None = None

    def __post_init__(self) -> None:
        assert (self.model is None) != (self.params is None)


def predict_serving(question: ServingQuestion, measurements: Sequence[Measurement] = ()) -> ServingPrediction:
    """Latencies and throughput, by replay, with intervals from the step model's uncertainty.

    Args:
        question: What is asked.
        measurements: Evidence, which replaces the prediction of a step where it speaks of exactly this.

    Raises:
        InputError: A name is unknown.
        Infeasible: The replica cannot be, too few chips were given, a request is too long, or the
            chips do not keep up with the rate.
    """
    model, chip = find_model(question.model).model, find_chip(question.chip).chip
    dtype = question.dtype or published_dtype(model)
    spread = chosen_spread(model, chip, dtype=dtype, engine=question.engine, tp=question.tp)
    parallelism = spread.parallelism
    replicas = _replicas(question, parallelism)

    def made_by(maker: Callable[..., StepModel], chip: Chip, **evidence: Sequence[Measurement]) -> StepModel:
        return maker(
            model,
            chip,
            dtype=spread.dtype,
            parallelism=parallelism,
            engine=question.engine,
            chips_per_node=max(CHIPS_PER_NODE, parallelism.tp),
            **evidence,
        )

    predicted = made_by(best_step_model, chip, measurements=measurements)
    load, replayed = _sample(question.load, replicas)
    times = _copies(question.load, load)
    found = _found(predicted, question.engine, load, replayed, times)
    shares = _shares(partial(made_by, step_model), chip, load, _decoding(found.likely, replayed))
    return ServingPrediction(
        model=model.name,
        chip=chip.name,
        chips=replicas * parallelism.chips,
        replicas=replicas,
        dtype=spread.dtype,
        parallelism=parallelism,
        engine=question.engine,
        load=question.load,
        kv_tokens=predicted.kv_tokens,
        requests=found.likely.arrived,
        ttft_s=found.ttft(predicted, load),
        tpot_s=found.tpot(predicted, load),
        output_tokens_per_s=found.tokens_per_s(times=times),
        evidence=predicted.evidence,
        binds="memory" if found.likely.preemptions else max(shares, key=lambda name: shares[name]),
        shares=shares,
        defaults=_defaults(question, spread),
    )


def _sample(load: Load, replicas: int) -> tuple[Load, int]:
    """So many of the replicas that more behave alike, and their share of the load.

    Clients stay with their replica, so replicas beyond one a client are idle, and among
    :data:`MOST_REPLAYED` replicas the router's choice is as good as among more.
    """
    if load.concurrency is not None:
        replicas = min(replicas, load.concurrency)
        replayed = min(replicas, MOST_REPLAYED)
        return replace(load, concurrency=round(load.concurrency * replayed / replicas)), replayed
    assert load.rate_per_s is not None
    replayed = min(replicas, MOST_REPLAYED)
    return replace(load, rate_per_s=load.rate_per_s * replayed / replicas), replayed


def _copies(load: Load, sample: Load) -> float:
    """How many times the sample's load is the whole."""
    if load.concurrency is not None and sample.concurrency is not None:
        return load.concurrency / sample.concurrency
    assert load.rate_per_s is not None and sample.rate_per_s is not None
    return load.rate_per_s / sample.rate_per_s


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """Replays at the step model's own prediction, and at the fast and the slow end of its interval.

    Attributes:
        slow: ``None``: the slow end does not keep up with the rate.
        least_tokens_per_s: Output tokens per second of the slow end.
    """

    likely: Outcome
    fast: Outcome
    slow: Outcome | None
    least_tokens_per_s: float

    def tpot(self, model: StepModel, load: Load) -> dict[Statistic, Interval]:
        """As a client sees it: what holds its first token back is not between the others."""
        seen = 1 - model.held_share(load.output_tokens)
        return {
            statistic: Interval(value=seen * of.value, low=seen * of.low, high=seen * of.high)
            for statistic, of in self.latency(lambda outcome: outcome.tpot).items()
        }

    def ttft(self, model: StepModel, load: Load) -> dict[Statistic, Interval]:
        """As a client sees it: with what it holds beside the steps of the prompt, and as uncertain as TTFTs are."""
        wider = math.exp(_Z * (max(model.ttft_log_sigma, model.log_sigma) - model.log_sigma))
        held = model.held_share(load.output_tokens) * max(load.output_tokens - 1, 1)
        held_s = model.request_s + held * self.likely.tpot.mean_s
        found = {}
        for statistic, seen in self.latency(lambda outcome: outcome.ttft).items():
            value_s = seen.value + held_s
            found[statistic] = Interval(
                value=value_s,
                low=value_s * seen.low / seen.value / wider,
                high=value_s * seen.high / seen.value * wider,
            )
        return found

    def latency(self, of: Callable[[Outcome], Latency]) -> dict[Statistic, Interval]:
        """The interval of each statistic. The ends are ordered: a percentile may fall where steps grow."""
        found = {}
        for statistic in PREDICTED_STATISTICS:
            value_s, fast_s = of(self.likely).value_s(statistic), of(self.fast).value_s(statistic)
            slow_s = math.inf if self.slow is None else of(self.slow).value_s(statistic)
            found[statistic] = Interval(
                value=value_s, low=min(value_s, fast_s, slow_s), high=max(value_s, fast_s, slow_s)
            )
        return found

    def tokens_per_s(self, *, times: float) -> Interval:
        """The interval of output throughput, of ``times`` as many replicas and as much load."""
        ends = (self.likely.output_tokens_per_s, self.fast.output_tokens_per_s, self.least_tokens_per_s)
        return Interval(value=times * ends[0], low=times * min(ends), high=times * max(ends))


def _found(model: StepModel, engine: EngineSettings, load: Load, replicas: int, times: float) -> _Found:
    """Replay the load at the likely speed and at both ends of the interval; the question is ``times`` as large."""
    spread = math.exp(_Z * model.log_sigma)
    if load.concurrency is not None:
        likely = _closed(model, engine, load, load.concurrency, replicas)
        slow = _stretched(likely, spread)
        return _Found(
            likely=likely,
            fast=_stretched(likely, 1 / spread),
            slow=slow,
            least_tokens_per_s=slow.output_tokens_per_s,
        )
    return _found_at_rate(model, engine, load, replicas, times)


def _closed(model: StepModel, engine: EngineSettings, load: Load, concurrency: int, replicas: int) -> Outcome:
    requests = REQUESTS_PER_CLIENT * concurrency
    return closed_loop(
        [model] * replicas,
        engine,
        concurrency=concurrency,
        input_tokens=np.full(requests, load.input_tokens, dtype=np.int32),
        output_tokens=np.full(requests, load.output_tokens, dtype=np.int32),
    )


def _stretched(outcome: Outcome, factor: float) -> Outcome:
    """The closed loop with every step ``factor`` times as long: nothing in it has a pace of its own."""

    def latency(of: Latency) -> Latency:
        return Latency(**{f.name: factor * getattr(of, f.name) for f in fields(Latency)})

    return replace(
        outcome,
        duration_s=factor * outcome.duration_s,
        input_tokens_per_s=outcome.input_tokens_per_s / factor,
        output_tokens_per_s=outcome.output_tokens_per_s / factor,
        ttft=latency(outcome.ttft),
        tpot=latency(outcome.tpot),
        itl=latency(outcome.itl),
        e2e=latency(outcome.e2e),
    )


def _found_at_rate(
    model: StepModel, engine: EngineSettings, load: Load, replicas: int, times: float
) -> _Found:
    """As :func:`_found`, for Poisson arrivals.

    Raises:
        Infeasible: Clients enough to keep the engine full get no more answers a second than that rate,
            so the queue would grow for as long as the traffic lasts.
    """
    rate_per_s, spread = load.rate_per_s, math.exp(_Z * model.log_sigma)
    assert rate_per_s is not None
    room = 2 * model.kv_tokens // load.input_tokens + 2  # more clients than this only wait
    busiest = _closed(model, engine, load, min(engine.max_num_seqs, room), 1)
    one_carries_per_s = busiest.finished / busiest.duration_s
    carried_per_s = replicas * one_carries_per_s
    if rate_per_s >= carried_per_s:
        raise _not_carried(times * rate_per_s, round(times * replicas), one_carries_per_s)
    requests = max(FEWEST_ARRIVALS, math.ceil(REQUESTS_PER_CLIENT * rate_per_s * busiest.e2e.mean_s))
    trace = _poisson(load, rate_per_s, requests)

    def at(factor: float) -> Outcome:
        return replay([model.slowed(factor)] * replicas, engine, trace, router=Router.LEAST_OUTSTANDING)

    likely, fast = at(1.0), at(1 / spread)
    slow = at(spread) if rate_per_s < carried_per_s / spread else None
    least = slow.output_tokens_per_s if slow else carried_per_s / spread * load.output_tokens
    return _Found(likely=likely, fast=fast, slow=slow, least_tokens_per_s=least)


def _not_carried(rate_per_s: float, replicas: int, one_carries_per_s: float) -> Infeasible:
    who = "1 replica carries" if replicas == 1 else f"{replicas:,} replicas carry"
    return Infeasible(
        f"{rate_per_s:g} requests/s is more than {who}: {replicas * one_carries_per_s:.3g} requests/s when "
        f"saturated; {math.floor(rate_per_s / one_carries_per_s) + 1} replicas would keep up"
    )


def _poisson(load: Load, rate_per_s: float, requests: int) -> Trace:
    """Requests of one size whose gaps are exponential; always the same draw."""
    gaps_s = np.random.default_rng(0).exponential(1 / rate_per_s, requests)
    return Trace(
        name=f"{rate_per_s:g} requests/s",
        arrival_s=np.cumsum(gaps_s) - gaps_s[0],
        input_tokens=np.full(requests, load.input_tokens, dtype=np.int32),
        output_tokens=np.full(requests, load.output_tokens, dtype=np.int32),
    )


def _decoding(outcome: Outcome, replicas: int) -> float:
    """Mean number of requests that decode on one replica at a time, by Little's law."""
    return outcome.finished / outcome.duration_s * (outcome.e2e.mean_s - outcome.ttft.mean_s) / replicas


_RESOURCES: Mapping[str, tuple[str, ...]] = {
    "compute": (
        "fp32_flop_per_s",
        "bf16_flop_per_s",
        "fp16_flop_per_s",
        "fp8_flop_per_s",
        "int8_flop_per_s",
        "fp4_flop_per_s",
        "tdp_w",
    ),
    "bandwidth": ("memory_bytes_per_s",),
    "link": ("link_bytes_per_s", "host_bytes_per_s"),
}
"""Facts of a chip that say how much of a resource it has; compute takes its power along."""


def _shares(
    roofline_of: Callable[[Chip], StepModel], chip: Chip, load: Load, sequences: float
) -> dict[str, float]:
    """Where a request's time goes: twice what a chip with twice of a resource would save.

    Exact where times add up; where two resources overlap (a rounded roofline), each gets its part of
    the corner. What no resource saves is the host's: launches, scheduling, latencies of links. All of it
    as the roofline predicts it: a measurement says how long a step takes, not why.
    """
    base_s = _cycle_s(roofline_of(chip), load, sequences)
    shares = {
        name: 2 * (1 - _cycle_s(roofline_of(_doubled(chip, facts)), load, sequences) / base_s)
        for name, facts in _RESOURCES.items()
    }
    return {**shares, "host": max(1 - sum(shares.values()), 0.0)}


def _doubled(chip: Chip, facts: tuple[str, ...]) -> Chip:
    known = {fact: getattr(chip, fact) for fact in facts}
    return replace(chip, **{fact: 2 * value for fact, value in known.items() if value is not None})


def _cycle_s(model: StepModel, load: Load, sequences: float) -> float:
    """Seconds in which ``sequences`` requests under way are replaced by as many: their decode steps, and
    each one's prompt on top of a decode step."""
    batch = max(round(sequences), 1)
    context = batch * (load.input_tokens + load.output_tokens // 2)
    decode_s = model.step_s(decode_seqs=batch, context_tokens=context)
    pairs = load.input_tokens * (load.input_tokens + 1) / 2
    prompt_s = model.step_s(
        decode_seqs=batch, prefill_tokens=load.input_tokens, context_tokens=context, pairs=pairs
    )
    return load.output_tokens * decode_s + batch * (prompt_s - decode_s)


def _defaults(question: ServingQuestion, spread: Spread) -> dict[str, str]:
    """What was not asked, and what it was taken to be."""
    engine = question.engine
    filled = {
        "dtype": f"{spread.dtype} (as published)" if question.dtype is None else None,
        "tp": f"{spread.parallelism.tp} (the least that fits)" if question.tp is None else None,
        "chips": f"{spread.parallelism.chips} (one replica)" if question.chips is None else None,
        "engine": f"{engine.engine}, max_num_seqs {engine.max_num_seqs:,}, "
        f"max_num_batched_tokens {engine.max_num_batched_tokens:,}, "
        f"gpu_memory_utilization {engine.gpu_memory_utilization:g}",
    }
    return {name: text for name, text in filled.items() if text is not None}


def _replicas(question: ServingQuestion, parallelism: Parallelism) -> int:
    """As many as the chips make."""
    if question.chips is None:
        return 1
    if question.chips < parallelism.chips:
        raise Infeasible(
            f"{question.model} takes {parallelism.chips} x {question.chip} ({parallelism}) a replica, but the "
            f"question gives {question.chips}; give {parallelism.chips} chips or more"
        )
    return question.chips // parallelism.chips


def predict_training(question: TrainingQuestion) -> TrainingPrediction:
    """Throughput of the best layout, as published runs reach it, with its interval.

    Raises:
        InputError: A name is unknown.
        Infeasible: No layout fits, or the chip does not compute in that format.
    """
    chip = find_chip(question.chip).chip
    network_bytes_per_s = question.network_bytes_per_s or NETWORK_BYTES_PER_S
    defaults = {}
    if question.network_bytes_per_s is None:
        defaults["network"] = f"{format_bytes_per_s(network_bytes_per_s)} a chip (400 Gb/s)"
    job = _job(question)
    pool = Pool(
        name=PoolName(chip.name),
        chip=chip,
        chips=question.chips,
        chips_per_node=min(CHIPS_PER_NODE, question.chips),
        network_bytes_per_s=network_bytes_per_s,
    )
    rate = best_training(job, pool, question.chips)
    return TrainingPrediction(
        model=job.name,
        chip=chip.name,
        chips=rate.chips,
        dtype=question.dtype,
        sequence_length=question.sequence_length,
        parallelism=str(rate.parallelism),
        tokens_per_s=_interval(rate, rate.tokens_per_s),
        flop_per_s_per_chip=_interval(rate, rate.flop_per_s_per_chip),
        mfu=_interval(rate, rate.mfu),
        effectiveness_share=rate.effectiveness_share,
        evidence=rate.evidence,
        binds=rate.binds,
        shares=rate.shares,
        defaults=defaults,
    )


def _job(question: TrainingQuestion) -> TrainingJob:
    if question.model is None:
        assert question.params is not None
        active = question.active_params or question.params
        return TrainingJob(
            name=f"{question.params / 1e9:g} B parameters",
            params=question.params,
            active_params=active,
            sequence_length=question.sequence_length,
            dtype=question.dtype,
        )
    model = find_model(question.model).model
    return TrainingJob(
        name=model.name,
        model=model,
        params=float(total_params(model)),
        active_params=float(active_params(model)),
        sequence_length=question.sequence_length,
        dtype=question.dtype,
    )


def _interval(rate: TrainingRate, value: float) -> Interval:
    spread = rate.tokens_per_s_at(0.5 + CONFIDENCE / 2) / rate.tokens_per_s
    return Interval(value=value, low=value / spread, high=value * spread)
