"""What a few measurements of one's own gain: published rows play a user's server, ten of them its evidence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import log

import numpy as np

from seedcorn.domain.accuracy import Residual
from seedcorn.domain.measurement import BenchmarkPoint, EvidenceKey, Measurement
from seedcorn.domain.workload import Statistic
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.measured import Correction, corrected, fitted_correction
from seedcorn.study.accuracy.score import HALF_WIDTH
from seedcorn.study.accuracy.serving import CONSTANT, by_step, measured, predicted, settings, step_model_of
from seedcorn.study.accuracy.serving_rows import Case
from seedcorn.study.evidence import residuals

GIVEN = 10
FEWEST = 16
"""Rows of a server, so that six at least are left to judge."""

MOST_BATCHED_TOKENS = 65_536
"""Beyond, an engine computed whole batches of prompts in one step, which evidence has no limits for."""


def servers(cases: Iterable[Case]) -> Iterator[list[Case]]:
    """Sets of closed-loop rows that one server could have produced."""
    sets: dict[tuple[object, ...], list[Case]] = defaultdict(list)
    for case in cases:
        chunked = case.max_num_batched_tokens <= MOST_BATCHED_TOKENS
        if chunked and case.load.clients and {"ttft", "tpot"} <= set(case.observed):
            is_one_batch = case.load.num_requests == case.load.clients
            sets[(*case.group, case.parallelism, is_one_batch)].append(case)
    yield from (rows for rows in sets.values() if len(rows) >= FEWEST)


def after_own_points(rows: Sequence[Case], curve: Efficiency, *, given: int = GIVEN) -> Iterator[Residual]:
    """A server's other rows, once some of its rows correct the curve.

    Args:
        rows: Of one server; beyond the first :data:`GIVEN`, in a fixed random order, all are judged.
        curve: What is corrected.
        given: Rows that correct it, :data:`GIVEN` at the most.
    """
    order = np.random.default_rng(0).permutation(len(rows))
    correction = _correction([rows[i] for i in order[:given]], curve) if given else None
    for case in (rows[i] for i in order[GIVEN:]):
        step = step_model_of(case, curve)
        if correction is not None:
            step = corrected(step, correction, kv_tokens=None)
        said, constant = by_step(case, step), predicted(case, CONSTANT)
        for quantity, seen in measured(case).items():
            if said[quantity] > 0:  # a single token has no TPOT
                log_error = log(said[quantity] / seen)
                yield Residual(
                    quantity=quantity,
                    chip=case.chip.name,
                    model=case.model.name,
                    grade=step.evidence,
                    source=case.source,
                    log_error=log_error,
                    is_covered=abs(log_error) <= HALF_WIDTH * step.log_sigma,
                    constant_log_error=log(constant[quantity].value / seen),
                )


def _correction(given: Sequence[Case], curve: Efficiency) -> Correction:
    """What rows of one server say of the steps that a curve predicts."""
    evidence = _measurement(given)
    return fitted_correction(step_model_of(given[0], curve), lambda tried: residuals(tried, evidence))


def _measurement(rows: Sequence[Case]) -> Measurement:
    """The rows as evidence of what the first of them ran on."""
    first = rows[0]
    return Measurement(
        key=EvidenceKey(
            model=first.model.name,
            dtype=first.dtype,
            chip=first.chip.name,
            engine=first.engine,
            engine_version=first.version,
            parallelism=first.parallelism,
        ),
        replicas=1,
        engine=settings(first),
        kv_tokens=None,
        points=tuple(
            BenchmarkPoint(
                input_tokens=case.input_tokens,
                output_tokens=case.output_tokens,
                num_requests=case.load.num_requests,
                concurrency=case.load.clients,
                rate_per_s=None,
                evenly_spaced=False,
                ttft_s={Statistic.MEAN: case.observed["ttft"]},
                tpot_s={Statistic.MEAN: case.observed["tpot"]},
            )
            for case in rows
        ),
        log=None,
        source=first.source,
    )
