"""The kernels against the token-by-token twin, request by request."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.workload import EngineSettings, Router
from seedcorn.replay.kernels import gaps
from seedcorn.replay.reference import replay_slowly
from seedcorn.replay.simulation import drawn_pairs, replay_requests
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
    pairs = drawn_pairs(np.random.default_rng(0), trace.num_requests, max(len(models), 2)).tolist()
    ends, replicas = replay_slowly(models, engine, trace, router=router, pairs=pairs)

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
    gaps_s = np.concatenate([np.diff(end.token_s) for end in served] or [np.empty(0)])
    bins = [gaps.bin_of(gap_s) for gap_s in gaps_s]
    assert times.gap_counts.tolist() == np.bincount(bins, minlength=gaps.NUM_BINS).tolist()
    return times


@settings(max_examples=150, deadline=None)
@given(engine=engines(), model=step_models(), trace=traces())
def test_one_replica(engine, model, trace):
    assert_same([model], engine, trace, Router.ROUND_ROBIN)


@settings(max_examples=100, deadline=None)
@given(
    engine=engines(),
    models=st.lists(step_models(), min_size=2, max_size=4),
    trace=traces(),
    router=st.sampled_from(Router),
)
def test_unlike_replicas_behind_a_router(engine, models, trace, router):
    assert_same(models, engine, trace, router)


@pytest.mark.parametrize("router", Router)
@pytest.mark.parametrize("kv_tokens", [900, 20_000])
def test_many_replicas_with_long_queues(router, kv_tokens):
    """Enough replicas, requests and ties that a router must leave most of them unlooked at."""
    rng = np.random.default_rng(11)
    trace = a_trace(
        np.cumsum(rng.integers(0, 3, 700)) * 2.0**-9, rng.integers(1, 200, 700), rng.integers(1, 60, 700)
    )
    engine = EngineSettings(max_num_seqs=8, max_num_batched_tokens=128)
    models = [
        a_step_model(
            fixed_s=2.0**-7, token_s=TICK_S * k, context_s=TICK_S, pair_s=TICK_S, kv_tokens=kv_tokens
        )
        for k in (1, 4, 16)
    ]

    assert_same((models * 34)[:100], engine, trace, router)


@pytest.mark.parametrize("prefix_caching", [True, False])
def test_a_starved_replica_that_preempts_all_the_time(prefix_caching):
    rng = np.random.default_rng(5)
    trace = a_trace(
        np.cumsum(rng.integers(0, 40, 300)) * 2.0**-10, rng.integers(1, 300, 300), rng.integers(1, 200, 300)
    )
    engine = EngineSettings(
        max_num_seqs=16, max_num_batched_tokens=128, block_size=16, prefix_caching=prefix_caching
    )
    model = a_step_model(fixed_s=2.0**-7, token_s=TICK_S, context_s=TICK_S, pair_s=TICK_S, kv_tokens=1100)

    times = assert_same([model], engine, trace, Router.ROUND_ROBIN)

    assert times.preemptions.sum() > 200


def test_survivors_are_reused_so_prefix_caching_saves_steps():
    rng = np.random.default_rng(5)
    trace = a_trace(np.zeros(200), rng.integers(1, 300, 200), rng.integers(1, 200, 200))
    model = a_step_model(kv_tokens=700)

    steps = {
        caching: replay_requests(
            [model], EngineSettings(max_num_batched_tokens=256, prefix_caching=caching), trace
        ).steps
        for caching in (True, False)
    }

    assert steps[True] < steps[False]


@settings(max_examples=40, deadline=None)
@given(
    model=st.builds(
        a_step_model,
        fixed_s=st.floats(1e-3, 0.05),
        token_s=st.floats(0, 1e-3),
        context_s=st.floats(0, 1e-5),
        pair_s=st.floats(0, 1e-6),
        kv_tokens=st.integers(300, 3000),
    ),
    seed=st.integers(0, 2**32),
)
def test_any_coefficients_agree_to_a_nanosecond(model, seed):
    """Not dyadic: sums round differently on the two sides, and agree within rounding."""
    rng = np.random.default_rng(seed)
    trace = a_trace(np.cumsum(rng.exponential(0.2, 30)), rng.integers(1, 200, 30), rng.integers(1, 100, 30))

    times = replay_requests([model], EngineSettings(max_num_seqs=8, max_num_batched_tokens=64), trace)
    ends, _ = replay_slowly(
        [model], EngineSettings(max_num_seqs=8, max_num_batched_tokens=64), trace, router=Router.ROUND_ROBIN
    )

    kept = times.replica >= 0
    last_s = [end.token_s[-1] for end in ends if end is not None]
    np.testing.assert_allclose(times.finish_s[kept], last_s, rtol=1e-9, atol=1e-9)
