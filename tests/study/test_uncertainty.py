"""What a plan does not know, what that costs, and which measurement would end it."""

import math
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from seedcorn.cli.app import app
from seedcorn.domain.offer import Evidence
from seedcorn.report.plan import explain_page
from seedcorn.report.wanted import measure_command, wanted_page
from seedcorn.study import plan_scenario, resolve, wanted
from seedcorn.study.offers import demand_req_per_s
from seedcorn.wire import read_plan, read_scenario, write_plan
from tests.study.scenarios import CHAT, a_scenario_file


def silent(what, done, total):
    """No progress."""


@pytest.fixture(scope="module")
def located(tmp_path_factory):
    busy = {
        **CHAT,
        "traffic": {"trace": "azure-conv", "rate_per_s": 20},
    }  # many replicas, so that doubt takes some
    return read_scenario(a_scenario_file(tmp_path_factory.mktemp("doubt"), services=[busy]))


@pytest.fixture(scope="module")
def scenario(located):
    return resolve(located)


@pytest.fixture(scope="module")
def plan(scenario):
    return plan_scenario(scenario, silent)


@pytest.fixture(scope="module")
def found(plan, scenario):
    """The measurements worth making."""
    return wanted(plan, scenario, silent)


def deployments(plan):
    return [(service, d) for service in plan.services for d in service.deployments]


def test_the_planned_capacity_lies_between_the_slow_end_and_the_likely_one(plan):
    for _, deployment in deployments(plan):
        capacity = deployment.uncertainty.capacity_req_per_s
        assert capacity.low < deployment.offer.capacity_req_per_s < capacity.value < capacity.high


def test_doubt_costs_the_replicas_that_the_likely_capacity_would_not_need(plan, scenario):
    for service, deployment in deployments(plan):
        load = deployment.share * demand_req_per_s(scenario.service(service.service), scenario)
        likely = load / deployment.uncertainty.capacity_req_per_s.value
        planned = load / deployment.offer.capacity_req_per_s
        saved = math.ceil(planned - 1e-9) - math.ceil(likely - 1e-9)
        assert deployment.uncertainty.replicas == deployment.replicas - saved
        assert deployment.chips_for_uncertainty == saved * deployment.offer.candidate.parallelism.chips


def test_a_plan_sized_at_the_prediction_itself_spends_nothing_on_doubt(scenario):
    even = replace(scenario, planning=replace(scenario.planning, confidence=0.5))

    plan = plan_scenario(even, silent)

    assert deployments(plan)
    assert plan.cost_of_uncertainty(plan.services) == 0
    assert all(d.chips_for_uncertainty == 0 for _, d in deployments(plan))


def test_a_plan_file_keeps_what_is_uncertain(plan, located, tmp_path):
    write_plan(tmp_path / "plan.json", plan, located)

    again = read_plan(tmp_path / "plan.json").plan

    for (_, ours), (_, theirs) in zip(deployments(plan), deployments(again), strict=True):
        assert theirs.uncertainty.replicas == ours.uncertainty.replicas
        assert theirs.uncertainty.capacity_req_per_s.value == pytest.approx(
            ours.uncertainty.capacity_req_per_s.value
        )


def test_explain_says_what_doubt_costs(plan):
    service = plan.services[0]
    chips = sum(d.chips_for_uncertainty for d in service.deployments)

    text = "\n".join(part for part in explain_page(plan, service) if isinstance(part, str))

    assert f"Uncertainty takes {chips:,} of its chips" in text
    assert "nine times in ten" in text


def test_what_measuring_frees_is_what_doubt_costs(plan, found):
    assert sum(one.frees for one in found) == pytest.approx(plan.cost_of_uncertainty(plan.services))
    assert [one.worth for one in found] == sorted((one.worth for one in found), reverse=True)
    assert all(one.worth > 0 and one.evidence is not Evidence.MEASURED for one in found)


def test_the_command_it_prints_is_one_that_runs(plan, found):
    command = measure_command(found[0])

    result = CliRunner().invoke(app, command.replace("http://SERVER:8000", "http://127.0.0.1:9").split()[1:])

    assert "127.0.0.1:9" in str(result.exception)  # every option was understood; nobody answers there
    printed = [
        part for part in wanted_page(found[:1], plan.reference_pool) if "evidence measure" in str(part)
    ]
    assert [str(part).replace("\\\n", "").split() for part in printed] == [command.split()]
