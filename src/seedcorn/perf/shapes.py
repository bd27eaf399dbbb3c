"""The weight matrices of a model: what is counted, stored, read and multiplied.

Everything in ``perf`` that asks "how many parameters, bytes or FLOP" asks this one list, so that
memory and time cannot disagree about a model.
"""

from dataclasses import dataclass, replace

from seedcorn.domain.model import ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Linear:
    """One weight matrix, ``inputs × outputs``, as it recurs through the model.

    Attributes:
        layers: Layers that hold it (fractional never: a shared cache just holds it in fewer).
        experts: Copies in one layer; 1 unless it belongs to routed experts.
        experts_per_tok: Copies that one token passes.
        is_split: Whether tensor parallelism divides it. Latent projections of MLA and routers are
            held whole by every chip.
        fewest_bits: Formats below keep it in 16 bits. Routers and the output head are never quantised in the
            published fp8, int8 and fp4 checkpoints; attention and shared experts of a mixture not below 8 bits
            (``hf_quant_config.json`` of Kimi-K2.6-NVFP4, GLM-5.1-NVFP4, Qwen3.5-397B-A17B-NVFP4 and others).
    """

    name: str
    inputs: int
    outputs: int
    layers: int
    experts: int = 1
    experts_per_tok: int = 1
    is_split: bool = True
    fewest_bits: int = 4

    @property
    def is_routed(self) -> bool:
        """Whether a router chooses who passes it."""
        return self.experts > 1

    @property
    def params(self) -> int:
        """Parameters over all layers and experts."""
        return self.inputs * self.outputs * self.layers * self.experts

    @property
    def active_params(self) -> int:
        """Parameters that one token passes, over all layers."""
        return self.inputs * self.outputs * self.layers * self.experts_per_tok


