"""Laws of the step model, and its parts against sums done by hand."""

from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.workload import EngineName, EngineSettings
from seedcorn.errors import UnknownFact, Unsupported
from seedcorn.perf import step_model
from seedcorn.perf.efficiency import ENGINE_FACTORS, Efficiency, efficiency, slowed
from seedcorn.perf.memory import element_bytes
from seedcorn.perf.roofline import (
    COMPUTE_CEILING,
    GRAPH_TOKENS,
    TOKENS,
    Roofline,
    expert_imbalance,
    experts_touched,
)
from seedcorn.perf.shapes import block_linears
from tests.perf.examples import DEEPSEEK_V3, LLAMA_3_70B, MIXTRAL_8X7B, a_chip, a_llama

MODELS = st.sampled_from([a_llama(), LLAMA_3_70B, MIXTRAL_8X7B, DEEPSEEK_V3, a_llama(cla_share_factor=2)])
FAMILIES = st.sampled_from(["hopper", "ampere", "ada", "ascend-910b", "never-measured"])
DTYPES = st.sampled_from([Dtype.BF16, Dtype.FP8])
TPS = st.sampled_from([1, 2, 4, 8])

ALL = [field.name for field in fields(Efficiency)]

PERFECT = replace(
    efficiency(a_chip()),
    memory_share=1.0,
    compute_share=1.0,
    power_exponent=0.0,
    eight_bit_share=1.0,
    four_bit_share=1.0,
    expert_share=1.0,
    context_share=1.0,
    pair_share=1.0,
    kernel_s=0.0,
    eager_kernel_s=0.0,
    step_s=0.0,
    sequence_s=0.0,
    request_s=0.0,
)
"""A chip that reaches its data sheet: times are then sums anyone can do."""


def a_replica(model=None, chip=None, curve=None, dtype=Dtype.BF16, tp=1, pp=1, ep=1, **engine) -> Roofline:
    chip = chip or a_chip()
    return Roofline(
        model=model or a_llama(),
        chip=chip,
        dtype=dtype,
        parallelism=Parallelism(tp=tp, pp=pp, ep=ep),
        engine=EngineSettings(**engine),
        curve=curve or efficiency(chip),
    )


@given(model=MODELS, family=FAMILIES, dtype=DTYPES, tp=TPS)
def test_more_tokens_never_take_less_time(model, family, dtype, tp):
    dense_s = a_replica(model, a_chip(family=family), dtype=dtype, tp=tp).dense_s(TOKENS)

    assert np.all(np.diff(dense_s) >= 0)
    assert np.all(dense_s > 0)


@given(
    model=MODELS,
    dtype=DTYPES,
    tp=TPS,
    faster=st.floats(1.0, 4.0),
    resource=st.sampled_from(
        ["memory_bytes_per_s", "bf16_flop_per_s", "fp8_flop_per_s", "link_bytes_per_s", "host_bytes_per_s"]
    ),
)
def test_a_faster_chip_is_never_slower(model, dtype, tp, faster, resource):
    slow = a_chip()
    fast = replace(slow, **{resource: getattr(slow, resource) * faster})

    before, after = (a_replica(model, chip, dtype=dtype, tp=tp) for chip in (slow, fast))

    assert np.all(after.dense_s(TOKENS) <= before.dense_s(TOKENS) * (1 + 1e-12))
    assert after.context_s() <= before.context_s() * (1 + 1e-12)
    assert after.pair_s() <= before.pair_s() * (1 + 1e-12)


@given(model=MODELS, tp=st.sampled_from([2, 4, 8]))
def test_tp_divides_what_a_chip_does_but_never_better_than_evenly(model, tp):
    whole, split = a_replica(model, curve=PERFECT), a_replica(model, curve=PERFECT, tp=tp)

    assert np.all(split.chip_s(TOKENS) >= whole.chip_s(TOKENS) / tp * (1 - 1e-12))
    assert split.pair_s() == pytest.approx(whole.pair_s() / tp)


