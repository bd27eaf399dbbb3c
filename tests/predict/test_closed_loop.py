"""Closed loops against a twin that runs the slow reference engine client by client, and against theory."""

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import InputError, TooLong
from seedcorn.perf.step_model import StepModel
from seedcorn.replay import closed_loop
from seedcorn.replay.closed_loop import closed_loop_requests
from seedcorn.replay.reference import Replica, Running
from seedcorn.study.accuracy.serving_rows import Case, Load
from tests.perf.examples import a_chip, a_llama
from tests.replay.builders import TICK_S, a_step_model


def slowly(model, engine, concurrency, input_tokens, output_tokens):
    """Finish times: a client asks at the very end of the step that completed its last answer."""
    replica = Replica(model, engine)
    lengths = list(enumerate(zip(input_tokens.tolist(), output_tokens.tolist(), strict=True)))
    sent, everyone = 0, []

    def send(clients):
        nonlocal sent
        for number, (prompt, answer) in lengths[sent : sent + clients]:
            request = Running(number, replica.clock_s, prompt, answer, sent=number)
            replica.queue(request)
            everyone.append(request)
        sent += clients

    send(concurrency)
    while replica.waiting or replica.running:
        under_way = [r for r in everyone if len(r.token_s) < r.output_tokens]
        replica.run(np.nextafter(replica.clock_s, np.inf))
        send(sum(len(r.token_s) == r.output_tokens for r in under_way))
    return everyone


@st.composite
def benchmarks(draw):
    concurrency = draw(st.integers(1, 12))
    count = draw(st.integers(concurrency, 40))
    lengths = st.lists(st.integers(1, 60), min_size=count, max_size=count)
    engine = EngineSettings(
        max_num_seqs=draw(st.integers(1, 8)),
        max_num_batched_tokens=draw(st.integers(8, 64)),
        prefix_caching=draw(st.booleans()),
    )
    model = a_step_model(
        fixed_s=4096 * TICK_S,
        token_s=16 * TICK_S,
        context_s=draw(st.sampled_from([0.0, TICK_S])),
        pair_s=TICK_S,
        kv_tokens=16 * draw(st.integers(9, 40)),  # the longest request takes 8 blocks
    )
    return (
        model,
        engine,
        concurrency,
        np.array(draw(lengths), dtype=np.int32),
        np.array(draw(lengths), dtype=np.int32),
    )


@settings(max_examples=60, deadline=None)
@given(benchmark=benchmarks())
def test_every_request_is_served_when_the_slow_twin_serves_it(benchmark):
    model, engine, concurrency, input_tokens, output_tokens = benchmark

    times, trace = closed_loop_requests(
        [model], engine, concurrency=concurrency, input_tokens=input_tokens, output_tokens=output_tokens
    )

    twins = slowly(model, engine, concurrency, input_tokens, output_tokens)
    assert trace.arrival_s == pytest.approx([r.arrival_s for r in twins], abs=1e-9)
    assert times.first_token_s == pytest.approx([r.token_s[0] for r in twins], abs=1e-9)
    assert times.finish_s == pytest.approx([r.token_s[-1] for r in twins], abs=1e-9)
    assert times.preemptions.tolist() == [r.preemptions for r in twins]


def a_benchmark(*, concurrency, requests, input_tokens=512, output_tokens=128, replicas=1, **model):
    return closed_loop(
        [a_step_model(**model)] * replicas,
        EngineSettings(),
        concurrency=concurrency,
        input_tokens=np.full(requests, input_tokens, dtype=np.int32),
        output_tokens=np.full(requests, output_tokens, dtype=np.int32),
    )


def test_one_client_pays_the_prompt_and_then_a_step_a_token():
    fixed_s, token_s, context_s, pair_s = 8e-3, 3e-5, 2e-8, 1e-10

    found = a_benchmark(
        concurrency=1, requests=3, fixed_s=fixed_s, token_s=token_s, context_s=context_s, pair_s=pair_s
    )

    prompt_s = fixed_s + token_s * 512 + pair_s * 512 * 513 / 2
    decode_s = fixed_s + token_s + context_s * (513 + 639) / 2
    assert found.ttft.p99_s == pytest.approx(prompt_s, rel=1e-12)
    assert found.tpot.mean_s == pytest.approx(decode_s, rel=1e-12)
    assert found.duration_s == pytest.approx(3 * (prompt_s + 127 * decode_s), rel=1e-12)


