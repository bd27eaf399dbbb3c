"""How fast a gang trains: one layout in full, with its interval and what binds."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from math import exp
from statistics import NormalDist

from seedcorn.domain.hardware import Pool
from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import DoesNotFit, Infeasible, InputError, UnknownFact
from seedcorn.perf.training.coefficients import Coefficients, bundled_coefficients
from seedcorn.perf.training.effectiveness import effectiveness_share
from seedcorn.perf.training.layout import Floats, Layouts, TrainingParallelism, layouts_of
from seedcorn.perf.training.memory import USABLE_SHARE, training_memory
from seedcorn.perf.training.shape import TrainingShape, training_shape
from seedcorn.perf.training.step import Facts, StepShape, StepTerms, step_terms, training_facts
from seedcorn.units import format_bytes

# What each cause of time is a lack of.
BINDS = {
    "gemm": "compute",
    "attention": "compute",
    "elementwise": "memory bandwidth",
    "weights": "memory bandwidth",
    "launch": "host",
    "recompute": "memory size",
    "tp": "links and network",
    "ep": "links and network",
    "reduce": "links and network",
    "bubble": "pipeline",
    "scale": "scale",
    "untuned": "tuning",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRate:
    """How fast a gang trains.

    Attributes:
        tokens_per_s: While it runs.
        flop_per_s_per_chip: 6 · active parameters · tokens/s / chips: no attention, no recomputation.
        mfu: The same over the chip's dense peak in the job's format.
        effectiveness_share: Share of wall-clock time that makes progress, after checkpoints,
            failures and restarts.
        log_sigma: Standard deviation of ln(true rate / this one).
        shares: Where the time goes, by cause; sums to 1.
    """

    pool: str
    parallelism: TrainingParallelism
    chips: int
    tokens_per_s: float
    flop_per_s_per_chip: float
    mfu: float
    effectiveness_share: float
    log_sigma: float
    evidence: Evidence
    shares: Mapping[str, float]

    @property
    def sustained_tokens_per_s(self) -> float:
        """Tokens per second of wall-clock time."""
        return self.tokens_per_s * self.effectiveness_share

    def tokens_per_s_at(self, probability: float) -> float:
        """The rate that the true one stays below with ``probability``: 0.05 and 0.95 bound the 90 % interval."""
        return self.tokens_per_s * exp(NormalDist().inv_cdf(probability) * self.log_sigma)

    @property
    def binds(self) -> str:
        """What takes most of the time: compute, memory bandwidth, memory, links, pipeline, scale, ..."""
        totals: dict[str, float] = {}
        for cause, share in self.shares.items():
            totals[BINDS[cause]] = totals.get(BINDS[cause], 0.0) + share
        return max(totals, key=lambda name: totals[name])


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A job on a pool, resolved: everything but the layout."""

    job: TrainingJob
    pool: Pool
    shape: TrainingShape
    facts: Facts
    step: StepShape
    fitted: Coefficients

    def terms(self, layouts: Layouts) -> StepTerms:
        """Chip-seconds per token of each layout, whether or not it fits."""
        return step_terms(self.shape, self.facts, layouts, self.step, self.job.dtype, self.fitted)

    def needed_bytes(self, layouts: Layouts) -> Floats:
        """Least bytes on the fullest chip. Shape: (num_layouts,)."""
        held_tokens = self.step.held_tokens(layouts)
        return training_memory(self.shape, layouts, held_tokens=held_tokens).least_bytes

    @property
    def usable_bytes(self) -> float:
        """Bytes of one chip that training may use."""
        return USABLE_SHARE * self.facts.memory_bytes

    def log_sigma(self, *, is_searched: bool) -> float:
        """Standard deviation of ln(true rate / predicted)."""
        is_moe = self.shape.num_experts > 0
        return self.fitted.spread(family=self.facts.family, is_moe=is_moe, is_searched=is_searched)

    def rate(self, parallelism: TrainingParallelism, *, is_searched: bool) -> TrainingRate:
        """The rate of one layout that fits; of a searched one, as published runs reach it."""
        terms = self.terms(layouts_of([parallelism]))
        seconds = {f.name.removesuffix("_s"): float(getattr(terms, f.name)[0]) for f in fields(terms)}
        seconds["untuned"] = sum(seconds.values()) * (self.fitted.untuned_loss if is_searched else 0.0)
        total_s = sum(seconds.values())
        flop_per_s = self.shape.weight_flop_per_token / total_s
        is_measured = self.facts.family in self.fitted.family_log_offsets
        return TrainingRate(
            pool=self.pool.name,
            parallelism=parallelism,
            chips=parallelism.chips,
            tokens_per_s=parallelism.chips / total_s,
            flop_per_s_per_chip=flop_per_s,
            mfu=flop_per_s / self.facts.flop_per_s,
            effectiveness_share=effectiveness_share(parallelism.chips, self.job.interruptions),
            log_sigma=self.log_sigma(is_searched=is_searched),
            evidence=Evidence.CALIBRATED if is_measured else Evidence.DATASHEET,
            shares={cause: spent / total_s for cause, spent in seconds.items()},
        )