@given(model=st.sampled_from([MIXTRAL_8X7B, DEEPSEEK_V3]), tokens=st.floats(1.0, 20_000.0))
def test_experts_touched_lie_between_those_of_one_token_and_all(model, tokens):
    touched = experts_touched(
        np.array([tokens]), experts=model.num_experts, per_token=model.num_experts_per_tok
    )[0]

    assert model.num_experts_per_tok - 1e-9 <= touched <= model.num_experts


def test_experts_touched_are_those_of_a_router_that_draws_at_random():
    rng = np.random.default_rng(7)
    draws = [
        len(set(np.concatenate([rng.choice(256, size=8, replace=False) for _ in range(32)])))
        for _ in range(400)
    ]

    assert experts_touched(np.array([32.0]), experts=256, per_token=8)[0] == pytest.approx(
        np.mean(draws), rel=0.01
    )


@pytest.mark.parametrize(("tokens", "ep"), [(64, 8), (1024, 8), (1024, 4)])
def test_busiest_expert_group_is_about_that_of_a_router_that_draws_at_random(tokens, ep):
    rng = np.random.default_rng(7)
    busiest = [
        rng.multinomial(tokens * 8, np.full(ep, 1 / ep)).max() / (tokens * 8 / ep) for _ in range(2000)
    ]

    got = expert_imbalance(np.array([float(tokens)]), per_token=8, ep=ep)[0]

    assert got - 1 == pytest.approx(np.mean(busiest) - 1, rel=0.15)


def test_one_token_on_a_perfect_chip_takes_as_long_as_reading_the_weights():
    replica = a_replica(curve=PERFECT)

    streamed_bytes = (8_030_261_248 - 128256 * 4096) * 2  # all but the embedding table

    assert replica.chip_s(np.array([1.0]))[0] == pytest.approx(streamed_bytes / 3.35e12, rel=0.01)


def test_a_long_prompt_on_a_perfect_chip_takes_as_long_as_its_arithmetic():
    replica = a_replica(curve=PERFECT, chip=a_chip(memory_bytes_per_s=1e18), max_num_seqs=1)

    block_params = 8_030_261_248 - 2 * 128256 * 4096

    arithmetic_s = 2 * 8192 * block_params / (989e12 * COMPUTE_CEILING)
    assert replica.chip_s(np.array([8192.0]))[0] == pytest.approx(arithmetic_s, rel=0.01)


def test_fp8_halves_the_time_of_both_sides_of_the_roofline():
    whole, halved = (a_replica(LLAMA_3_70B, curve=PERFECT, dtype=d) for d in (Dtype.BF16, Dtype.FP8))

    assert halved.chip_s(np.array([1.0]))[0] == pytest.approx(whole.chip_s(np.array([1.0]))[0] / 2, rel=0.02)


def test_decode_attention_reads_the_kv_cache_once():
    assert a_replica(curve=replace(PERFECT, pair_share=1e9)).context_s() == pytest.approx(131_072 / 3.35e12)


def test_absorbed_latent_attention_is_bound_by_arithmetic_on_a_chip_rich_in_bandwidth():
    h20 = a_chip(memory_bytes_per_s=4e12, bf16_flop_per_s=148e12)
    flop = 128 * 2 * (2 * 512 + 64) * 61  # scores on 576, values on 512 elements, 128 heads, 61 layers

    got = a_replica(DEEPSEEK_V3, chip=h20, curve=PERFECT).context_s()

    assert got == pytest.approx(np.hypot(flop / 148e12, 61 * 576 * 2 / 4e12), rel=1e-9)
    assert flop / 148e12 > 61 * 576 * 2 / 4e12


def test_prefill_attention_costs_a_score_and_a_value_per_head_and_pair():
    assert a_replica(curve=PERFECT).pair_s() == pytest.approx(32 * 32 * 4 * 128 / 989e12)


def test_shared_caches_are_stored_once_and_read_by_every_layer():
    assert a_replica(a_llama(cla_share_factor=2)).context_s() == pytest.approx(a_replica().context_s())


