"""A gang over two pools: the first layers on one, the rest on the other. An estimate, and says so.

Nobody has published enough of such runs to fit one. Each pool's part is the same model with fewer
layers, timed as any gang of that pool; the pipeline runs at the pace of the slower part, and the
layers are split to make the two equal. What crosses between the pools, one activation a token each
way, is small against either part and is left out; waiting for the other pool's jitter is what the
wider interval stands for.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import product
from math import hypot, log2

import numpy as np

from seedcorn.domain.hardware import Pool
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import DoesNotFit
from seedcorn.perf.training.effectiveness import effectiveness_share
from seedcorn.perf.training.layout import TrainingParallelism, layouts_of
from seedcorn.perf.training.memory import OPTIMIZER_BYTES, WEIGHT_AND_GRADIENT_BYTES
from seedcorn.perf.training.rate import Question, check_network, resolve
from seedcorn.perf.training.search import EP_SIZES, TP_SIZES
from seedcorn.perf.training.shape import TrainingShape
from seedcorn.perf.training.step import StepShape
from seedcorn.units import format_bytes

REPLICAS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedPart:
    """One pool's share of a mixed gang: which layers, on how many chips, how spread."""

    pool: str
    layers: int
    parallelism: TrainingParallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class MixedRate:
    """How fast a gang over two pools trains.

    Attributes:
        parts: First layers first.
        tokens_per_s: While it runs.
        effectiveness_share: As in ``TrainingRate``.
        log_sigma: Standard deviation of ln(true rate / this one): both pools' own, as if independent.
    """

    parts: tuple[MixedPart, MixedPart]
    tokens_per_s: float
    effectiveness_share: float
    log_sigma: float

    @property
    def sustained_tokens_per_s(self) -> float:
        """Tokens per second of wall-clock time."""
        return self.tokens_per_s * self.effectiveness_share


@dataclass(frozen=True, slots=True)
class _Timed:
    """A part's fastest layout for some number of replicas."""

    parallelism: TrainingParallelism
    token_s: float


def mixed_gang_rate(job: TrainingJob, first: tuple[Pool, int], second: tuple[Pool, int]) -> MixedRate:
    """How fast ``job`` trains as one pipeline over two pools, each given with the chips it lends.

    Raises:
        DoesNotFit: No split of the layers fits both pools' memory.
        Unsupported: A chip does not compute in the job's format.
        UnknownFact: A chip or pool lacks a fact.
    """
    questions = [resolve(job, pool) for pool, _ in (first, second)]
    for question, (_, chips) in zip(questions, (first, second), strict=True):
        check_network(question, chips)
    num_layers = questions[0].shape.num_hidden_layers
    best: MixedRate | None = None
    for layers in range(1, num_layers):
        rate = _rate_of_split(questions, (first[1], second[1]), (layers, num_layers - layers))
        if rate is not None and (best is None or rate.tokens_per_s > best.tokens_per_s):
            best = rate
    if best is None:
        raise _fits_no_split(questions, (first[1], second[1]))
    return best


def _rate_of_split(
    questions: Sequence[Question], chips: tuple[int, int], layers: tuple[int, int]
) -> MixedRate | None:
    """The fastest pair of layouts with equal replicas when each pool holds the given layers; ``None`` if none fits."""
    parts = [
        replace(
            questions[0],
            shape=_slice(questions[0].shape, layers[0], has_head=False),
            step=_fuller_step(questions[0], layers[0]),
        ),
        replace(questions[1], shape=_slice(questions[1].shape, layers[1], has_head=True)),
    ]
    timed = [_timed(part, count) for part, count in zip(parts, chips, strict=True)]
    pairs = [(timed[0][dp], timed[1][dp]) for dp in timed[0].keys() & timed[1].keys()]
    if not pairs:
        return None
    head, tail = min(pairs, key=lambda pair: _pipeline_token_s(questions[0], *pair))
    return MixedRate(
        parts=(
            MixedPart(pool=questions[0].pool.name, layers=layers[0], parallelism=head.parallelism),
            MixedPart(pool=questions[1].pool.name, layers=layers[1], parallelism=tail.parallelism),
        ),
        tokens_per_s=1 / _pipeline_token_s(questions[0], head, tail),
        effectiveness_share=effectiveness_share(
            head.parallelism.chips + tail.parallelism.chips, questions[0].job.interruptions
        ),
        log_sigma=hypot(*(question.log_sigma(is_searched=True) for question in questions)),
    )


