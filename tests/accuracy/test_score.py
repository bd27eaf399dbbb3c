"""Errors summed up, against cases worked out by hand."""

from math import log

import pytest

from seedcorn.domain.accuracy import Group, Quantity, Residual, Target
from seedcorn.domain.offer import Evidence
from seedcorn.study.accuracy.folds import Split
from seedcorn.study.accuracy.score import mean_over_chips, score, scores
from seedcorn.study.accuracy.targets import targets


def a_residual(ratio, *, chip="h100", quantity=Quantity.TPOT, is_covered=True, constant=2.0):
    """A row predicted ``ratio`` times as large as it was measured."""
    return Residual(
        quantity=quantity,
        chip=chip,
        model="a model",
        grade=Evidence.CALIBRATED,
        source="a page",
        log_error=log(ratio),
        is_covered=is_covered,
        constant_log_error=log(constant),
    )


def test_a_score_is_what_a_calculator_says():
    rows = [a_residual(r, is_covered=covered) for r, covered in ((1.1, True), (0.8, True), (1.6, False))]

    found = score(rows, group="h100", quantity=Quantity.TPOT)

    assert found.rows == 3
    assert found.mape == pytest.approx((0.1 + 0.2 + 0.6) / 3)
    assert found.median == pytest.approx(0.2)
    assert found.p90 == pytest.approx(0.2 + 0.8 * 0.4)  # rank 1.8 of 0, 1, 2
    assert found.bias == pytest.approx(0.1)
    assert found.covered_share == pytest.approx(2 / 3)
    assert found.constant_mape == pytest.approx(1.0)


def test_chips_count_alike_however_many_rows_they_have():
    rows = [a_residual(1.1) for _ in range(99)] + [a_residual(1.5, chip="910b")]

    assert mean_over_chips(rows, Quantity.TPOT, lambda s: s.median) == pytest.approx(0.3)
    assert mean_over_chips(rows, Quantity.TTFT, lambda s: s.median) is None


def test_rows_are_gathered_by_any_of_their_labels():
    rows = [a_residual(1.1), a_residual(1.2, chip="910b"), a_residual(1.3, quantity=Quantity.TTFT)]

    assert [(s.group, s.quantity, s.rows) for s in scores(rows, Group.CHIP)] == [
        ("910b", Quantity.TPOT, 1),
        ("h100", Quantity.TTFT, 1),
        ("h100", Quantity.TPOT, 1),
    ]
    assert [(s.group, s.rows) for s in scores(rows, Group.GRADE)] == [("calibrated", 1), ("calibrated", 2)]


def test_a_target_without_a_row_is_neither_met_nor_hidden():
    held_out: dict[str, list[Residual]] = {
        Split.CHIP: [a_residual(1.1)],
        Split.MODEL_AND_ENGINE: [a_residual(1.04)],
    }

    found = {target.name: target for target in targets(held_out, [], [], {"a run": [0.01, -0.03]})}

    assert found["known chips, unseen (model, engine): TPOT"].is_met
    assert found["chip left out, Ascend 910B: end to end"].reached is None
    assert not found["chip left out, Ascend 910B: end to end"].is_met
    run = next(target for name, target in found.items() if "a run" in name)
    assert run.reached == pytest.approx(0.03)
    assert not run.is_met


def test_an_interval_that_covers_too_much_misses_its_target():
    target = Target(name="coverage", peers="", reached=0.99, least=0.85, most=0.95, rows=100)

    assert not target.is_met
