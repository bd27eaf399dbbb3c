import numpy as np
import pytest

from seedcorn.domain.workload import EngineSettings, Metric, Objective, Slo, Statistic
from seedcorn.replay import outcome, replay, replay_requests
from seedcorn.replay.kernels import gaps
from seedcorn.replay.metrics import gap_percentile_s
from tests.replay.builders import a_step_model, a_trace

STEP_S = 0.01
EVERY_STEP_ALIKE = a_step_model(fixed_s=STEP_S, token_s=0.0, context_s=0.0, pair_s=0.0)


def test_latencies_of_one_request_are_counted_by_hand():
    found = replay([EVERY_STEP_ALIKE], EngineSettings(), a_trace([5.0], [100], [11]))

    assert found.ttft.p99_s == pytest.approx(STEP_S)
    assert found.tpot.mean_s == pytest.approx(STEP_S)
    assert found.e2e.p50_s == pytest.approx(11 * STEP_S)
    assert found.itl.mean_s == pytest.approx(STEP_S)
    assert found.duration_s == pytest.approx(11 * STEP_S)
    assert found.output_tokens_per_s == pytest.approx(11 / (11 * STEP_S))
    assert found.input_tokens_per_s == pytest.approx(100 / (11 * STEP_S))
    assert found.busy_share == pytest.approx(1.0)
    assert found.steps == 11


def test_requests_with_one_token_have_no_tpot_and_do_not_miss_it():
    slo = Slo(objectives=(Objective(metric=Metric.TPOT, statistic=Statistic.P99, bound_s=1e-9),))

    found = replay([EVERY_STEP_ALIKE], EngineSettings(), a_trace([0.0, 0.0], [5, 5], [1, 1]), slo=slo)

    assert found.slo_attainment_share == 1.0
    assert found.meets(slo)


def test_a_refused_request_attains_nothing():
    slo = Slo(objectives=(Objective(metric=Metric.E2E, statistic=Statistic.P99, bound_s=100.0),))
    replica = a_step_model(kv_tokens=160)

    found = replay([replica], EngineSettings(), a_trace([0.0, 0.0], [500, 5], [1, 1]), slo=slo)

    assert (found.refused, found.slo_attainment_share) == (1, 0.5)
    assert not found.meets(slo)


def test_every_gap_is_counted_in_the_bin_that_holds_it():
    rng = np.random.default_rng(0)
    for _ in range(200):
        first_s, growth_s = 10 ** rng.uniform(-5, 1), 10 ** rng.uniform(-9, -2)
        num_steps, weight = int(rng.integers(1, 2000)), int(rng.integers(1, 50))
        counts = np.zeros(gaps.NUM_BINS, dtype=np.int64)

        gaps.add_run(first_s, growth_s, num_steps, weight, counts)

        one_by_one = np.zeros(gaps.NUM_BINS, dtype=np.int64)
        for j in range(num_steps):
            one_by_one[gaps.bin_of(first_s + growth_s * j)] += weight
        assert counts.tolist() == one_by_one.tolist()


def test_bins_are_less_than_half_a_percent_wide():
    starts_s = np.array([gaps.bin_start_s(index) for index in range(gaps.NUM_BINS)])

    widths = np.diff(starts_s) / starts_s[:-1]

    assert 0.0019 < widths.min() <= widths.max() < 0.005
    assert starts_s[0] < 1e-7 and starts_s[-1] > 3600


@pytest.mark.parametrize("percentile", [50, 90, 95, 99])
def test_gap_percentiles_are_those_of_all_gaps(percentile):
    rng = np.random.default_rng(3)
    n = 400
    trace = a_trace(np.cumsum(rng.exponential(0.1, n)), rng.integers(1, 3000, n), rng.integers(1, 200, n))
    engine = EngineSettings(max_num_seqs=1)  # alone: a request's gaps follow from its own steps
    model = a_step_model(context_s=1e-5)

    times = replay_requests([model], engine, trace)

    all_gaps_s = np.concatenate(
        [
            [model.step_s(decode_seqs=1, context_tokens=int(i) + g) for g in range(1, int(o))]
            for i, o in zip(trace.input_tokens, trace.output_tokens, strict=True)
        ]
    )
    assert gap_percentile_s(times.gap_counts, percentile) == pytest.approx(
        np.percentile(all_gaps_s, percentile), rel=0.004
    )


def test_percentiles_weigh_requests_alike_and_interpolate_linearly():
    rng = np.random.default_rng(6)
    n = 333
    trace = a_trace(np.cumsum(rng.exponential(0.05, n)), rng.integers(1, 900, n), rng.integers(1, 50, n))

    times = replay_requests([EVERY_STEP_ALIKE], EngineSettings(max_num_seqs=4), trace)
    found = outcome(times, trace)

    ttft_s = times.first_token_s - trace.arrival_s
    several = trace.output_tokens > 1
    tpot_s = (times.finish_s - times.first_token_s)[several] / (trace.output_tokens - 1)[several]
    for latency, values_s in ((found.ttft, ttft_s), (found.tpot, tpot_s)):
        got_s = [latency.p50_s, latency.p90_s, latency.p95_s, latency.p99_s, latency.mean_s]
        expected_s = [*np.percentile(values_s, [50, 90, 95, 99]), values_s.mean()]
        np.testing.assert_allclose(got_s, expected_s, rtol=1e-12)
