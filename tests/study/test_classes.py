"""Traffic split by length: against every other cut, measured in full, and from the plan's own definitions."""

import math
from collections import defaultdict
from dataclasses import replace

import pytest

from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import ALL_REQUESTS, RequestClass
from seedcorn.errors import Infeasible
from seedcorn.replay import capacity, part
from seedcorn.study import plan_scenario, replay_plan, resolve
from seedcorn.study.classes import LEAST_GAIN, chosen_classes, class_weights
from seedcorn.study.numeraire import numeraire
from seedcorn.study.offers import (
    cautious_step_model,
    demand_req_per_s,
    planned_traffic,
    serving_candidates,
)
from seedcorn.wire import read_plan, read_scenario, write_plan
from tests.study.scenarios import a_scenario_file

# Long contexts on a chip with much memory and one with little, which is cheap.
POOLS = [
    {"name": "h20", "chip": "H20", "chips": 64, "chips_per_node": 8, "price": 1.0},
    {"name": "a10", "chip": "A10", "chips": 64, "chips_per_node": 1, "price": 0.05},
]
DOCUMENTS = {
    "name": "documents",
    "model": "Qwen/Qwen2.5-7B-Instruct",
    "dtypes": ["fp8", "int8"],
    "traffic": {"trace": "mooncake-conversation", "rate_per_s": 2},
    "slo": {"ttft_p99": "30 s", "tpot_p99": "100 ms"},
}


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


def with_classes(scenario: Scenario, classes: int, *, output_known: bool = False) -> Scenario:
    return replace(scenario, planning=replace(scenario.planning, classes=classes, output_known=output_known))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("classes")


@pytest.fixture(scope="module")
def scenario(folder) -> Scenario:
    path = a_scenario_file(folder, fleet={"pools": POOLS}, services=[DOCUMENTS], training=[])
    return resolve(read_scenario(path))


@pytest.fixture(scope="module")
def unsplit(scenario):
    return plan_scenario(with_classes(scenario, 1), silent)


@pytest.fixture(scope="module")
def split(scenario):
    return plan_scenario(with_classes(scenario, 2), silent)


def test_short_requests_go_to_the_small_chip_and_long_ones_where_the_memory_is(split, unsplit):
    assert {d.offer.candidate.pool for d in unsplit.services[0].deployments} == {"h20"}

    pools = defaultdict(set)
    for d in split.services[0].deployments:
        pools[d.offer.request_class.input_upto is None].add(d.offer.candidate.pool)
    assert pools[True] == {"h20"}
    assert "a10" in pools[False]


def test_a_plan_with_classes_is_worth_more_and_holds_every_slo(split, unsplit):
    assert split.slos_held and unsplit.slos_held
    assert split.objective > unsplit.objective + LEAST_GAIN * abs(unsplit.objective)


def test_shares_of_each_class_add_up_to_the_class(split, scenario):
    (service,) = split.services
    shares: dict[RequestClass, float] = defaultdict(float)
    for d in service.deployments:
        shares[d.offer.request_class] += d.share
    trace = scenario.services[0].trace
    assert shares == pytest.approx(class_weights(tuple(shares), trace))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert sum(c.holds(trace).astype(int) for c in shares).tolist() == [1] * trace.num_requests


def test_every_class_is_carried_by_what_its_replicas_were_sized_for(split, scenario):
    (service,) = split.services
    demand = demand_req_per_s(scenario.services[0], scenario) * service.load_factor
    for d in service.deployments:
        assert d.share * demand <= d.replicas * d.offer.capacity_req_per_s * (1 + 1e-6)


def test_a_split_plan_read_back_replays_to_the_same_outcome(split, scenario, folder):
    write_plan(folder / "plan.json", split, read_scenario(folder / "scenario.yaml"))
    again = replay_plan(read_plan(folder / "plan.json").plan, scenario, silent)
    assert again.services[0].outcome.ttft.p99_s == pytest.approx(
        split.services[0].outcome.ttft.p99_s, rel=1e-6
    )
    assert again.slos_held


def test_the_cut_chosen_costs_no_more_than_any_other_measured_in_full(scenario):
    service, prices = scenario.services[0], numeraire(scenario).prices
    demand, traffic = demand_req_per_s(service, scenario), planned_traffic(service, scenario)

    def cost(request_class: RequestClass) -> float:
        """In whole replicas, every kind of replica sized on all of the class's traffic."""
        mine = request_class.holds(traffic)
        costs = []
        for candidate in serving_candidates(service, scenario):
            model = cautious_step_model(candidate, scenario)
            try:
                rate = capacity(model, candidate.engine, part(traffic, mine), service.slo).rate_per_s
            except Infeasible:
                continue
            replicas = math.ceil(demand * float(mine.mean()) / rate)
            costs.append(replicas * candidate.parallelism.chips * prices[candidate.pool])
        return min(costs, default=math.inf)

    (lower, upper) = chosen_classes(service, with_classes(scenario, 2), prices)
    chosen = cost(lower) + cost(upper)
    others = [sum(map(cost, ALL_REQUESTS.split(input_at=n))) for n in (2306, 6909, 27367)]  # quantiles
    assert chosen <= min(others) * 1.05  # estimates are made on a sample, to 2 %
    assert chosen < (1 - LEAST_GAIN) * cost(ALL_REQUESTS)


def test_outputs_split_traffic_only_where_the_router_knows_them(scenario):
    service, prices = scenario.services[0], numeraire(scenario).prices
    blind = chosen_classes(service, with_classes(scenario, 3), prices)
    assert all(c.output_above == 0 and c.output_upto is None for c in blind)

    knowing = chosen_classes(service, with_classes(scenario, 3, output_known=True), prices)
    held = sum(c.holds(service.trace).astype(int) for c in knowing)
    assert (held.min(), held.max()) == (1, 1)
    assert len(knowing) > 1
