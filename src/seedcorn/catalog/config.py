"""A Hugging Face ``config.json`` read into a ``ModelSpec``, or refused by name.

Publishers spell one thing in several ways (``n_routed_experts``, ``num_experts``,
``num_local_experts``) and write per-layer lists where all layers agree. Both are read. What a
``ModelSpec`` cannot express (state-space layers, sparse attention, experts
in every other layer, MLPs without a gate) is refused: a guess would look like an answer.
"""

from collections.abc import Mapping, Sequence

from seedcorn.catalog.files import Document
from seedcorn.domain.model import ModelName, ModelSpec
from seedcorn.errors import InputError

ARCHITECTURES = frozenset(
    {
        "deepseek_v2",
        "deepseek_v3",
        "glm4_moe",
        "hunyuan",
        "hunyuan_v1_dense",
        "hunyuan_v1_moe",
        "kimi_k2",
        "llama",
        "mimo",
        "minimax_m2",
        "mistral",
        "mixtral",
        "qwen2",
        "qwen2_moe",
        "qwen3",
        "qwen3_5_moe_text",
        "qwen3_5_text",
        "qwen3_moe",
        "qwen3_vl_moe_text",
        "qwen3_vl_text",
    }
)
"""``model_type`` of the architectures whose layers a ``ModelSpec`` describes in full."""

_TELLTALES = (
    ("index_topk", "sparse attention with an indexer"),
    ("linear_num_key_heads", "linear attention in some layers"),
    ("linear_attn_config", "linear attention in some layers"),
    ("hybrid_override_pattern", "state-space layers"),
    ("attention_chunk_size", "chunked attention in some layers"),
    ("sliding_window", "sliding attention in some layers"),
    ("interleave_moe_layer_step", "experts in some layers only"),
    ("block_configs", "layers that differ from each other"),
    ("alibi", "an MLP without a gate"),
)
"""Field that gives an architecture away, and what about it a ``ModelSpec`` cannot express."""

LAYER_TYPES = frozenset({"full_attention", "sliding_attention", "linear_attention"})
"""Kinds of attention that a ``ModelSpec`` counts layers of."""

_EXPERT_COUNTS = ("num_experts", "n_routed_experts", "num_local_experts")
_EXPERTS_PER_TOKEN = ("num_experts_per_tok", "moe_topk")
_SHARED_EXPERTS = ("n_shared_experts", "num_shared_expert")
_HEAD_DIMS = ("head_dim", "attention_head_dim")
_DTYPES = ("torch_dtype", "dtype")
_GATED_ACTIVATIONS = ("silu", "swish", "swiglu")


class _Config:
    """Reads keys of one config.

    ``text_config`` of a multimodal model holds its language model; what is not there is looked up
    beside it, because publishers leave ``torch_dtype`` and ``quantization_config`` outside.
    """

    def __init__(self, document: Document) -> None:
        self.document = document
        inner = document.values.get("text_config")
        within = inner if isinstance(inner, Mapping) else {}
        self.values: Mapping[str, object] = {
            **document.values,
            **{key: value for key, value in within.items() if value is not None},
        }

    def first(self, keys: Sequence[str]) -> tuple[str, object]:
        """The first of several spellings that is set, and its value; ``None`` if none is."""
        return next(
            ((key, self.values[key]) for key in keys if self.values.get(key) is not None), (keys[0], None)
        )

    def count(self, *keys: str, default: int | None = None) -> int:
        """A whole number under the first spelling that is set; a per-layer list must agree with itself.

        At least 1, unless the ``default`` is 0, which says that a model may do without.
        """
        key, value = self.first(keys)
        if isinstance(value, list) and value:
            if any(item != value[0] for item in value):
                raise self.refuse(f"{key} differs by layer", key)
            value = value[0]
        if value is None:
            if default is None:
                raise self.document.error(f"{self.model_type}: {' or '.join(keys)} is missing")
            return default
        least = 0 if default == 0 else 1
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise self.document.error(
                f"{key}: expected a whole number of at least {least}, got {value!r}", key
            )
        return value

    def is_set(self, key: str, default: bool = False) -> bool:
        """Whether a claim is made."""
        value = self.values.get(key, default)
        return default if value is None else bool(value)

    @property
    def model_type(self) -> str:
        """Which architecture it is."""
        return str(self.values.get("model_type"))

    def refuse(self, what: str, key: str) -> InputError:
        """The error that says what of the architecture is not modelled."""
        return self.document.error(f"model_type {self.model_type!r}: {what}, which is not modelled", key)


