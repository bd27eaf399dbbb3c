"""The best layout for a number of chips, the ladder of gangs a job may take, and what a chip is worth."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import product

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
MBS_SIZES = (1, 2, 4, 8, 16)
MICROBATCH_TOKENS = 32768
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

    The rate is what published runs reach of the best layout found, not the layout's own
    (``Coefficients.untuned_loss``). Counts that no good layout divides leave some chips idle:
    ``rate.chips`` says how many work.

    Raises:
        DoesNotFit: No layout fits the chips' memory; says the smallest gang that would.
        Unsupported: The chip does not compute in the job's format.
        UnknownFact: The chip or the pool lacks a fact.
    """
    assert chips > 0
    question = resolve(job, pool)
    check_network(question, chips)
    return question.rate(best_layout(question, chips), is_searched=True)


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
    for parallelism in _best_layouts(question, counts):
        rate = question.rate(parallelism, is_searched=True)
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


def speed_per_chip(job: TrainingJob, pool: Pool) -> float:
    """Tokens/s of one chip of ``pool`` at moderate scale; 0 where ``job`` does not run.

    Moderate scale is ``COMPARED_CHIPS``, or the whole pool if it is smaller, or the smallest power
    of two more that fits.

    Raises:
        UnknownFact: The chip or the pool lacks a fact.
    """
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


def best_layout(question: Question, chips: int) -> TrainingParallelism:
    """The fastest layout for at most ``chips`` chips.

    Raises:
        DoesNotFit: There is none.
    """
    layouts = _best_layouts(question, [chips])
    if not layouts:
        raise _fits_nowhere(question, chips)
    return layouts[0]


def _best_layouts(question: Question, counts: list[int]) -> list[TrainingParallelism]:
    """The fastest layout of each count that has one."""
    layouts = _layouts(question, counts)
    speed = _tokens_per_s(question, layouts).reshape(len(counts), -1)
    per_count = speed.shape[1]
    best = np.argmax(speed, axis=1)
    return [layouts[i * per_count + int(best[i])] for i in range(len(counts)) if speed[i, best[i]] > 0]


def _tokens_per_s(question: Question, layouts: Layouts) -> Floats:
    """Tokens/s of each layout, 0 where it has no chips, does not fit, or has replicas without a sequence."""
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = question.needed_bytes(layouts) <= question.usable_bytes
        runs = (layouts.dp > 0) & fits & question.step.feeds(layouts)
        return np.where(runs, layouts.chips / question.terms(layouts).total_s, 0.0)


def _layouts(question: Question, counts: list[int]) -> Layouts:
    """Every layout worth trying, count by count: (num_counts · layouts per count,), dp 0 where there is none."""
    batch, sequence = question.step.batch_tokens, question.step.sequence_length
    tp, pp, cp, ep, mbs, fsdp = _axes(
        question.facts.domain, question.shape.num_hidden_layers, question.shape.num_experts, sequence
    )
    chips = np.array(counts, dtype=np.float64)[:, np.newaxis]
    replicas = np.minimum(chips // (tp * pp * cp), batch // (sequence * mbs))
    block = ep / np.gcd(ep.astype(np.int64), (tp * cp).astype(np.int64))
    dp = replicas // block * block
    return Layouts(
        dp=dp.ravel(),
        fsdp=np.tile(fsdp > 0, len(counts)),
        recompute=np.zeros(len(counts) * fsdp.shape[0], dtype=np.bool_),
        **{
            axis: np.tile(sizes, len(counts))
            for axis, sizes in zip(("tp", "pp", "cp", "ep", "mbs"), (tp, pp, cp, ep, mbs), strict=True)
        },
    )


@lru_cache(maxsize=256)
def _axes(domain: int, layers: int, experts: int, sequence: int) -> tuple[Floats, ...]:
    """Sizes of tp, pp, cp, ep, mbs and fsdp (0 or 1), one layout per element."""
    rows = product(
        [size for size in TP_SIZES if size <= domain],
        [size for size in PP_SIZES if size <= layers],
        [size for size in CP_SIZES if size == 1 or size * SEQUENCE_PER_CP <= sequence],
        [size for size in EP_SIZES if size <= max(1, experts)],
        [size for size in MBS_SIZES if size == 1 or size * sequence <= MICROBATCH_TOKENS],
        (0, 1),
    )
    valid = [row for row in rows if not (row[-1] and row[1] > 1)]
    return tuple(np.array(valid, dtype=np.float64).T)


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
