"""One more node against a plan made with it."""

from dataclasses import replace

import pytest

from seedcorn.domain.hardware import PoolName
from seedcorn.errors import UnknownName
from seedcorn.planner import solve
from seedcorn.study import node_worth, plan_scenario, resolve
from seedcorn.study.numeraire import numeraire
from seedcorn.study.worth import market_of_plan
from seedcorn.wire import read_plan, read_scenario, write_plan
from tests.study.scenarios import a_scenario_file

H800 = PoolName("h800")


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    path = a_scenario_file(tmp_path_factory.mktemp("worth"), planning={"classes": 1})
    scenario = resolve(read_scenario(path))
    write_plan(path.parent / "plan.json", plan_scenario(scenario, silent), read_scenario(path))
    return read_plan(path.parent / "plan.json").plan, scenario


def test_the_market_rebuilt_from_a_plan_is_worth_what_the_plan_is(planned):
    plan, scenario = planned
    answer = solve(market_of_plan(plan, scenario, numeraire(scenario)), gap=1e-6)
    assert answer.objective is not None
    assert answer.objective >= plan.objective - 1e-6 * abs(plan.objective)
    assert answer.objective <= plan.bound + 1e-6 * abs(plan.bound)


def test_a_node_is_worth_what_a_plan_of_the_larger_fleet_gains(planned):
    plan, scenario = planned
    worth = node_worth(plan, scenario, H800, silent)

    pools = tuple(replace(p, chips=p.chips + 8) if p.name == H800 else p for p in scenario.pools)
    larger = plan_scenario(replace(scenario, pools=pools), silent)
    slack = 2 * scenario.planning.gap * abs(larger.bound)  # two plans, each within the gap
    assert worth.gain - worth.unused == pytest.approx(larger.objective - plan.objective, abs=slack)
    assert worth.gain_least <= worth.gain <= worth.gain_most
    (job,) = [change for change in worth.changes if change.claimant == "next"]
    assert job.with_node - job.without == 8  # the gang grows into it


def test_a_pool_that_is_none_is_refused_with_those_there_are(planned):
    plan, scenario = planned
    with pytest.raises(UnknownName, match=r"h80.*h800"):
        node_worth(plan, scenario, PoolName("h80"), silent)
