"""Serving predictions against the step model's own formula, laws of queues, and each other."""

import math

import pytest

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.prediction import Load
from seedcorn.domain.workload import EngineName, EngineSettings, Statistic
from seedcorn.errors import DoesNotFit, Infeasible, TooLong, UnknownName
from seedcorn.perf import step_model
from seedcorn.study import ServingQuestion, predict_serving

MEAN = Statistic.MEAN


def a_prediction(*, model="llama-3.1-8b", chip="h100-sxm", tp=None, chips=None, engine=None, **load):
    sizes = {"input_tokens": 1000, "output_tokens": 100, **load}
    return predict_serving(
        ServingQuestion(
            model=model,
            chip=chip,
            tp=tp,
            chips=chips,
            engine=engine or EngineSettings(),
            load=Load(**sizes),
        )
    )


def the_step_model(model="llama-3.1-8b", chip="h100-sxm", tp=1):
    return step_model(
        find_model(model).model,
        find_chip(chip).chip,
        dtype=Dtype.BF16,
        parallelism=Parallelism(tp=tp),
        engine=EngineSettings(),
        chips_per_node=8,
    )


def test_one_client_waits_for_its_prompt_and_then_for_a_step_a_token():
    found = a_prediction(concurrency=1)

    step = the_step_model()
    prompt_s = step.step_s(decode_seqs=0, prefill_tokens=1000, pairs=1000 * 1001 / 2)
    decode_s = sum(step.step_s(decode_seqs=1, context_tokens=1000 + j) for j in range(1, 100)) / 99
    beside_s = step.request_s + step.first_steps * decode_s
    assert found.ttft_s[MEAN].value == pytest.approx(prompt_s + beside_s, rel=1e-9)
    assert found.tpot_s[MEAN].value == pytest.approx(decode_s * (99 - step.first_steps) / 99, rel=1e-9)
    assert found.output_tokens_per_s.value == pytest.approx(100 / (prompt_s + 99 * decode_s), rel=1e-9)


def test_the_interval_is_the_step_models_own_uncertainty_and_wider_for_first_tokens():
    found, step = a_prediction(concurrency=8), the_step_model()

    # 95 % of a normal distribution lie below 1.6449 standard deviations
    steps, first = (math.exp(1.6448536 * sigma) for sigma in (step.log_sigma, step.ttft_log_sigma))
    for interval in (*found.tpot_s.values(), found.output_tokens_per_s):
        assert interval.high / interval.value == pytest.approx(steps, rel=1e-6)
        assert interval.value / interval.low == pytest.approx(steps, rel=1e-6)
    for interval in found.ttft_s.values():
        assert interval.high / interval.value == pytest.approx(first, rel=1e-6)
        assert interval.value / interval.low == pytest.approx(first, rel=1e-6)


def test_the_engine_that_is_named_is_the_one_predicted():
    vllm, sglang = (
        a_prediction(concurrency=8, engine=EngineSettings(engine=name))
        for name in (EngineName.VLLM, EngineName.SGLANG)
    )

    assert (vllm.engine.engine, sglang.engine.engine) == ("vllm", "sglang")
    assert sglang.ttft_s[MEAN].value != vllm.ttft_s[MEAN].value


def test_at_a_low_rate_a_request_has_the_chip_to_itself_and_all_that_arrive_are_served():
    alone, found = a_prediction(concurrency=1), a_prediction(rate_per_s=0.01)

    assert found.tpot_s[Statistic.P50].value == pytest.approx(alone.tpot_s[MEAN].value, rel=1e-3)
    assert found.output_tokens_per_s.value == pytest.approx(0.01 * 100, rel=0.05)


def test_latencies_rise_with_the_rate():
    found = [a_prediction(rate_per_s=rate) for rate in (1, 5, 10)]

    for statistic in (Statistic.MEAN, Statistic.P99):
        tpots = [prediction.tpot_s[statistic].value for prediction in found]
        assert tpots == sorted(tpots)


