"""A step model from the data sheet and the efficiency curve of the chip's family.

Per matrix multiplication, the time is that of its slower resource (arithmetic or memory traffic),
rounded off where they cross (roofline: doi:10.1145/1498765.1498785). Attention, collectives and
launches add up. Nothing here knows a chip or a model by name.
"""

from dataclasses import dataclass
from math import hypot
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import UnknownFact, Unsupported
from seedcorn.perf.collectives import Link, all_reduce_s
from seedcorn.perf.efficiency import Efficiency, efficiency
from seedcorn.perf.memory import (
    SIXTEEN_BIT_BYTES,
    element_bytes,
    kv_bytes_per_token,
    kv_tokens,
    linear_state_bytes,
    state_bytes_per_sequence,
)
from seedcorn.perf.shapes import Linear, block_linears, lm_head, num_kernels
from seedcorn.perf.step_model import StepModel

TOKENS = np.array(
    [
        1,
        2,
        4,
        8,
        16,
        24,
        32,
        48,
        64,
        96,
        128,
        192,
        256,
        384,
        512,
        513,
        768,
        1024,
        1536,
        2048,
        4096,
        8192,
        16384,
    ],
    dtype=np.float64,
)
"""(G,) tokens per step at which the time is computed; in between it is close to linear."""

GRAPH_TOKENS = 512
"""Largest step that a captured graph covers: vLLM's largest ``cudagraph_capture_sizes`` by default."""

COMPUTE_CEILING = 0.92
"""Share of the peak that no matrix multiplication exceeds, power or not: the fastest of 2,353 on an
Ascend 910B2 reach 0.87 in bf16."""

