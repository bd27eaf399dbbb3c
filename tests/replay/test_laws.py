"""Laws of the replay: true for every trace."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.outcome import GroupOutcome
from seedcorn.domain.workload import EngineSettings, Metric, Objective, Router, Slo, Statistic
from seedcorn.errors import InputError
from seedcorn.replay import ReplicaGroup, read_trace, replay, replay_groups, replay_requests, scaled
from tests.replay.builders import a_step_model, a_trace

SLO = Slo(
    objectives=(
        Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=1.0),
        Objective(metric=Metric.TPOT, statistic=Statistic.P99, bound_s=0.05),
    )
)


@st.composite
def traces(draw):
    n = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    return a_trace(
        np.cumsum(rng.exponential(draw(st.sampled_from([0.001, 0.1, 5.0])), n)),
        rng.integers(1, 2000, n),
        rng.integers(1, draw(st.sampled_from([1, 2, 300])) + 1, n),
    )


@settings(max_examples=60, deadline=None)
@given(
    trace=traces(),
    router=st.sampled_from(Router),
    kv_tokens=st.lists(st.integers(16, 4000), min_size=1, max_size=3),
)
def test_every_request_finishes_or_is_refused_and_time_only_goes_on(trace, router, kv_tokens):
    replicas = [a_step_model(kv_tokens=k) for k in kv_tokens]
    engine = EngineSettings(max_num_seqs=8, max_num_batched_tokens=512)

    times = replay_requests(replicas, engine, trace, router=router)
    found = replay(replicas, engine, trace, router=router)

    assert found.arrived == found.finished + found.refused == trace.num_requests
    served = times.replica >= 0
    assert (np.isfinite(times.finish_s) == served).all()
    assert (times.first_token_s > trace.arrival_s)[served].all()
    assert (times.finish_s >= times.first_token_s)[served].all()
    assert (times.finish_s == times.first_token_s)[served & (trace.output_tokens == 1)].all()
    assert times.gap_counts.sum() == (trace.output_tokens - 1)[served].sum()
    too_long = trace.input_tokens + trace.output_tokens - 1 > (max(kv_tokens) // 16 - 1) * 16
    assert (too_long == ~served).all()
    assert found.busy_share <= 1 + 1e-12


@settings(max_examples=20, deadline=None)
@given(trace=traces(), router=st.sampled_from(Router))
def test_same_input_same_bytes(trace, router):
    replicas = [a_step_model(kv_tokens=4000), a_step_model(fixed_s=0.01)]

    first, again = (replay_requests(replicas, EngineSettings(), trace, router=router) for _ in range(2))

    assert first.finish_s.tobytes() == again.finish_s.tobytes()
    assert first.gap_counts.tobytes() == again.gap_counts.tobytes()


@pytest.mark.parametrize("router", Router)
def test_more_replicas_attain_no_less(router):
    trace = scaled(read_trace("azure-conv"), rate_per_s=40.0, seed=0, num_requests=20_000)

    def attained_share(replicas):
        found = replay([a_step_model()] * replicas, EngineSettings(), trace, router=router, slo=SLO)
        assert found.slo_attainment_share is not None
        return found.slo_attainment_share

    attained = [attained_share(replicas) for replicas in range(2, 9)]

    assert all(more >= fewer - 0.002 for fewer, more in itertools.pairwise(attained))
    assert attained[0] < 0.9 < 0.99 < attained[-1]


def test_one_group_is_the_same_as_its_replicas():
    trace = scaled(read_trace("azure-conv"), rate_per_s=20.0, seed=0, num_requests=2_000)
    model = a_step_model()

    group = ReplicaGroup(step_model=model, engine=EngineSettings(), replicas=3)

    found = replay_groups([group], trace, slo=SLO)

    assert replace(found, groups=()) == replay([model] * 3, EngineSettings(), trace, slo=SLO)
    assert found.groups == (GroupOutcome(finished=found.finished, busy_share=found.busy_share),)


def test_groups_get_their_shares_of_the_traffic():
    trace = a_trace(np.arange(1000) * 0.1, np.full(1000, 10), np.full(1000, 5))
    fast, slow = a_step_model(fixed_s=0.001), a_step_model(fixed_s=0.02)

    found = replay_groups(
        [
            ReplicaGroup(step_model=fast, engine=EngineSettings(), replicas=1, share=3.0),
            ReplicaGroup(step_model=slow, engine=EngineSettings(), replicas=2, share=1.0),
        ],
        trace,
        slo=Slo(objectives=(Objective(metric=Metric.TPOT, statistic=Statistic.P99, bound_s=0.01),)),
    )

    assert found.slo_attainment_share == 0.75


def test_a_request_only_one_group_can_hold_goes_there():
    trace = a_trace([0.0, 1.0, 2.0], [10, 5000, 10], [2, 2, 2])
    small, large = a_step_model(kv_tokens=1000), a_step_model(kv_tokens=10_000)

    found = replay_groups(
        [
            ReplicaGroup(step_model=small, engine=EngineSettings(), replicas=1, share=9.0),
            ReplicaGroup(step_model=large, engine=EngineSettings(), replicas=1, share=1.0),
        ],
        trace,
    )

    assert found.refused == 0


def test_no_group_with_a_share_is_refused():
    group = ReplicaGroup(step_model=a_step_model(), engine=EngineSettings(), replicas=1, share=0.0)
    with pytest.raises(InputError, match="share above 0"):
        replay_groups([group], a_trace([0.0], [1], [1]))


@pytest.mark.parametrize(
    ("engine", "message"),
    [
        (EngineSettings(max_num_seqs=256, max_num_batched_tokens=128), r"\(128\) must be at least.*\(256\)"),
        (EngineSettings(max_num_seqs=0), "at least 1"),
        (EngineSettings(block_size=24), "24 is not a power of two"),
    ],
)
def test_limits_that_contradict_each_other_are_refused(engine, message):
    with pytest.raises(InputError, match=message):
        replay_requests([a_step_model()], engine, a_trace([0.0], [1], [1]))