def test_a_rate_that_is_not_carried_is_refused_with_the_replicas_that_carry_it():
    with pytest.raises(Infeasible, match=r"200 requests/s is more than 1 replica carries") as caught:
        a_prediction(rate_per_s=200)

    replicas = int(caught.value.message.split("; ")[1].split()[0])
    assert replicas > 1
    assert a_prediction(rate_per_s=200, chips=replicas).replicas == replicas
    with pytest.raises(Infeasible):
        a_prediction(rate_per_s=200, chips=replicas - 1)


def test_a_large_fleet_is_told_in_its_own_numbers():
    """Of 40 replicas a part is replayed; the message speaks of all."""
    with pytest.raises(Infeasible, match=r"^20000 requests/s is more than 40 replicas carry"):
        a_prediction(rate_per_s=20_000, chips=40)


def test_near_the_limit_the_slow_end_has_no_bound():
    with pytest.raises(Infeasible, match="more than 1 replica") as caught:
        a_prediction(rate_per_s=200)
    carried_per_s = float(caught.value.message.split("carries: ")[1].split()[0])

    found = a_prediction(rate_per_s=0.95 * carried_per_s)

    assert math.isinf(found.ttft_s[MEAN].high)
    assert math.isfinite(found.ttft_s[MEAN].low)
    assert found.output_tokens_per_s.low < found.output_tokens_per_s.value


@pytest.mark.parametrize(
    ("load", "binds"),
    [
        ({"concurrency": 1, "input_tokens": 100, "output_tokens": 400}, "bandwidth"),
        ({"concurrency": 8, "input_tokens": 16_000, "output_tokens": 2}, "compute"),
    ],
)
def test_decoding_alone_waits_for_memory_and_long_prompts_for_arithmetic(load, binds):
    found = a_prediction(**load)

    assert found.binds == binds
    assert sum(found.shares.values()) == pytest.approx(1, abs=0.1)


def test_a_cache_that_holds_few_of_the_clients_binds():
    """Llama-3.1-8B leaves an RTX 4090 some 36,000 tokens: 14 requests of 2,500, of 64 clients."""
    found = a_prediction(chip="rtx-4090", concurrency=64, input_tokens=2000, output_tokens=500)

    assert found.binds == "memory"


def test_many_replicas_under_as_much_more_load_serve_alike():
    few, many = (a_prediction(chips=n, concurrency=4 * n) for n in (2, 200))

    assert many.replicas == 200
    assert many.tpot_s[MEAN].value == pytest.approx(few.tpot_s[MEAN].value, rel=1e-9)
    assert many.output_tokens_per_s.value == pytest.approx(100 * few.output_tokens_per_s.value, rel=1e-9)


def test_more_clients_get_more_tokens_at_a_slower_pace():
    one, many = a_prediction(concurrency=1), a_prediction(concurrency=64)

    assert many.output_tokens_per_s.value > 5 * one.output_tokens_per_s.value
    assert many.tpot_s[MEAN].value > one.tpot_s[MEAN].value


def test_the_least_tensor_parallelism_that_fits_is_taken_and_said():
    found = a_prediction(model="llama-3.1-70b", concurrency=4)

    assert found.parallelism == Parallelism(tp=2)  # 141 GB of weights on 80 GB chips
    assert found.defaults["tp"] == "2 (the least that fits)"
    assert found.defaults["dtype"] == "bf16 (as published)"


def test_a_chip_without_bf16_runs_the_model_in_fp16_and_says_so():
    found = a_prediction(chip="v100-sxm2-32gb", concurrency=1)

    assert found.dtype == Dtype.FP16
    assert found.defaults["dtype"].startswith("fp16")


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ({"model": "llama-3.1-70b", "tp": 1}, DoesNotFit, "does not fit"),
        ({"model": "llama-3.1-70b", "chips": 1}, Infeasible, "give 2 chips or more"),
        ({"input_tokens": 2_000_000}, TooLong, "exceeds the"),
        ({"model": "lama-3.1-8b"}, UnknownName, "llama-3.1-8b"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(asked, error, message):
    with pytest.raises(error) as caught:
        a_prediction(**{"concurrency": 1, **asked})

    assert message.lower() in str(caught.value).lower()
