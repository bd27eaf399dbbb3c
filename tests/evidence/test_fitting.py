"""A server with known step times is measured by replay; from its measurements alone the fit must find it."""

import numpy as np
import pytest

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.perf import StepModel
from seedcorn.perf.measured import corrected_terms
from seedcorn.replay import closed_loop
from seedcorn.study.evidence import best_step_model
from tests.evidence.measurements import a_measurement, a_point

MODEL, CHIP = find_model("llama-3.1-8b").model, find_chip("h100-sxm").chip


def best(*measurements):
    """The step model of the replica that all of this file is about."""
    return best_step_model(
        MODEL,
        CHIP,
        dtype=Dtype.BF16,
        parallelism=Parallelism(),
        engine=EngineSettings(),
        chips_per_node=8,
        measurements=measurements,
    )


PRIOR = best()
TRUTH = corrected_terms(PRIOR, np.log([1.5, 1.2, 0.8, 1.3, 1.1]))
"""A server whose steps start half as slow again as predicted, and whose prompts are faster."""


def benchmark(model: StepModel, *, concurrency, input_tokens, output_tokens=128, requests_per_client=10):
    count = concurrency * requests_per_client
    return closed_loop(
        [model],
        EngineSettings(),
        concurrency=concurrency,
        input_tokens=np.full(count, input_tokens, dtype=np.int32),
        output_tokens=np.full(count, output_tokens, dtype=np.int32),
    )


def measured(*, concurrency, input_tokens, noise=1.0, output_tokens=128):
    """What a benchmark of the true server reports, off by a factor ``noise``."""
    outcome = benchmark(
        TRUTH, concurrency=concurrency, input_tokens=input_tokens, output_tokens=output_tokens
    )
    return a_point(
        concurrency=concurrency,
        input_tokens=float(input_tokens),
        output_tokens=float(output_tokens),
        num_requests=outcome.finished,
        ttft_s=outcome.ttft.mean_s * noise,
        tpot_s=outcome.tpot.mean_s * noise,
    )


def fitted(*points, **changes):
    return best(a_measurement(points=points, **changes))


def errors(model, *, concurrency, input_tokens):
    found, truth = (benchmark(m, concurrency=concurrency, input_tokens=input_tokens) for m in (model, TRUTH))
    return [
        abs(found.tpot.mean_s / truth.tpot.mean_s - 1),
        abs(found.e2e.mean_s / truth.e2e.mean_s - 1),
    ]


UNSEEN = [{"concurrency": 2, "input_tokens": 3000}, {"concurrency": 48, "input_tokens": 700}]


@pytest.mark.parametrize("load", UNSEEN)
def test_six_benchmarks_find_the_server_at_loads_they_did_not_try(load):
    rng = np.random.default_rng(0)
    points = [
        measured(concurrency=clients, input_tokens=prompt, noise=float(np.exp(rng.normal(0, 0.02))))
        for clients in (1, 8, 32)
        for prompt in (200, 2000)
    ]

    model = fitted(*points)

    assert max(errors(PRIOR, **load)) > 0.15
    assert max(errors(model, **load)) < 0.05
    assert model.evidence is Evidence.MEASURED
    assert model.log_sigma < 0.7 * PRIOR.log_sigma


@pytest.mark.parametrize("load", UNSEEN)
def test_one_benchmark_helps_everywhere_it_did_not_look(load):
    model = fitted(measured(concurrency=8, input_tokens=1000))

    assert max(errors(model, **load)) < max(errors(PRIOR, **load))


def test_more_benchmarks_leave_less_open():
    points = [measured(concurrency=c, input_tokens=1000) for c in (1, 4, 16, 64)]

    sigmas = [fitted(*points[:count]).log_sigma for count in (1, 2, 4)]

    assert sigmas == sorted(sigmas, reverse=True)
    assert PRIOR.log_sigma > sigmas[0]


def test_one_absurd_benchmark_is_followed_no_further_than_it_goes():
    """Ten times too slow, as from a shared chip: no term moves beyond what that says, nothing breaks."""
    model = fitted(measured(concurrency=8, input_tokens=1000, noise=10.0))

    for term, prior in (
        (model.dense_s[0], PRIOR.dense_s[0]),
        (model.context_s, PRIOR.context_s),
        (model.pair_s, PRIOR.pair_s),
    ):
        assert 1 < term / prior < 10 * 1.5
    assert np.all(np.diff(model.dense_s) >= 0)


def test_one_wrong_benchmark_among_five_is_outvoted():
    good = [measured(concurrency=clients, input_tokens=1000) for clients in (1, 2, 8, 32)]
    wrong = measured(concurrency=16, input_tokens=1000, noise=10.0)

    model = fitted(*good, wrong)

    assert max(errors(model, concurrency=16, input_tokens=1000)) < 0.15


def test_measurements_of_something_else_are_not_used():
    points = (measured(concurrency=8, input_tokens=1000),)
    others = tuple(
        a_measurement(points=points, **other)
        for other in (
            {"chip": "nvidia-h200-sxm"},
            {"dtype": Dtype.FP8},
            {"tp": 2},
            {"model": "Qwen/Qwen3-32B"},
        )
    )

    model = best(*others)

    assert model.evidence is PRIOR.evidence
    np.testing.assert_array_equal(model.dense_s, PRIOR.dense_s)


def test_of_two_engine_versions_the_newer_counts():
    slow, fast = (
        measured(concurrency=8, input_tokens=1000, noise=2.0),
        measured(concurrency=8, input_tokens=1000),
    )

    model = best(
        a_measurement(points=(slow,), version="0.9.2"),
        a_measurement(points=(fast,), version="0.19.0"),
    )

    np.testing.assert_allclose(model.dense_s, fitted(fast).dense_s)


def test_the_cache_size_that_the_engine_logged_is_taken():
    point = measured(concurrency=8, input_tokens=1000)

    assert fitted(point, kv_tokens=123_456).kv_tokens == 123_456
    assert fitted(point).kv_tokens == PRIOR.kv_tokens


def test_throughput_alone_is_evidence_too():
    measured_tokens_per_s = benchmark(TRUTH, concurrency=32, input_tokens=1000).output_tokens_per_s
    point = a_point(
        concurrency=32,
        output_tokens=128.0,
        num_requests=320,
        ttft_s=None,
        tpot_s=None,
        output_tokens_per_s=measured_tokens_per_s,
    )

    found = benchmark(fitted(point), concurrency=32, input_tokens=1000).output_tokens_per_s

    assert found == pytest.approx(measured_tokens_per_s, rel=0.05)


def test_arrivals_at_a_rate_are_fitted_as_such():
    """A light load, so that a TPOT is a step of few sequences."""
    model = fitted(a_point(rate_per_s=0.5, ttft_s=0.1, tpot_s=0.02, num_requests=200))

    assert model.step_s(decode_seqs=2, context_tokens=2000) == pytest.approx(0.02, rel=0.15)
