"""A stream in chunks against the same trace replayed whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.workload import EngineSettings, Metric, Objective, Router, Slo, Statistic
from seedcorn.errors import InputError
from seedcorn.replay import outcome, replay_requests, replay_stream
from seedcorn.replay.traffic import part
from tests.replay.builders import a_step_model, a_trace
from tests.replay.test_kernels_match_reference import engines, step_models, traces

SLO = Slo(
    objectives=(
        Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=0.05),
        Objective(metric=Metric.TPOT, statistic=Statistic.P99, bound_s=0.02),
    )
)


def in_chunks(trace, cuts):
    return [part(trace, picked) for picked in np.split(np.arange(trace.num_requests), sorted(cuts))]


@settings(max_examples=100, deadline=None)
@given(
    engine=engines(),
    models=st.lists(step_models(), min_size=1, max_size=4),
    trace=traces(),
    router=st.sampled_from(Router),
    cuts=st.lists(st.integers(0, 25), max_size=6),
)
def test_where_a_trace_is_cut_changes_nothing(engine, models, trace, router, cuts):
    times = replay_requests(models, engine, trace, router=router)
    whole = outcome(times, trace, slo=SLO)

    sums = replay_stream(models, engine, in_chunks(trace, cuts), router=router, slo=SLO)

    found = sums.outcome
    assert sums.gap_counts.tolist() == times.gap_counts.tolist()
    for name in ("arrived", "finished", "refused", "preemptions", "steps", "slo_attainment_share"):
        assert getattr(found, name) == getattr(whole, name), name
    for metric in (Metric.TTFT, Metric.TPOT, Metric.E2E, Metric.ITL):
        assert found.latency(metric).mean_s == pytest.approx(whole.latency(metric).mean_s, rel=1e-12)
    assert found.duration_s == whole.duration_s
    assert found.busy_share == pytest.approx(whole.busy_share)


def a_busy_trace(num_requests, seed):
    rng = np.random.default_rng(seed)
    return a_trace(
        np.cumsum(rng.exponential(0.01, num_requests)),
        rng.integers(1, 2000, num_requests),
        rng.integers(1, 400, num_requests),
    )


def test_percentiles_are_within_a_bin_of_the_exact_ones():
    trace, models = a_busy_trace(20_000, 3), [a_step_model()] * 40

    exact = outcome(replay_requests(models, EngineSettings(), trace), trace)
    found = replay_stream(models, EngineSettings(), in_chunks(trace, [7_000])).outcome

    for metric in Metric:
        for statistic in (Statistic.P50, Statistic.P90, Statistic.P95, Statistic.P99):
            value_s = exact.latency(metric).value_s(statistic)
            assert found.latency(metric).value_s(statistic) == pytest.approx(value_s, rel=1 / 256)


def test_sums_of_two_streams_add_up():
    models, traces_ = [a_step_model()] * 10, [a_busy_trace(2_000, seed) for seed in (1, 2)]
    one, other = (replay_stream(models, EngineSettings(), [trace], slo=SLO) for trace in traces_)

    both = (one + other).outcome

    assert both.arrived == 4_000
    assert both.ttft.mean_s == pytest.approx((one.outcome.ttft.mean_s + other.outcome.ttft.mean_s) / 2)
    assert both.slo_attainment_share == (one.attained + other.attained) / 4_000
    assert both.e2e.p50_s == pytest.approx(
        np.median(
            np.concatenate(
                [
                    replay_requests(models, EngineSettings(), trace).finish_s - trace.arrival_s
                    for trace in traces_
                ]
            )
        ),
        rel=1 / 256,
    )


def test_chunks_out_of_order_are_refused():
    trace = a_busy_trace(100, 1)
    first, second = in_chunks(trace, [50])

    with pytest.raises(InputError, match="before the end of the one above it"):
        replay_stream([a_step_model()], EngineSettings(), [second, first])
