"""A day in slots: replicas follow demand, training and sales take what the trough leaves, every slot is replayed."""

import math
from dataclasses import replace

import numpy as np
import pytest

from seedcorn.domain.plan import Alternative, Deployment, Plan
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service
from seedcorn.study import plan_scenario, replay_plan, resolve
from seedcorn.study.slots import slot_factors, slot_name, slot_trace
from seedcorn.study.switchover import tight_starts
from seedcorn.wire import read_plan, read_scenario, write_plan
from tests.replay.builders import a_trace
from tests.study.scenarios import CHAT, a_scenario_file

SLOTS = 4
HOURLY = [2.0] * 6 + [6.0] * 5 + [10.0] + [8.0] * 6 + [4.0] * 6  # requests/s: 10 in the hour before noon
POOLS = [
    {"name": "h800", "chip": "H800", "chips": 40, "chips_per_node": 8, "network": "400 Gb/s"},
    {"name": "l20", "chip": "L20", "chips": 8, "chips_per_node": 8, "network": "50 Gb/s"},
]
GANG = {
    "name": "gang",
    "params": 7e9,
    "tokens": 1e11,
    "pools": ["h800"],
    "chips": {"min": 8, "max": 8},
    "deadline": "30 d",
}
NIGHTLY = {
    "name": "nightly",
    "params": 7e9,
    "pools": ["h800"],
    "chips": {"min": 8, "max": 32},
    "elastic": True,
}
SPOT = {
    "name": "spot",
    "pool": "h800",
    "max_chips": 6,
    "price": "2 USD/chip-hour",
    "kind": "spot",
    "notice": "5 min",
}
RESERVED = {
    "name": "reserved",
    "pool": "l20",
    "max_chips": 2,
    "price": "1 USD/chip-hour",
    "kind": "reserved",
}


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


