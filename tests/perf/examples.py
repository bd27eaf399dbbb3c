"""Models and chips that several tests of ``perf`` start from, spelled out from their config.json and data sheet."""

from seedcorn.domain.hardware import Chip, ChipName
from seedcorn.domain.model import ModelName, ModelSpec


def a_llama(**changes) -> ModelSpec:
    """Llama-3.1-8B, changed."""
    shape = {
        "name": ModelName("llama-3.1-8b"),
        "num_hidden_layers": 32,
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
    }
    return ModelSpec(model_type="llama", **{**shape, **changes})


def a_chip(**changes) -> Chip:
    """H100 SXM, changed."""
    facts = {
        "name": ChipName("h100"),
        "family": "hopper",
        "memory_bytes": 80 * 10**9,
        "memory_bytes_per_s": 3.35e12,
        "bf16_flop_per_s": 989e12,
        "fp16_flop_per_s": 989e12,
        "fp8_flop_per_s": 1979e12,
        "link_bytes_per_s": 450e9,
        "scale_up_domain": 8,
        "host_bytes_per_s": 64e9,
        "tdp_w": 700.0,
    }
    return Chip(vendor="nvidia", title="", **{**facts, **changes})


LLAMA_3_70B = a_llama(num_hidden_layers=80, hidden_size=8192, intermediate_size=28672, num_attention_heads=64)
LLAMA_2_7B = a_llama(intermediate_size=11008, num_key_value_heads=32, vocab_size=32000)
MIXTRAL_8X7B = a_llama(vocab_size=32000, num_experts=8, num_experts_per_tok=2, moe_intermediate_size=14336)
DEEPSEEK_V3 = a_llama(
    num_hidden_layers=61,
    hidden_size=7168,
    intermediate_size=18432,
    num_attention_heads=128,
    num_key_value_heads=128,
    vocab_size=129280,
    num_experts=256,
    num_experts_per_tok=8,
    moe_intermediate_size=2048,
    n_shared_experts=1,
    first_k_dense_replace=3,
    q_lora_rank=1536,
    kv_lora_rank=512,
    qk_nope_head_dim=128,
    qk_rope_head_dim=64,
    v_head_dim=128,
)
