"""A row is predicted as ``seedcorn predict`` predicts it, and its interval is counted right."""

import csv
from dataclasses import replace
from math import exp

import pytest
from typer.testing import CliRunner

from seedcorn.cli.app import app
from seedcorn.domain.accuracy import Group, Quantity
from seedcorn.domain.prediction import Load
from seedcorn.domain.workload import EngineSettings, Statistic
from seedcorn.errors import InputError
from seedcorn.perf.efficiency import efficiency
from seedcorn.study import ServingQuestion, predict_serving
from seedcorn.study.accuracy import own_accuracy
from seedcorn.study.accuracy.score import HALF_WIDTH
from seedcorn.study.accuracy.serving import predicted
from seedcorn.study.accuracy.serving_rows import read_cases

ROW = {
    "chip": "nvidia-h100-sxm",
    "n_chips": "1",
    "model": "meta-llama/Llama-3.1-8B",
    "dtype": "bf16",
    "engine": "vllm 0.19.0",
    "input_len": "1024",
    "output_len": "128",
    "concurrency_or_rate": "c=8",
    "ttft_ms": "60",
    "tpot_ms": "8",
    "output_tokens_per_s": "",
    "source": "",
    "quality": "",
    "notes": "",
}


def silent(what, done, total):
    """No progress."""


def a_case(**cells):
    cases, refused = read_cases([ROW | cells], any_source=True)
    assert not refused, refused
    return cases[0]


def a_table(folder, *rows):
    path = folder / "rows.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_closed_loop_is_predicted_as_the_command_does():
    case = a_case()
    asked = predict_serving(
        ServingQuestion(
            model=ROW["model"],
            chip=ROW["chip"],
            tp=1,
            load=Load(input_tokens=1024, output_tokens=128, concurrency=8),
            engine=EngineSettings(max_num_seqs=case.max_num_seqs, max_num_batched_tokens=8192),
        )
    )

    found = predicted(case, efficiency(case.chip))

    assert found[Quantity.TPOT].value == pytest.approx(asked.tpot_s[Statistic.MEAN].value)
    assert found[Quantity.TOKENS_PER_S].value == pytest.approx(asked.output_tokens_per_s.value)
    assert found[Quantity.TPOT].low == pytest.approx(asked.tpot_s[Statistic.MEAN].low)


@pytest.mark.parametrize(("inside", "covered"), [(0.99, 1.0), (1.01, 0.0)])
def test_a_measurement_is_covered_up_to_the_end_of_the_interval(tmp_path, inside, covered):
    case = a_case()
    said = predicted(case, efficiency(case.chip))[Quantity.TPOT]
    end_ms = 1e3 * said.value * exp(inside * HALF_WIDTH * efficiency(case.chip).log_sigma)

    path = a_table(tmp_path, ROW | {"tpot_ms": str(end_ms), "ttft_ms": ""})
    found = own_accuracy(Group.CHIP, path, None, silent)

    (score,) = found.scores
    assert (score.quantity, score.rows, score.covered_share) == (Quantity.TPOT, 1, covered)
    assert score.bias == pytest.approx(said.value / (end_ms / 1e3) - 1)


def test_steps_twice_as_long_make_a_closed_loop_half_as_fast():
    curve = efficiency(a_case().chip)
    wide = replace(curve, log_sigma=2 * curve.log_sigma)

    narrow_said, wide_said = (predicted(a_case(), c)[Quantity.TOKENS_PER_S] for c in (curve, wide))

    assert wide_said.value == narrow_said.value
    assert wide_said.value / wide_said.low == pytest.approx((narrow_said.value / narrow_said.low) ** 2)


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ({"chip": "h9000"}, "chip unknown, ambiguous or mixed"),
        ({"model": "no-such-model"}, "model not in the catalogue"),
        ({"input_len": ""}, "no chip count or lengths"),
        ({"input_len": "long"}, "a number that is none"),
        ({"ttft_ms": "-3"}, "nothing measured, or not above 0"),
        ({"ttft_ms": "", "tpot_ms": ""}, "nothing measured, or not above 0"),
        (
            {"concurrency_or_rate": "many"},
            "load not stated as c=32 (clients), batch=8 (all at once) or rate=2.5/s",
        ),
    ],
)
def test_a_row_that_cannot_be_used_says_why(tmp_path, cells, reason):
    found = own_accuracy(Group.CHIP, a_table(tmp_path, ROW, ROW | cells), None, silent)

    assert found.bundles["serving"].used == 1
    assert found.bundles["serving"].refused == {reason: 1}


def test_a_file_that_is_no_table_of_rows_is_refused(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("chip,model\nh100,llama\n", encoding="utf-8")

    with pytest.raises(
        InputError, match=r"names no column n_chips, input_len, output_len, concurrency_or_rate"
    ):
        own_accuracy(Group.CHIP, path, None, silent)
    with pytest.raises(InputError, match="cannot be read"):
        own_accuracy(Group.CHIP, tmp_path / "none.csv", None, silent)


def test_own_training_runs_are_scored_with_chips_by_their_catalogue_names(tmp_path):
    run = {
        "chip": "nvidia-h100-sxm",
        "n_chips": "64",
        "model": "a dense model",
        "params_total_b": "8",
        "params_active_b": "8",
        "seq_len": "4096",
        "dtype": "bf16",
        "tok_s_per_chip": "9000",
    }
    found = own_accuracy(Group.CHIP, None, a_table(tmp_path, run, run | {"tok_s_per_chip": "0"}), silent)

    (score,) = found.scores
    assert (score.group, score.quantity, score.rows) == ("nvidia-h100-sxm", Quantity.MFU, 1)
    assert found.bundles["training"].refused == {"throughput not above 0": 1}


def test_the_command_prints_json_for_own_rows(tmp_path):
    result = CliRunner().invoke(app, ["accuracy", "--serving", str(a_table(tmp_path, ROW)), "--json"])

    assert result.exit_code == 0
    assert '"kind": "accuracy"' in result.stdout