def a_tidal_scenario(folder, **changes) -> Scenario:
    rows = "".join(f"{3600 * hour},{rate}\n" for hour, rate in enumerate(HOURLY))
    (folder / "day.csv").write_text("start_s,rate_per_s\n" + rows)
    chat = CHAT | {
        "model": "Qwen/Qwen3-32B",
        "dtypes": ["fp8"],
        "traffic": {"trace": "azure-conv", "rate_per_s": 45, "day": "day.csv"},
    }
    document = {
        "fleet": {"pools": POOLS},
        "services": [chat],
        "training": [GANG, NIGHTLY],
        "resale": [SPOT, RESERVED],
        "planning": {"slots": SLOTS, "classes": 1},
        **changes,
    }
    return resolve(read_scenario(a_scenario_file(folder, **document)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("day")


@pytest.fixture(scope="module")
def scenario(folder) -> Scenario:
    return a_tidal_scenario(folder)


@pytest.fixture(scope="module")
def plan(scenario) -> Plan:
    return plan_scenario(scenario, silent)


def test_demand_of_a_slot_is_that_of_its_busiest_hour(scenario):
    mean = sum(HOURLY) / 24
    chat = scenario.services[0]
    assert slot_factors(chat, 24) == pytest.approx([rate / mean for rate in HOURLY])
    assert slot_factors(chat, 4) == pytest.approx([2 / mean, 10 / mean, 8 / mean, 4 / mean])
    assert slot_factors(chat, 1) == pytest.approx([10 / mean])
    assert slot_factors(replace(chat, day=None), 3) == (1.0, 1.0, 1.0)


def test_a_trace_of_whole_days_is_cut_into_slots_by_the_clock(scenario):
    at_hour = np.array([1.0, 13.0, 23.5, 25.0, 37.5, 47.0])
    trace = a_trace(3600 * at_hour, np.arange(1, 7), np.ones(6))
    through_days: Service = replace(scenario.services[0], day=None, trace=trace)
    morning, evening = (slot_trace(through_days, slot, 2) for slot in (0, 1))
    assert (morning.arrival_s / 3600).tolist() == [1.0, 13.0]  # 01:00 of either day, 12 h of each
    assert (evening.arrival_s / 3600).tolist() == [1.0, 11.5, 13.5, 23.0]
    assert evening.input_tokens.tolist() == [2, 3, 5, 6]


def test_every_slot_has_the_replicas_that_its_demand_takes_and_no_more(plan, scenario):
    (service,) = plan.services
    for slot in service.slots:
        here = [d for d in service.deployments if d.slot == slot.slot]
        assert sum(d.share for d in here) == pytest.approx(1.0)
        demand = slot.demand_req_per_s * slot.load_factor
        carried = sum(d.replicas * d.offer.capacity_req_per_s for d in here)
        assert carried >= demand * (1 - 1e-6)
        if len(here) == 1:
            assert here[0].replicas == math.ceil(demand / here[0].offer.capacity_req_per_s - 1e-6)


def test_chips_of_every_slot_add_up_and_are_there(plan, scenario):
    for pool in plan.pools:
        usable = scenario.pool(pool.pool).usable_chips
        for slot in pool.slots:
            services = sum(
                d.chips
                for s in plan.services
                for d in s.deployments
                if (d.slot, d.offer.candidate.pool) == (slot.slot, pool.pool)
            )
            jobs = sum(j.chips for j in plan.jobs if j.pool == pool.pool and j.slot in (None, slot.slot))
            sold = sum(sale.chips[slot.slot] for sale in plan.resale if sale.pool == pool.pool)
            assert (slot.used_by_services, slot.used_by_jobs, slot.sold) == (services, jobs, sold)
            assert slot.used <= usable
        assert pool.free == usable - max(slot.used for slot in pool.slots)


def test_a_gang_keeps_its_chips_all_day_and_an_elastic_job_gives_them_back_before_the_peak(plan):
    gangs = [job for job in plan.jobs if job.job == "gang"]
    assert [(job.slot, job.chips) for job in gangs] == [(None, 8)]
    nightly = {job.slot: job.chips for job in plan.jobs if job.job == "nightly"}
    assert sorted(nightly) == list(range(SLOTS))
    night, peak = 0, 1
    assert nightly[night] > nightly[peak]


def test_chips_are_sold_slot_by_slot_or_all_day_and_only_those_left_over(plan, tmp_path):
    spot, reserved = plan.resale
    assert reserved.chips == (2, 2, 2, 2)  # no service is better off there
    assert spot.income_a_day == pytest.approx(2.0 * 24 / SLOTS * sum(spot.chips))
    (h800, _) = plan.pools
    left = [40 - slot.used_by_services - slot.used_by_jobs for slot in h800.slots]
    assert sum(spot.chips) > 0
    for slot in range(SLOTS):
        assert spot.chips[slot] == min(left[slot], 6)  # the dearer product first

    unsold = plan_scenario(a_tidal_scenario(tmp_path, resale=[]), silent)
    assert unsold.jobs == plan.jobs and unsold.objective == plan.objective


def test_a_sale_displaces_training_where_it_is_priced_to(plan, tmp_path):
    dear = a_tidal_scenario(
        tmp_path,
        resale=[SPOT | {"max_chips": 32}],
        planning={"slots": SLOTS, "classes": 1, "reference_price": "0.1 USD/chip-hour"},
    )
    priced = plan_scenario(dear, silent)
    (spot,) = priced.resale
    assert sum(job.chips for job in priced.jobs if job.job == "nightly") == 0
    assert sum(job.chips for job in plan.jobs if job.job == "nightly") > 0
    assert [job.chips for job in priced.jobs if job.job == "gang"] == [8]  # it has a deadline
    assert priced.slos_held and sum(spot.chips) > sum(plan.resale[0].chips)
    assert priced.gap <= dear.planning.gap


def test_every_slot_is_replayed_and_the_worst_one_is_shown(plan, scenario):
    (service,) = plan.services
    slo = scenario.services[0].slo
    assert plan.slos_held and all(slot.outcome.meets(slo) for slot in service.slots)
    assert service.outcome in [slot.outcome for slot in service.slots]
    arrived = [slot.outcome.arrived for slot in service.slots]
    demand = [slot.demand_req_per_s for slot in service.slots]
    assert np.array(arrived) / arrived[0] == pytest.approx(np.array(demand) / demand[0], rel=0.01)


def test_a_plan_read_back_is_the_same_and_replays_to_the_same(plan, scenario, folder):
    write_plan(folder / "plan.json", plan, read_scenario(folder / "scenario.yaml"))
    file = read_plan(folder / "plan.json")
    assert file.plan.resale == plan.resale
    assert [(j.job, j.slot, j.chips) for j in file.plan.jobs] == [(j.job, j.slot, j.chips) for j in plan.jobs]
    again = replay_plan(file.plan, scenario, silent)
    p99 = [slot.outcome.ttft.p99_s for slot in plan.services[0].slots]
    assert [slot.outcome.ttft.p99_s for slot in again.services[0].slots] == pytest.approx(p99, rel=1e-6)


def test_a_slot_with_too_few_replicas_is_named(plan, scenario):
    (service,) = plan.services
    peak = max(range(SLOTS), key=lambda slot: service.slots[slot].demand_req_per_s)
    starved = tuple(
        replace(d, replicas=max(d.replicas // 2, 1)) if d.slot == peak else d for d in service.deployments
    )
    again = replay_plan(replace(plan, services=(replace(service, deployments=starved),)), scenario, silent)
    assert again.slos_held is False
    assert all("'chat' from 06:00-12:00 misses" in warning for warning in again.warnings)


def test_slots_are_named_by_the_clock():
    assert [slot_name(slot, 16) for slot in (0, 15)] == ["00:00-01:30", "22:30-24:00"]


def test_replicas_that_start_while_others_serve_need_chips_for_both(plan, scenario):
    """From 32 chips of one kind to 32 of another takes 64 at once; the pool has 40, of which a gang keeps 8."""
    (service,) = plan.services
    one, other = [alternative.offer for alternative in service.alternatives if _is_on_h800(alternative)][:2]
    size = [offer.candidate.num_chips for offer in (one, other)]
    counts = [32 // chips for chips in size]
    swap = {
        "chat": (
            Deployment(offer=one, replicas=counts[0], share=1.0, slot=0),
            *(Deployment(offer=other, replicas=counts[1], share=1.0, slot=slot) for slot in (1, 2, 3)),
        )
    }
    (warning,) = tight_starts(scenario, swap, plan.jobs, plan.resale)
    assert "pool 'h800' lacks 32 chips" in warning and "00:00" in warning

    grow = {
        "chat": tuple(
            Deployment(offer=one, replicas=n, share=1.0, slot=slot) for slot, n in enumerate((1, 4, 4, 2))
        )
    }
    assert tight_starts(scenario, grow, plan.jobs, plan.resale) == ()


def _is_on_h800(alternative: Alternative) -> bool:
    return alternative.offer.candidate.chips.keys() == {"h800"}
