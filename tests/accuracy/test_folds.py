"""A row is predicted by a refit that never saw it, or not at all."""

import csv
from collections import Counter
from pathlib import Path

import pytest

from seedcorn.perf.efficiency import Efficiency
from seedcorn.study.accuracy.assess import RUNS
from seedcorn.study.accuracy.folds import (
    Split,
    curve_key,
    serving_folds,
    serving_folds_json,
    serving_key,
    training_folds,
    training_key,
)
from seedcorn.study.accuracy.rows import bundled, not_bundled
from seedcorn.study.accuracy.serving_rows import read_cases, vllm_runs
from seedcorn.study.accuracy.training_rows import read_rows

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "measurements"
here_only = pytest.mark.skipif(not SHARED.is_dir(), reason="the measurements are not beside the repository")


@pytest.fixture(scope="module")
def cases():
    return [*read_cases(bundled("inference.csv"))[0], *vllm_runs(RUNS).values()]


def every_row(name):
    with (SHARED / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_key_is_left_out_by_one_fold_of_its_split():
    for folds in (serving_folds(), training_folds()):
        keys = Counter((fold.split, key) for fold in folds for key in fold.left_out)
        assert set(keys.values()) == {1}


def test_every_bundled_row_has_a_curve_of_a_fold_that_left_it_out(cases):
    for split in (Split.MODEL_AND_ENGINE, Split.SOURCE):
        folds = {key: fold for fold in serving_folds() if fold.split is split for key in fold.left_out}
        for case in cases:
            assert isinstance(folds[serving_key(case, split)].curves[curve_key(case)], Efficiency)


@here_only
def test_a_serving_fold_was_fitted_on_exactly_the_rows_that_it_does_not_name():
    everything = [
        *read_cases(every_row("inference.csv"))[0],
        *vllm_runs(SHARED / "vllm_runs").values(),
    ]
    for fold in serving_folds():
        seen = [case for case in everything if serving_key(case, fold.split) not in fold.left_out]
        assert len(seen) == fold.fitted_rows, (fold.split, fold.left_out)


@here_only
def test_a_training_fold_was_fitted_on_exactly_the_rows_that_it_does_not_name():
    everything, _ = read_rows(every_row("training.csv"))
    for fold in training_folds():
        seen = [row for row in everything if training_key(row, fold.split) not in fold.left_out]
        assert len(seen) == fold.fitted_rows, (fold.split, fold.left_out)


@here_only
@pytest.mark.parametrize(("name", "of"), [("inference.csv", "inference"), ("training.csv", "training")])
def test_rows_without_a_licence_stay_out_and_are_counted(name, of):
    assert len(bundled(name)) + sum(not_bundled(of).values()) == len(every_row(name))
    assert all(row["licence"].startswith(("Apache-2.0", "BSD-3-Clause", "MIT")) for row in bundled(name))
    assert all(row["source"] for row in bundled(name))


def test_a_fold_file_is_written_as_it_is_read():
    folds = serving_folds()

    text = serving_folds_json(folds)

    assert serving_folds_json(folds) == text
    assert text.count('"split"') == len(folds)
