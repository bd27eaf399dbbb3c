import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.commands import run
from tests.study.scenarios import CHAT, POOLS, a_scenario_file


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("plans")


@pytest.fixture(scope="module")
def plan_file(folder):
    """A plan of the small fleet, made by the command itself."""
    seedcorn = str(Path(sys.executable).with_name("seedcorn"))
    command = [seedcorn, "plan", str(a_scenario_file(folder)), "--out", "plan.json"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "chips freed for training, every SLO held in replay, gap " in done.stdout.splitlines()[0]
    return folder / "plan.json"


def test_explain_names_the_choice_the_alternatives_and_why_the_rest_is_none(plan_file, capsys):
    ran = run(capsys, "explain", plan_file, "chat")
    chosen = json.loads(plan_file.read_text())["services"][0]["deployments"][0]["offer"]
    assert ran.code == 0
    assert ran.out.startswith("chat goes to ") and chosen in ran.out
    assert "tpot_p99" in ran.out or "ttft_p99" in ran.out


def test_explain_of_an_unknown_service_suggests_the_known_ones(plan_file, capsys):
    ran = run(capsys, "explain", plan_file, "chatt")
    assert (ran.code, ran.out) == (2, "")
    assert "unknown service 'chatt'; did you mean chat?" in ran.err


def test_explain_of_a_pool_says_what_one_more_node_would_free(plan_file, capsys):
    ran = run(capsys, "explain", plan_file, "--pool", "h20")
    assert ran.code == 0 and ran.out.startswith("One more node of h20 (8 chips) is worth ")
    document = json.loads(run(capsys, "explain", plan_file, "--pool", "h20", "--json").out)
    assert document["kind"] == "pool-explanation"
    assert document["gain_least"] <= document["gain"] <= document["gain_most"]


@pytest.mark.parametrize("words", [(), ("chat", "--pool", "h20")])
def test_explain_is_of_a_service_or_of_a_pool(plan_file, capsys, words):
    ran = run(capsys, "explain", plan_file, *words)
    assert (ran.code, ran.out) == (2, "") and "one of the two" in ran.err


def test_a_plan_is_replayed_at_another_load(plan_file, capsys):
    assert run(capsys, "replay", plan_file, "--load", "1.0").code == 0
    flooded = run(capsys, "replay", plan_file, "--load", "50")
    assert flooded.code == 1 and "misses" in flooded.err


def test_json_is_all_that_stdout_holds(plan_file, capsys):
    explained = json.loads(run(capsys, "explain", plan_file, "chat", "--json").out)
    assert explained["kind"] == "explanation" and explained["alternatives"]
    outcome = json.loads(run(capsys, "replay", plan_file, "--json").out)
    assert outcome["kind"] == "outcome" and outcome["slos_held"] is True


def test_a_plan_whose_slo_is_missed_in_replay_exits_1_and_says_which(plan_file, folder, capsys):
    document = json.loads(plan_file.read_text())
    deployment = document["services"][0]["deployments"][0]
    document["services"][0]["deployments"] = [deployment | {"share": 1.0}]
    document["inputs"]["scenario"]["services"][0]["slo"] = {"ttft_p99": "1 ms"}
    broken = folder / "broken.json"
    broken.write_text(json.dumps(document))

    ran = run(capsys, "replay", broken)

    assert ran.code == 1
    assert "misses ttft_p99 in replay" in ran.err and "1 ms" in ran.err


def test_infeasible_exits_1_and_leaves_no_file(tmp_path, capsys):
    path = a_scenario_file(tmp_path, services=[CHAT | {"slo": {"tpot_p99": "1 ms"}}])
    ran = run(capsys, "plan", path, "--out", tmp_path / "plan.json")
    assert (ran.code, ran.out) == (1, "")
    assert "error: service 'chat' can run on no chip" in ran.err
    assert [file.name for file in tmp_path.iterdir()] == ["scenario.yaml"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"services": [CHAT | {"modell": "x"}]}, "did you mean 'model'"),
        ({"services": [CHAT | {"slo": {"ttft_p99": 3}}]}, "such as '2 s'"),
        ({"fleet": {"pools": [POOLS[0] | {"chips": 0}]}}, "at least 1"),
        ({"fleet": {"pools": [POOLS[0] | {"chip": "A100"}]}}, "ambiguous"),
    ],
)
def test_wrong_input_exits_2_with_its_place_and_what_would_work(tmp_path, capsys, changes, message):
    ran = run(capsys, "plan", a_scenario_file(tmp_path, **changes))
    assert (ran.code, ran.out) == (2, "")
    assert f"{tmp_path}/scenario.yaml:" in ran.err and message in ran.err
    assert "Traceback" not in ran.err


