"""Prefill and decode on different replicas: against the token-by-token twin, laws, and what can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.workload import EngineSettings
from seedcorn.replay import part, replay_requests
from seedcorn.replay.disaggregation import (
    Disaggregated,
    Link,
    Side,
    disaggregated_times,
)
from seedcorn.replay.reference import replay_disaggregated_slowly
from tests.replay.builders import a_step_model, a_trace
from tests.replay.test_kernels_match_reference import engines, step_models, traces

FREE = Link(kv_bytes_per_token=1.0, bytes_per_s=np.inf)


@st.composite
def sides(draw):
    return Side(step_model=draw(step_models()), engine=draw(engines()), replicas=draw(st.integers(1, 3)))


@st.composite
def links(draw):
    return Link(
        kv_bytes_per_token=draw(st.sampled_from([1.0, 64.0])),
        bytes_per_s=draw(st.sampled_from([2.0**10, 2.0**16, 2.0**24])),
        latency_s=draw(st.sampled_from([0.0, 2.0**-10])),
    )


@settings(max_examples=60, deadline=None)
@given(st.builds(Disaggregated, prefill=sides(), decode=sides(), link=links()), traces())
def test_the_kernels_follow_the_twin(unit, trace):
    times = disaggregated_times(unit, trace)
    ends = replay_disaggregated_slowly(unit, trace)
    assert [end is None for end in ends] == (times.replica < 0).tolist()
    served = [(k, end) for k, end in enumerate(ends) if end is not None]
    for k, end in served:
        assert times.first_token_s[k] == pytest.approx(end.token_s[0], abs=1e-9)
        assert times.finish_s[k] == pytest.approx(end.token_s[-1], abs=1e-9)
        assert times.preemptions[k] == end.preemptions
    assert times.gap_counts.sum() == sum(len(end.token_s) - 1 for _, end in served)


@settings(max_examples=40, deadline=None)
@given(st.builds(Disaggregated, prefill=sides(), decode=sides(), link=links()), traces())
def test_every_request_is_served_once_or_refused_and_time_runs_forward(unit, trace):
    times = disaggregated_times(unit, trace)
    served = times.replica >= 0
    fits = [
        max(side.step_model.kv_tokens // side.engine.block_size - 1, 0) * side.engine.block_size
        for side in (unit.prefill, unit.decode)
    ]
    able = (trace.input_tokens <= fits[0]) & (trace.input_tokens + trace.output_tokens - 1 <= fits[1])
    assert (served == able).all()
    assert (times.first_token_s[served] > trace.arrival_s[served]).all()
    one_token = trace.output_tokens == 1
    assert (times.finish_s[served & one_token] == times.first_token_s[served & one_token]).all()
    assert (times.finish_s[served & ~one_token] > times.first_token_s[served & ~one_token]).all()
    on_decode = times.replica >= unit.prefill.replicas
    assert (on_decode[served] == ~one_token[served]).all()


def test_one_request_by_hand():
    """1,000 prompt tokens of 1 ms; a cache of 1 MB over 10 MB/s; then 9 steps of 2 ms and 1 µs a token read."""
    prefill = a_step_model(fixed_s=0.0, token_s=1e-3, context_s=0.0, pair_s=0.0, kv_tokens=10_000)
    decode = a_step_model(fixed_s=2e-3, token_s=0.0, context_s=1e-6, pair_s=0.0, kv_tokens=10_000)
    unit = Disaggregated(
        prefill=Side(step_model=prefill, engine=EngineSettings(), replicas=1),
        decode=Side(step_model=decode, engine=EngineSettings(), replicas=1),
        link=Link(kv_bytes_per_token=1e3, bytes_per_s=1e7, latency_s=5e-3),
    )
    times = disaggregated_times(unit, a_trace([3.0], [1_000], [10]))
    assert times.first_token_s[0] == pytest.approx(4.0)
    read = sum(1_000 + j for j in range(1, 10))
    assert times.finish_s[0] == pytest.approx(4.0 + 0.005 + 0.1 + 9 * 2e-3 + read * 1e-6)


def test_two_caches_of_one_sender_wait_for_its_link():
    model = a_step_model(fixed_s=1e-3, token_s=0.0, context_s=0.0, pair_s=0.0, kv_tokens=10_000)
    unit = Disaggregated(
        prefill=Side(step_model=model, engine=EngineSettings(), replicas=1),
        decode=Side(step_model=model, engine=EngineSettings(), replicas=2),
        link=Link(kv_bytes_per_token=1.0, bytes_per_s=100.0),
    )
    times = disaggregated_times(unit, a_trace([0.0, 0.0], [100, 100], [2, 2]))
    assert times.first_token_s == pytest.approx([1e-3, 1e-3])
    assert times.finish_s == pytest.approx([1.002, 2.002])


def test_decodes_that_no_prompt_interrupts_are_as_even_as_a_replica_alone_makes_them():
    """With a free link, the decode side is a replica that is handed its prompts computed: its gaps never hold a prefill."""
    prefill = a_step_model(fixed_s=1e-3, token_s=1e-4, context_s=0.0, pair_s=0.0, kv_tokens=10**6)
    decode = a_step_model(fixed_s=1e-3, token_s=1e-4, context_s=0.0, pair_s=0.0, kv_tokens=10**6)
    trace = a_trace(np.arange(50) * 0.05, np.full(50, 2_000), np.full(50, 100))
    engine = EngineSettings(max_num_batched_tokens=8192)
    side = Side(step_model=prefill, engine=engine, replicas=4)
    unit = Disaggregated(prefill=side, decode=replace(side, step_model=decode, replicas=1), link=FREE)
    apart = unit.replayed(trace)
    together = replay_requests([prefill], engine, trace)
    assert apart.itl.p99_s < 1e-3 + 50 * 1e-4
    assert (together.finish_s - together.first_token_s).mean() / 99 > apart.tpot.mean_s


def test_copies_of_a_unit_are_that_many_units_dealt_to_in_turn():
    model = a_step_model(kv_tokens=4_000)
    side = Side(step_model=model, engine=EngineSettings(max_num_seqs=8), replicas=1)
    unit = Disaggregated(prefill=side, decode=replace(side, replicas=2), link=FREE)
    trace = a_trace(np.arange(60) * 0.02, np.arange(60) % 7 * 30 + 20, np.arange(60) % 5 * 9 + 2)
    together = disaggregated_times(unit.copied(3), trace)
    prefill_turn = np.arange(60) % 3
    assert ((together.first_token_s > 0).all()) and (together.replica >= 3).all()
    for turn in range(3):
        mine = prefill_turn == turn
        alone = disaggregated_times(unit, part(trace, mine))
        assert together.first_token_s[mine] == pytest.approx(alone.first_token_s, abs=1e-12)
