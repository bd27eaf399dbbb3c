import json

import pytest

from tests.cli.commands import run
from tests.evidence.reports import a_file, vllm_bench

SETUP = (
    "--chip",
    "h100-sxm",
    "--dtype",
    "bf16",
    "--engine",
    "vllm",
    "--engine-version",
    "0.19.0",
    "--tp",
    "1",
)


@pytest.fixture
def store(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDCORN_EVIDENCE", str(tmp_path / "store"))
    return tmp_path / "store"


def test_a_report_is_kept_once_and_listed(capsys, tmp_path, store):
    report = a_file(tmp_path, vllm_bench())

    first = run(capsys, "evidence", "import", report, *SETUP)
    second = run(capsys, "evidence", "import", report, *SETUP)
    listed = json.loads(run(capsys, "evidence", "list", "--json").out)

    assert first.out.startswith("kept: meta-llama/Llama-3.1-8B bf16 tp1 on nvidia-h100-sxm, vllm 0.19.0")
    assert "max_num_batched_tokens 8,192" in first.out  # a default is said
    assert second.out.startswith("already kept")
    assert listed["kind"] == "evidence-list"
    assert [(row["chip"], row["requests"]) for row in listed["evidence"]] == [("nvidia-h100-sxm", 80)]
    assert len(list(store.iterdir())) == 1


def test_a_wrong_report_leaves_nothing(capsys, tmp_path, store):
    ran = run(capsys, "evidence", "import", a_file(tmp_path, vllm_bench(mean_tpot_ms=-3)), *SETUP)

    assert (ran.code, ran.out) == (2, "")
    assert "mean_tpot_ms" in ran.err
    assert not store.exists()


def test_predictions_use_what_was_measured_and_say_so(capsys, tmp_path, store):
    words = (
        "predict", "serve", "--model", "llama-3.1-8b-instruct", "--chip", "h100-sxm", "--input", "1000",
        "--output", "101", "--concurrency", "8", "--json",
    )  # fmt: skip
    before = json.loads(run(capsys, *words).out)
    run(capsys, "evidence", "import", a_file(tmp_path, vllm_bench()), *SETUP)

    after = json.loads(run(capsys, *words).out)

    assert (before["evidence"], after["evidence"]) == ("calibrated", "measured")
    assert after["tpot_s"]["mean"]["value"] == pytest.approx(0.010, rel=0.1)  # as measured
    assert _width(after) < _width(before)


def _width(document):
    interval = document["tpot_s"]["mean"]
    return interval["high"] / interval["low"]


def test_an_empty_store_says_how_to_fill_it(capsys, store):
    assert "seedcorn evidence import" in run(capsys, "evidence", "list").out
