"""Models: shapes against published parameter counts; the ways publishers spell a config.json."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from seedcorn.catalog import Origin, find_model, models
from seedcorn.domain.model import ModelSpec
from seedcorn.errors import InputError


def parameters(model: ModelSpec, *, active: bool) -> int:
    """All parameters of a model, or those one token passes, counted matrix by matrix.

    Written from the architectures' papers and on purpose not shared with the product.
    """
    hidden, heads, layers = model.hidden_size, model.num_attention_heads, model.num_hidden_layers
    if model.kv_lora_rank:
        query_dim = model.qk_nope_head_dim + model.qk_rope_head_dim
        query = hidden * model.q_lora_rank + model.q_lora_rank * heads * query_dim
        latent = hidden * (model.kv_lora_rank + model.qk_rope_head_dim)
        unfold = model.kv_lora_rank * heads * (model.qk_nope_head_dim + model.v_head_dim)
        attention = layers * (query + latent + unfold + heads * model.v_head_dim * hidden)
    else:
        linear, gates = model.num_linear_layers, 1 if model.attn_output_gate else 0
        query_and_output = (2 + gates) * hidden * heads * model.head_dim
        key_and_value = 2 * hidden * model.num_key_value_heads * model.head_dim
        attention = (layers - linear) * query_and_output
        attention += (layers - linear) // model.cla_share_factor * key_and_value
        linear_keys = model.linear_num_key_heads * model.linear_key_head_dim
        linear_values = model.linear_num_value_heads * model.linear_value_head_dim
        # query, key; value, output gate, output; decay and step size of every head
        attention += (
            linear * hidden * (2 * linear_keys + 3 * linear_values + 2 * model.linear_num_value_heads)
        )
    moe_layers = layers - model.first_k_dense_replace if model.num_experts else 0
    experts = (model.num_experts_per_tok if active else model.num_experts) + model.n_shared_experts
    expert = 3 * hidden * model.moe_intermediate_size
    dense = (layers - moe_layers) * 3 * hidden * model.intermediate_size
    return attention + dense + moe_layers * (experts * expert + hidden * model.num_experts)


def embeddings(model: ModelSpec) -> int:
    return (1 if model.tie_word_embeddings else 2) * model.vocab_size * model.hidden_size


@pytest.mark.parametrize(
    "model", [entry.model for entry in models() if entry.model.total_params], ids=lambda model: model.name
)
def test_shapes_give_the_published_parameter_counts(model):
    total = parameters(model, active=False) + embeddings(model)
    # publishers differ in whether a token "passes" the embedding and the output head
    blocks = parameters(model, active=True)
    active = min((blocks, blocks + embeddings(model)), key=lambda n: abs(n - model.active_params))

    assert total == pytest.approx(model.total_params, rel=0.02)
    assert active == pytest.approx(model.active_params, rel=0.03)


@pytest.mark.parametrize(
    ("name", "kv_elements"),
    [
        # elements of keys and values one token leaves in the cache, all layers
        ("meta-llama/Llama-2-7b-hf", 2 * 32 * 32 * 128),
        ("meta-llama/Llama-3.1-70B", 2 * 80 * 8 * 128),
        ("Qwen/Qwen2.5-72B", 2 * 80 * 8 * 128),
        ("tencent/Tencent-Hunyuan-Large", 2 * 32 * 8 * 80),  # two layers share one cache
        ("zai-org/GLM-4.5", 2 * 92 * 8 * 128),
        ("deepseek-ai/DeepSeek-V3", 61 * (512 + 64)),  # arXiv:2412.19437
    ],
)
def test_shapes_give_the_known_cache_of_a_token(name, kv_elements):
    model = find_model(name).model
    caches = model.num_hidden_layers // model.cla_share_factor
    width = (
        model.kv_lora_rank + model.qk_rope_head_dim
        if model.is_mla
        else 2 * model.num_key_value_heads * model.head_dim
    )

    assert caches * width == kv_elements


def test_the_models_of_the_product_are_all_there():
    wanted = (
        "Hunyuan-Large",
        "Hunyuan-A13B",
        "Hunyuan-7B",
        "DeepSeek-V3",
        "DeepSeek-R1",
        "Qwen2.5-7B",
        "Qwen2.5-32B",
        "Qwen2.5-72B",
        "Qwen3-8B",
        "Qwen3-32B",
        "Qwen3-30B-A3B",
        "Qwen3-235B-A22B",
        "Llama-2-7B",
        "Llama-2-70B",
        "Llama-3.1-8B",
        "Llama-3.1-70B",
        "Llama-3.1-405B",
        "Mixtral-8x7B",
        "GLM-4.5",
    )

    assert len({find_model(name).model.name for name in wanted}) == len(wanted)


def test_every_model_says_where_it_comes_from():
    for entry in models():
        assert entry.source and entry.licence and entry.origin is not Origin.LOCAL
        assert bool(entry.params_source) == bool(entry.model.total_params)


DENSE = {
    "model_type": "llama",
    "hidden_act": "silu",
    "hidden_size": 4096,
    "intermediate_size": 14336,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}
MOE = DENSE | {
    "model_type": "qwen3_moe",
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "moe_intermediate_size": 768,
}


def read(tmp_path: Path, config: Mapping[str, object]) -> ModelSpec:
    file = tmp_path / "some-model" / "config.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(config, indent=1), encoding="utf-8")
    return find_model(str(file)).model


def test_a_local_config_is_named_for_its_folder(tmp_path):
    model = read(tmp_path, DENSE)

    assert model.name == "some-model"
    assert find_model(str(tmp_path / "some-model")).model == model
    assert find_model(str(tmp_path / "some-model")).origin is Origin.LOCAL


@pytest.mark.parametrize(
    ("config", "field", "value"),
    [
        # heads
        (DENSE, "head_dim", 128),
        (DENSE | {"head_dim": 64}, "head_dim", 64),
        (DENSE | {"head_dim": None}, "head_dim", 128),
        (DENSE | {"attention_head_dim": 80}, "head_dim", 80),
        ({k: v for k, v in DENSE.items() if k != "num_key_value_heads"}, "num_key_value_heads", 32),
        # experts, in every spelling
        (MOE, "num_experts", 64),
        (MOE | {"num_experts": None, "n_routed_experts": 64}, "num_experts", 64),
        (MOE | {"num_experts": None, "num_local_experts": 64}, "num_experts", 64),
        (MOE | {"num_experts": [64] * 32}, "num_experts", 64),
        (MOE | {"num_experts_per_tok": None, "moe_topk": [8] * 32}, "num_experts_per_tok", 8),
        (MOE | {"moe_intermediate_size": [768] * 32}, "moe_intermediate_size", 768),
        (MOE | {"moe_intermediate_size": None}, "moe_intermediate_size", 14336),
        (MOE | {"n_shared_experts": None}, "n_shared_experts", 0),
        (MOE | {"num_shared_expert": [1] * 32}, "n_shared_experts", 1),
        (MOE | {"shared_expert_intermediate_size": 3072}, "n_shared_experts", 4),
        (MOE | {"shared_expert_intermediate_size": 0}, "n_shared_experts", 0),
        (MOE | {"first_k_dense_replace": 3}, "first_k_dense_replace", 3),
        (DENSE | {"model_type": "hunyuan", "num_experts": 1, "moe_topk": 1}, "num_experts", 0),
        # attention
        (DENSE | {"model_type": "mistral", "sliding_window": 4096}, "sliding_window", 4096),
        (
            DENSE | {"model_type": "qwen2", "sliding_window": 4096, "use_sliding_window": False},
            "sliding_window",
            0,
        ),
        (DENSE | {"model_type": "hunyuan", "use_cla": True, "cla_share_factor": 2}, "cla_share_factor", 2),
        (DENSE | {"model_type": "hunyuan", "use_cla": False, "cla_share_factor": 2}, "cla_share_factor", 1),
        (DENSE | {"layer_types": ["full_attention"] * 32}, "sliding_window", 0),
        # context
        (DENSE, "max_position_embeddings", 8192),
        (DENSE | {"rope_scaling": {"rope_type": "llama3", "factor": 8.0}}, "max_position_embeddings", 8192),
        (DENSE | {"rope_scaling": {"type": "linear", "factor": 2.0}}, "max_position_embeddings", 16384),
        (
            DENSE
            | {"rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4096}},
            "max_position_embeddings",
            16384,
        ),
        (
            DENSE | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6}},
            "max_position_embeddings",
            8192,
        ),
        # weights
        (DENSE, "torch_dtype", "bfloat16"),
        (DENSE | {"torch_dtype": None, "dtype": "float16"}, "torch_dtype", "float16"),
        (DENSE | {"quantization_config": {"quant_method": "fp8"}}, "torch_dtype", "fp8"),
        (DENSE | {"quantization_config": {"quant_method": "gptq", "bits": 8}}, "torch_dtype", "int8"),
        (DENSE | {"quantization_config": {"quant_algo": "NVFP4"}}, "torch_dtype", "fp4"),
        (
            DENSE
            | {
                "quantization_config": {
                    "quant_method": "compressed-tensors",
                    "config_groups": {"group_0": {"weights": {"type": "int", "num_bits": 4}}},
                }
            },
            "torch_dtype",
            "int4",
        ),
        # a multimodal model's language model
        (
            {"model_type": "qwen3_vl", "text_config": DENSE | {"model_type": "qwen3_vl_text"}},
            "hidden_size",
            4096,
        ),
        (
            {
                "model_type": "kimi_k25",
                "torch_dtype": "float16",
                "text_config": DENSE | {"model_type": "kimi_k2", "torch_dtype": None},
            },
            "torch_dtype",
            "float16",
        ),
    ],
)
def test_the_spellings_of_publishers_are_read(tmp_path, config, field, value):
    assert getattr(read(tmp_path, config), field) == value


def test_the_format_is_also_read_from_beside_the_config(tmp_path):
    read(tmp_path, DENSE)
    beside = tmp_path / "some-model" / "hf_quant_config.json"
    beside.write_text('{"quantization": {"quant_algo": "FP8"}}', encoding="utf-8")

    assert find_model(str(tmp_path / "some-model")).model.torch_dtype == "fp8"


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (DENSE | {"model_type": "bloom"}, "model_type 'bloom' is not modelled; known are deepseek_v2"),
        (DENSE | {"model_type": "new", "index_topk": 2048}, "'new' is not modelled .it has sparse attention"),
        (DENSE | {"model_type": "gpt_oss", "sliding_window": 128}, "sliding attention in some layers"),
        ({}, "model_type is missing"),
        (DENSE | {"hidden_act": "gelu"}, "hidden_act 'gelu' has no gate"),
        (
            DENSE | {"layer_types": ["full_attention"] * 31 + ["mamba"]},
            "layer_types has 'mamba'",
        ),
        (DENSE | {"layer_types": ["full_attention"]}, "a kind for every layer"),
        (DENSE | {"layer_types": ["linear_attention"] * 32}, "linear_num_key_heads is missing"),
        (DENSE | {"rope_scaling": {"type": "yarn", "factor": "4"}}, "cannot scale by '4'"),
        (DENSE | {"num_attention_heads": 0}, "at least 1, got 0"),
        (DENSE | {"model_type": "qwen2", "use_sliding_window": True}, "only some layers slide"),
        (MOE | {"decoder_sparse_step": 2}, "experts are not in every layer"),
        (MOE | {"mlp_only_layers": [0]}, "some layers have no experts"),
        (MOE | {"moe_topk": [8, 4], "num_experts_per_tok": None}, "moe_topk differs by layer"),
        (MOE | {"num_experts_per_tok": None}, "num_experts_per_tok or moe_topk is missing"),
        (
            MOE | {"shared_expert_intermediate_size": 1000},
            "a shared expert 1000 wide beside experts 768 wide",
        ),
        (DENSE | {"num_hidden_layers": None}, "llama: num_hidden_layers is missing"),
        (DENSE | {"hidden_size": "4096"}, "hidden_size: expected a whole number of at least 1, got '4096'"),
        (DENSE | {"hidden_size": 4100}, "head_dim is missing"),
        (DENSE | {"torch_dtype": None}, "torch_dtype or dtype is missing"),
        (DENSE | {"quantization_config": {"quant_method": "bitsnbytes"}}, "quant_method 'bitsnbytes'"),
    ],
)
def test_what_cannot_be_expressed_is_refused_by_name(tmp_path, config, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, config)

    assert str(tmp_path) in str(caught.value.where)


def test_a_wrong_value_is_placed_at_its_line(tmp_path):
    with pytest.raises(InputError) as caught:
        read(tmp_path, DENSE | {"hidden_size": -1})

    assert str(caught.value.where).endswith("config.json:4")


@pytest.mark.parametrize(
    ("text", "message"),
    [("", "not JSON"), ('{"a": }', r"config\.json:1:7: not JSON"), ("[]", "expected keys and values")],
)
def test_a_file_that_is_no_config_is_refused(tmp_path, text, message):
    file = tmp_path / "config.json"
    file.write_text(text, encoding="utf-8")

    with pytest.raises(InputError, match=message):
        find_model(str(file))


def test_a_folder_without_a_config_is_named(tmp_path):
    with pytest.raises(InputError, match=r"config\.json: no such file"):
        find_model(f"{tmp_path}/")


def test_a_path_that_is_no_config_is_refused(tmp_path):
    (tmp_path / "weights.bin").write_text("0", encoding="utf-8")

    with pytest.raises(InputError, match=r"expected a file named .*\.json"):
        find_model(str(tmp_path / "weights.bin"))
    with pytest.raises(InputError, match="no such file"):
        find_model("./nowhere")
