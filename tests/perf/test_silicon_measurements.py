"""Operator times against published runs of vLLM, on which nothing was fitted: the interval must hold them."""

import sys
from collections import defaultdict
from importlib.util import find_spec
from math import log
from pathlib import Path

import numpy as np
import pytest

from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import Infeasible
from seedcorn.perf.silicon import LOG_SIGMA, SYSTEMS, silicon_step_model

ROOT = Path(__file__).parents[2]
MEASUREMENTS = ROOT / ".." / "shared" / "data" / "measurements"

NINETY = 1.645
"""Standard deviations to either side that hold 90 % of a normal distribution."""

MOST_PER_SETUP = 4
"""Rows of one set-up that count: sixteen rows of one server are not sixteen servers."""

pytestmark = [
    pytest.mark.skipif(not MEASUREMENTS.exists(), reason="the measurements are not beside the repository"),
    pytest.mark.skipif(
        find_spec("aiconfigurator_core") is None, reason="the extra 'silicon' is not installed"
    ),
]


@pytest.fixture(scope="module")
def errors():
    """(set-up, chip, ln(predicted / measured)) per row: end to end, or TPOT where there is no TTFT."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import closed_loop
        import published
    finally:
        sys.path.remove(str(ROOT / "tools"))
    cases, _ = published.vetted()
    found = []
    for case in [*cases, *published.runs()]:
        # The throughput of a thousand requests at once is that of a server whose limits are not stated.
        if case.chip.name not in SYSTEMS or case.engine != "vllm" or "tpot" not in case.observed:
            continue
        try:
            step = a_step_model(case)
        except Infeasible:
            continue
        predicted = closed_loop.predicted(case, step)
        found.append(
            (
                (*case.group, case.parallelism),
                case.chip.name,
                log(latency_s(case, predicted) / latency_s(case, case.observed)),
            )
        )
    return found


def a_step_model(case):
    return silicon_step_model(
        case.model,
        case.chip,
        dtype=case.dtype,
        parallelism=case.parallelism,
        engine=EngineSettings(
            max_num_seqs=case.max_num_seqs, max_num_batched_tokens=case.max_num_batched_tokens
        ),
        chips_per_node=8,
    )


def latency_s(case, times):
    if "ttft" not in case.observed:
        return times["tpot"]
    return times["ttft"] + (case.output_tokens - 1) * times["tpot"]


def weighted(errors):
    """(rows,) magnitudes in ascending order, and their weights, which sum to 1."""
    setups = defaultdict(list)
    for setup, _, error in errors:
        setups[setup].append(abs(error))
    magnitudes = np.concatenate([np.array(rows) for rows in setups.values()])
    weights = np.concatenate(
        [np.full(len(rows), min(len(rows), MOST_PER_SETUP) / len(rows)) for rows in setups.values()]
    )
    order = np.argsort(magnitudes)
    return magnitudes[order], weights[order] / weights.sum()


def test_log_sigma_is_what_the_rows_show(errors):
    magnitudes, weights = weighted(errors)

    ninetieth = magnitudes[np.searchsorted(np.cumsum(weights), 0.9)]

    assert len(errors) > 200
    assert ninetieth / NINETY == pytest.approx(LOG_SIGMA, rel=0.05)


def test_the_interval_holds_nine_in_ten_on_average_over_chips(errors):
    chips = defaultdict(list)
    for row in errors:
        chips[row[1]].append(row)

    held = []
    for rows in chips.values():
        magnitudes, weights = weighted(rows)
        held.append(weights[magnitudes < NINETY * LOG_SIGMA].sum())

    assert 0.85 <= np.mean(held) <= 0.95


def test_half_of_the_rows_are_within_fifteen_percent(errors):
    assert np.median([abs(np.expm1(error)) for _, _, error in errors]) < 0.15