def read_config(
    document: Document, name: str, *, total_params: float | None = None, active_params: float | None = None
) -> ModelSpec:
    """The model a ``config.json`` describes.

    Args:
        document: The file as read.
        name: What to call the model.
        total_params: As published; goes into the result unchanged, like ``active_params``.

    Raises:
        InputError: A field is missing or wrong, or the architecture cannot be expressed.
    """
    config = _Config(document)
    _check_architecture(config)
    return ModelSpec(
        name=ModelName(name),
        model_type=config.model_type,
        num_hidden_layers=config.count("num_hidden_layers"),
        hidden_size=config.count("hidden_size"),
        intermediate_size=config.count("intermediate_size", "moe_intermediate_size"),
        num_attention_heads=config.count("num_attention_heads"),
        num_key_value_heads=config.count("num_key_value_heads", default=config.count("num_attention_heads")),
        head_dim=_head_dim(config),
        vocab_size=config.count("vocab_size"),
        tie_word_embeddings=config.is_set("tie_word_embeddings"),
        **_mixture(config),
        **_latent_attention(config),
        cla_share_factor=config.count("cla_share_factor", default=1) if config.is_set("use_cla") else 1,
        sliding_window=_sliding_window(config),
        num_sliding_layers=_layers_of(config, "sliding_attention"),
        **_linear_layers(config),
        attn_output_gate=config.is_set("attn_output_gate"),
        max_position_embeddings=_max_length(config),
        torch_dtype=_weights_dtype(config),
        total_params=total_params,
        active_params=active_params,
    )


def _check_architecture(config: _Config) -> None:
    """Refuse what a ``ModelSpec`` cannot express."""
    if config.values.get("model_type") is None:
        raise config.document.error("model_type is missing: this is no config.json of a language model")
    if config.model_type not in ARCHITECTURES:
        tells = [what for key, what in _TELLTALES if config.values.get(key)]
        because = f" (it has {' and '.join(tells)})" if tells else ""
        raise config.document.error(
            f"model_type {config.model_type!r} is not modelled{because}; "
            f"known are {', '.join(sorted(ARCHITECTURES))}",
            "model_type",
        )
    activation = config.values.get("hidden_act", "silu")
    if activation not in _GATED_ACTIVATIONS:
        raise config.refuse(f"hidden_act {activation!r} has no gate", "hidden_act")
    for kind in sorted({str(kind) for kind in _layer_types(config)} - LAYER_TYPES):
        raise config.refuse(f"layer_types has {kind!r}", "layer_types")
    for key in ("decoder_sparse_step", "moe_layer_freq"):
        if config.count(key, default=1) != 1:
            raise config.refuse("experts are not in every layer", key)
    if config.values.get("mlp_only_layers"):
        raise config.refuse("some layers have no experts", "mlp_only_layers")


def _layer_types(config: _Config) -> list[object]:
    """Kind of attention of every layer; empty where all attend to everything."""
    kinds = config.values.get("layer_types") or []
    if not isinstance(kinds, list) or len(kinds) not in (0, config.count("num_hidden_layers")):
        raise config.document.error("layer_types: expected a kind for every layer", "layer_types")
    return kinds


def _layers_of(config: _Config, kind: str) -> int:
    return _layer_types(config).count(kind)


def _linear_layers(config: _Config) -> dict[str, int]:
    """Fields of gated linear attention; none for models without."""
    layers = _layers_of(config, "linear_attention")
    if not layers:
        return {}
    shape = ("linear_num_key_heads", "linear_num_value_heads", "linear_key_head_dim", "linear_value_head_dim")
    return {"num_linear_layers": layers} | {field: config.count(field) for field in shape}


def _mixture(config: _Config) -> dict[str, int]:
    """Fields of a mixture of experts; none for a dense model (Hunyuan calls that one expert)."""
    num_experts = config.count(*_EXPERT_COUNTS, default=0)
    if num_experts <= 1:
        return {}
    width = config.count(
        "moe_intermediate_size", default=config.count("intermediate_size", "moe_intermediate_size")
    )
    return {
        "num_experts": num_experts,
        "num_experts_per_tok": config.count(*_EXPERTS_PER_TOKEN),
        "moe_intermediate_size": width,
        "n_shared_experts": _shared_experts(config, width),
        "first_k_dense_replace": config.count("first_k_dense_replace", "moe_layer_num_skipped", default=0),
    }


