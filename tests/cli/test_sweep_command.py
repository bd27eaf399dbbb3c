"""``seedcorn sweep``, as a user runs it."""

import csv
import json
from pathlib import Path

import pytest

from seedcorn.study import plan_scenario
from tests.cli.commands import run
from tests.study.scenarios import a_scenario_file

VARY = ("--vary", "services.chat.traffic.rate_per_s=2,4", "--vary", "fleet.pools.h20.chips=64,1")


def test_each_point_is_the_plan_of_the_changed_scenario(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    out = tmp_path / "sweep"
    swept = run(capsys, "sweep", a_scenario_file(tmp_path), *VARY, "--out", out, "--json")
    points = json.loads(swept.out)["points"]
    assert [list(point["changes"].values()) for point in points] == [
        ["2", "64"],
        ["2", "1"],
        ["4", "64"],
        ["4", "1"],
    ]
    fields = ("training_chips_freed", "today_chips", "objective", "gap", "slos_held", "status")
    for point in points:
        plan = json.loads((out / f"{point['inputs_hash'][:16]}.plan.json").read_text())
        assert {field: plan[field] for field in fields} == {field: point[field] for field in fields}
        assert plan["inputs"]["scenario"]["fleet"]["pools"][1]["chips"] == int(
            point["changes"]["fleet.pools.h20.chips"]
        )
        assert {p["pool"]: p["free"] for p in plan["pools"]} == {
            k: v["free"] for k, v in point["pools"].items()
        }
    with (out / "sweep.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["training_chips_freed"] for row in rows] == [str(p["training_chips_freed"]) for p in points]


def test_an_interrupted_sweep_goes_on_where_it_stopped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    planned: list[str] = []

    def interrupted_at_the_second(scenario, progress):
        planned.append(scenario.inputs_hash)
        if len(planned) == 2:
            raise KeyboardInterrupt
        return plan_scenario(scenario, progress)

    words = (
        "sweep",
        a_scenario_file(tmp_path),
        "--vary",
        "services.chat.traffic.rate_per_s=1,2,3",
        "--out",
        tmp_path / "s",
    )
    monkeypatch.setattr("seedcorn.study.what_if.plan_scenario", interrupted_at_the_second)
    assert run(capsys, *words).code == 130
    again = run(capsys, *words, "--json")
    assert again.code == 0
    assert "1 of 3 what-ifs" in again.err
    assert len(planned) == 4  # the first once, the second twice, the third once
    assert len(set(planned)) == 3
    assert len(json.loads(again.out)["points"]) == 3


def test_a_point_without_a_plan_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    swept = run(
        capsys,
        "sweep",
        a_scenario_file(tmp_path),
        "--vary",
        "services.chat.slo.ttft_p99=3 s,1 us",
        "--out",
        tmp_path / "s",
    )
    assert swept.code == 1
    assert "no plan" in swept.out
    assert "within the SLO" in swept.out


def test_a_wrong_value_is_refused_before_anything_is_planned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    swept = run(
        capsys,
        "sweep",
        a_scenario_file(tmp_path),
        "--vary",
        "fleet.pools.h20.chips=8,-1",
        "--out",
        tmp_path / "s",
    )
    assert swept.code == 2
    assert "fleet.pools.h20.chips=-1" in swept.err
    assert not list((tmp_path / "s").iterdir())
