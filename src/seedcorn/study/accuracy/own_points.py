"""What a few measurements of one's own gain: published rows play a user's server, ten of them its evidence."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from math import log

import numpy as np

from seedcorn.domain.accuracy import Quantity, Residual
from seedcorn.domain.measurement import BenchmarkPoint, EvidenceKey, Measurement
from seedcorn.domain.workload import Statistic
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.measured import corrected, fitted_correction
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


def after_own_points(rows: Sequence[Case], curve: Efficiency) -> Iterator[Residual]:
    """A server's other rows end to end, once ten of its rows correct the curve."""
    order = np.random.default_rng(0).permutation(len(rows))
    given, judged = [rows[i] for i in order[:GIVEN]], [rows[i] for i in order[GIVEN:]]
    evidence = _measurement(given)
    correction = fitted_correction(step_model_of(rows[0], curve), lambda tried: residuals(tried, evidence))
    for case in judged:
        step = corrected(step_model_of(case, curve), correction, kv_tokens=None)
        said, seen = by_step(case, step)[Quantity.E2E], measured(case)[Quantity.E2E]
        constant = predicted(case, CONSTANT)[Quantity.E2E].value
        log_error = log(said / seen)
        yield Residual(
            quantity=Quantity.E2E,
            chip=case.chip.name,
            model=case.model.name,
            grade=step.evidence,
            source=case.source,
            log_error=log_error,
            is_covered=abs(log_error) <= HALF_WIDTH * step.log_sigma,
            constant_log_error=log(constant / seen),
        )


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
