"""Parameters against published totals, memory against a real engine's."""

import pytest

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import DoesNotFit, UnknownFact
from seedcorn.perf import active_params, kv_bytes_per_token, kv_tokens, total_params, weights_bytes
from tests.perf.examples import DEEPSEEK_V3, LLAMA_2_7B, LLAMA_3_70B, MIXTRAL_8X7B, a_chip, a_llama


@pytest.mark.parametrize(
    ("model", "published"),
    [
        (a_llama(), 8_030_261_248),  # safetensors index of meta-llama/Llama-3.1-8B
        (LLAMA_3_70B, 70_553_706_496),
        (LLAMA_2_7B, 6_738_415_616),
        (MIXTRAL_8X7B, 46_702_792_704),
    ],
)
def test_parameters_are_counted_to_the_last_one(model, published):
    assert total_params(model) == published


def test_mixture_with_latent_attention_has_the_parameters_its_report_says():
    assert total_params(DEEPSEEK_V3) == pytest.approx(671e9, rel=0.001)  # arXiv:2412.19437, abstract
    assert active_params(DEEPSEEK_V3) == pytest.approx(37e9, rel=0.02)


def test_fp8_checkpoint_keeps_embedding_and_head_in_16_bits():
    head_params = 129280 * 7168

    assert weights_bytes(DEEPSEEK_V3, Dtype.FP8) == pytest.approx(
        total_params(DEEPSEEK_V3) + 2 * head_params, rel=0.001
    )


def test_kv_cache_of_one_token():
    assert kv_bytes_per_token(LLAMA_3_70B) == 327_680  # 2 · 80 layers · 8 heads · 128 · 2 bytes
    assert kv_bytes_per_token(DEEPSEEK_V3) == 61 * 576 * 2


def test_kv_heads_are_replicated_past_their_number():
    assert kv_bytes_per_token(a_llama(), tp=8) == kv_bytes_per_token(a_llama()) / 8
    assert kv_bytes_per_token(a_llama(), tp=16) == kv_bytes_per_token(a_llama(), tp=8)


def test_latent_cache_is_whole_on_every_chip():
    assert kv_bytes_per_token(DEEPSEEK_V3, tp=8) == kv_bytes_per_token(DEEPSEEK_V3)


def test_cross_layer_attention_stores_one_cache_for_its_layers():
    assert kv_bytes_per_token(a_llama(cla_share_factor=2)) == kv_bytes_per_token(a_llama()) / 2


def test_cache_holds_what_vllm_reported_on_an_rtx_4090():
    """vLLM 0.19: 2,588 blocks of 16 tokens on a card whose driver reports 25,250,627,584 bytes."""
    card = a_chip(memory_bytes=25_250_627_584)
    engine = EngineSettings(max_num_batched_tokens=2048, max_num_seqs=256, gpu_memory_utilization=0.9)

    tokens = kv_tokens(a_llama(), card, dtype=Dtype.BF16, parallelism=Parallelism(), engine=engine)

    assert tokens == pytest.approx(2588 * 16, rel=0.01)
    assert tokens % 16 == 0


def test_replica_that_does_not_fit_names_the_tp_that_would():
    card = a_chip(memory_bytes=64 * 10**9)

    with pytest.raises(DoesNotFit) as caught:
        kv_tokens(LLAMA_3_70B, card, dtype=Dtype.BF16, parallelism=Parallelism(tp=2), engine=EngineSettings())

    assert caught.value.smallest_tp == 4
    assert caught.value.available_bytes == round(2 * 64e9 * 0.9)
    assert caught.value.needed_bytes > 141e9
    assert "weights 141 GB" in str(caught.value)


def test_unknown_memory_is_never_guessed():
    with pytest.raises(UnknownFact) as caught:
        kv_tokens(
            a_llama(),
            a_chip(memory_bytes=None),
            dtype=Dtype.BF16,
            parallelism=Parallelism(),
            engine=EngineSettings(),
        )

    assert caught.value.fact == "memory size"
