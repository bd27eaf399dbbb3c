"""Units of prefill and decode replicas as offers: made of the best of each pool, sized by replay, planned and proved."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from seedcorn.domain.offer import Candidate, PrefillSide
from seedcorn.replay import CapacitySearch
from seedcorn.study import plan_scenario, resolve
from seedcorn.study.disaggregation import unit_of, with_units
from seedcorn.study.offers import offer_book, planned_traffic
from seedcorn.wire import plan_json, read_plan, read_scenario
from tests.study.scenarios import CHAT, POOLS, a_scenario_file

CODE = {
    **CHAT,
    "model": "Qwen/Qwen3-32B",
    "dtypes": ["fp8"],
    "traffic": {"trace": "azure-code", "rate_per_s": 6},
    "slo": {"ttft_p99": "1500 ms", "tpot_p99": "50 ms"},
    "engine": {"max_num_batched_tokens": 2048},
    "disaggregate": True,
}


def silent(*_: object) -> None:
    """No progress."""


def a_scenario(folder: Path, **changes: object):
    pools = [{**pool, "chips": 256} for pool in POOLS]
    service = {**CODE, **changes}
    path = a_scenario_file(
        folder, services=[service], training=[], fleet={"pools": pools}, planning={"classes": 1}
    )
    return read_scenario(path)


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    located = a_scenario(tmp_path_factory.mktemp("disaggregated"))
    scenario = resolve(located)
    return located, scenario, plan_scenario(scenario, silent)


def test_units_cost_less_than_replicas_that_do_everything(planned):
    """Long prompts and short answers within a tight TPOT: a prefill among decodes breaks it, so apart is cheaper."""
    _, scenario, plan = planned
    (service,) = plan.services
    assert plan.slos_held
    assert any(d.offer.candidate.prefill is not None for d in service.deployments)
    together = replace(scenario, services=(replace(scenario.services[0], disaggregate=False),))
    assert plan.objective > plan_scenario(together, silent).objective


def test_a_unit_that_spans_pools_takes_the_chips_of_both(planned):
    _, _, plan = planned
    (service,) = plan.services
    spanning = [a.offer.candidate for a in service.alternatives if len(a.offer.candidate.chips) == 2]
    assert spanning
    for candidate in spanning:
        side = candidate.prefill
        assert candidate.chips[candidate.pool] == side.decode_replicas * candidate.parallelism.chips
        assert candidate.chips[side.candidate.pool] == side.replicas * side.candidate.parallelism.chips
    used = {pool.pool: pool.used_by_services for pool in plan.pools}
    assert sum(used.values()) == sum(d.chips for d in service.deployments)
    for pool, chips in used.items():
        assert chips == sum(d.chips_of(pool) for d in service.deployments)


def test_the_plan_is_read_back_as_it_was_written(planned, tmp_path: Path):
    located, _, plan = planned
    (tmp_path / "plan.json").write_bytes(plan_json(plan, located, folder=tmp_path))
    read = read_plan(tmp_path / "plan.json").plan
    offers = [d.offer.candidate for d in plan.services[0].deployments]
    assert [d.offer.candidate for d in read.services[0].deployments] == offers


def test_the_ratio_carries_most_per_chip_of_all_ratios(planned):
    """Brute force over ratios of the same two replicas: the one that is offered is within a few per cent of the best.

    Few per cent, since sides are balanced by what each carries alone.
    """
    _, scenario, plan = planned
    (service,) = plan.services
    offer = next(a.offer for a in service.alternatives if a.offer.candidate.prefill is not None)
    traffic, slo = planned_traffic(scenario.services[0], scenario), scenario.services[0].slo

    def per_chip(candidate: Candidate) -> float:
        search = CapacitySearch(unit_of(candidate, scenario), traffic, slo)
        return search.capacity().rate_per_s / candidate.num_chips

    side = offer.candidate.prefill
    others = [
        replace(offer.candidate, prefill=PrefillSide(candidate=side.candidate, replicas=p, decode_replicas=d))
        for p, d in [(1, 1), (2, 1), (1, 2), (4, 1), (1, 4), (8, 1), (3, 2)]
    ]
    assert per_chip(offer.candidate) >= 0.95 * max(map(per_chip, others))


def test_a_pool_without_a_network_is_refused_by_name(tmp_path: Path):
    located = a_scenario(tmp_path)
    scenario = resolve(located)
    alone = replace(scenario, pools=tuple(replace(p, network_bytes_per_s=None) for p in scenario.pools[:1]))
    book = with_units(offer_book(alone, silent), alone, silent)
    (refused,) = [r for r in book.refusals["chat"] if r.candidate.prefill is not None]
    assert "pool 'h800' gives no 'network'" in refused.reason


def test_units_are_in_the_plan_document(planned, tmp_path: Path):
    located, _, plan = planned
    document = json.loads(plan_json(plan, located, folder=tmp_path))
    units = [offer for offer in document["services"][0]["offers"] if offer["prefill"] is not None]
    for unit in units:
        side = unit["prefill"]
        assert (
            unit["chips"]
            == side["replicas"] * side["tp"] * side["pp"] + side["decode_replicas"] * unit["tp"] * unit["pp"]
        )
