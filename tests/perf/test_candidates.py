"""What is worth trying on a chip, and what is refused for which reason."""

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import DoesNotFit, UnknownFact, Unsupported
from seedcorn.perf import candidates
from tests.perf.examples import DEEPSEEK_V3, LLAMA_3_70B, a_chip, a_llama


def spreads(model, chip, dtypes, chips_per_node=8):
    found, refused = candidates(
        model, chip, dtypes=dtypes, engine=EngineSettings(), chips_per_node=chips_per_node
    )
    return [(spread.dtype, str(spread.parallelism)) for spread in found], refused


def test_every_power_of_two_that_fits_a_node_is_tried():
    found, refused = spreads(LLAMA_3_70B, a_chip(), [Dtype.BF16])

    assert found == [(Dtype.BF16, "tp4"), (Dtype.BF16, "tp8")]
    assert refused == ()


def test_bf16_runs_as_fp16_on_a_chip_without_bf16():
    volta = a_chip(bf16_flop_per_s=None, fp8_flop_per_s=None)

    found, _ = spreads(a_llama(), volta, [Dtype.BF16, Dtype.FP16], chips_per_node=1)

    assert found == [(Dtype.FP16, "tp1")]


def test_a_format_that_the_chip_lacks_is_refused_with_the_reason():
    ampere = a_chip(fp8_flop_per_s=None)

    found, refused = spreads(a_llama(), ampere, [Dtype.FP8, Dtype.BF16], chips_per_node=1)

    assert found == [(Dtype.BF16, "tp1")]
    assert [refusal.dtype for refusal in refused] == [Dtype.FP8]
    assert isinstance(refused[0].error, Unsupported)


def test_a_model_larger_than_a_node_spans_the_fewest_nodes_that_hold_it():
    found, _ = spreads(DEEPSEEK_V3, a_chip(), [Dtype.FP8])

    assert found == [(Dtype.FP8, "tp8-pp2")]


def test_a_model_larger_than_any_span_names_its_memory():
    found, refused = spreads(DEEPSEEK_V3, a_chip(memory_bytes=24 * 10**9), [Dtype.BF16], chips_per_node=1)

    assert found == []
    assert isinstance(refused[0].error, DoesNotFit)
    assert refused[0].parallelism == Parallelism(tp=1, pp=4)


def test_stages_are_as_wide_as_the_heads_allow():
    heads_of_28 = a_llama(num_attention_heads=28, num_key_value_heads=4, num_hidden_layers=200)

    found, _ = spreads(heads_of_28, a_chip(memory_bytes=16 * 10**9), [Dtype.BF16])

    assert found == [(Dtype.BF16, "tp4-pp2")]


def test_a_chip_of_unknown_memory_is_refused_by_name():
    found, refused = spreads(a_llama(), a_chip(memory_bytes=None), [Dtype.BF16])

    assert found == []
    assert isinstance(refused[0].error, UnknownFact)


def test_narrow_experts_are_spread_whole_rather_than_sliced():
    narrow = a_llama(num_experts=128, num_experts_per_tok=8, moe_intermediate_size=768)

    found, _ = spreads(narrow, a_chip(), [Dtype.BF16])

    assert (Dtype.BF16, "tp2") in found
    assert (Dtype.BF16, "tp4-ep4") in found  # 768 / 4 = 192 is no multiple of 128
