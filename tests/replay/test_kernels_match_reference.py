"""The kernels against the token-by-token twin, request by request."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.workload import EngineSettings
from seedcorn.replay.reference import replay_slowly
from seedcorn.replay.simulation import Router, replay_requests
from tests.replay.builders import TICK_S, a_step_model, a_trace

ticks = st.integers(0, 40)


@st.composite
def engines(draw):
    max_num_seqs = draw(st.sampled_from([1, 2, 3, 5, 8]))
    return EngineSettings(
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_seqs + draw(st.sampled_from([0, 1, 7, 20, 64, 1000])),
        block_size=draw(st.sampled_from([1, 4, 16])),
        prefix_caching=draw(st.booleans()),
    )


@st.composite
def step_models(draw):
    """Coefficients that are whole ticks: both sides then compute the very same sums."""
    return a_step_model(
        fixed_s=TICK_S * 1024 * draw(st.integers(1, 16)),
        token_s=TICK_S * draw(ticks),
        context_s=TICK_S * draw(st.integers(0, 4)),
        pair_s=TICK_S * draw(st.integers(0, 4)),
        kv_tokens=draw(st.integers(40, 400)),
    )


@st.composite
def traces(draw):
    n = draw(st.integers(1, 25))
    gap_s = st.integers(0, 64).map(lambda gap: gap * 2.0**-10 * pace)
    pace = draw(st.sampled_from([0, 1, 4, 32]))
    longest_input = draw(st.sampled_from([8, 60, 200]))
    longest_output = draw(st.sampled_from([1, 12, 90]))
    return a_trace(
        np.cumsum(draw(st.lists(gap_s, min_size=n, max_size=n))),
        draw(st.lists(st.integers(1, longest_input), min_size=n, max_size=n)),
        draw(st.lists(st.integers(1, longest_output), min_size=n, max_size=n)),
    )


def assert_same(models, engine, trace, router):
    times = replay_requests(models, engine, trace, router=router)
    ends, replicas = replay_slowly(models, engine, trace, router=router)

    assert [end is None for end in ends] == [replica < 0 for replica in times.replica]
    served = [end for end in ends if end is not None]
    kept = times.replica >= 0
    np.testing.assert_allclose(
        times.first_token_s[kept], [end.token_s[0] for end in served], rtol=1e-12, atol=1e-9
    )
    np.testing.assert_allclose(
        times.finish_s[kept], [end.token_s[-1] for end in served], rtol=1e-12, atol=1e-9
    )
    assert times.preemptions[kept].tolist() == [end.preemptions for end in served]
    assert np.isnan(times.first_token_s[~kept]).all()
    np.testing.assert_allclose(times.busy_s, [replica.busy_s for replica in replicas], rtol=1e-12)
    assert times.steps == sum(replica.steps for replica in replicas)
    return times, served


@settings(max_examples=400, deadline=None)
@given(engine=engines(), model=step_models(), trace=traces())
def test_one_replica(engine, model, trace):
    assert_same([model], engine, trace, Router.ROUND_ROBIN)


@settings(max_examples=200, deadline=None)
@given(
    engine=engines(),
    models=st.lists(step_models(), min_size=2, max_size=4),
    trace=traces(),
    router=st.sampled_from(Router),
)
def test_unlike_replicas_behind_a_router(engine, models, trace, router):
    assert_same(models, engine, trace, router)
