import numpy as np
import pytest

from seedcorn.domain.workload import EngineSettings, Metric, Objective, Router, Slo, Statistic
from seedcorn.errors import MissesSlo, TooLong
from seedcorn.replay import CapacitySearch, Replica, capacity, read_trace, replay, scaled
from tests.replay.builders import a_step_model, a_trace

ENGINE = EngineSettings()


def an_slo(**bounds_s):
    return Slo(
        objectives=tuple(
            Objective(
                metric=Metric(name.split("_")[0]), statistic=Statistic(name.split("_")[1]), bound_s=bound_s
            )
            for name, bound_s in bounds_s.items()
        )
    )


def test_as_many_replicas_as_capacity_says_carry_the_service_and_fewer_do_not():
    trace = scaled(read_trace("azure-conv"), rate_per_s=60.0, seed=0)
    slo = an_slo(ttft_p99=1.0, tpot_p99=0.05)
    found = capacity(a_step_model(), ENGINE, trace, slo)
    enough = int(np.ceil(trace.mean_rate_per_s / found.rate_per_s))

    def held(replicas):
        return replay([a_step_model()] * replicas, ENGINE, trace, router=Router.ROUND_ROBIN).meets(slo)

    assert held(enough + 1)
    assert not held(enough - 1)


def test_the_answer_was_replayed_and_its_binding_objective_is_the_nearest():
    trace = scaled(read_trace("azure-conv"), rate_per_s=60.0, seed=0)
    slo = an_slo(ttft_p99=1.0, tpot_p99=0.05)

    found = capacity(a_step_model(), ENGINE, trace, slo)

    assert found.outcome.meets(slo)
    assert all(predicted.holds for predicted in found.predicted)
    shares = {p.objective.name: p.got_s / p.objective.bound_s for p in found.predicted}
    assert found.binds.name == max(shares, key=shares.__getitem__)


def test_one_server_carries_what_md1_theory_says():
    """One at a time, ten steps of 1 ms each: mean wait ρS / 2(1−ρ) = 10 ms at ρ = 2/3, so 66.7 requests/s."""
    rng = np.random.default_rng(4)
    n = 200_000
    trace = a_trace(np.cumsum(rng.exponential(1.0, n)), np.ones(n), np.full(n, 10))
    model = a_step_model(fixed_s=1e-3, token_s=0.0, context_s=0.0, pair_s=0.0)

    found = capacity(model, EngineSettings(max_num_seqs=1), trace, an_slo(ttft_mean=0.011))

    assert found.rate_per_s == pytest.approx(200 / 3, rel=0.02)


def test_without_a_ttft_objective_the_saturated_rate_is_the_most():
    """8 at a time, prompts of one token, 10 tokens out in steps of 10 ms whatever the batch: 80 requests/s."""
    n = 8_000
    trace = a_trace(np.arange(n) * 1.0, np.ones(n), np.full(n, 10))
    model = a_step_model(fixed_s=0.01, token_s=0.0, context_s=0.0, pair_s=0.0)

    found = capacity(model, EngineSettings(max_num_seqs=8), trace, an_slo(tpot_p99=1.0))

    assert found.rate_per_s == pytest.approx(80, rel=0.01)


def test_a_looser_objective_never_lowers_capacity():
    trace = scaled(read_trace("azure-code"), rate_per_s=20.0, seed=0)

    rates = [
        capacity(a_step_model(), ENGINE, trace, an_slo(ttft_p99=2.0, tpot_p90=b)).rate_per_s
        for b in (0.02, 0.04, 0.08)
    ]

    assert rates == sorted(rates)


def test_an_objective_missed_by_a_lone_request_is_named_with_both_numbers():
    with pytest.raises(MissesSlo, match=r"tpot_p99 is 8.*ms even when.*itself, the SLO asks 1 ms") as caught:
        capacity(a_step_model(fixed_s=8e-3), ENGINE, read_trace("azure-conv"), an_slo(tpot_p99=1e-3))
    assert (caught.value.objective, caught.value.bound_s) == ("tpot_p99", 1e-3)
    assert caught.value.got_s > 8e-3


def test_requests_that_never_fit_are_counted():
    trace = a_trace([0.0, 1.0, 2.0, 3.0], [100, 2000, 100, 100], [10, 10, 10, 10])
    with pytest.raises(TooLong, match=r"25 % of trace 'test' \(1 of 4.*1,008 tokens.*needs 2,009") as caught:
        capacity(a_step_model(kv_tokens=1024), ENGINE, trace, an_slo(tpot_p99=1.0))
    assert (caught.value.share, caught.value.longest_tokens, caught.value.held_tokens) == (0.25, 2009, 1008)


def test_a_short_trace_is_repeated_and_its_seed_decides():
    trace = a_trace(np.cumsum(np.random.default_rng(1).exponential(1, 50)), np.full(50, 100), np.full(50, 20))
    slo = an_slo(ttft_p99=0.2)

    one, same = (capacity(a_step_model(), ENGINE, trace, slo, seed=7) for _ in range(2))

    assert one.outcome.arrived >= 3_900
    assert one == same


def test_bursts_that_miss_at_any_rate_are_named_with_the_lowest_tried():
    """Requests come in pairs, hours apart: two decode at once, in steps of 30 ms, however slow the rate."""
    n = 4_000
    trace = a_trace(np.repeat(np.arange(n // 2) * 1e4, 2), np.full(n, 10), np.full(n, 5))
    model = a_step_model(fixed_s=0.01, token_s=0.01, context_s=0.0, pair_s=0.0)

    with pytest.raises(
        MissesSlo, match=r"tpot_p99 is 30 ms even at 0.00\d+ requests/s, in this trace's bursts"
    ):
        capacity(model, ENGINE, trace, an_slo(tpot_p99=0.025))


def test_a_search_carries_its_capacity_and_no_more():
    trace = scaled(read_trace("azure-conv"), rate_per_s=60.0, seed=0)
    slo = an_slo(ttft_p99=1.0, tpot_p99=0.05)
    search = CapacitySearch(Replica(step_model=a_step_model(), engine=ENGINE), trace, slo)
    found = search.capacity()
    assert search.carries(found.rate_per_s)
    assert not search.carries(found.rate_per_s * 1.01)
    assert not search.carries(search.saturated_per_s * 1.001)
