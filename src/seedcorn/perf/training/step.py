"""Seconds of chip time that one trained token takes, term by term.

Every term is *chip-seconds per token*: the time all chips of the gang spend, over the tokens of the
step. Work that is merely split over more chips keeps its value; what parallelism adds shows as
growth.

::

    compute  = GEMM + attention + elementwise + weight traffic + launches + recomputation
    time     = ‖ compute + exposed tp + exposed ep , dp ‖ · (1 + bubble) · (1 + scale loss)
"""

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import Chip, Dtype, Pool
from seedcorn.errors import UnknownFact, Unsupported
from seedcorn.perf.training.coefficients import Coefficients
from seedcorn.perf.training.layout import Floats, Layouts
from seedcorn.perf.training.memory import USABLE_SHARE, params_per_chip, training_memory
from seedcorn.perf.training.shape import TrainingShape

# Watts per 16-bit FLOP/s of the H100, and of the chips with the least and the most that were measured.
H100_WATTS, LEAST_WATTS, MOST_WATTS = 700 / 989.5e12, 1000 / 2250e12, 400 / 312e12

TRAINING_DTYPES = (Dtype.BF16, Dtype.FP16, Dtype.FP8, Dtype.FP4)

BF16_BYTES = 2
# Each microbatch reads the weights forward, backward and for their gradient, and adds to 32-bit gradients.
WEIGHT_TRAFFIC_BYTES = 3 * BF16_BYTES + 8
# Megatron with sequence parallelism: 4 all-gathers and 4 reduce-scatters of the activations per
# layer, forward and backward (arXiv:2205.05198, section 4.2.2).
TP_COLLECTIVES = 8
# Chunks of the interleaved schedule that published runs use: 8 in Llama 3 405B (126 layers over 16 stages),
# 4 to 8 in most of Megatron-Bridge's.
MOST_CHUNKS = 8
# Dispatch and combine, forward and backward.
EP_EXCHANGES = 4
# Per parameter: 32-bit gradients reduced once, 16-bit weights gathered once; ZeRO-3 gathers
# 16-bit weights twice and reduces 16-bit gradients: 6 bytes as well, but every microbatch.
DP_BYTES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What of a pool the step needs, none of it unknown.

    Attributes:
        watts_per_flop_per_s: Board power over 16-bit peak; ``None`` if unpublished.
        flop_per_s: Peak in the job's format; ``attention_flop_per_s`` in 16 bits.
        link_bytes_per_s: The scale-up link where it joins all chips of a node, else the host interface.
        domain: Chips that ``link_bytes_per_s`` joins.
        network_bytes_per_s: Per chip, beyond the domain.
    """

    family: str
    watts_per_flop_per_s: float | None
    memory_bytes: float
    memory_bytes_per_s: float
    flop_per_s: float
    attention_flop_per_s: float
    link_bytes_per_s: float
    domain: int
    network_bytes_per_s: float | None


def training_facts(pool: Pool, dtype: Dtype) -> Facts:
    """The facts of ``pool`` for training in ``dtype``.

    Raises:
        Unsupported: The chip does not compute in ``dtype``, or nobody trains in it.
        UnknownFact: Memory, bandwidth or every link is unpublished.
    """
    chip = pool.chip
    flop_per_s = chip.peak_flop_per_s(dtype) if dtype in TRAINING_DTYPES else None
    sixteen_bit = chip.bf16_flop_per_s or chip.fp16_flop_per_s
    if flop_per_s is None or sixteen_bit is None:
        raise Unsupported(_no_format(chip, dtype))
    is_linked = chip.link_bytes_per_s is not None and chip.scale_up_domain >= max(2, pool.chips_per_node)
    link_bytes_per_s = chip.link_bytes_per_s if is_linked else chip.host_bytes_per_s
    return Facts(
        family=chip.family,
        watts_per_flop_per_s=chip.tdp_w / sixteen_bit if chip.tdp_w else None,
        memory_bytes=_known(chip, "memory size", chip.memory_bytes),
        memory_bytes_per_s=_known(chip, "memory bandwidth", chip.memory_bytes_per_s),
        flop_per_s=flop_per_s,
        attention_flop_per_s=sixteen_bit,
        link_bytes_per_s=_known(chip, "bandwidth of its link or host interface", link_bytes_per_s),
        domain=chip.scale_up_domain if is_linked else pool.chips_per_node,
        network_bytes_per_s=pool.network_bytes_per_s,
    )


def _known(chip: Chip, fact: str, value: float | None) -> float:
    if value is None:
        raise UnknownFact(f"chip {chip.name}", fact)
    return float(value)


def _no_format(chip: Chip, dtype: Dtype) -> str:
    formats = ", ".join(d for d in TRAINING_DTYPES if chip.peak_flop_per_s(d) is not None)
    return f"chip {chip.name} does not train in {dtype}; formats it trains in: {formats or 'none that we know of'}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepTerms:
    """Chip-seconds per token by cause. All arrays have shape (num_layouts,).

    Attributes:
        reduce_s: What data-parallel communication adds to the terms above it.
        bubble_s: Pipeline bubble and uneven stages; ``scale_s``: stragglers and congestion of many nodes.
    """

    gemm_s: Floats
    attention_s: Floats
    elementwise_s: Floats
    weights_s: Floats
    launch_s: Floats
    recompute_s: Floats
    tp_s: Floats
    ep_s: Floats
    reduce_s: Floats
    bubble_s: Floats
    scale_s: Floats

    @property
    def total_s(self) -> Floats:
        """Chip-seconds per token in all."""
        return sum((getattr(self, field.name) for field in fields(self)), np.zeros_like(self.bubble_s))


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShape:
    """One optimizer step: how many tokens, in sequences of what length.

    Attributes:
        in_flight: Microbatches a chip holds over those of its own pipeline: above 1 where that is
            only the first part of a longer one.
    """

    batch_tokens: float
    sequence_length: int
    in_flight: float = 1.0

    def microbatch_tokens(self, layouts: Layouts) -> Floats:
        """Tokens a context-parallel group takes at once. Shape: (num_layouts,)."""
        return layouts.mbs * self.sequence_length

    def held_tokens(self, layouts: Layouts) -> Floats:
        """Tokens whose activations a context-parallel group holds. Shape: (num_layouts,)."""
        return self.microbatch_tokens(layouts) * self.in_flight

    def feeds(self, layouts: Layouts) -> NDArray[np.bool_]:
        """Whether every replica gets a microbatch. Shape: (num_layouts,)."""
        return layouts.dp * self.microbatch_tokens(layouts) <= self.batch_tokens


def step_terms(
    shape: TrainingShape, facts: Facts, layouts: Layouts, step: StepShape, dtype: Dtype, fitted: Coefficients
) -> StepTerms:
    """Chip-seconds per token of each layout, whether or not it fits."""
    family = np.exp(fitted.family_log_offsets.get(facts.family, 0.0))
    microbatch = step.microbatch_tokens(layouts)
    ones = np.ones_like(layouts.tp)

    gemm = ones * _gemm_s(shape, facts, dtype, fitted) / family
    attention = (
        ones
        * shape.attention_flop_per_token(step.sequence_length)
        / (facts.attention_flop_per_s * fitted.attention_share * family)
    )
    elementwise = ones * _elementwise_bytes(shape, fitted) / (facts.memory_bytes_per_s * family)
    weights = _weight_traffic_s(shape, facts, layouts, microbatch)
    launch = fitted.layer_launch_s * shape.num_hidden_layers * layouts.tp * layouts.cp / microbatch
    tp = fitted.tp_exposed_share * _tensor_s(shape, facts, layouts)
    ep = fitted.ep_exposed_share * _expert_s(shape, facts, layouts)

    recomputed = np.where(layouts.recompute, 1.0, _recomputed_share(shape, facts, layouts, step))
    recompute = recomputed * (gemm + attention + elementwise + launch + tp + ep) / 3

    busy = gemm + attention + elementwise + weights + launch + recompute + tp + ep
    order = fitted.dp_overlap
    exchange = _reduce_s(shape, facts, layouts, step, microbatch)
    reduce = np.maximum(0.0, (busy**order + exchange**order) ** (1 / order) - busy)
    microbatches = np.maximum(1.0, step.batch_tokens / (layouts.dp * microbatch))
    idle = fitted.bubble_factor * (layouts.pp - 1) / (microbatches * _interleaving(shape, layouts))
    bubble = (busy + reduce) * (_slowest_stage(shape, layouts) * (1 + idle) - 1)
    scale = (
        (busy + reduce + bubble) * fitted.scale_loss * np.log2(np.maximum(1.0, layouts.chips / facts.domain))
    )
    return StepTerms(
        gemm_s=gemm,
        attention_s=attention,
        elementwise_s=elementwise,
        weights_s=weights,
        launch_s=launch,
        recompute_s=recompute,
        tp_s=tp,
        ep_s=ep,
        reduce_s=reduce,
        bubble_s=bubble,
        scale_s=scale,
    )


def _gemm_s(shape: TrainingShape, facts: Facts, dtype: Dtype, fitted: Coefficients) -> float:
    """Weights: routed experts run as grouped GEMMs, the rest as large ones."""
    share = fitted.gemm_share * _power_factor(facts, fitted)
    share *= fitted.low_precision_share if dtype.bytes_per_element < BF16_BYTES else 1.0
    active_experts = shape.expert_params * shape.num_experts_per_tok / max(1, shape.num_experts)
    expert_flop = min(6 * active_experts, shape.weight_flop_per_token)
    dense_flop = shape.weight_flop_per_token - expert_flop
    return (dense_flop + expert_flop / fitted.expert_share) / (facts.flop_per_s * min(share, 1.0))


def _power_factor(facts: Facts, fitted: Coefficients) -> float:
    """How much a chip's power budget for its peak lifts or lowers the clocks it sustains, against an H100's.

    Sustained matrix rates follow the board's power: the A100 has 1.28 W a TFLOP/s, the H100 0.71, the
    B200 0.44. Outside what was measured the ends hold; 1 where the power is unpublished.
    """
    if facts.watts_per_flop_per_s is None:
        return 1.0
    budget = min(max(facts.watts_per_flop_per_s, LEAST_WATTS), MOST_WATTS)
    return float((budget / H100_WATTS) ** fitted.power_exponent)


def _elementwise_bytes(shape: TrainingShape, fitted: Coefficients) -> float:
    """Memory traffic of a token besides weights: every layer once, and once per routed expert it passes."""
    routed = fitted.routed_traffic * shape.moe_layers * shape.num_experts_per_tok
    return fitted.elementwise_bytes * shape.hidden_size * (shape.num_hidden_layers + routed)


def _weight_traffic_s(shape: TrainingShape, facts: Facts, layouts: Layouts, microbatch: Floats) -> Floats:
    dense, experts = params_per_chip(shape, layouts)
    chips_per_replica = layouts.tp * layouts.pp * layouts.cp
    return (
        WEIGHT_TRAFFIC_BYTES * (dense + experts) * chips_per_replica / (facts.memory_bytes_per_s * microbatch)
    )


def _tensor_s(shape: TrainingShape, facts: Facts, layouts: Layouts) -> Floats:
    """Every chip of a tp group receives (tp − 1)/tp of the activations in each collective."""
    gathered_bytes = TP_COLLECTIVES * BF16_BYTES * shape.hidden_size * shape.num_hidden_layers
    return gathered_bytes * (layouts.tp - 1) / facts.link_bytes_per_s


def _recomputed_share(shape: TrainingShape, facts: Facts, layouts: Layouts, step: StepShape) -> Floats:
    """Share of the layers whose forward pass must run twice for the activations to fit; 1 at most."""
    memory = training_memory(shape, layouts, held_tokens=step.held_tokens(layouts))
    excess = memory.states_bytes + memory.activations_bytes - USABLE_SHARE * facts.memory_bytes
    return np.clip(excess / (memory.activations_bytes - memory.recomputed_bytes), 0.0, 1.0)


def _expert_s(shape: TrainingShape, facts: Facts, layouts: Layouts) -> Floats:
    """Each token goes to its experts and back: once over the network to every domain that holds some
    (arXiv:2412.19437, section 3.2.2), then over the links to each."""
    chosen = shape.num_experts_per_tok
    exchanged_bytes = EP_EXCHANGES * BF16_BYTES * shape.hidden_size * shape.moe_layers
    domains = np.maximum(1.0, layouts.ep / facts.domain)
    remote_copies = (domains - 1) * (1 - (1 - 1 / domains) ** chosen)
    local_copies = chosen * (1 - 1 / layouts.ep)
    network = facts.network_bytes_per_s or np.inf
    return exchanged_bytes * (local_copies / facts.link_bytes_per_s + remote_copies / network)


def _slowest_stage(shape: TrainingShape, layouts: Layouts) -> Floats:
    """Work of the fullest pipeline stage over the mean one: layers split evenly, rounded up, and the last
    stage computes the output head as well (the default split of Megatron-LM)."""
    head_layers = shape.head_params * shape.num_hidden_layers / (shape.active_params - shape.head_params)
    fullest: Floats = np.ceil(shape.num_hidden_layers / layouts.pp) + head_layers
    return np.where(layouts.pp > 1, fullest * layouts.pp / (shape.num_hidden_layers + head_layers), 1.0)


def _interleaving(shape: TrainingShape, layouts: Layouts) -> Floats:
    """Model chunks a chip holds in the interleaved schedule, which divides the bubble by it
    (arXiv:2104.04473, section 2.2.2): every layer its own chunk, up to ``MOST_CHUNKS``."""
    return np.clip(shape.num_hidden_layers // layouts.pp, 1, MOST_CHUNKS)


def _reduce_s(
    shape: TrainingShape, facts: Facts, layouts: Layouts, step: StepShape, microbatch: Floats
) -> Floats:
    """Gradients reduced and weights gathered over the replicas, by rings through every chip of a node."""
    dense, experts = params_per_chip(shape, layouts)
    replicas = layouts.dp * layouts.cp
    chips_in_node = np.maximum(1.0, np.minimum(replicas, facts.domain // layouts.tp))
    network = (facts.network_bytes_per_s or np.inf) * chips_in_node
    spans_nodes = replicas * layouts.tp > facts.domain
    bandwidth: Floats = np.where(
        spans_nodes, np.minimum(network, facts.link_bytes_per_s), facts.link_bytes_per_s
    )
    moved = DP_BYTES * (dense * (1 - 1 / replicas) + experts * (1 - 1 / layouts.expert_replicas))
    tokens: Floats = np.where(layouts.fsdp, microbatch, step.batch_tokens / layouts.dp)
    return moved * layouts.tp * layouts.pp * layouts.cp / (bandwidth * tokens)
