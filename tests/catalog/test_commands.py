"""``seedcorn chips`` and ``seedcorn models`` as a stranger meets them."""

import json

import pytest
import typer
from typer.testing import CliRunner

from seedcorn.catalog import chips, models
from seedcorn.cli.catalog import register


@pytest.fixture
def run():
    app = typer.Typer()
    register(app)

    def run(*arguments, **environment):
        result = CliRunner().invoke(app, arguments, env=environment, catch_exceptions=False)
        assert result.exit_code == 0
        assert result.stderr == ""
        return result.stdout

    return run


@pytest.mark.parametrize(("command", "number"), [("chips", len(chips())), ("models", len(models()))])
def test_the_list_has_a_line_for_each(run, command, number):
    header = 2 if command == "chips" else 1

    assert len(run(command).splitlines()) == number + header


@pytest.mark.parametrize("command", ["chips", "models"])
def test_a_hundred_columns_are_enough_for_the_list(run, command):
    lines = run(command, COLUMNS="100", NO_COLOR="1").splitlines()

    assert max(len(line) for line in lines) <= 100
    assert not any("\x1b" in line for line in lines)


def test_a_chip_is_shown_with_source_and_trust_of_each_fact(run):
    page = run("chips", "H800", COLUMNS="200")

    assert "nvidia-h800-sxm" in page.splitlines()[0]
    assert any(
        line.split() == ["memory_bandwidth", "3350", "GB/s", "vendor", "swk,", "semianalysis,", "epoch"]
        for line in page.splitlines()
    )
    assert "CC-BY-4.0" in page
    assert "confidence high" in page


def test_a_model_is_shown_with_its_origin(run):
    page = run("models", "hunyuan-a13b", COLUMNS="200")

    assert "80 billion, 13 billion a token" in page
    assert "from memory of the published configuration" in page


def test_json_carries_published_and_computed_values(run):
    h800 = json.loads(run("chips", "H800", "--json"))

    assert h800["name"] == "nvidia-h800-sxm"
    assert h800["facts"]["link_bandwidth"]["value"] == "400 GB/s"
    assert h800["facts"]["link_bandwidth"]["kind"] == "vendor"
    assert h800["chip"]["link_bytes_per_s"] == 200e9
    assert set(h800["facts"]["link_bandwidth"]["sources"]) <= set(h800["sources"])
    assert len(json.loads(run("chips", "--json"))) == 122
    assert json.loads(run("models", "glm-4.5", "--json"))["model"]["num_experts"] == 160


def test_an_estimate_is_marked_in_the_list(run):
    rows = {line.split()[0]: line for line in run("chips").splitlines()}

    assert "~313" in rows["huawei-ascend-910b3"]
    assert "~" not in rows["nvidia-h800-sxm"]