SHARPNESS = 5.0
"""Exponent of the mean that joins the two sides of a roofline; ∞ would be a sharp corner. Fitted
together with the curves; the fit barely depends on it between 4 and 8."""


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

    Raises:
        UnknownFact: The catalogue lacks the chip's memory, bandwidth, peak or link.
        Unsupported: The chip has no such format, or the model cannot be split so.
        DoesNotFit: Weights, reserve and cache exceed the memory.
    """
    check_supported(model, chip, dtype=dtype, parallelism=parallelism, chips_per_node=chips_per_node)
    capacity = kv_tokens(model, chip, dtype=dtype, parallelism=parallelism, engine=engine)
    replica = Roofline(
        model=model,
        chip=chip,
        dtype=dtype,
        parallelism=parallelism,
        engine=engine,
        curve=efficiency(chip, engine.engine),
    )
    return replica.step_model(kv_tokens=capacity)


def check_supported(
    model: ModelSpec, chip: Chip, *, dtype: Dtype, parallelism: Parallelism, chips_per_node: int
) -> None:
    """Refuse what the chip has no arithmetic for and what the model cannot be split into.

    Raises:
        Unsupported: Says which rule binds.
    """
    tp, pp, ep = parallelism.tp, parallelism.pp, parallelism.ep
    heads, kv_heads = model.num_attention_heads, model.num_key_value_heads
    if chip.peak_flop_per_s(dtype) is None:
        has = ", ".join(d for d in Dtype if chip.peak_flop_per_s(d) is not None) or "none published"
        raise Unsupported(f"{chip.name} has no {dtype} arithmetic in the catalogue; it has: {has}")
    if tp > chips_per_node:
        raise Unsupported(
            f"tp {tp} does not fit a node of {chips_per_node} x {chip.name}; use pp across nodes"
        )
    if heads % tp:
        raise Unsupported(f"tp {tp} does not divide the {heads} attention heads of {model.name}")
    if not model.is_mla and kv_heads % tp and tp % kv_heads:
        raise Unsupported(f"tp {tp} neither divides nor is a multiple of {model.name}'s {kv_heads} KV heads")
    if pp > model.num_hidden_layers:
        raise Unsupported(f"pp {pp} exceeds the {model.num_hidden_layers} layers of {model.name}")
    if ep > 1 and (not model.is_moe or model.num_experts % ep or tp % ep):
        raise Unsupported(
            f"ep {ep} must divide tp {tp} and the {model.num_experts} routed experts of {model.name}"
        )


def experts_touched(tokens: NDArray[np.float64], *, experts: int, per_token: int) -> NDArray[np.float64]:
    """Routed experts that at least one of ``tokens`` passes, if the router is even.

    E·(1 − (1 − k/E)^tokens): each token leaves an expert alone with probability 1 − k/E.
    """
    touched: NDArray[np.float64] = experts * (1.0 - (1.0 - per_token / experts) ** tokens)
    return touched


def expert_imbalance(tokens: NDArray[np.float64], *, per_token: int, ep: int) -> NDArray[np.float64]:
    """Work of the busiest of ``ep`` groups of experts over the mean, for an even router.

    The groups' loads are near-normal with mean λ = tokens·k/ep and variance λ·(1 − 1/ep). The largest of
    ep normal variables lies Φ⁻¹((ep − 3/8)/(ep + 1/4)) deviations above their mean (Blom 1958); a group
    never gets more than everything.
    """
    mean = tokens * per_token / ep
    deviations = NormalDist().inv_cdf((ep - 0.375) / (ep + 0.25))
    return np.minimum(1.0 + deviations * np.sqrt((1.0 - 1.0 / ep) / mean), float(ep))


@dataclass(frozen=True, slots=True, kw_only=True)
class Roofline:
    """One replica under one efficiency curve; every method says seconds on its busiest chip.

    With pipeline stages a step's tokens are spread over as many micro-batches, all in flight at
    once; the hand-over between stages is left out (below 1 % of a stage on any data-centre network).
    """

    model: ModelSpec
    chip: Chip
    dtype: Dtype
    parallelism: Parallelism
    engine: EngineSettings
    curve: Efficiency

    def step_model(self, *, kv_tokens: int) -> StepModel:
        """The sampled curve that the replay reads."""
        pp = self.parallelism.pp
        return StepModel(
            tokens=TOKENS,
            dense_s=self.dense_s(TOKENS / pp),
            context_s=self.context_s() / pp,
            pair_s=self.pair_s() / pp,
            kv_tokens=kv_tokens,
            evidence=self.curve.evidence,
            log_sigma=self.curve.log_sigma,
            request_s=self.curve.request_s,
            first_steps=self.curve.first_steps,
            ttft_log_sigma=self.curve.ttft_log_sigma,
        )

    def dense_s(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) seconds of all that depends on the tokens of a step alone."""
        host_s = self.curve.step_s + self.curve.sequence_s * self._sequences(tokens)
        return np.maximum(self.chip_s(tokens), self._eager_s(tokens)) + host_s

    def chip_s(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) seconds the chip itself is busy: matrix multiplications, all-reduces, gaps between kernels."""
        blocks_s = np.zeros_like(tokens)
        for linear in block_linears(self.model):
            blocks_s += self.linear_s(tokens, linear)
        # Only the last token of each sequence passes the output head.
        head_s = self.linear_s(self._sequences(tokens), lm_head(self.model))
        gaps_s = self.curve.kernel_s * num_kernels(self.model)
        return blocks_s + head_s + self._states_s(tokens) + self._all_reduces_s(tokens) + gaps_s

    def _states_s(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) seconds to read what each sequence holds whatever its length, and to write linear states back."""
        tp = self.parallelism.tp
        moved = state_bytes_per_sequence(self.model, tp=tp) + linear_state_bytes(self.model) / tp
        return self._sequences(tokens) * moved / (self.curve.context_share * self._memory_bytes_per_s())

    def linear_s(self, tokens: NDArray[np.float64], linear: Linear) -> NDArray[np.float64]:
        """(G,) seconds of one weight matrix over all its layers, with the kernels around it.

        What a matrix multiplication reads and writes, the element-wise kernels around it move once more.
        """
        return (self.matmul_s(tokens, linear) + self._activation_s(tokens, linear)) * linear.layers

    def matmul_s(self, tokens: NDArray[np.float64], linear: Linear) -> NDArray[np.float64]:
        """(G,) seconds of one weight matrix alone, in one layer."""
        elements = linear.inputs * linear.outputs / self._split(linear)
        read = np.ones_like(tokens)
        if linear.is_routed:
            read = experts_touched(tokens, experts=linear.experts, per_token=linear.experts_per_tok)
        width = element_bytes(self.dtype, linear)
        memory_s = read * elements * width / self._sustained_bytes_per_s() + self._activation_s(
            tokens, linear
        )
        compute_s = self._busiest(tokens, linear) * (
            2.0 * tokens * linear.experts_per_tok * elements / self._matmul_flop_per_s(linear)
        )
        joined: NDArray[np.float64] = (memory_s**SHARPNESS + compute_s**SHARPNESS) ** (1.0 / SHARPNESS)
        return joined

    def _activation_s(self, tokens: NDArray[np.float64], linear: Linear) -> NDArray[np.float64]:
        """(G,) seconds to read a matrix multiplication's inputs and write its outputs, in one layer."""
        passes = self._busiest(tokens, linear) * tokens * linear.experts_per_tok
        moved: NDArray[np.float64] = (
            passes * (linear.inputs + linear.outputs) / self._split(linear) * SIXTEEN_BIT_BYTES
        )
        return moved / self._sustained_bytes_per_s()

    def _busiest(self, tokens: NDArray[np.float64], linear: Linear) -> NDArray[np.float64]:
        """(G,) tokens on the chip that has most of them, over the mean: experts spread whole are not used evenly."""
        if not linear.is_routed:
            return np.ones_like(tokens)
        return expert_imbalance(tokens, per_token=linear.experts_per_tok, ep=self.parallelism.ep)

    def _split(self, linear: Linear) -> int:
        return self.parallelism.tp if linear.is_split else 1

    def context_s(self) -> float:
        """Seconds of decode attention per KV token read: its bytes and, where many heads share a cached
        key (MLA), its arithmetic."""
        model, tp = self.model, self.parallelism.tp
        read_bytes = kv_bytes_per_token(model, tp=tp) * model.cla_share_factor
        # With absorbed projections scores are taken against latent and rope part, values from the latent.
        latent_flop = 2 * (2 * model.kv_lora_rank + model.qk_rope_head_dim)
        per_head = latent_flop if model.is_mla else 4 * model.head_dim
        return hypot(
            read_bytes / (self.curve.context_share * self._memory_bytes_per_s()), self._attention_s(per_head)
        )

    def pair_s(self) -> float:
        """Seconds of prefill attention per (query, key) pair: a score and a weighted value per head."""
        model = self.model
        latent_flop = 2 * (model.qk_nope_head_dim + model.qk_rope_head_dim + model.v_head_dim)
        return self._attention_s(latent_flop if model.is_mla else 4 * model.head_dim)

    def _attention_s(self, flop_per_head: int) -> float:
        """Seconds of attention's arithmetic over all layers, for one pair."""
        flop = self.model.num_attention_heads / self.parallelism.tp * flop_per_head
        return flop * self.model.num_full_layers / (self.curve.pair_share * self._sixteen_bit_flop_per_s())

    def _sequences(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) sequences that such a step emits a token for: all tokens are taken to be decoded, until
        there are more than the engine runs sequences."""
        return np.minimum(tokens, float(self.engine.max_num_seqs))

    def _eager_s(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) seconds the host takes to launch a step's kernels one by one; 0 under a captured graph."""
        launches_s = num_kernels(self.model) * self.curve.eager_kernel_s
        return np.where(tokens > GRAPH_TOKENS, launches_s, 0.0)

    def _all_reduces_s(self, tokens: NDArray[np.float64]) -> NDArray[np.float64]:
        """(G,) seconds of the two all-reduces per layer: after attention, after the MLP or the experts.

        Expert parallelism inside a tensor-parallel group needs no other exchange: every chip holds every
        token's hidden state, so the experts' outputs are summed by the same all-reduce.
        """
        if self.parallelism.tp == 1:
            return np.zeros_like(tokens)
        message_bytes = tokens * self.model.hidden_size * SIXTEEN_BIT_BYTES
        once_s = all_reduce_s(message_bytes, chips=self.parallelism.tp, link=self.link())
        return 2 * self.model.num_hidden_layers * once_s

    def link(self) -> Link:
        """What joins the chips: their scale-up link where it reaches, else the host interface."""
        chip, tp = self.chip, self.parallelism.tp
        if chip.link_bytes_per_s is not None and tp <= chip.scale_up_domain:
            bytes_per_s = chip.link_bytes_per_s
        elif chip.host_bytes_per_s is not None:
            bytes_per_s = chip.host_bytes_per_s
        else:
            raise UnknownFact(chip.name, f"a link that joins {tp} chips")
        return Link(bytes_per_s=self.curve.link_share * bytes_per_s, latency_s=self.curve.link_latency_s)

    def _sustained_bytes_per_s(self) -> float:
        """Memory traffic while weights stream."""
        return self.curve.memory_share * self._memory_bytes_per_s()

    def _memory_bytes_per_s(self) -> float:
        if self.chip.memory_bytes_per_s is None:
            raise UnknownFact(self.chip.name, "memory bandwidth")
        return self.chip.memory_bytes_per_s

    def _sixteen_bit_flop_per_s(self) -> float:
        """Peak of attention, routers and the output head: they stay in 16 bits whatever the weights are."""
        peak = self.chip.bf16_flop_per_s or self.chip.fp16_flop_per_s
        if peak is None:
            raise UnknownFact(self.chip.name, "16-bit peak")
        return peak

    def _matmul_flop_per_s(self, linear: Linear) -> float:
        """What a large matrix multiplication sustains in the format that this matrix is held in."""
        grouped = self.curve.expert_share if linear.is_routed else 1.0
        width = element_bytes(self.dtype, linear)
        if width >= SIXTEEN_BIT_BYTES:
            peak = self._sixteen_bit_flop_per_s()
            return peak * self._compute_share(peak) * grouped
        low_peak = self.chip.peak_flop_per_s(self.dtype)
        if low_peak is None:
            raise UnknownFact(self.chip.name, f"{self.dtype} peak")
        # An operation on half the bits takes about half the energy.
        share = self._compute_share(low_peak * width / SIXTEEN_BIT_BYTES)
        low = self.curve.four_bit_share if width < 1 else self.curve.eight_bit_share
        return low_peak * share * low * grouped

    def _compute_share(self, sixteen_bit_flop_per_s: float) -> float:
        """Share of the peak that the chip's power limit lets it sustain: many a data sheet's peak cannot be
        held at its TDP, least of all that of a card for inference (an L4 has 0.6 W per TFLOP/s, an H20 2.7)."""
        if self.chip.tdp_w is None:
            return self.curve.compute_share
        watts_per_tflop = self.chip.tdp_w / (sixteen_bit_flop_per_s / 1e12)
        sustained: float = self.curve.compute_share * watts_per_tflop**self.curve.power_exponent
        return min(sustained, COMPUTE_CEILING)
