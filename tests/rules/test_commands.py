"""``seedcorn rules`` as a stranger meets it."""

import json

import pytest
import typer
from typer.testing import CliRunner

from seedcorn.catalog import chips
from seedcorn.cli.rules import register
from seedcorn.errors import AmbiguousName, InputError, UnknownName
from seedcorn.rules import rulebook


@pytest.fixture
def run():
    app = typer.Typer()
    register(app)

    def run(*arguments):
        result = CliRunner().invoke(app, ["rules", *arguments], env={"NO_COLOR": "1"}, catch_exceptions=False)
        assert result.exit_code == 0
        assert result.stderr == ""
        return result.stdout

    return run


def test_check_answers_in_one_document(run):
    answer = json.loads(run("check", "H800", "--to", "cn", "--on", "2023-12-01", "--json"))

    assert answer["seedcorn"] == 1
    assert answer["kind"] == "rules-check"
    assert answer | {"reasons": [], "sources": [], "signals": [], "disclaimer": ""} == {
        "seedcorn": 1,
        "kind": "rules-check",
        "chip": "nvidia-h800-sxm",
        "to": "CN",
        "hq": "CN",
        "end_use": None,
        "with_unenforced": False,
        "on": "2023-12-01",
        "version": "R2",
        "tpp": 15832.0,
        "performance_density": pytest.approx(15832 / 814),
        "class": "3A090.a.1",
        "outcome": "presumption_of_denial",
        "exception": None,
        "notice_days": None,
        "domestic": False,
        "die_areas": [],
        "reasons": [],
        "sources": [],
        "signals": [],
        "disclaimer": "",
    }
    assert {"cite": "88 FR 73458", "status": "text read"}.items() <= answer["sources"][0].items()
    assert "not legal advice" in answer["disclaimer"]


def test_an_unknown_answer_is_an_answer_with_the_bound_that_decides(run):
    answer = json.loads(run("check", "tpu-v4", "--to", "CN", "--on", "2023-12-01", "--json"))

    assert answer["outcome"] == "unknown"
    assert [area["item"] for area in answer["die_areas"]] == ["3A090.a", "3A090.b", "none"]
    assert answer["die_areas"][0]["up_to_mm2"] == pytest.approx(4400 / 5.92)
    assert answer["die_areas"][-1]["up_to_mm2"] is None


def test_the_page_says_why_by_which_text_and_that_it_is_no_advice(run):
    page = " ".join(run("check", "A30", "--to", "CN", "--on", "2026-03-01").split())

    assert "outcome exception NAC, notice 25 days" in page
    assert "TPP 2,644" in page
    assert "88 FR 73458" in page
    assert "not legal advice" in page
    assert "headquarters CN (taken: the destination)" in page


def test_a_chip_may_be_a_file_of_specs(run, tmp_path):
    file = tmp_path / "ours.toml"
    file.write_text(
        'name = "ours"\nvendor = "Us"\nfamily = "ours"\n\n[facts]\nint8 = "300 TOP/s"\ndie_area = "300 mm2"\n'
        'marketed_for_datacenter = true\nvendor_country = "US"\n'
    )

    answer = json.loads(run("check", str(file), "--to", "CN", "--on", "2023-12-01", "--json"))

    assert (answer["tpp"], answer["performance_density"]) == (2400.0, 8.0)
    assert (answer["class"], answer["outcome"]) == ("3A090.a.2", "presumption_of_denial")
    assert any("estimate" in reason for reason in answer["reasons"])


def test_diff_finds_the_chips_that_the_rule_of_2023_caught(run):
    answer = json.loads(run("diff", "--on", "2022-11-15", "--and", "2023-12-01", "--json"))

    changed = {entry["chip"]: entry for entry in answer["chips"]}
    assert changed["nvidia-h800-sxm"]["before"]["outcome"] == "no_licence"
    assert changed["nvidia-h800-sxm"]["after"]["outcome"] == "presumption_of_denial"
    assert changed["nvidia-l4"]["after"]["class"] == "3A090.a.2"
    assert "nvidia-a10" not in changed
    assert "nvidia-l20" not in changed


def test_diff_of_a_rule_that_changes_no_outcome_says_so(run):
    page = " ".join(run("diff", "--on", "2024-11-01", "--and", "2024-12-03").split())

    assert f"0 of {len(chips())} chips change" in page


def test_list_has_every_version_with_its_text(run):
    document = json.loads(run("list", "--json"))

    assert [version["version"] for version in document["versions"]] == [f"R{n}" for n in range(15)]
    page = " ".join(run("list").split())
    assert all(version.citation.version in page for version in rulebook().versions)
    assert "Texts read up to 2026-09-24" in page


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["H800", "--to", "XX"], UnknownName, "unknown destination 'XX'"),
        (["H800", "--to", "CN", "--hq", "China"], UnknownName, "unknown destination 'China'"),
        (
            ["H800", "--to", "CN", "--on", "17.11.2023"],
            InputError,
            "--on: expected a date, such as 2026-01-15",
        ),
        (["H800", "--to", "CN", "--on", "2023-02-30"], InputError, "--on: expected a date"),
        (["H800", "--to", "CN", "--on", "2022-08-25"], InputError, "before the first rule"),
        (["H801", "--to", "CN"], UnknownName, "unknown chip 'H801'"),
        (["A100", "--to", "CN"], AmbiguousName, "nvidia-a100-sxm4-80gb"),
        (["H800", "--to", "CN", "--end-use", "gaming"], InputError, "known are entity-list, supercomputer"),
        (["no-such.toml", "--to", "CN"], InputError, "no such file"),
    ],
)
def test_wrong_input_is_named_with_what_would_work(run, arguments, error, message):
    with pytest.raises(error) as caught:
        run("check", *arguments)

    assert message in str(caught.value)
    assert caught.value.exit_code == 2
