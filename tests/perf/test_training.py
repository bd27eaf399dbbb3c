"""Training throughput: laws, published runs that were not fitted on, memory counts from the literature."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import DoesNotFit, Infeasible, InputError, UnknownFact, Unsupported
from seedcorn.perf.training import (
    TrainingParallelism,
    best_training,
    checkpoint_interval_s,
    effectiveness_share,
    gang_options,
    mixed_gang_rate,
    speed_per_chip,
    training_rate,
)
from seedcorn.perf.training.effectiveness import USUAL
from seedcorn.perf.training.layout import layouts_of
from seedcorn.perf.training.memory import training_memory
from seedcorn.perf.training.shape import training_shape

GBPS_400 = 50e9


def a_pool(chip="nvidia-h100-sxm", chips=1024, chips_per_node=8, network_bytes_per_s=GBPS_400):
    return Pool(
        name=PoolName(chip),
        chip=find_chip(chip).chip,
        chips=chips,
        chips_per_node=chips_per_node,
        network_bytes_per_s=network_bytes_per_s,
    )


def a_job(params=8e9, active_params=None, **facts):
    return TrainingJob(name="next", params=params, active_params=active_params or params, **facts)


# --- laws --------------------------------------------------------------------------------------

layouts = st.builds(
    TrainingParallelism,
    tp=st.sampled_from([1, 2, 4, 8]),
    pp=st.sampled_from([1, 2, 4, 8]),
    dp=st.integers(1, 64),
    mbs=st.sampled_from([1, 2]),
)
jobs = st.builds(
    a_job,
    params=st.floats(1e9, 4e9),
    batch_tokens=st.just(4096.0 * 1024),
    dtype=st.sampled_from([Dtype.BF16, Dtype.FP8]),
)


@given(jobs, layouts)
def test_no_gang_exceeds_the_peak_and_its_time_is_accounted_for(job, parallelism):
    rate = training_rate(job, a_pool("nvidia-h200-sxm"), parallelism)

    assert 0 < rate.mfu < 1
    assert sum(rate.shares.values()) == pytest.approx(1)
    assert all(share >= 0 for share in rate.shares.values())
    assert rate.tokens_per_s_at(0.05) < rate.tokens_per_s < rate.tokens_per_s_at(0.95)


@given(jobs, layouts, st.floats(1, 10))
def test_a_faster_network_or_memory_never_slows_training(job, parallelism, times):
    pool = a_pool("nvidia-h200-sxm")
    faster_network = replace(pool, network_bytes_per_s=times * GBPS_400)
    faster_memory = replace(
        pool, chip=replace(pool.chip, memory_bytes_per_s=times * pool.chip.memory_bytes_per_s)
    )
    today = training_rate(job, pool, parallelism).tokens_per_s

    assert training_rate(job, faster_network, parallelism).tokens_per_s >= today
    assert training_rate(job, faster_memory, parallelism).tokens_per_s >= today


@given(jobs, layouts)
def test_a_second_set_of_replicas_never_speeds_up_each_chip(job, parallelism):
    pool = a_pool("nvidia-h200-sxm", chips=8192)  # memory never binds here: more dp frees none that matters
    one = training_rate(job, pool, parallelism)
    two = training_rate(job, pool, replace(parallelism, dp=2 * parallelism.dp))

    assert two.tokens_per_s / two.chips <= one.tokens_per_s / one.chips * (1 + 1e-12)


def test_longer_sequences_train_fewer_tokens_in_a_second():
    rates = [
        best_training(a_job(sequence_length=length, tokens=2e12), a_pool(), 64).tokens_per_s
        for length in (2048, 8192, 32768, 131072)
    ]

    assert rates == sorted(rates, reverse=True)


# --- published runs that are not among the fitted ones -----------------------------------------

A100 = "nvidia-a100-sxm4-80gb"
RECOMPUTED = 8  # FLOP a parameter where the published rate counts full recomputation, else 6


def a_run(params, chip, tokens_per_s_per_chip, layout=None, network_bytes_per_s=25e9, **facts):
    chips = facts.pop("chips")
    job = a_job(params, **{"sequence_length": 2048, **facts})
    return job, a_pool(chip, chips, network_bytes_per_s=network_bytes_per_s), layout, tokens_per_s_per_chip


def a_megatron_run(params, chips, batch, tflop_per_s, **sizes):
    """Narayanan et al. 2021, arXiv:2104.04473, table 1: sequences of 2,048, all activations recomputed."""
    layout = TrainingParallelism(tp=8, dp=chips // (8 * sizes["pp"]), recompute=True, **sizes)
    speed = tflop_per_s * 1e12 / (RECOMPUTED * params)
    return a_run(params, A100, speed, layout, chips=chips, batch_tokens=batch * 2048)


PUBLISHED = {
    # 180,000 H800 hours for 10¹² tokens, fp8, 15,360 sequences a batch (arXiv:2412.19437, sections 1, 4.2).
    "deepseek-v3": a_run(
        671e9,
        "nvidia-h800-sxm",
        1e12 / (180e3 * 3600),
        chips=2048,
        network_bytes_per_s=GBPS_400,
        active_params=37e9,
        model=find_model("deepseek-ai/DeepSeek-V3").model,
        sequence_length=4096,
        batch_tokens=15360 * 4096,
        dtype=Dtype.FP8,
    ),
    # 1,720,320 A100 hours for 2·10¹² tokens, 4·10⁶ a batch (arXiv:2307.09288, table 2, section 2.2); the
    # number of chips is not published: 2,048 is a guess at its order.
    "llama-2-70b": a_run(
        69e9, A100, 2e12 / (1720320 * 3600), chips=2048, sequence_length=4096, batch_tokens=4e6
    ),
    # 147 TFLOP/s, 2·10⁶ tokens a batch (arXiv:2205.01068, section 2.4).
    "opt-175b": a_run(175e9, A100, 147e12 / (6 * 175e9), chips=992, batch_tokens=2e6),
    # 150 TFLOP/s, tp 4, pp 12, dp 8, 2,048 sequences a batch (arXiv:2211.05100, section 3.3.2).
    "bloom-176b": a_run(
        176e9,
        A100,
        150e12 / (RECOMPUTED * 176e9),
        TrainingParallelism(tp=4, pp=12, dp=8, mbs=2, recompute=True),
        chips=384,
        batch_tokens=2048 * 2048,
    ),
    "megatron-39b": a_megatron_run(39.1e9, 512, 1536, 138, pp=2, mbs=4),
    "megatron-145b": a_megatron_run(145.6e9, 1536, 2304, 148, pp=8),
    "megatron-530b": a_megatron_run(529.6e9, 2520, 2520, 163, pp=35),
    "megatron-1t": a_megatron_run(1008e9, 3072, 3072, 163, pp=64),
}


def predicted_over_published(job, pool, layout, tokens_per_s_per_chip):
    rate = training_rate(job, pool, layout) if layout else best_training(job, pool, pool.chips)
    published = tokens_per_s_per_chip * rate.chips
    return rate.tokens_per_s / published, rate.tokens_per_s_at(0.05) <= published <= rate.tokens_per_s_at(
        0.95
    )


def test_runs_nobody_fitted_are_predicted_within_their_intervals():
    outcomes = {name: predicted_over_published(*run) for name, run in PUBLISHED.items()}

    assert all(0.6 < ratio < 1.4 for ratio, _ in outcomes.values())
    # The two misses are stacks of 2021 and 2022, before fused attention: slower than today's would be.
    assert {name for name, (_, inside) in outcomes.items() if not inside} <= {"bloom-176b", "megatron-39b"}


@pytest.mark.parametrize(("dp", "tflop_per_s"), [(64, 430), (128, 400)])
def test_llama_3_405b_reaches_what_its_paper_says(dp, tflop_per_s):
    # On 8,192 and 16,384 H100, tp 8, pp 16, 16·10⁶ tokens a batch (arXiv:2407.21783, table 4).
    job = a_job(
        405e9,
        model=find_model("meta-llama/Llama-3.1-405B").model,
        sequence_length=8192,
        batch_tokens=2048 * 8192,
    )

    rate = training_rate(job, a_pool(chips=16384), TrainingParallelism(tp=8, pp=16, dp=dp))

    attention = training_shape(job).attention_flop_per_token(8192) / training_shape(job).weight_flop_per_token
    assert rate.flop_per_s_per_chip * (1 + attention) == pytest.approx(tflop_per_s * 1e12, rel=0.05)


# --- memory ------------------------------------------------------------------------------------


def states_gb(parallelism, params=7.5e9):
    shape = training_shape(a_job(params))
    layouts = layouts_of([parallelism])
    return float(training_memory(shape, layouts, held_tokens=layouts.mbs).states_bytes[0]) / 1e9


def test_optimizer_states_are_sharded_as_megatron_says():
    # 18 bytes a parameter, 6 + 12/dp with the distributed optimizer (Megatron-LM, docs of dist_optimizer).
    assert states_gb(TrainingParallelism()) == pytest.approx(18 * 7.5)
    assert states_gb(TrainingParallelism(dp=64)) == pytest.approx((6 + 12 / 64) * 7.5)
    assert states_gb(TrainingParallelism(tp=4, pp=2, dp=8)) == pytest.approx((6 + 12 / 8) * 7.5 / 8)


def test_a_7b_model_with_adam_needs_two_80_gb_chips():
    with pytest.raises(DoesNotFit):
        best_training(a_job(6.7e9), a_pool(), 1)

    assert best_training(a_job(6.7e9), a_pool(), 2).chips == 2


def test_a_gang_that_is_too_small_names_the_smallest_that_fits():
    with pytest.raises(DoesNotFit, match=r"smallest gang that fits has (\d+) chips") as caught:
        best_training(a_job(405e9), a_pool(), 32)

    smallest = int(str(caught.value).split("gang that fits has ")[1].split()[0])
    assert caught.value.needed_bytes > caught.value.available_bytes
    assert best_training(a_job(405e9), a_pool(), smallest).chips <= smallest
    with pytest.raises(DoesNotFit):
        best_training(a_job(405e9), a_pool(), smallest - 8)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (TrainingParallelism(tp=16), "leaves the 8 chips"),
        (TrainingParallelism(pp=512), "exceeds the model's"),
        (TrainingParallelism(tp=8, ep=8), "must divide"),
        (TrainingParallelism(pp=2, fsdp=True), "fsdp"),
    ],
)
def test_sizes_no_launcher_would_accept_are_refused(wrong, message):
    with pytest.raises(InputError, match=message):
        training_rate(a_job(), a_pool(), wrong)


def test_more_replicas_than_sequences_are_refused():
    with pytest.raises(Infeasible, match="larger batch"):
        training_rate(a_job(1e9, batch_tokens=4096 * 8), a_pool(), TrainingParallelism(dp=16))


# --- gangs -------------------------------------------------------------------------------------


def test_gangs_come_in_whole_nodes_within_the_bounds_and_each_is_faster_than_the_last():
    job = a_job(70e9, min_chips=128, max_chips=900, tokens=15e12, sequence_length=8192)

    options = gang_options(job, a_pool())

    assert len(options) > 10
    assert all(128 <= option.chips <= 896 for option in options)
    assert all(option.parallelism.chips == option.chips for option in options)
    speeds = [option.tokens_per_s for option in options]
    assert speeds == sorted(set(speeds))
    assert [option.chips for option in options] == sorted({option.chips for option in options})


def test_the_best_layout_beats_every_other_layout_of_its_size():
    job, pool = a_job(3e9, tokens=2e12), a_pool()
    best = training_rate(job, pool, best_training(job, pool, 64).parallelism)

    for tp in (1, 2, 4, 8):
        for pp in (1, 2, 4):
            rate = training_rate(job, pool, TrainingParallelism(tp=tp, pp=pp, dp=64 // (tp * pp)))
            assert rate.tokens_per_s <= best.tokens_per_s


def test_bounds_that_leave_no_whole_node_are_refused():
    with pytest.raises(Infeasible, match="whole nodes of 8"):
        gang_options(a_job(min_chips=2000), a_pool())


# --- what a chip is worth ----------------------------------------------------------------------


def test_a_chip_is_worth_what_it_trains():
    job = a_job(70e9, tokens=15e12, sequence_length=8192)
    on_h800 = speed_per_chip(job, a_pool("nvidia-h800-sxm"))
    peak_share = 148 / 989.5  # of the H20: compute-bound work keeps to it, its power and bandwidth help

    assert peak_share < speed_per_chip(job, a_pool("nvidia-h20-96gb")) / on_h800 < 2 * peak_share
    assert speed_per_chip(job, a_pool("nvidia-a10", 2048, 1, 3.125e9)) / on_h800 < 125 / 989.5 * 1.5


def test_chips_without_the_format_are_worth_nothing_and_say_so():
    v100 = a_pool("nvidia-v100-sxm2-32gb", network_bytes_per_s=12.5e9)

    assert speed_per_chip(a_job(), v100) == 0
    with pytest.raises(Unsupported, match="fp16"):
        best_training(a_job(), v100, 64)
    with pytest.raises(Unsupported):
        best_training(a_job(dtype=Dtype.FP8), a_pool("nvidia-a100-sxm4-80gb"), 64)


def test_an_unknown_network_is_named_not_guessed():
    pool = a_pool(network_bytes_per_s=None)

    assert best_training(a_job(), pool, 8).chips == 8
    with pytest.raises(UnknownFact, match="network"):
        best_training(a_job(), pool, 16)


def test_a_family_nobody_measured_is_said_to_be_datasheet_and_less_certain():
    known, unknown = a_pool(), a_pool("nvidia-l40s")

    rate = best_training(a_job(), unknown, 64)

    assert rate.evidence is Evidence.DATASHEET
    assert rate.log_sigma > best_training(a_job(), known, 64).log_sigma


# --- gangs over two pools ----------------------------------------------------------------------

LARGE_JOB = a_job(70e9, tokens=15e12, sequence_length=8192)


def test_a_mixed_gang_is_no_faster_than_its_pools_together_and_splits_layers_by_speed():
    h800, h20 = a_pool("nvidia-h800-sxm"), a_pool("nvidia-h20-96gb")
    alone = [best_training(LARGE_JOB, pool, 256).tokens_per_s for pool in (h800, h20)]

    mixed = mixed_gang_rate(LARGE_JOB, (h800, 256), (h20, 256))

    assert max(alone) < mixed.tokens_per_s < 1.02 * sum(alone)  # each end may suit its pool a little better
    first, second = mixed.parts
    assert first.layers + second.layers == training_shape(LARGE_JOB).num_hidden_layers
    assert first.layers > second.layers
    assert first.parallelism.dp == second.parallelism.dp
    assert mixed.log_sigma > best_training(LARGE_JOB, h800, 256).log_sigma


def test_two_halves_of_one_pool_train_about_as_fast_as_the_whole():
    pool = a_pool("nvidia-h800-sxm")

    halves = mixed_gang_rate(LARGE_JOB, (pool, 128), (pool, 128))

    assert halves.tokens_per_s == pytest.approx(best_training(LARGE_JOB, pool, 256).tokens_per_s, rel=0.1)


def test_a_model_no_split_holds_is_refused():
    pool = a_pool("nvidia-h800-sxm")

    with pytest.raises(DoesNotFit, match="lend more chips"):
        mixed_gang_rate(a_job(405e9), (pool, 32), (pool, 32))


# --- wall-clock effectiveness ------------------------------------------------------------------


@pytest.mark.parametrize("chips", [8, 1024, 16384])
def test_the_checkpoint_interval_loses_the_least_time(chips):
    def lost(interval_s):
        return USUAL.checkpoint_s / interval_s + interval_s / 2 * chips / USUAL.chip_mtbf_s

    best_s = checkpoint_interval_s(chips)

    assert lost(best_s) <= min(lost(best_s * factor) for factor in (0.25, 0.5, 0.9, 1.1, 2, 4))


def test_llama_3_made_progress_nine_tenths_of_the_time():
    # "higher than 90 % effective training time" on 16,384 chips (arXiv:2407.21783, section 3.3.4).
    assert 0.85 < effectiveness_share(16384) < 0.95
    assert effectiveness_share(8) > 0.99
