"""Seconds to start and to drain, against published loading times and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.moves import Starting
from seedcorn.domain.offer import Candidate, Parallelism
from seedcorn.domain.scenario import Planning, Scenario
from seedcorn.domain.workload import EngineSettings, Metric, Objective, Service, Slo, Statistic, Trace
from seedcorn.study.starting import GRACE_S, drain_s, start_s


def an_objective(metric: Metric, bound_s: float) -> Objective:
    return Objective(metric=metric, statistic=Statistic.P99, bound_s=bound_s)


def a_scenario(
    *objectives: Objective, starting: Starting | None = None, model: str = "meta-llama/Llama-3.1-70B-Instruct"
) -> Scenario:
    trace = Trace(
        name="two",
        arrival_s=np.array([0.0, 1.0]),
        input_tokens=np.array([10, 10], dtype=np.int32),
        output_tokens=np.array([5, 101], dtype=np.int32),
    )
    service = Service(
        name="chat",
        model=find_model(model).model,
        trace=trace,
        rate_per_s=1.0,
        slo=Slo(objectives=objectives or (an_objective(Metric.TTFT, 2.0),)),
    )
    pool = Pool(name=PoolName("a100"), chip=find_chip("A100-SXM4-80GB").chip, chips=64, chips_per_node=8)
    planning = Planning(starting=starting or Starting())
    return Scenario(name="one", pools=(pool,), services=(service,), planning=planning)


def a_candidate(parallelism: Parallelism, dtype: Dtype = Dtype.FP16) -> Candidate:
    return Candidate(
        service="chat",
        pool=PoolName("a100"),
        dtype=dtype,
        parallelism=parallelism,
        engine=EngineSettings(),
    )


def test_a_70b_model_loads_in_the_time_published_for_one():
    scenario = a_scenario(starting=Starting(engine_s=0.0))
    took_s = start_s(a_candidate(Parallelism(tp=8)), scenario)
    assert took_s == pytest.approx(84, rel=0.08)  # LLaMA-2-70B, ServerlessLLM (arXiv:2401.14351)


def test_half_the_bytes_load_in_half_the_time_and_the_engine_starts_after_that():
    scenario = a_scenario()
    engine_s = scenario.planning.starting.engine_s
    sixteen = start_s(a_candidate(Parallelism(tp=8)), scenario) - engine_s
    eight = start_s(a_candidate(Parallelism(tp=8), Dtype.FP8), scenario) - engine_s
    assert eight == pytest.approx(sixteen / 2, rel=0.05)  # embeddings stay 16-bit


def test_the_nodes_of_a_replica_load_side_by_side():
    scenario = a_scenario(starting=Starting(engine_s=0.0))
    one_node = start_s(a_candidate(Parallelism(tp=8)), scenario)
    two_nodes = start_s(a_candidate(Parallelism(tp=8, pp=2)), scenario)
    assert two_nodes == pytest.approx(one_node / 2, rel=0.05)  # of uneven stages, the fuller


@pytest.mark.parametrize(
    ("objectives", "expected_s"),
    [
        ([an_objective(Metric.TTFT, 2.0), an_objective(Metric.TPOT, 0.1)], 2.0 + 100 * 0.1),
        ([an_objective(Metric.ITL, 0.2)], 100 * 0.2),
        ([an_objective(Metric.E2E, 7.0), an_objective(Metric.TPOT, 0.1)], 7.0),
        ([an_objective(Metric.TTFT, 2.0)], GRACE_S),
    ],
)
def test_a_replica_is_empty_when_its_longest_request_may_be_done(objectives, expected_s):
    scenario = a_scenario(*objectives)
    assert drain_s(scenario.services[0], scenario) == pytest.approx(expected_s)


def test_the_owner_s_drain_time_goes_before():
    scenario = a_scenario(an_objective(Metric.E2E, 7.0), starting=Starting(drain_s=3.0))
    assert drain_s(scenario.services[0], scenario) == 3.0
    longer = replace(scenario, planning=Planning())
    assert drain_s(longer.services[0], longer) == 7.0