@pytest.mark.parametrize("concurrency", [1, 7, 64])
def test_clients_are_always_under_way_by_littles_law(concurrency):
    """Little: clients = throughput × time under way; exactly, but for the end, when clients fall silent."""
    found = a_benchmark(concurrency=concurrency, requests=concurrency * 100)

    under_way = found.finished / found.duration_s * found.e2e.mean_s
    assert under_way == pytest.approx(concurrency, rel=0.02)


def test_slowing_every_step_slows_a_closed_loop_by_the_same_factor():
    engine, lengths = EngineSettings(), np.full(60, 300, dtype=np.int32)
    model = a_step_model()

    def run(step_model: StepModel):
        return closed_loop(
            [step_model], engine, concurrency=16, input_tokens=lengths, output_tokens=lengths // 4
        )

    assert run(model.slowed(1.7)).ttft.p99_s == pytest.approx(1.7 * run(model).ttft.p99_s, rel=1e-9)
    assert run(model.slowed(1.7)).tpot.mean_s == pytest.approx(1.7 * run(model).tpot.mean_s, rel=1e-9)


def test_replicas_share_clients_and_requests():
    one = a_benchmark(concurrency=8, requests=80)

    four = a_benchmark(concurrency=32, requests=320, replicas=4)

    assert four.output_tokens_per_s == pytest.approx(4 * one.output_tokens_per_s, rel=1e-9)
    assert four.tpot.mean_s == pytest.approx(one.tpot.mean_s, rel=1e-9)


def test_replicas_without_a_client_stay_idle():
    found = a_benchmark(concurrency=2, requests=20, replicas=5)

    assert found.finished == 20
    assert found.busy_share == pytest.approx(2 / 5, rel=0.01)


def test_a_request_that_no_cache_holds_is_refused_with_its_length():
    with pytest.raises(TooLong) as caught:
        a_benchmark(concurrency=1, requests=2, input_tokens=2000, output_tokens=101, kv_tokens=2016)

    assert (caught.value.longest_tokens, caught.value.held_tokens) == (2100, 2000)


def test_fewer_requests_than_clients_is_no_benchmark():
    with pytest.raises(InputError, match="4 clients with 3 requests"):
        a_benchmark(concurrency=4, requests=3)


def test_the_fit_takes_every_loop_for_linear_in_the_terms_of_its_step_model():
    """``tools/closed_loop.py`` replays unit steps once; the product's replay takes the real ones."""
    closed = the_tool("closed_loop")
    case = a_case(clients=6, num_requests=60, input_tokens=300.0, output_tokens=80.0, spread=0.5)
    step = a_step_model(fixed_s=8e-3, token_s=2e-5, context_s=3e-8, pair_s=1e-9, kv_tokens=160_000)

    found = closed.predicted(case, step)

    inputs, outputs = case.lengths
    engine = EngineSettings(max_num_seqs=1024, max_num_batched_tokens=8192)
    replayed = closed_loop([step], engine, concurrency=6, input_tokens=inputs, output_tokens=outputs)
    # The tool's cousin of the replay counts the pairs of a prompt's last chunk otherwise.
    assert found["ttft"] == pytest.approx(replayed.ttft.mean_s, rel=1e-4)
    assert found["tpot"] == pytest.approx(replayed.tpot.mean_s, rel=1e-4)
    assert found["tokens_per_s"] == pytest.approx(replayed.output_tokens_per_s, rel=1e-4)


def the_tool(name):
    root = Path(__file__).parents[2]
    sys.path.insert(0, str(root / "tools"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(root / "tools"))


def a_case(*, clients, num_requests, input_tokens, output_tokens, spread):
    return Case(
        chip=a_chip(),
        model=a_llama(),
        dtype=Dtype.BF16,
        parallelism=Parallelism(),
        engine="vllm",
        version="vllm",
        source="test",
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        load=Load(clients=clients, num_requests=num_requests, spread=spread),
        observed={},
    )