def _shared_experts(config: _Config, width: int) -> int:
    """Experts every token passes, in units of a routed expert's width (Qwen2-MoE has one wide one)."""
    if not config.is_set("use_mixed_mlp_moe", default=True):  # Hunyuan
        return 0
    shared_width = config.count("shared_expert_intermediate_size", "shared_intermediate_size", default=0)
    if shared_width % width:
        raise config.refuse(
            f"a shared expert {shared_width} wide beside experts {width} wide",
            "shared_expert_intermediate_size",
        )
    return config.count(*_SHARED_EXPERTS, default=shared_width // width)


def _latent_attention(config: _Config) -> dict[str, int]:
    """Fields of multi-head latent attention; none for other models."""
    if not config.count("kv_lora_rank", default=0):
        return {}
    return {
        "q_lora_rank": config.count("q_lora_rank", default=0),
        "kv_lora_rank": config.count("kv_lora_rank"),
        "qk_nope_head_dim": config.count("qk_nope_head_dim"),
        "qk_rope_head_dim": config.count("qk_rope_head_dim"),
        "v_head_dim": config.count("v_head_dim"),
    }


def _head_dim(config: _Config) -> int:
    """Width of a query head: as written, else what the hidden size gives each head.

    Under latent attention a query and key head has a part without and a part with position.
    """
    if config.count("kv_lora_rank", default=0):
        return config.count("qk_nope_head_dim") + config.count("qk_rope_head_dim")
    written = config.count(*_HEAD_DIMS, default=0)
    if written:
        return written
    hidden, heads = config.count("hidden_size"), config.count("num_attention_heads")
    if hidden % heads:
        raise config.document.error(
            f"head_dim is missing, and hidden_size {hidden} is no multiple of {heads} heads"
        )
    return hidden // heads


def _sliding_window(config: _Config) -> int:
    """Tokens every layer attends to; 0: all. Qwen writes a window and switches it off beside it."""
    if config.model_type.startswith("qwen") or "use_sliding_window" in config.values:
        if config.is_set("use_sliding_window"):
            raise config.refuse("only some layers slide (max_window_layers)", "use_sliding_window")
        return 0
    return config.count("sliding_window", default=0)


def _max_length(config: _Config) -> int | None:
    """Longest context in tokens, after position scaling, as vLLM derives it (``_get_and_verify_max_len``)."""
    length = config.count("max_position_embeddings", default=0)
    scaling = config.values.get("rope_scaling") or config.values.get("rope_parameters")
    if not length or not isinstance(scaling, Mapping):
        return length or None
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    if kind in ("llama3", "longrope", "su"):
        return length
    base = scaling.get("original_max_position_embeddings", length) if kind == "yarn" else length
    factor = scaling.get("factor", 1.0)
    if not isinstance(base, int) or not isinstance(factor, int | float):
        raise config.document.error(f"rope_scaling: cannot scale by {factor!r} from {base!r}", "rope_scaling")
    return round(base * factor)


def _weights_dtype(config: _Config) -> str:
    """Format of the published weights: that of the quantised matrices (``fp8``), else ``torch_dtype``."""
    quantisation = config.values.get("quantization_config")
    if isinstance(quantisation, Mapping):
        return _quantised_dtype(config, quantisation)
    key, value = config.first(_DTYPES)
    if not isinstance(value, str):
        raise config.document.error(
            f"{' or '.join(_DTYPES)} is missing: it says how wide the weights are", key
        )
    return value.removeprefix("torch.")


def _quantised_dtype(config: _Config, quantisation: Mapping[str, object]) -> str:
    """Format of a quantised checkpoint's matrices: ``fp8``, ``int8``, ``fp4`` or ``int4``."""
    method, algorithm = quantisation.get("quant_method"), quantisation.get("quant_algo")
    if algorithm == "NVFP4":
        return "fp4"
    if method == "fp8" or algorithm == "FP8":
        return "fp8"
    if method in ("gptq", "awq") and quantisation.get("bits") in (4, 8):
        return f"int{quantisation['bits']}"
    if method == "compressed-tensors":
        return _compressed_dtype(config, quantisation)
    raise config.refuse(f"quantization_config with quant_method {method!r}", "quantization_config")


def _compressed_dtype(config: _Config, quantisation: Mapping[str, object]) -> str:
    """Format of the weights of the one group that a compressed-tensors checkpoint has."""
    groups = quantisation.get("config_groups")
    groups = list(groups.values()) if isinstance(groups, Mapping) else []
    weights = groups[0].get("weights") if len(groups) == 1 and isinstance(groups[0], Mapping) else None
    if isinstance(weights, Mapping):
        match weights.get("type"), weights.get("num_bits"):
            case "int", (4 | 8) as bits:
                return f"int{bits}"
            case "float", 8:
                return "fp8"
            case "float", 4:
                return "fp4"
    raise config.refuse("quantization_config of this form", "quantization_config")
