"""The best layout for a number of chips, the ladder of gangs a job may take, and what a chip is worth."""

from dataclasses import dataclass

import numpy as np

from seedcorn.domain.hardware import Pool
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import DoesNotFit, Infeasible, Unsupported
from seedcorn.perf.training.layout import Floats, Layouts, TrainingParallelism
from seedcorn.perf.training.rate import Question, TrainingRate, check_network, resolve
from seedcorn.units import format_bytes

# Sizes searched. Beyond them published runs do not go: tp stays in a node, pp up to 64.
TP_SIZES = (1, 2, 4, 8)
PP_SIZES = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 20, 24, 32, 48, 64)
CP_SIZES = (1, 2, 4, 8, 16)
EP_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
SEQUENCE_PER_CP = 8192  # a context-parallel rank never gets less: Llama 3 cut 131,072 tokens by 16

# Steps of the ladder between the smallest and the largest gang.
LADDER_STEPS = 40
# Chips at which chips are compared: large enough to pay for the network, small enough to be had.
COMPARED_CHIPS = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class GangOption:
    """One gang a job may take: ``tokens_per_s`` of wall-clock time, failures and restarts included."""

    chips: int
    parallelism: TrainingParallelism
    tokens_per_s: float
    rate: TrainingRate


def best_training(job: TrainingJob, pool: Pool, chips: int) -> TrainingRate:
    """The fastest layout for at most ``chips`` chips of ``pool``.

    Counts that no good layout divides leave some chips idle: ``rate.chips`` says how many work.

    Raises:
        DoesNotFit: No layout fits the chips' memory; says the smallest gang that would.
        Unsupported: The chip does not compute in the job's format.
        UnknownFact: The chip or the pool lacks a fact.
    """
    question = resolve(job, pool)
    check_network(question, chips)
    rates = _best_rates(question, [chips])
    if not rates:
        raise _fits_nowhere(question, chips)
    return rates[0]


def gang_options(job: TrainingJob, pool: Pool) -> tuple[GangOption, ...]:
    """Gangs between the job's bounds, in whole nodes, smallest first, each faster than the ones before.

    Raises:
        DoesNotFit: Not even the largest gang fits.
        Infeasible: The bounds leave no whole node.
        Unsupported, UnknownFact: As ``best_training``.
    """
    question = resolve(job, pool)
    counts = _ladder(job, pool)
    check_network(question, counts[-1])
    options: list[GangOption] = []
    for rate in _best_rates(question, counts):
        too_few = job.min_chips is not None and rate.chips < job.min_chips
        if too_few or (options and rate.sustained_tokens_per_s <= options[-1].tokens_per_s):
            continue
        options.append(
            GangOption(
                chips=rate.chips,
                parallelism=rate.parallelism,
                tokens_per_s=rate.sustained_tokens_per_s,
                rate=rate,
            )
        )
    if not options:
        raise _fits_nowhere(question, counts[-1])
    return tuple(options)


def relative_speed(job: TrainingJob, pool: Pool, reference: Pool) -> float:
    """Tokens/s per chip of ``pool`` over those of ``reference``, each at moderate scale; 0 where ``job`` does not run.

    Moderate scale is ``COMPARED_CHIPS``, or the whole pool if it is smaller, or the smallest power
    of two more that fits.

    Raises:
        Infeasible: The job does not run on the reference itself.
        UnknownFact: Either lacks a fact.
    """
    theirs = _speed_per_chip(job, reference)
    if theirs == 0:
        raise Infeasible(
            f"job {job.name!r} does not train on reference pool {reference.name}: name another reference"
        )
    return _speed_per_chip(job, pool) / theirs


def _speed_per_chip(job: TrainingJob, pool: Pool) -> float:
    chips = min(pool.usable_chips, COMPARED_CHIPS)
    while chips <= pool.usable_chips:
        try:
            rate = best_training(job, pool, chips)
        except Unsupported:
            return 0.0
        except DoesNotFit:
            chips = 2 * chips
        else:
            return rate.sustained_tokens_per_s / rate.chips
    return 0.0


