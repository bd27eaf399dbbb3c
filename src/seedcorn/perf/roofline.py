"""A step model from the data sheet and the efficiency curves of the chip's family.

Per matrix multiplication, the time is that of its slower resource (arithmetic or memory traffic),
rounded off where they cross (roofline: doi:10.1145/1498765.1498785). Attention, collectives and
launches add up. Nothing here knows a chip or a model by name.
"""

from math import log, sqrt

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import UnknownFact, Unsupported
from seedcorn.perf.collectives import Link, all_reduce_s
from seedcorn.perf.efficiency import Efficiency, efficiency
from seedcorn.perf.memory import SIXTEEN_BIT_BYTES, kv_bytes_per_token, kv_tokens
from seedcorn.perf.shapes import Linear, block_linears, lm_head
from seedcorn.perf.step_model import StepModel

TOKENS = np.array(
    [1, 2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096, 8192, 16384],
    dtype=np.float64,
)
"""(G,) tokens per step at which the time is computed; in between it is close to linear."""

SHARPNESS = 4.0
"""Exponent of the mean that joins the two sides of a roofline; ∞ would be a sharp corner."""


def step_model(
    model: ModelSpec,
    chip: Chip,
    *,
    dtype: Dtype,
    parallelism: Parallelism,
    engine: EngineSettings,
    chips_per_node: int,
) -> StepModel:
    """The step model of one replica, from catalogue facts.

    With pipeline stages a step's tokens are spread over as many micro-batches, all in flight at
    once; the hand-over between stages is left out (below 1 % of a stage on any data-centre network).

    Raises:
        UnknownFact: The catalogue lacks the chip's memory, bandwidth, peak or link.
        Unsupported: The chip has no such format, or the model cannot be split so.
        DoesNotFit: Weights, reserve and cache exceed the memory.
    """
    check_supported(model, chip, dtype=dtype, parallelism=parallelism, chips_per_node=chips_per_node)
    capacity = kv_tokens(model, chip, dtype=dtype, parallelism=parallelism, engine=engine)
    curve = efficiency(chip.family)
    tp, pp = parallelism.tp, parallelism.pp
    per_microbatch = TOKENS / pp
    dense_s = (
        curve.step_s
        + curve.layer_s * model.num_hidden_layers
        + _linears_s(per_microbatch, model, chip, dtype, parallelism, curve)
        + _reduces_s(per_microbatch, model, chip, tp, curve)
    )
    return StepModel(
        tokens=TOKENS,
        dense_s=dense_s,
        context_s=context_s(model, chip, curve, tp=tp) / pp,
        pair_s=pair_s(model, chip, curve, tp=tp) / pp,
        kv_tokens=capacity,
        evidence=curve.evidence,
        log_sigma=curve.log_sigma,
    )


def check_supported(
    model: ModelSpec, chip: Chip, *, dtype: Dtype, parallelism: Parallelism, chips_per_node: int
) -> None:
    """Refuse what the chip has no arithmetic for and what the model cannot be split into.

    Raises:
        Unsupported: Says which rule binds.
    """
    tp, pp, ep = parallelism.tp, parallelism.pp, parallelism.ep
    if chip.peak_flop_per_s(dtype) is None:
        has = ", ".join(d for d in Dtype if chip.peak_flop_per_s(d) is not None) or "none published"
        raise Unsupported(f"{chip.name} has no {dtype} arithmetic in the catalogue; it has: {has}")
    if tp > chips_per_node:
        raise Unsupported(
            f"tp {tp} does not fit a node of {chips_per_node} x {chip.name}; use pp across nodes"
        )
    if model.num_attention_heads % tp:
        raise Unsupported(f"tp {tp} does not divide the {model.num_attention_heads} heads of {model.name}")
    if not model.is_mla and model.num_key_value_heads % tp and tp % model.num_key_value_heads:
        raise Unsupported(
            f"tp {tp} neither divides nor is a multiple of the {model.num_key_value_heads} KV heads of {model.name}"
        )
    if pp > model.num_hidden_layers:
        raise Unsupported(f"pp {pp} exceeds the {model.num_hidden_layers} layers of {model.name}")
    if ep > 1 and (not model.is_moe or model.num_experts % ep or tp % ep):
        raise Unsupported(
            f"ep {ep} must divide tp {tp} and the {model.num_experts} routed experts of {model.name}"
        )


