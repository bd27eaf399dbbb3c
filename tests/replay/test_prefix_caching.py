"""Prompts that have blocks in common: the kernels against the twin, laws, and what can be computed by hand."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.workload import EngineSettings, Prompts, Router
from seedcorn.errors import InputError
from seedcorn.replay import part, read_trace, replay_requests, scaled
from seedcorn.replay.reference import replay_slowly
from tests.replay.builders import a_step_model, a_trace
from tests.replay.test_kernels_match_reference import step_models, traces

ROUTERS = (Router.ROUND_ROBIN, Router.LEAST_OUTSTANDING, Router.PREFIX_AWARE)


def with_prompts(trace, block_tokens, rows):
    lengths = [len(row) for row in rows]
    prompts = Prompts(
        block_tokens=block_tokens,
        first=np.concatenate(([0], np.cumsum(lengths))).astype(np.int64),
        ids=np.array([block for row in rows for block in row], dtype=np.int64),
    )
    return replace(trace, prompts=prompts)


@st.composite
def conversations(draw):
    """Prompts that are prefixes of one another, up to some block: a few stems, each branching anywhere."""
    trace = draw(traces())
    block_tokens = draw(st.sampled_from([4, 16]))
    rows = []
    for number, tokens in enumerate(trace.input_tokens.tolist()):
        blocks = tokens // block_tokens
        shared = draw(st.integers(0, blocks))
        stem = draw(st.integers(0, 2))
        rows.append(
            [1000 * stem + k for k in range(shared)]
            + [10_000 + 100 * number + k for k in range(shared, blocks)]
        )
    return with_prompts(trace, block_tokens, rows)


@st.composite
def caching_engines(draw):
    max_num_seqs = draw(st.sampled_from([1, 2, 5]))
    return EngineSettings(
        max_num_seqs=max_num_seqs,
        max_num_batched_tokens=max_num_seqs + draw(st.sampled_from([0, 7, 64, 1000])),
        block_size=draw(st.sampled_from([1, 2, 4])),
    )


@settings(max_examples=80, deadline=None)
@given(
    st.lists(step_models(), min_size=1, max_size=3),
    caching_engines(),
    conversations(),
    st.sampled_from(ROUTERS),
)
def test_the_kernels_follow_the_twin(models, engine, trace, router):
    times = replay_requests(models, engine, trace, router=router)
    ends, _ = replay_slowly(models, engine, trace, router=router)
    assert [end is None for end in ends] == (times.replica < 0).tolist()
    for k, end in enumerate(ends):
        if end is not None:
            assert times.first_token_s[k] == pytest.approx(end.token_s[0], abs=1e-9)
            assert times.finish_s[k] == pytest.approx(end.token_s[-1], abs=1e-9)
            assert times.preemptions[k] == end.preemptions


@settings(max_examples=40, deadline=None)
@given(step_models(), caching_engines(), traces())
def test_prompts_that_share_nothing_are_served_as_if_nobody_knew_them(model, engine, trace):
    """But for preempted requests, which find other blocks: those are left out by memory enough for all."""
    model = replace(model, kv_tokens=100_000)
    rows = [
        [1000 * r + k for k in range(tokens // 4)] for r, tokens in enumerate(trace.input_tokens.tolist())
    ]
    known = replay_requests([model], engine, with_prompts(trace, 4, rows))
    unknown = replay_requests([model], engine, trace)
    assert known.finish_s.tolist() == unknown.finish_s.tolist()


def test_a_prompt_asked_again_is_computed_but_for_its_last_block_by_hand():
    """1,024 tokens of 1 ms each, twice: the second time all blocks but the last are there, since one token must be computed."""
    model = a_step_model(fixed_s=0.0, token_s=1e-3, context_s=0.0, pair_s=0.0, kv_tokens=10_000)
    trace = with_prompts(a_trace([0.0, 10.0], [1024, 1024], [1, 1]), 512, [[7, 8], [7, 8]])
    times = replay_requests([model], EngineSettings(), trace)
    assert times.first_token_s == pytest.approx([1.024, 10.512])
    off = replay_requests([model], EngineSettings(prefix_caching=False), trace)
    assert off.first_token_s == pytest.approx([1.024, 11.024])


def test_what_was_used_longest_ago_goes_first():
    """Room for two prompts of one block: A, B, A again (a hit), C (B goes), A (a hit), B (computed anew)."""
    model = a_step_model(fixed_s=0.0, token_s=1e-3, context_s=0.0, pair_s=0.0, kv_tokens=16 * (1 + 2 * 4 + 2))
    order = [1, 2, 1, 3, 1, 2]
    trace = with_prompts(
        a_trace(np.arange(6) * 10.0, np.full(6, 65), np.full(6, 1)), 64, [[block] for block in order]
    )
    times = replay_requests([model], EngineSettings(), trace)
    computed = np.round((times.first_token_s - trace.arrival_s) * 1e3).astype(int)
    assert computed.tolist() == [65, 65, 1, 65, 1, 65]


def test_prefix_aware_routing_sends_a_conversation_where_its_past_is():
    trace = part(read_trace("mooncake-conversation"), np.arange(3_000))
    models = [a_step_model(kv_tokens=2_000_000, token_s=6e-5)] * 4
    mean_s = {
        router: replay_requests(models, EngineSettings(), trace, router=router).first_token_s
        - trace.arrival_s
        for router in ROUTERS
    }
    assert mean_s[Router.PREFIX_AWARE].mean() < 0.95 * mean_s[Router.LEAST_OUTSTANDING].mean()
    assert mean_s[Router.PREFIX_AWARE].mean() < 0.95 * mean_s[Router.ROUND_ROBIN].mean()


def test_the_bundled_trace_knows_its_prompts():
    """Mooncake's conversation trace: 12,031 requests; its ids name blocks of 512 tokens (arXiv:2407.00079)."""
    trace = read_trace("mooncake-conversation")
    assert np.diff(trace.prompts.first).tolist() == (trace.input_tokens // 512).tolist()
    two = part(trace, np.array([5, 0]))
    first = trace.prompts.first
    assert two.prompts.ids.tolist() == [
        *trace.prompts.ids[first[5] : first[6]],
        *trace.prompts.ids[: first[1]],
    ]


def test_a_request_repeated_to_fill_the_traffic_is_another_one():
    trace = with_prompts(a_trace([0.0, 1.0, 2.0], [8, 8, 8], [1, 1, 1]), 4, [[1, 2], [1, 3], [4, 5]])
    more = scaled(trace, rate_per_s=1.0, seed=0, num_requests=9)
    ids = more.prompts.ids.reshape(9, 2)
    passes = [set(ids[3 * k : 3 * k + 3].ravel().tolist()) for k in range(3)]
    assert all(len(seen) == 5 for seen in passes)
    assert not (passes[0] & passes[1] or passes[1] & passes[2])


def test_ids_that_do_not_match_the_prompt_are_refused(tmp_path):
    file = tmp_path / "trace.jsonl"
    file.write_text('{"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [1]}\n')
    with pytest.raises(InputError, match=r"trace\.jsonl:1: 1 hash_ids for 600 prompt tokens; expected 2"):
        read_trace(file)


def test_blocks_that_do_not_divide_are_refused():
    trace = with_prompts(a_trace([0.0], [24], [1]), 24, [[1]])
    with pytest.raises(InputError, match="not whole KV blocks of 16"):
        replay_requests([a_step_model()], EngineSettings(), trace)