def _slice(shape: TrainingShape, layers: int, *, has_head: bool) -> TrainingShape:
    """The model with only ``layers`` of its layers."""
    share = layers / shape.num_hidden_layers
    return replace(
        shape,
        params=shape.params * share,
        active_params=shape.active_params * share,
        num_hidden_layers=layers,
        moe_layers=round(shape.moe_layers * share),
        expert_params=shape.expert_params * share,
        head_params=shape.head_params * share if has_head else 0.0,
    )


def _timed(question: Question, chips: int) -> dict[int, _Timed]:
    """The fastest layout that fits for each number of replicas."""
    sizes = product(
        REPLICAS,
        [size for size in TP_SIZES if size <= question.facts.domain],
        [size for size in EP_SIZES if size <= max(1, question.shape.num_experts)],
    )
    parallelisms = [
        TrainingParallelism(tp=tp, pp=chips // (dp * tp), dp=dp, ep=ep)
        for dp, tp, ep in sizes
        if 1 <= chips // (dp * tp) <= question.shape.num_hidden_layers and tp * dp % ep == 0
    ]
    if not parallelisms:
        return {}
    layouts = layouts_of(parallelisms)
    fits = (question.needed_bytes(layouts) <= question.usable_bytes) & question.step.feeds(layouts)
    token_s = np.where(fits, question.terms(layouts).total_s / layouts.chips, np.inf)
    timed: dict[int, _Timed] = {}
    for parallelism, seconds in zip(parallelisms, token_s.tolist(), strict=True):
        if seconds < (timed[parallelism.dp].token_s if parallelism.dp in timed else np.inf):
            timed[parallelism.dp] = _Timed(parallelism, seconds)
    return timed


def _pipeline_token_s(question: Question, head: _Timed, tail: _Timed) -> float:
    """Seconds per token: the slower part's, the bubble of filling the other part, and the loss of the larger gang."""
    microbatches = question.step.batch_tokens / (head.parallelism.dp * question.step.sequence_length)
    slower, other = (head, tail) if head.token_s >= tail.token_s else (tail, head)
    doublings = log2(1 + other.parallelism.chips / slower.parallelism.chips)
    bubble = other.parallelism.pp / max(1.0, microbatches)
    loss = (1 + bubble) * (1 + question.fitted.scale_loss * doublings) * (1 + question.fitted.untuned_loss)
    return slower.token_s * loss


def _fuller_step(question: Question, layers: int) -> StepShape:
    """The step as the first part sees it: its chips also hold the microbatches in flight beyond it, as
    many as its share of the layers says."""
    return replace(question.step, in_flight=question.shape.num_hidden_layers / layers)


def _fits_no_split(questions: Sequence[Question], chips: tuple[int, int]) -> DoesNotFit:
    shape = questions[0].shape
    needed = (WEIGHT_AND_GRADIENT_BYTES + OPTIMIZER_BYTES) * shape.params
    available = sum(question.usable_bytes * count for question, count in zip(questions, chips, strict=True))
    lent = " and ".join(f"{count:,} x {q.pool.chip.name}" for q, count in zip(questions, chips, strict=True))
    return DoesNotFit(
        f"job {questions[0].job.name!r} fits no split of its {shape.num_hidden_layers} layers over {lent}: weights,"
        f" gradients and optimizer alone take {format_bytes(needed)}, and {format_bytes(available)} are usable; lend more chips",
        needed_bytes=round(needed),
        available_bytes=round(available),
    )