def _memory_bytes_per_s(chip: Chip) -> float:
    if chip.memory_bytes_per_s is None:
        raise UnknownFact(chip.name, "memory bandwidth")
    return chip.memory_bytes_per_s


def _sixteen_bit_flop_per_s(chip: Chip) -> float:
    """Peak that attention runs at: it stays in 16 bits whatever the weights are."""
    peak = chip.bf16_flop_per_s or chip.fp16_flop_per_s
    if peak is None:
        raise UnknownFact(chip.name, "16-bit peak")
    return peak


def _peak_flop_per_s(linear: Linear, chip: Chip, dtype: Dtype) -> float:
    peak = chip.peak_flop_per_s(dtype) if linear.is_quantised else None
    return peak or _sixteen_bit_flop_per_s(chip)


def experts_touched(tokens: NDArray[np.float64], *, experts: int, per_token: int) -> NDArray[np.float64]:
    """Routed experts that at least one of ``tokens`` passes, if the router is even.

    E·(1 − (1 − k/E)^tokens): each token leaves an expert alone with probability 1 − k/E.
    """
    touched: NDArray[np.float64] = experts * (1.0 - (1.0 - per_token / experts) ** tokens)
    return touched


def expert_imbalance(tokens: NDArray[np.float64], *, per_token: int, ep: int) -> NDArray[np.float64]:
    """Work of the busiest of ``ep`` expert groups over the mean, for an even router.

    The groups' loads are near-Poisson with mean λ = tokens·k/ep; the largest of ep such is about
    λ + √(2 λ ln ep), and never more than everything.
    """
    mean = tokens * per_token / ep
    return np.minimum(1.0 + np.sqrt(2.0 * log(ep) / mean), float(ep))


def _linear_s(
    tokens: NDArray[np.float64],
    linear: Linear,
    chip: Chip,
    dtype: Dtype,
    parallelism: Parallelism,
    curve: Efficiency,
) -> NDArray[np.float64]:
    """(G,) seconds of one weight matrix over all its layers, on the busiest chip."""
    split = parallelism.tp if linear.is_split else 1
    width = dtype.bytes_per_element if linear.is_quantised else max(2.0, dtype.bytes_per_element)
    elements = linear.inputs * linear.outputs / split
    passes = tokens * linear.experts_per_tok
    if linear.is_routed:
        read = experts_touched(tokens, experts=linear.experts, per_token=linear.experts_per_tok)
        busiest = expert_imbalance(tokens, per_token=linear.experts_per_tok, ep=parallelism.ep)
    else:
        read, busiest = np.ones_like(tokens), np.ones_like(tokens)
    activations = passes * (linear.inputs + linear.outputs) / split * SIXTEEN_BIT_BYTES
    bandwidth = curve.memory_share * _memory_bytes_per_s(chip)
    memory_s = (read * elements * width + activations) / bandwidth
    compute_s = 2.0 * passes * elements / (curve.compute_share * _peak_flop_per_s(linear, chip, dtype))
    matmul_s = (memory_s**SHARPNESS + compute_s**SHARPNESS) ** (1.0 / SHARPNESS)
    # What a matrix multiplication reads and writes, the element-wise kernels around it move once more.
    return (matmul_s + activations / bandwidth) * busiest * linear.layers


