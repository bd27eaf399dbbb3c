"""What runs today, as said and as derived; and the way from there."""

from dataclasses import replace
from typing import Any

import pytest

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.plan import Plan
from seedcorn.domain.scenario import Scenario
from seedcorn.study import plan_scenario, resolve
from seedcorn.study.offers import OfferBook, offer_book
from seedcorn.study.today import running_today
from seedcorn.wire import read_scenario
from tests.study.scenarios import CHAT, a_scenario_file


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory) -> Scenario:
    today = {"pool": "h800", "dtype": "bf16", "tp": 2, "replicas": 5}
    path = a_scenario_file(tmp_path_factory.mktemp("today"), services=[CHAT | {"today": today}], training=[])
    return resolve(read_scenario(path))


@pytest.fixture(scope="module")
def book(scenario) -> OfferBook:
    return offer_book(scenario, silent)


def with_today(scenario: Scenario, **changes: Any) -> Scenario:
    (service,) = scenario.services
    assert service.today is not None
    return replace(scenario, services=(replace(service, today=replace(service.today, **changes)),))


def test_what_is_said_is_taken_as_it_is(scenario, book):
    ((running,),) = running_today(scenario, book, silent).values()
    assert (running.kind, running.replicas, running.chips, running.derived) == ("h800/bf16/tp2", 5, 10, ())


def test_a_count_left_out_is_the_least_that_carries_the_planned_rate(scenario, book):
    ((running,),) = running_today(with_today(scenario, replicas=None), book, silent).values()
    demand = scenario.services[0].rate_per_s * (1 + scenario.planning.load_margin)
    assert running.derived == ("replicas",)
    assert running.kind == "h800/bf16/tp2"
    assert (running.replicas - 1) * running.capacity_req_per_s < demand
    assert running.replicas * running.capacity_req_per_s >= demand


def test_everything_left_out_takes_no_more_chips_than_any_single_offer_there(scenario, book):
    bare = with_today(scenario, dtype=None, tp=None, replicas=None)
    running = running_today(bare, book, silent)["chat"]
    demand = scenario.services[0].rate_per_s * (1 + scenario.planning.load_margin)
    alone = [
        -(-demand // offer.capacity_req_per_s) * offer.candidate.parallelism.chips
        for offer in book.offers["chat"]
        if offer.candidate.pool == "h800"
    ]
    assert sum(r.chips for r in running) <= min(alone)


def test_replicas_outside_their_slo_hold_chips_and_carry_what_they_carry(scenario, book):
    odd = with_today(scenario, dtype=Dtype.FP32)
    ((running,),) = running_today(odd, book, silent).values()
    assert (running.kind, running.chips) == ("h800/fp32/tp2", 10)
    assert running.capacity_req_per_s * running.replicas == pytest.approx(scenario.services[0].rate_per_s)


def test_replicas_of_which_nobody_knows_the_size_are_unknown(scenario, book):
    assert running_today(with_today(scenario, dtype=Dtype.FP32, tp=None), book, silent)["chat"] == ()


def after(plan: Plan) -> dict[str, int]:
    """Replicas of each kind when every wave is done."""
    counts = {r.kind: r.replicas for s in plan.services for r in s.running}
    for wave in plan.waves:
        for move in wave.starts:
            counts[move.kind] = counts.get(move.kind, 0) + move.replicas
        for move in wave.stops:
            counts[move.kind] -= move.replicas
    return {kind: count for kind, count in counts.items() if count}


def test_the_waves_of_a_plan_lead_from_today_to_it(scenario):
    plan = plan_scenario(scenario, silent)
    (service,) = plan.services
    assert plan.today_chips == 10
    assert after(plan) == {d.offer.candidate.name: d.replicas for d in service.deployments}
    assert all(wave.start_s > 60 for wave in plan.waves if wave.starts)  # the engine alone takes 60


def test_no_moves_allowed_leaves_the_service_where_it_is(scenario):
    still = replace(scenario, planning=replace(scenario.planning, max_moves=0))
    plan = plan_scenario(still, silent)
    assert {d.offer.candidate.name for d in plan.services[0].deployments} == {"h800/bf16/tp2"}
    assert not any(wave.starts for wave in plan.waves)


def test_a_move_that_must_gain_more_than_it_does_is_not_made(scenario):
    sticky = replace(scenario, planning=replace(scenario.planning, stickiness=100.0))
    plan = plan_scenario(sticky, silent)
    assert {d.offer.candidate.name for d in plan.services[0].deployments} == {"h800/bf16/tp2"}