def test_steps_larger_than_any_captured_graph_take_at_least_their_launches():
    slow_host = replace(PERFECT, eager_kernel_s=1e-4)  # ten kernels in each of 32 layers
    replica = a_replica(curve=slow_host)

    within, beyond = replica.dense_s(np.array([float(GRAPH_TOKENS), GRAPH_TOKENS + 1.0]))

    assert within < 0.032 <= beyond


def test_pipeline_stages_work_on_their_share_of_the_tokens_at_once():
    whole, staged = a_replica(curve=PERFECT), a_replica(curve=PERFECT, pp=2)

    a, b = whole.step_model(kv_tokens=16), staged.step_model(kv_tokens=16)

    assert b.step_s(decode_seqs=64, context_tokens=1000) == pytest.approx(
        a.step_s(decode_seqs=32, context_tokens=500), rel=0.01
    )


def test_the_less_was_measured_the_wider_the_interval():
    fitted, inherits, alone = (
        efficiency(a_chip(name=name, family=family))
        for name, family in (("nvidia-h100-sxm", "hopper"), ("nvidia-h20-96gb", "hopper"), ("x", "x"))
    )

    assert (fitted.evidence, inherits.evidence, alone.evidence) == (
        Evidence.CALIBRATED,
        Evidence.CALIBRATED,
        Evidence.DATASHEET,
    )
    assert 0 < fitted.log_sigma < inherits.log_sigma < alone.log_sigma


def test_a_first_token_is_less_certain_than_a_whole_request():
    for family in ("hopper", "ampere", "ada", "blackwell", "x"):
        curve = efficiency(a_chip(family=family))
        assert curve.ttft_log_sigma >= curve.log_sigma > 0


def test_an_engine_changes_what_it_is_known_to_be_slower_or_faster_at_and_nothing_else():
    chip = a_chip(name="nvidia-h100-sxm", family="hopper")

    product, other = efficiency(chip), efficiency(chip, EngineName.SGLANG)

    changed = {name for name in ALL if getattr(product, name) != getattr(other, name)}
    assert changed <= {name for scaled in ENGINE_FACTORS.values() for name in scaled}
    assert {"first_steps", "request_s"} <= changed


def test_a_factor_above_one_makes_every_step_it_touches_longer():
    chip = a_chip()
    for kind in ENGINE_FACTORS:
        plain, slow = (
            a_replica(chip=chip, curve=slowed(efficiency(chip), factors), tp=2).step_model(kv_tokens=16)
            for factors in ({}, {kind: 2.0})
        )
        longer_s, shorter_s = (
            step.step_s(decode_seqs=256, prefill_tokens=1024, context_tokens=100_000, pairs=1e7)
            for step in (slow, plain)
        )
        assert longer_s >= shorter_s
        assert slow.request_s + slow.first_steps >= plain.request_s + plain.first_steps


def test_layers_of_a_hybrid_with_a_state_do_not_read_the_context():
    hybrid = a_llama(
        num_linear_layers=24,
        linear_num_key_heads=16,
        linear_num_value_heads=32,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
    )
    plain, mixed = a_replica(curve=PERFECT), a_replica(hybrid, curve=PERFECT)

    assert mixed.context_s() == pytest.approx(plain.context_s() / 4)
    assert mixed.pair_s() == pytest.approx(plain.pair_s() / 4)


def test_states_of_a_hybrid_are_read_and_written_once_per_sequence():
    hybrid = a_llama(
        num_linear_layers=32,
        linear_num_key_heads=16,
        linear_num_value_heads=32,
        linear_key_head_dim=128,
        linear_value_head_dim=128,
    )
    slow_memory = replace(PERFECT, memory_share=1e6)  # weights cost nothing
    replica = a_replica(hybrid, chip=a_chip(bf16_flop_per_s=1e30), curve=slow_memory)

    states_bytes = 2 * 64 * 32 * 32 * 128 * 128 * 4  # twice: 64 sequences, 32 layers, 32 heads, FP32

    assert replica.chip_s(np.array([64.0]))[0] == pytest.approx(states_bytes / 3.35e12, rel=0.01)


