"""The main job on a small fleet, checked from the plan's own definitions."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from seedcorn.domain.market import Status
from seedcorn.domain.plan import Plan
from seedcorn.domain.scenario import Scenario
from seedcorn.errors import Infeasible, InputError
from seedcorn.perf import StepModel
from seedcorn.study import plan_scenario, replay_plan, resolve
from seedcorn.study.offers import cautious_step_model
from seedcorn.wire import plan_json, read_plan, read_scenario, write_plan
from tests.study.scenarios import CHAT, POOLS, a_scenario_file


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


def planned(path: Path) -> Plan:
    return plan_scenario(resolve(read_scenario(path)), silent)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("small")


@pytest.fixture(scope="module")
def scenario(folder) -> Scenario:
    return resolve(read_scenario(a_scenario_file(folder)))


@pytest.fixture(scope="module")
def plan(scenario) -> Plan:
    return plan_scenario(scenario, silent)


def test_chips_of_every_pool_add_up(plan, scenario):
    for pool in plan.pools:
        services = sum(
            d.replicas * d.offer.candidate.parallelism.chips
            for s in plan.services
            for d in s.deployments
            if d.offer.candidate.pool == pool.pool
        )
        jobs = sum(job.chips for job in plan.jobs if job.pool == pool.pool)
        owned = scenario.pool(pool.pool)
        assert (pool.used_by_services, pool.used_by_jobs) == (services, jobs)
        assert services + jobs + pool.free + owned.spare == owned.chips
        assert pool.free >= 0


def test_freed_chips_are_those_needed_today_less_those_still_used(plan):
    assert plan.reference_pool == "h800"
    still_used = next(pool for pool in plan.pools if pool.pool == "h800").used_by_services
    assert plan.today_chips == sum(s.today_chips or 0 for s in plan.services) > 0
    assert plan.training_chips_freed == plan.today_chips - still_used > 0


def test_all_traffic_is_dealt_and_carried(plan, scenario):
    for service in plan.services:
        demand = scenario.service(service.service).rate_per_s * (1 + scenario.planning.load_margin)
        assert sum(d.share for d in service.deployments) == pytest.approx(1.0)
        for d in service.deployments:
            assert d.share * demand * service.load_factor <= d.replicas * d.offer.capacity_req_per_s * (
                1 + 1e-6
            )


def test_the_plan_is_proven_within_the_gap_asked(plan, scenario):
    assert plan.status is Status.OPTIMAL
    assert plan.objective <= plan.bound + 1e-9
    assert plan.gap <= scenario.planning.gap


def test_slos_held_says_what_the_replay_of_each_service_says(plan, scenario):
    held = [s.outcome.meets(scenario.service(s.service).slo) for s in plan.services]
    assert plan.slos_held == all(held) is True
    for service in plan.services:
        assert service.outcome.arrived == service.outcome.finished


def test_no_alternative_is_cheaper_than_the_first_and_the_choice_is_among_them(plan):
    for service in plan.services:
        for request_class in {a.offer.request_class for a in service.alternatives}:
            costs = [a.cost for a in service.alternatives if a.offer.request_class == request_class]
            assert costs == sorted(costs)
        assert {d.offer for d in service.deployments} <= {a.offer for a in service.alternatives}


def test_the_job_grows_into_the_chips_that_inference_leaves(plan):
    (job,) = plan.jobs
    assert (job.pool, job.chips) == ("h800", 56)  # 64 less 2 spare, in whole nodes of 8


def test_same_scenario_and_seed_give_the_same_bytes(plan, scenario, folder):
    located = read_scenario(folder / "scenario.yaml")
    again = plan_scenario(resolve(located), silent)
    assert plan_json(again, located, folder=folder) == plan_json(plan, located, folder=folder)


def test_a_plan_read_back_replays_to_the_same_outcomes(plan, folder):
    write_plan(folder / "plan.json", plan, read_scenario(folder / "scenario.yaml"))
    file = read_plan(folder / "plan.json")
    replayed = replay_plan(file.plan, resolve(file.scenario), silent)
    assert [s.outcome.finished for s in replayed.services] == [s.outcome.finished for s in plan.services]
    for again, before in zip(replayed.services, plan.services, strict=True):
        assert again.outcome.ttft.p99_s == pytest.approx(before.outcome.ttft.p99_s, rel=1e-6)
    assert replayed.slos_held == plan.slos_held


def test_step_times_are_slowed_to_the_quantile_that_the_confidence_asks_for(plan, scenario):
    candidate = plan.services[0].deployments[0].offer.candidate

    def at(confidence: float) -> StepModel:
        planning = replace(scenario.planning, confidence=confidence)
        return cautious_step_model(candidate, replace(scenario, planning=planning))

    median = at(0.5)
    assert median.log_sigma > 0
    assert at(0.975).dense_s / median.dense_s == pytest.approx(math.exp(1.959964 * median.log_sigma))


def test_a_service_that_nothing_can_serve_is_named_with_every_reason(tmp_path):
    path = a_scenario_file(tmp_path, services=[CHAT | {"slo": {"tpot_p99": "1 ms"}}])
    with pytest.raises(Infeasible, match="'chat' can run on no chip") as caught:
        planned(path)
    *reasons, remedy = caught.value.__notes__
    assert all("1 ms" in reason for reason in reasons if "tpot_p99" in reason)
    assert "nearest change that helps is tpot_p99 of" in remedy


def test_a_fleet_too_small_says_what_binds_and_what_would_work(tmp_path):
    flood = CHAT | {"traffic": {"trace": "azure-conv", "rate_per_s": 600}}
    pools = [pool | {"chips": 8, "spare": 0} for pool in POOLS]
    with pytest.raises(Infeasible, match="'small'") as caught:
        planned(a_scenario_file(tmp_path, fleet={"pools": pools}, services=[flood], training=[]))
    assert any(note.startswith("enough by itself: add ") for note in caught.value.__notes__)
    assert any("requests/s of service 'chat'" in note for note in caught.value.__notes__)
    assert any("relax " in note for note in caught.value.__notes__)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"fleet": {"pools": [POOLS[0] | {"chip": "H8000"}]}},
            r"scenario.yaml:\d+:\d+: unknown chip 'H8000'",
        ),
        (
            {"services": [CHAT | {"model": "Qwen/Qwen9"}]},
            r"scenario.yaml:\d+:\d+: unknown model 'Qwen/Qwen9'",
        ),
        (
            {"services": [CHAT | {"traffic": {"trace": "azure-cnv", "rate_per_s": 1}}]},
            r"scenario.yaml:\d+:\d+: unknown trace .*azure-conv",
        ),
    ],
)
def test_a_name_that_leads_nowhere_is_placed_and_has_suggestions(tmp_path, changes, match):
    with pytest.raises(InputError, match=match):
        resolve(read_scenario(a_scenario_file(tmp_path, **changes)))


def test_a_broken_trace_is_blamed_on_its_own_line(tmp_path):
    (tmp_path / "trace.csv").write_text("arrival_s,input_tokens,output_tokens\n0,10,5\n1,-3,5\n")
    service = CHAT | {"traffic": {"trace": "trace.csv", "rate_per_s": 1}}
    with pytest.raises(InputError, match=r"trace\.csv:3: input_tokens is '-3'"):
        resolve(read_scenario(a_scenario_file(tmp_path, services=[service])))
