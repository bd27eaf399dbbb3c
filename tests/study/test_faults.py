"""Nodes that fail under a plan: which replicas go with them, and what becomes of the requests."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.domain.fault import FaultRates, Outage
from seedcorn.domain.hardware import Dtype, PoolName
from seedcorn.domain.offer import Candidate, Evidence, Offer, Parallelism
from seedcorn.domain.plan import Deployment
from seedcorn.domain.workload import EngineSettings, Router, Routing, Spill
from seedcorn.replay import Spell
from seedcorn.study import resolve
from seedcorn.study.faults import Standing, fault_spells, idle_outages, standings
from seedcorn.study.proof import misses, no_spill, replay_service
from seedcorn.wire import read_scenario
from tests.study.scenarios import CHAT, a_scenario_file

H20, L20 = PoolName("h20"), PoolName("l20")


def a_standing(replicas, chips, *, chips_per_node=8, first_node=0):
    return Standing(
        pool=H20, first_node=first_node, replicas=replicas, chips=chips, chips_per_node=chips_per_node
    )


@given(replicas=st.integers(1, 40), chips=st.integers(1, 20), chips_per_node=st.sampled_from([1, 4, 8]))
def test_every_replica_stands_on_as_many_nodes_as_its_chips_need(replicas, chips, chips_per_node):
    standing = a_standing(replicas, chips, chips_per_node=chips_per_node)
    on = [list(standing.replicas_on(node)) for node in range(standing.num_nodes)]

    for replica in range(replicas):
        assert sum(replica in here for here in on) == math.ceil(chips / chips_per_node)
    for here in on:
        assert len(here) >= 1 and (len(here) == 1 or len(here) * chips <= chips_per_node)


def test_a_listed_outage_takes_every_replica_of_its_node_and_no_other():
    stand = [a_standing(3, 4), a_standing(5, 2, first_node=2)]

    spells = fault_spells(stand, [Outage(pool=H20, node=2, lost_s=10.0, back_s=20.0)], until_s=100.0)

    assert {(spell.group, spell.replica) for spell in spells} == {(1, 0), (1, 1), (1, 2), (1, 3)}
    assert Spell(group=1, replica=2, to_s=10.0, lost=True) in spells
    assert Spell(group=1, replica=2, from_s=20.0) in spells


def test_an_outage_elsewhere_is_said_to_change_nothing():
    stand = {"chat": [a_standing(3, 4)]}
    hit, beside = (Outage(pool=H20, node=node, lost_s=1.0) for node in (1, 2))

    assert idle_outages(stand, [hit, beside]) == (beside,)


def test_nodes_fail_as_often_as_renewal_theory_says():
    """A node that starts repaired fails T·λμ/(λ+μ) + (λ/(λ+μ))² times by a late T; the variance is T·σ²/m³ of a cycle."""
    rates, until_s, nodes = FaultRates(mtbf_s=30.0, mttr_s=10.0), 4_000.0, 300

    spells = fault_spells([a_standing(nodes, 8)], rates, until_s=until_s)

    expected = nodes * (until_s / 40.0 + 0.25**2)
    sigma = math.sqrt(nodes * until_s * (30.0**2 + 10.0**2) / 40.0**3)
    assert sum(spell.lost for spell in spells) == pytest.approx(expected, abs=4 * sigma)


def test_a_node_fails_at_the_same_times_whatever_else_the_plan_holds():
    rates = FaultRates(mtbf_s=30.0, mttr_s=10.0, seed=5)

    few = fault_spells([a_standing(2, 8)], rates, until_s=500.0)
    many = fault_spells([a_standing(9, 8)], rates, until_s=500.0)

    assert set(few) == {spell for spell in many if spell.replica < 2}
    assert few != fault_spells([a_standing(2, 8)], replace(rates, seed=6), until_s=500.0)


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    chat = CHAT | {"traffic": {"trace": "azure-conv", "rate_per_s": 2}}
    return resolve(read_scenario(a_scenario_file(tmp_path_factory.mktemp("faults"), services=[chat])))


def a_deployment(scenario, pool, replicas, share):
    candidate = Candidate(
        service="chat",
        pool=pool,
        dtype=Dtype.FP8,
        parallelism=Parallelism(tp=1),
        engine=EngineSettings(max_num_seqs=2),
    )
    offer = Offer(
        candidate=candidate,
        capacity_req_per_s=1.0,
        predicted=(),
        binds=scenario.services[0].slo.objectives[0],
        evidence=Evidence.DATASHEET,
        kv_tokens=1,
    )
    return Deployment(offer=offer, replicas=replicas, share=share)


def replayed(scenario, routing=Routing(), faults=()):  # noqa: B008  frozen
    service = replace(scenario.services[0], routing=routing)
    deployments = (a_deployment(scenario, H20, 8, 0.5), a_deployment(scenario, L20, 1, 0.5))
    stand = standings({"chat": deployments}, scenario)["chat"]
    return replay_service(service, deployments, scenario, stand if faults else (), faults)


def test_a_lost_nodes_requests_are_served_by_the_rest(scenario):
    lost = (Outage(pool=H20, node=0, lost_s=600.0),)  # all eight replicas there

    calm, stricken = replayed(scenario), replayed(scenario, faults=lost)

    assert calm.retried == 0
    assert stricken.retried > 0
    assert stricken.finished == stricken.arrived == calm.arrived
    assert stricken.groups[0].finished < calm.groups[0].finished
    assert sum(group.finished for group in stricken.groups) == stricken.finished


def test_requests_that_find_no_replica_again_are_a_miss_with_a_reason(scenario):
    gone = tuple(Outage(pool=pool, node=0, lost_s=600.0) for pool in (H20, L20))

    found = replayed(scenario, faults=gone)

    assert found.unserved == found.refused > 0
    (why, *_) = misses(scenario, {"chat": (found,)})
    assert (
        why == f"service 'chat': {found.unserved:,} requests found no replica in service, nor was one again"
    )


def test_the_services_router_and_its_limits_are_used_by_the_proof(scenario):
    spill = Routing(router=Router.LEAST_OUTSTANDING, max_waiting=4, spill=Spill(to=H20, waiting=1))

    dealt, spilled = replayed(scenario), replayed(scenario, spill)
    refusing = replayed(scenario, Routing(max_waiting=1))

    assert spilled.groups[0].finished > dealt.groups[0].finished
    assert spilled.groups[1].finished < dealt.groups[1].finished
    assert refusing.turned_away == refusing.refused > 0
    assert dealt.refused == spilled.refused == 0


def test_a_pool_to_spill_to_without_replicas_is_named(scenario):
    routing = Routing(spill=Spill(to=PoolName("h800"), waiting=1))
    spilling = replace(scenario, services=(replace(scenario.services[0], routing=routing),))
    deployments = {"chat": (a_deployment(scenario, H20, 8, 1.0),)}

    assert no_spill(scenario, deployments) == ()
    (said,) = no_spill(spilling, deployments)
    assert "'chat' has no replica on pool 'h800'" in said


def test_same_faults_same_outcome(scenario):
    rates = FaultRates(mtbf_s=600.0, mttr_s=60.0)

    first, again = (replayed(scenario, faults=rates) for _ in range(2))

    assert first == again and first.retried > 0
    assert np.isfinite(first.itl.mean_s)
