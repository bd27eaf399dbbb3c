import csv
import io
import json

import pytest

from tests.cli.commands import run

SERVE = (
    "predict",
    "serve",
    "--model",
    "llama-3.1-8b",
    "--chip",
    "h100-sxm",
    "--input",
    "512",
    "--output",
    "32",
)


@pytest.fixture(autouse=True)
def no_evidence(monkeypatch, tmp_path):
    monkeypatch.setenv("SEEDCORN_EVIDENCE", str(tmp_path / "store"))


def a_table(folder, text):
    path = folder / "questions.csv"
    path.write_text(text)
    return path


def rows_of(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_serving_is_answered_in_words_with_every_default_said(capsys):
    ran = run(capsys, *SERVE, "--concurrency", "4")

    assert ran.code == 0
    for word in ("TTFT p99", "90% interval", "binds:", "evidence: calibrated", "max_num_seqs 256", "tp = 1"):
        assert word in ran.out


def test_serving_is_answered_for_programs(capsys):
    ran = run(capsys, *SERVE, "--concurrency", "4", "--json")

    document = json.loads(ran.out)
    assert (document["seedcorn"], document["kind"], document["of"]) == (1, "prediction", "serving")
    assert document["ttft_s"]["p99"]["low"] < document["ttft_s"]["p99"]["value"]
    assert document["load"] == {
        "input_tokens": 512,
        "output_tokens": 32,
        "concurrency": 4,
        "rate_per_s": None,
    }


def test_training_is_answered_for_programs(capsys):
    ran = run(
        capsys,
        "predict",
        "train",
        "--params",
        "70e9",
        "--chip",
        "h800",
        "--chips",
        "1024",
        "--seq",
        "8192",
        "--json",
    )

    document = json.loads(ran.out)
    assert document["of"] == "training"
    assert 0.2 < document["mfu"]["low"] < document["mfu"]["value"] < document["mfu"]["high"] < 0.7
    assert "400 Gb/s" in document["defaults"]["network"]


def test_a_table_is_answered_row_by_row_and_says_what_it_could_not_answer(capsys, tmp_path):
    table = a_table(
        tmp_path,
        "id,model,chip,input,output,concurrency,rate\n"
        "a,llama-3.1-8b,h100-sxm,512,32,4,\n"
        "b,llama-9,h100-sxm,512,32,4,\n"
        "c,llama-3.1-8b,h100-sxm,512,32,4,3\n"
        "d,llama-3.1-405b,h100-sxm,512,32,,1000\n",
    )

    ran = run(capsys, "predict", "serve", "--csv", table)
    alone = json.loads(run(capsys, *SERVE, "--concurrency", "4", "--json").out)

    rows = rows_of(ran.out)
    assert ran.code == 0
    assert [row["id"] for row in rows] == list("abcd")
    assert float(rows[0]["tpot_mean_s"]) == pytest.approx(alone["tpot_s"]["mean"]["value"], rel=1e-5)
    assert rows[0]["error"] == ""
    assert "unknown model 'llama-9'" in rows[1]["error"]
    assert "one of concurrency and rate" in rows[2]["error"]
    assert "requests/s is more than" in rows[3]["error"]
    assert all(row["tpot_mean_s"] == "" for row in rows[1:])
    assert "column 'id' is no option" in ran.err
    assert "3 of 4 rows have no answer" in ran.err


def test_options_fill_empty_cells_and_answers_are_written_anew(capsys, tmp_path):
    table = a_table(tmp_path, "chip,concurrency,error\nh100-sxm,1,old\n,2,\n")
    out = tmp_path / "answers.csv"

    ran = run(
        capsys, "predict", "serve", "--csv", table, "--out", out, "--model", "llama-3.1-8b", "--chip", "h200-sxm",
        "--input", "100", "--output", "8",
    )  # fmt: skip

    first, second = rows_of(out.read_text())
    assert (ran.code, ran.out) == (0, "")
    assert first["error"] == second["error"] == ""
    assert float(first["tpot_mean_s"]) > float(second["tpot_mean_s"])  # an H200 has 1.43 x the bandwidth


def test_training_answers_tables_too(capsys, tmp_path):
    table = a_table(
        tmp_path, "params,chips,seq,network\n7e9,64,4096,\n7e9,64,4096,200 Gb/s\n7e9,64,4096,fast\n"
    )

    rows = rows_of(run(capsys, "predict", "train", "--csv", table, "--chip", "a100-sxm4-80gb").out)

    assert float(rows[0]["tokens_per_s"]) >= float(rows[1]["tokens_per_s"])
    assert "expected a bandwidth" in rows[2]["error"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ((*SERVE,), 2, "give one of concurrency and rate; got neither"),
        ((*SERVE, "--concurrency", "0"), 2, "whole number from 1"),
        ((*SERVE, "--rate", "nan"), 2, "a number above 0"),
        ((*SERVE, "--rate", "-1"), 2, "a number above 0"),
        ((*SERVE, "--concurrency", "4", "--dtype", "fp7"), 2, "expected one of"),
        ((*SERVE, "--concurrency", "4", "--out", "x.csv"), 2, "--out goes with --csv"),
        (("predict", "serve", "--csv", "nowhere.csv"), 2, "cannot read nowhere.csv"),
        (("predict", "serve", "--chip", "h100-sxm", "--concurrency", "1"), 2, "model is missing"),
        ((*SERVE, "--rate", "100000"), 1, "more than 1 replica carries"),
        (("predict", "train", "--chip", "h100-sxm", "--chips", "8", "--seq", "4096"), 2, "one of model and params"),
        (
            ("predict", "train", "--params", "1e9", "--active-params", "2e9", "--chip", "h20", "--chips", "8",
             "--seq", "4096"),
            2,
            "is at most that",
        ),
    ],
)  # fmt: skip
def test_wrong_questions_say_what_would_be_right(capsys, words, code, message):
    ran = run(capsys, *words)

    assert (ran.code, ran.out) == (code, "")
    assert message in ran.err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("model,model\nx,y\n", "given twice"),
        ("model,chip\nx,y,z\n", "3 cells in a table of 2 columns"),
        ('model,chip\n"x,y\n', "not a CSV table"),
    ],
)
def test_what_is_no_table_is_refused_with_its_place(capsys, tmp_path, text, message):
    ran = run(capsys, "predict", "serve", "--csv", a_table(tmp_path, text))

    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err