@pytest.mark.parametrize("dtype", [Dtype.FP8, Dtype.FP4])
def test_four_bit_checkpoints_of_mixtures_keep_attention_in_sixteen_bits(dtype):
    attention = [linear for linear in block_linears(MIXTRAL_8X7B) if linear.name == "q_proj"]

    assert element_bytes(dtype, attention[0]) == (1 if dtype is Dtype.FP8 else 2)
    assert element_bytes(dtype, block_linears(a_llama())[0]) == dtype.bytes_per_element


def test_grouped_experts_reach_less_than_one_large_matrix():
    replica = a_replica(MIXTRAL_8X7B, curve=replace(PERFECT, expert_share=0.5))
    gate_up = next(linear for linear in block_linears(MIXTRAL_8X7B) if linear.name == "expert_gate_up_proj")
    alike = replace(gate_up, experts=1, experts_per_tok=1)

    tokens = np.array([16384.0])

    assert replica.matmul_s(tokens, gate_up)[0] == pytest.approx(
        2 * replica.matmul_s(gate_up.experts_per_tok * tokens, alike)[0], rel=0.02
    )


def test_no_curve_beats_its_data_sheet():
    for family in ("hopper", "ampere", "ada", "volta", "turing", "cdna3", "blackwell", "ascend-910b", "x"):
        curve = efficiency(a_chip(family=family))
        assert 0 < curve.memory_share <= 1
        assert 0 < curve.compute_share * max(1.0, curve.eight_bit_share, curve.four_bit_share) <= 1
        assert 0 < curve.context_share <= 1
        assert 0 < curve.pair_share <= 1


@pytest.mark.parametrize(
    ("chip", "dtype", "parallelism", "says"),
    [
        (a_chip(fp8_flop_per_s=None), Dtype.FP8, Parallelism(), "has no fp8 arithmetic"),
        (a_chip(), Dtype.BF16, Parallelism(tp=16), "does not fit a node of 8"),
        (a_chip(), Dtype.BF16, Parallelism(tp=3), "does not divide the 32 attention heads"),
        (a_chip(), Dtype.BF16, Parallelism(ep=2), "ep 2 must divide tp 1"),
        (a_chip(), Dtype.BF16, Parallelism(pp=33), "exceeds the 32 layers"),
    ],
)
def test_what_cannot_run_is_refused_with_the_rule_that_binds(chip, dtype, parallelism, says):
    with pytest.raises(Unsupported, match=says):
        step_model(
            a_llama(),
            chip,
            dtype=dtype,
            parallelism=parallelism,
            engine=EngineSettings(),
            chips_per_node=8,
        )


@pytest.mark.parametrize(
    ("missing", "tp", "fact"),
    [
        ({"memory_bytes": None}, 1, "memory size"),
        ({"memory_bytes_per_s": None}, 1, "memory bandwidth"),
        ({"link_bytes_per_s": None, "host_bytes_per_s": None}, 2, "a link that joins 2 chips"),
    ],
)
def test_a_missing_fact_is_named_and_never_guessed(missing, tp, fact):
    with pytest.raises(UnknownFact) as caught:
        step_model(
            a_llama(),
            a_chip(**missing),
            dtype=Dtype.BF16,
            parallelism=Parallelism(tp=tp),
            engine=EngineSettings(),
            chips_per_node=8,
        )

    assert (caught.value.subject, caught.value.fact) == ("h100", fact)


def test_chips_beyond_the_scale_up_domain_meet_over_the_host():
    bridged = a_chip(scale_up_domain=2)

    inside, outside = (a_replica(LLAMA_3_70B, chip, tp=4) for chip in (a_chip(), bridged))

    assert outside.dense_s(np.array([4096.0])) > inside.dense_s(np.array([4096.0]))
