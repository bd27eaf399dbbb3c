"""A language model, in the words of its ``config.json``."""

from dataclasses import dataclass
from typing import NewType

ModelName = NewType("ModelName", str)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What of an architecture decides memory and time. Field names are Hugging Face's.

    A dense model has ``num_experts`` 0. A mixture of experts has ``first_k_dense_replace`` dense
    layers of width ``intermediate_size``, and in every other layer ``num_experts`` routed experts of
    width ``moe_intermediate_size`` (``num_experts_per_tok`` of them per token) plus
    ``n_shared_experts`` that every token passes. Multi-head latent attention (MLA, DeepSeek) has
    ``kv_lora_rank`` > 0 and caches ``kv_lora_rank + qk_rope_head_dim`` elements per layer.

    A hybrid has ``num_linear_layers`` layers of gated linear attention (Gated DeltaNet, arXiv:2412.06464), which keep
    a state of constant size instead of a cache, and ``num_sliding_layers`` that attend to ``sliding_window``
    tokens alone; every other layer attends to all.

    Attributes:
        attn_output_gate: Whether queries come with a gate as wide (Qwen3.5).
        cla_share_factor: Layers that share one KV cache (cross-layer attention, Hunyuan-Large);
            1 everywhere else.
        max_position_embeddings: Longest context the model was made for, in tokens.
        torch_dtype: Format of the published weights.
        total_params / active_params: As published, where the publisher says; ``perf`` counts them
            itself from the shapes and the catalogue tests compare.
    """

    name: ModelName
    model_type: str
    num_hidden_layers: int
    hidden_size: int
    intermediate_size: int
    num_attention_heads: int
    num_key_value_heads: int
    head_dim: int
    vocab_size: int
    tie_word_embeddings: bool = False
    num_experts: int = 0
    num_experts_per_tok: int = 0
    moe_intermediate_size: int = 0
    n_shared_experts: int = 0
    first_k_dense_replace: int = 0
    q_lora_rank: int = 0
    kv_lora_rank: int = 0
    qk_nope_head_dim: int = 0
    qk_rope_head_dim: int = 0
    v_head_dim: int = 0
    cla_share_factor: int = 1
    sliding_window: int = 0
    num_sliding_layers: int = 0
    num_linear_layers: int = 0
    linear_num_key_heads: int = 0
    linear_num_value_heads: int = 0
    linear_key_head_dim: int = 0
    linear_value_head_dim: int = 0
    attn_output_gate: bool = False
    max_position_embeddings: int | None = None
    torch_dtype: str = "bfloat16"
    total_params: float | None = None
    active_params: float | None = None

    @property
    def is_moe(self) -> bool:
        """Whether some layers are mixtures of experts."""
        return self.num_experts > 0

    @property
    def num_full_layers(self) -> int:
        """Layers whose cache grows with the context."""
        return self.num_hidden_layers - self.num_sliding_layers - self.num_linear_layers

    @property
    def is_mla(self) -> bool:
        """Whether attention is multi-head latent attention."""
        return self.kv_lora_rank > 0
