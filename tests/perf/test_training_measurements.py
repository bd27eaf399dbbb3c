"""The bundled training coefficients against the published runs they were fitted on.

Errors on sources left out are in docs/explanation/training.md; this guards the bundled file.
"""

import csv
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

from seedcorn.domain.hardware import Dtype
from seedcorn.perf.training.coefficients import bundled_coefficients

ROOT = Path(__file__).parents[2]
MEASUREMENTS = ROOT / ".." / "shared" / "data" / "measurements" / "training.csv"

pytestmark = pytest.mark.skipif(
    not MEASUREMENTS.exists(), reason="the measurements are not beside the repository"
)


@pytest.fixture(scope="module")
def fit_training():
    spec = importlib.util.spec_from_file_location("fit_training", ROOT / "tools" / "fit_training.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    yield module
    del sys.modules[spec.name]


@pytest.fixture(scope="module")
def runs(fit_training):
    fitted = bundled_coefficients()
    with MEASUREMENTS.open(newline="", encoding="utf-8") as file:
        rows, refused = fit_training.read_rows(csv.DictReader(file), fitted)
    return rows, refused, fit_training.log_errors(rows, fitted)


def test_every_row_is_used_or_refused_for_a_reason(runs):
    rows, refused, _ = runs

    assert len(rows) + sum(refused.values()) == len(MEASUREMENTS.read_text("utf-8").splitlines()) - 1


def test_dense_bf16_runs_are_within_12_percent_and_910b_within_20(runs, fit_training):
    rows, _, errors = runs
    is_dense_bf16 = [
        not row.question.shape.num_experts and row.question.job.dtype is Dtype.BF16 for row in rows
    ]
    is_910b = [row.chip == "Ascend910B" for row in rows]

    assert fit_training.mape(errors[np.array(is_dense_bf16)]) < 0.12
    assert fit_training.mape(errors[np.array(is_910b)]) < 0.20


def test_nine_in_ten_runs_lie_in_the_90_percent_interval(runs, fit_training):
    rows, _, errors = runs
    spread = [row.question.log_sigma(is_searched=False) for row in rows]

    inside = np.abs(errors) <= fit_training.HALF_WIDTH * np.array(spread)

    assert 0.85 < inside.mean() < 0.97


def test_a_source_that_counts_attention_is_converted_by_its_own_count(runs):
    # MegaScale's 65.3 % on 256 A100 and its 191.4 tokens/s a chip are the same run, counted both ways.
    rows, _, _ = runs
    run = next(row for row in rows if row.model == "GPT 175B (MegaScale)" and row.question.pool.chips == 256)
    shape = run.question.shape

    flop_per_token = shape.weight_flop_per_token + shape.attention_flop_per_token(2048)

    assert run.tokens_per_s_per_chip * flop_per_token / 312e12 == pytest.approx(0.653, rel=0.01)