def test_what_is_not_used_yet_is_said(tmp_path, capsys):
    ran = run(
        capsys,
        "plan",
        a_scenario_file(
            tmp_path,
            fleet={"pools": [POOLS[0] | {"site": "Gui'an"}, *POOLS[1:]]},
            services=[CHAT | {"slo": {"tpot_p99": "1 ms"}}],
        ),
    )
    assert "warning: fleet.pools[0].site: nothing depends on sites yet" in ran.err


def test_a_place_that_cannot_be_written_is_refused_before_the_work(tmp_path, capsys):
    ran = run(capsys, "plan", a_scenario_file(tmp_path), "--out", tmp_path / "no" / "plan.json")
    assert (ran.code, ran.out) == (2, "")
    assert "cannot write" in ran.err and "capacity by replay" not in ran.err


def test_options_of_a_trace_do_not_go_with_a_plan(plan_file, capsys):
    ran = run(capsys, "replay", plan_file, "--rate", "5")
    assert ran.code == 2
    assert "--rate goes with --trace" in ran.err


def test_a_plan_is_replayed_while_nodes_fail(plan_file, folder, capsys):
    pool = json.loads(plan_file.read_text())["services"][0]["offers"][0]["pool"]
    (folder / "faults.csv").write_text(f"pool,node,lost_s,back_s\n{pool},0,600,1200\n{pool},999,0,\n")

    listed = run(capsys, "replay", plan_file, "--faults", folder / "faults.csv", "--json")
    drawn = run(capsys, "replay", plan_file, "--mtbf", "30 d", "--mttr", "2h", "--seed", 1)

    document = json.loads(listed.out)
    (chat,) = document["replays"]
    assert chat["outcome"]["retried"] > 0
    assert chat["outcome"]["finished"] + chat["outcome"]["refused"] == chat["outcome"]["arrived"]
    assert sum(used["finished"] for used in document["pools"]) == chat["outcome"]["finished"]
    assert "node 999 of pool" in listed.err
    assert drawn.code in (0, 1) and "retried" in drawn.out and "requests served" in drawn.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--mtbf", "30d"), "--mtbf and --mttr go together"),
        (("--mtbf", "30", "--mttr", "2h"), "'30' has no unit"),
        (("--mtbf", "0 s", "--mttr", "2h"), "must be above 0"),
        (("--mtbf", "1d", "--mttr", "2h", "--faults", "faults.csv"), "not both"),
        (("--faults", "none.csv"), "cannot read the faults"),
        (("--seed", 1), "--seed goes with --trace"),
    ],
)
def test_faults_that_make_no_sense_are_refused(plan_file, capsys, words, message):
    ran = run(capsys, "replay", plan_file, *words)
    assert (ran.code, ran.out) == (2, "")
    assert message in ran.err


def test_faults_without_a_plan_are_refused(capsys):
    ran = run(capsys, "replay", "--trace", "azure-code", "--mtbf", "1d", "--mttr", "1h")
    assert ran.code == 2 and "go with a plan.json" in ran.err


def test_replay_of_a_trace_needs_all_three_names(capsys):
    ran = run(capsys, "replay", "--trace", "azure-conv")
    assert ran.code == 2
    assert "missing: --model, --chip" in ran.err


def test_replay_of_a_trace_prints_every_latency_and_the_counts(capsys):
    words = ("replay", "--trace", "azure-code", "--model", "Qwen2.5-7B", "--chip", "H20", "--replicas", 2)
    ran = run(capsys, *words)
    assert ran.code == 0
    assert all(
        word in ran.out for word in ("TTFT", "TPOT", "ITL", "E2E", "p99", "8,819 requests arrived", "busy")
    )
    document = json.loads(run(capsys, *words, "--rate", "1", "--json").out)
    assert document["replays"][0]["outcome"]["refused"] == 0


def test_a_replica_that_does_not_fit_names_the_tp_that_would(capsys):
    ran = run(
        capsys, "replay", "--trace", "azure-conv", "--model", "Llama-3.1-70B", "--chip", "H20", "--tp", 1
    )
    assert ran.code == 1
    assert "does not fit 1 x nvidia-h20-96gb" in ran.err and "that fits: 2" in ran.err