def _linears_s(
    tokens: NDArray[np.float64],
    model: ModelSpec,
    chip: Chip,
    dtype: Dtype,
    parallelism: Parallelism,
    curve: Efficiency,
) -> NDArray[np.float64]:
    """(G,) seconds of every matrix multiplication of a step."""
    blocks = sum(
        (_linear_s(tokens, linear, chip, dtype, parallelism, curve) for linear in block_linears(model)),
        start=np.zeros_like(tokens),
    )
    return blocks + _head_s(tokens, model, chip, dtype, parallelism, curve)


def _head_s(
    tokens: NDArray[np.float64],
    model: ModelSpec,
    chip: Chip,
    dtype: Dtype,
    parallelism: Parallelism,
    curve: Efficiency,
) -> NDArray[np.float64]:
    """(G,) seconds of the output head, which only the last token of each sequence passes.

    Sequences are not known here: up to 256 tokens (vLLM's ``max_num_seqs``) all are taken to be
    decoded; beyond that the rest are prompt tokens.
    """
    return _linear_s(np.minimum(tokens, 256.0), lm_head(model), chip, dtype, parallelism, curve)


def link(chip: Chip, curve: Efficiency, *, tp: int) -> Link:
    """What joins ``tp`` chips: their scale-up link where it reaches, else the host interface.

    Raises:
        UnknownFact: The chip has neither in the catalogue.
    """
    if chip.link_bytes_per_s is not None and tp <= chip.scale_up_domain:
        bytes_per_s = chip.link_bytes_per_s
    elif chip.host_bytes_per_s is not None:
        bytes_per_s = chip.host_bytes_per_s
    else:
        raise UnknownFact(chip.name, f"a link that joins {tp} chips")
    return Link(bytes_per_s=curve.link_share * bytes_per_s, latency_s=curve.link_latency_s)


def _reduces_s(
    tokens: NDArray[np.float64], model: ModelSpec, chip: Chip, tp: int, curve: Efficiency
) -> NDArray[np.float64]:
    """(G,) seconds of the two all-reduces per layer: after attention, after the MLP or the experts.

    Expert parallelism inside a tensor-parallel group needs no other exchange: every chip holds every
    token's hidden state, so the experts' outputs are summed by the same all-reduce.
    """
    if tp == 1:
        return np.zeros_like(tokens)
    message_bytes = tokens * model.hidden_size * SIXTEEN_BIT_BYTES
    once = all_reduce_s(message_bytes, chips=tp, link=link(chip, curve, tp=tp))
    return 2 * model.num_hidden_layers * once


def context_s(model: ModelSpec, chip: Chip, curve: Efficiency, *, tp: int) -> float:
    """Seconds of decode attention per KV token read: its bytes or, with many heads per cached key
    (MLA), its arithmetic."""
    read_bytes = kv_bytes_per_token(model, tp=tp) * model.cla_share_factor
    heads = model.num_attention_heads / tp
    # With absorbed projections (MLA) scores are taken against latent and rope part, values from the latent.
    latent_flop = 2 * (2 * model.kv_lora_rank + model.qk_rope_head_dim)
    per_head = latent_flop if model.is_mla else 4 * model.head_dim
    flop = heads * per_head * model.num_hidden_layers
    return sqrt(
        (read_bytes / (curve.context_share * _memory_bytes_per_s(chip))) ** 2
        + (flop / (curve.pair_share * _sixteen_bit_flop_per_s(chip))) ** 2
    )


def pair_s(model: ModelSpec, chip: Chip, curve: Efficiency, *, tp: int) -> float:
    """Seconds of prefill attention per (query, key) pair: a score and a weighted value per head."""
    if model.is_mla:
        per_head = 2 * (model.qk_nope_head_dim + model.qk_rope_head_dim + model.v_head_dim)
    else:
        per_head = 4 * model.head_dim
    flop = model.num_attention_heads / tp * per_head * model.num_hidden_layers
    return flop / (curve.pair_share * _sixteen_bit_flop_per_s(chip))