def _attention(model: ModelSpec) -> tuple[Linear, ...]:
    """Grouped-query attention (arXiv:2305.13245); with cross-layer attention (arXiv:2405.12981)
    only one layer in ``cla_share_factor`` projects keys and values."""
    layers, hidden = model.num_hidden_layers - model.num_linear_layers, model.hidden_size
    query, key_value = (
        heads * model.head_dim for heads in (model.num_attention_heads, 2 * model.num_key_value_heads)
    )
    asked = (2 if model.attn_output_gate else 1) * query
    return (
        Linear(name="q_proj", inputs=hidden, outputs=asked, layers=layers),
        Linear(name="kv_proj", inputs=hidden, outputs=key_value, layers=-(-layers // model.cla_share_factor)),
        Linear(name="o_proj", inputs=query, outputs=hidden, layers=layers),
    )


def _linear_attention(model: ModelSpec) -> tuple[Linear, ...]:
    """Gated DeltaNet (arXiv:2412.06464): queries, keys, values and gate, two scalars a head, and back."""
    layers, hidden, heads = model.num_linear_layers, model.hidden_size, model.linear_num_value_heads
    keys = model.linear_num_key_heads * model.linear_key_head_dim
    values = heads * model.linear_value_head_dim
    return (
        Linear(name="in_proj_qkvz", inputs=hidden, outputs=2 * (keys + values), layers=layers),
        Linear(name="in_proj_ba", inputs=hidden, outputs=2 * heads, layers=layers, fewest_bits=16),
        Linear(name="out_proj", inputs=values, outputs=hidden, layers=layers),
    )


def _latent_attention(model: ModelSpec) -> tuple[Linear, ...]:
    """Multi-head latent attention (arXiv:2405.04434, section 2.1)."""
    layers, hidden, heads = model.num_hidden_layers, model.hidden_size, model.num_attention_heads
    query = heads * (model.qk_nope_head_dim + model.qk_rope_head_dim)
    latent = model.kv_lora_rank
    queries: tuple[Linear, ...]
    if model.q_lora_rank:
        rank = model.q_lora_rank
        queries = (
            Linear(name="q_a_proj", inputs=hidden, outputs=rank, layers=layers, is_split=False),
            Linear(name="q_b_proj", inputs=rank, outputs=query, layers=layers),
        )
    else:
        queries = (Linear(name="q_proj", inputs=hidden, outputs=query, layers=layers),)
    return (
        *queries,
        Linear(
            name="kv_a_proj",
            inputs=hidden,
            outputs=latent + model.qk_rope_head_dim,
            layers=layers,
            is_split=False,
        ),
        Linear(
            name="kv_b_proj",
            inputs=latent,
            outputs=heads * (model.qk_nope_head_dim + model.v_head_dim),
            layers=layers,
        ),
        Linear(name="o_proj", inputs=heads * model.v_head_dim, outputs=hidden, layers=layers),
    )


def _gated_mlp(prefix: str, hidden: int, width: int, layers: int) -> tuple[Linear, ...]:
    """SwiGLU (arXiv:2002.05202): gate and up as one matrix, then down."""
    return (
        Linear(name=f"{prefix}gate_up_proj", inputs=hidden, outputs=2 * width, layers=layers),
        Linear(name=f"{prefix}down_proj", inputs=width, outputs=hidden, layers=layers),
    )


def _mixture(model: ModelSpec, layers: int) -> tuple[Linear, ...]:
    """Router, routed experts and shared experts of the layers that are mixtures."""
    hidden, width = model.hidden_size, model.moe_intermediate_size
    experts, chosen = model.num_experts, model.num_experts_per_tok
    shared = _gated_mlp("shared_", hidden, width * model.n_shared_experts, layers)
    return (
        Linear(
            name="router",
            inputs=hidden,
            outputs=experts,
            layers=layers,
            is_split=False,
            fewest_bits=16,
        ),
        Linear(
            name="expert_gate_up_proj",
            inputs=hidden,
            outputs=2 * width,
            layers=layers,
            experts=experts,
            experts_per_tok=chosen,
        ),
        Linear(
            name="expert_down_proj",
            inputs=width,
            outputs=hidden,
            layers=layers,
            experts=experts,
            experts_per_tok=chosen,
        ),
        *(shared if model.n_shared_experts else ()),
    )


def block_linears(model: ModelSpec) -> tuple[Linear, ...]:
    """Every weight matrix of the transformer blocks."""
    attention = _latent_attention(model) if model.is_mla else _attention(model)
    dense_layers = model.first_k_dense_replace if model.is_moe else model.num_hidden_layers
    moe_layers = model.num_hidden_layers - dense_layers
    dense = _gated_mlp("", model.hidden_size, model.intermediate_size, dense_layers)
    found = (
        *(attention if model.num_linear_layers < model.num_hidden_layers else ()),
        *(_linear_attention(model) if model.num_linear_layers else ()),
        *(dense if dense_layers else ()),
        *(_mixture(model, moe_layers) if moe_layers else ()),
    )
    if not model.is_moe:
        return found
    return tuple(
        linear if linear.is_routed else replace(linear, fewest_bits=max(linear.fewest_bits, 8))
        for linear in found
    )


def lm_head(model: ModelSpec) -> Linear:
    """The output head: hidden state to a logit per vocabulary entry."""
    return Linear(
        name="lm_head",
        inputs=model.hidden_size,
        outputs=model.vocab_size,
        layers=1,
        fewest_bits=16,
    )


ATTENTION_KERNELS = 5
"""Beside the projections: two norms, rotary embedding with the cache's write, attention and its reduction."""

EXPERT_KERNELS = 5
"""Of routed experts alone: sort, two grouped matrix multiplications with the activation between, sum."""


def num_kernels(model: ModelSpec) -> int:
    """Kernels of all layers, as engines fuse them (vLLM 0.19's traces, give or take one).

    Queries, keys and values are one matrix multiplication, gate and up another; MLA adds its latent
    projections, their norm and the two batched ones that absorb keys and values. A mixture adds router and
    top-k; shared experts run as a gated MLP.
    """
    attention = ATTENTION_KERNELS + (
        6 if model.is_mla else 2
    )  # linear attention has as many as the grouped kind
    gated_mlp = 3
    dense_layers = model.first_k_dense_replace if model.is_moe else model.num_hidden_layers
    mixture = 2 + EXPERT_KERNELS + (gated_mlp if model.n_shared_experts else 0)
    return (
        model.num_hidden_layers * attention
        + dense_layers * gated_mlp
        + (model.num_hidden_layers - dense_layers) * mixture
    )


def total_params(model: ModelSpec) -> int:
    """Parameters of the whole model: blocks, embedding, output head (once if tied), norms.

    Left out, because no ``config.json`` field here tells: biases and per-head norms (below 0.1 %).
    """
    embeddings = (1 if model.tie_word_embeddings else 2) * model.vocab_size * model.hidden_size
    norms = (2 * model.num_hidden_layers + 1) * model.hidden_size
    return sum(linear.params for linear in block_linears(model)) + embeddings + norms


def active_params(model: ModelSpec) -> int:
    """Parameters that one token passes: as :func:`total_params`, but only the experts chosen."""
    idle = sum(linear.params - linear.active_params for linear in block_linears(model))
    return total_params(model) - idle
