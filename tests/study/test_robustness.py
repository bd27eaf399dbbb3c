"""Lost nodes against every node that may be lost; load cases against the traffic they stand for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.catalog import find_chip
from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.offer import Candidate, Evidence, Offer, Parallelism
from seedcorn.domain.plan import Deployment
from seedcorn.domain.robustness import NODE_LOSS
from seedcorn.domain.scenario import Planning, Scenario
from seedcorn.domain.workload import EngineSettings, Metric, Objective, RequestClass, Statistic
from seedcorn.errors import InvalidDocument
from seedcorn.study import plan_scenario, replay_plan, resolve
from seedcorn.study.offers import demand_req_per_s
from seedcorn.study.robustness import replicas_lost, shortfall, survivors
from seedcorn.wire import read_scenario
from tests.study.scenarios import CHAT, a_scenario_file

POOLS = tuple(
    Pool(name=PoolName(name), chip=find_chip("H20").chip, chips=800, chips_per_node=8) for name in ("a", "b")
)
SHORT, LONG = RequestClass().split(input_at=1000)


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


def a_fleet(spare: int = 1) -> Scenario:
    return Scenario(name="fleet", pools=POOLS, planning=Planning(spare=spare))


def a_deployment(
    pool: str, tp: int, replicas: int, share: float, *, of: RequestClass, capacity: float = 1.0, pp: int = 1
) -> Deployment:
    objective = Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=1.0)
    offer = Offer(
        candidate=Candidate(
            service="chat",
            pool=PoolName(pool),
            dtype=Dtype.FP8,
            parallelism=Parallelism(tp=tp, pp=pp),
            engine=EngineSettings(),
        ),
        capacity_req_per_s=capacity,
        predicted=(),
        binds=objective,
        evidence=Evidence.CALIBRATED,
        kv_tokens=1,
        request_class=of,
    )
    return Deployment(offer=offer, replicas=replicas, share=share)


@pytest.mark.parametrize(
    ("parallelism", "lost"), [(Parallelism(tp=2), 4), (Parallelism(tp=8), 1), (Parallelism(tp=8, pp=4), 1)]
)
def test_a_node_takes_the_replicas_packed_on_it_or_the_one_that_spans_it(parallelism, lost):
    candidate = a_deployment("a", 1, 1, 1.0, of=RequestClass()).offer.candidate
    assert replicas_lost(replace(candidate, parallelism=parallelism), a_fleet()) == lost


kinds = st.tuples(
    st.sampled_from("ab"),
    st.sampled_from([2, 4, 8]),
    st.integers(5, 40),
    st.floats(0.1, 5.0),
    st.sampled_from([SHORT, LONG]),
)


@given(st.lists(kinds, min_size=1, max_size=4, unique_by=lambda kind: (kind[0], kind[1], kind[4].name)))
def test_no_node_of_each_pool_takes_more_traffic_than_the_one_taken(kinds):
    scenario = a_fleet()
    whole = sum(n * capacity for _, _, n, capacity, _ in kinds)
    deployments = [
        a_deployment(pool, tp, n, n * capacity / whole, of=of, capacity=capacity)
        for pool, tp, n, capacity, of in kinds
    ]

    left = {d.offer: d for d in survivors(deployments, scenario)}

    for pool in POOLS:
        mine = [d for d in deployments if d.offer.candidate.pool == pool.name]
        taken = sum(d.share * (d.replicas - left[d.offer].replicas) / d.replicas for d in mine)
        any_node = [d.share * replicas_lost(d.offer.candidate, scenario) / d.replicas for d in mine]
        assert taken == pytest.approx(max(any_node, default=0.0))
    assert sum(d.share for d in left.values()) == pytest.approx(1.0)
    for of in {d.offer.request_class for d in deployments}:
        shares = [
            [d.share for d in those if d.offer.request_class == of] for those in (deployments, left.values())
        ]
        assert sum(shares[1]) == pytest.approx(sum(shares[0]))  # a class stays a class


def test_what_the_survivors_lack_is_named_as_a_share():
    ten = a_deployment("a", 8, 10, 1.0, of=RequestClass())
    assert shortfall([ten], a_fleet(), 9.0) == pytest.approx(0.0)
    assert shortfall([ten], a_fleet(), 10.0) == pytest.approx(0.1)
    assert shortfall([ten], a_fleet(spare=2), 10.0) == pytest.approx(0.2)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    planning = {"spare": 1, "scenarios": [{"name": "launch", "load": {"chat": 1.3}}]}
    return a_scenario_file(tmp_path_factory.mktemp("robust"), services=[CHAT], training=[], planning=planning)


@pytest.fixture(scope="module")
def scenario(path):
    return resolve(read_scenario(path))


@pytest.fixture(scope="module")
def plan(scenario):
    return plan_scenario(scenario, silent)


def test_the_plan_holds_under_every_case_and_says_so(plan, scenario):
    (service,) = plan.services
    assert {trial.case for trial in service.trials} == {NODE_LOSS, "launch"}
    assert all(trial.slos_held for trial in service.trials) and plan.slos_held
    demand = demand_req_per_s(scenario.services[0], scenario)
    assert demand == pytest.approx(4 * 1.3)  # more than the margin asks
    left = survivors(service.deployments, scenario)
    assert sum(d.replicas * d.offer.capacity_req_per_s for d in left) >= demand


def test_it_takes_the_replicas_of_a_node_more_than_a_plan_that_may_fail(plan, scenario):
    (robust,) = plan.services[0].deployments
    fragile = replace(scenario, planning=replace(scenario.planning, spare=0))
    (d,) = plan_scenario(fragile, silent).services[0].deployments
    assert robust.offer.candidate.pool == d.offer.candidate.pool
    needed = -(-demand_req_per_s(scenario.services[0], scenario) // robust.offer.capacity_req_per_s)
    assert robust.replicas == needed + replicas_lost(robust.offer.candidate, scenario)


def test_a_node_of_every_pool_is_kept_free(plan):
    assert {pool.pool: pool.spare for pool in plan.pools} == {"h800": 8, "h20": 8, "l20": 8}


def test_a_plan_replayed_at_another_load_says_whether_it_still_holds(plan, scenario):
    assert replay_plan(plan, scenario, silent, load=1.0).slos_held
    flooded = replay_plan(plan, scenario, silent, load=20.0)
    assert not flooded.slos_held and any("misses" in warning for warning in flooded.warnings)


def test_a_case_of_a_service_that_is_none_is_refused_at_its_line(tmp_path):
    planning = {"scenarios": [{"name": "launch", "load": {"chta": 1.3}}]}
    with pytest.raises(InvalidDocument, match=r"planning.scenarios\[0\].load.*no service 'chta'.*'chat'"):
        read_scenario(a_scenario_file(tmp_path, planning=planning))