def _ladder(job: TrainingJob, pool: Pool) -> list[int]:
    """Chip counts in whole nodes, at most ``LADDER_STEPS``, geometric when there are more nodes."""
    node = pool.chips_per_node
    most = min(job.max_chips or pool.usable_chips, pool.usable_chips) // node
    least = max(1, -(-(job.min_chips or node) // node))
    if least > most:
        raise Infeasible(
            f"job {job.name!r} wants {job.min_chips or node:,} to {job.max_chips or pool.usable_chips:,} chips,"
            f" but pool {pool.name} offers at most {most * node:,} in whole nodes of {node}"
        )
    steps = (
        np.geomspace(least, most, LADDER_STEPS)
        if most - least >= LADDER_STEPS
        else np.arange(least, most + 1)
    )
    return [int(nodes) * node for nodes in np.unique(np.round(steps))]


def _best_rates(question: Question, counts: list[int]) -> list[TrainingRate]:
    """The fastest layout of each count that has one. Counts must increase."""
    layouts = _layouts(question, counts)
    speed = _tokens_per_s(question, layouts).reshape(len(counts), -1)
    per_count = speed.shape[1]
    best = np.argmax(speed, axis=1)
    return [
        question.rate(layouts[i * per_count + int(best[i])])
        for i in range(len(counts))
        if speed[i, best[i]] > 0
    ]


def _tokens_per_s(question: Question, layouts: Layouts) -> Floats:
    """Tokens/s of each layout, 0 where it has no chips, does not fit, or has replicas without a sequence."""
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = question.needed_bytes(layouts) <= question.usable_bytes
        runs = (layouts.dp > 0) & fits & question.step.feeds(layouts)
        return np.where(runs, layouts.chips / question.terms(layouts).total_s, 0.0)


def _layouts(question: Question, counts: list[int]) -> Layouts:
    """Every layout worth trying, count by count: (num_counts · layouts per count,), dp 0 where there is none."""
    shape, step = question.shape, question.step
    sizes = [
        [size for size in TP_SIZES if size <= question.pool.chips_per_node],
        [size for size in PP_SIZES if size <= shape.num_hidden_layers],
        [size for size in CP_SIZES if size == 1 or size * SEQUENCE_PER_CP <= step.sequence_length],
        [size for size in EP_SIZES if size <= max(1, shape.num_experts)],
        [False, True],
    ]
    grid = np.stack(np.meshgrid(counts, *sizes, indexing="ij")).reshape(6, -1).astype(np.float64)
    chips, tp, pp, cp, ep, fsdp = grid
    replicas = np.minimum(chips // (tp * pp * cp), step.batch_tokens // step.sequence_length)
    block = ep / np.gcd(ep.astype(np.int64), (tp * cp).astype(np.int64))
    dp = replicas // block * block
    is_fsdp = fsdp > 0
    return Layouts(tp=tp, pp=pp, cp=cp, dp=np.where(is_fsdp & (pp > 1), 0.0, dp), ep=ep, fsdp=is_fsdp)


def _fits_nowhere(question: Question, chips: int) -> DoesNotFit:
    """Why ``chips`` chips are too few: the layout that needs least, and the smallest gang that would fit."""
    layouts = _layouts(question, [chips])
    with np.errstate(divide="ignore", invalid="ignore"):
        needed = np.where(layouts.dp > 0, question.needed_bytes(layouts), np.inf)
    leanest = int(np.argmin(needed))
    smallest = _smallest_gang(question, chips)
    remedy = (
        f"The smallest gang that fits has {smallest:,} chips."
        if smallest
        else "No number of these chips fits it."
    )
    return DoesNotFit(
        f"job {question.job.name!r} does not fit {chips:,} x {question.pool.chip.name}: even {layouts[leanest]} takes"
        f" {format_bytes(float(needed[leanest]))} a chip, but {format_bytes(question.usable_bytes)} are usable. {remedy}",
        needed_bytes=round(float(needed[leanest]) * chips),
        available_bytes=round(question.usable_bytes * chips),
    )


def _smallest_gang(question: Question, chips: int) -> int | None:
    """Fewest chips, by doubling and then bisecting in whole nodes, that some layout fits; ``None`` if doubling ten times finds none."""
    node = question.pool.chips_per_node
    counts = [chips * 2**doubling for doubling in range(1, 11)]
    speeds = _tokens_per_s(question, _layouts(question, counts)).reshape(len(counts), -1).max(axis=1)
    if not speeds.any():
        return None
    enough = counts[int(np.argmax(speeds > 0))]
    nodes = np.unique(np.linspace(enough / 2, enough, 64) // node)
    finer = [int(n) * node for n in nodes if n * node > chips] or [enough]
    speeds = _tokens_per_s(question, _layouts(question, finer)).reshape(len(finer), -1).max(axis=1)
    return finer[int(np.argmax(speeds > 0))]