def resolve(job: TrainingJob, pool: Pool, fitted: Coefficients | None = None) -> Question:
    """The question with every fact it needs looked up.

    Raises:
        Unsupported: The chip does not compute in the job's format.
        UnknownFact: The pool's chip lacks a fact.
    """
    step = StepShape(batch_tokens=batch_tokens(job), sequence_length=job.sequence_length)
    facts = training_facts(pool, job.dtype)
    return Question(
        job=job,
        pool=pool,
        shape=training_shape(job),
        facts=facts,
        step=step,
        fitted=fitted or bundled_coefficients(),
    )


def batch_tokens(job: TrainingJob) -> float:
    """Tokens of one optimizer step: the job's own, or 0.2920 · C^0.3271 for C FLOP of training.

    DeepSeek LLM (arXiv:2401.02954, equation 1, in tokens). An open-ended job counts 20 tokens per
    active parameter (arXiv:2203.15556). Never less than one sequence.
    """
    if job.batch_tokens is not None:
        return max(job.batch_tokens, float(job.sequence_length))
    tokens = job.tokens or 20 * job.active_params
    compute_flop = 6 * job.active_params * tokens
    return max(0.2920 * float(compute_flop**0.3271), float(job.sequence_length))


def training_rate(job: TrainingJob, pool: Pool, parallelism: TrainingParallelism) -> TrainingRate:
    """How fast ``job`` trains on ``pool`` in one given layout.

    Raises:
        InputError: The sizes contradict the model, the node or each other.
        DoesNotFit: A chip's memory is too small even with full recomputation.
        Infeasible: More replicas than the batch has sequences.
        Unsupported: The chip does not compute in the job's format.
        UnknownFact: The chip or the pool lacks a fact that the layout needs.
    """
    question = resolve(job, pool)
    _check_sizes(question, parallelism)
    check_network(question, parallelism.chips)
    layouts = layouts_of([parallelism])
    needed_bytes = float(question.needed_bytes(layouts)[0])
    if needed_bytes > question.usable_bytes:
        raise _does_not_fit(question, parallelism, needed_bytes)
    if not question.step.feeds(layouts)[0]:
        raise Infeasible(
            f"job {job.name!r} trains {question.step.batch_tokens / job.sequence_length:,.0f} sequences of"
            f" {job.sequence_length:,} tokens in a batch, but {parallelism} needs {parallelism.dp * parallelism.mbs:,}"
            " (dp x mbs); use a smaller dp or a larger batch"
        )
    return question.rate(parallelism, is_searched=False)


def check_network(question: Question, chips: int) -> None:
    """Raise ``UnknownFact`` where a gang leaves the scale-up domain and the network is unknown."""
    if chips > question.facts.domain and question.facts.network_bytes_per_s is None:
        raise UnknownFact(f"pool {question.pool.name}", "network bandwidth between nodes")


def _check_sizes(question: Question, parallelism: TrainingParallelism) -> None:
    """Raise ``InputError`` for sizes that no launcher would accept."""
    layers, experts, domain = (
        question.shape.num_hidden_layers,
        max(1, question.shape.num_experts),
        question.facts.domain,
    )
    stage = parallelism.tp * parallelism.cp * parallelism.dp
    if parallelism.tp > domain:
        raise InputError(
            f"{parallelism}: tp {parallelism.tp} leaves the {domain} chips that links join; use at most that"
        )
    if parallelism.pp > layers:
        raise InputError(f"{parallelism}: pp {parallelism.pp} exceeds the model's {layers} layers")
    if parallelism.ep > experts or stage % parallelism.ep:
        raise InputError(
            f"{parallelism}: ep {parallelism.ep} must divide tp x cp x dp = {stage} and not exceed the model's {experts} experts"
        )
    if parallelism.fsdp and parallelism.pp > 1:
        raise InputError(f"{parallelism}: fsdp with pp > 1 is not modelled; use one of them")


def _does_not_fit(question: Question, parallelism: TrainingParallelism, needed_bytes: float) -> DoesNotFit:
    chips, pool = parallelism.chips, question.pool
    return DoesNotFit(
        f"job {question.job.name!r} does not fit {chips:,} x {pool.chip.name} as {parallelism}: weights, gradients, optimizer and"
        f" recomputed activations take {format_bytes(needed_bytes)} a chip, but {USABLE_SHARE:.0%} of"
        f" {format_bytes(question.facts.memory_bytes)} is {format_bytes(question.usable_bytes)}. A larger tp, pp or dp (fsdp), or more chips, would fit.",
        needed_bytes=round(needed_bytes * chips),
        available_bytes=round(question.usable_bytes * chips),
    )
