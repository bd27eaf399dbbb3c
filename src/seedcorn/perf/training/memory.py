"""What one chip of a training gang must hold."""

from dataclasses import dataclass

import numpy as np

from seedcorn.perf.training.layout import Floats, Layouts
from seedcorn.perf.training.shape import TrainingShape

# Mixed-precision Adam: 16-bit weights and 32-bit gradients stay with the layer; 32-bit master
# weights and two moments are what a distributed optimizer shards (arXiv:1910.02054, section 3.1;
# Megatron-LM's distributed optimizer gives the same 6 + 12/dp).
WEIGHT_AND_GRADIENT_BYTES = 6
OPTIMIZER_BYTES = 12

# Activations of one token in one layer, flash attention and sequence parallelism, per hidden
# element of a dense layer of 12·hidden² parameters: all, and the layer's input alone when the
# rest is recomputed (arXiv:2205.05198, equations 2 and 4 without the score matrix).
ACTIVATION_BYTES = 34
RECOMPUTED_ACTIVATION_BYTES = 2

# The rest is fragmentation, communication buffers and the runtime: published runs go up to 76 of
# 80 GB (FlagPerf, aquila2_7b and llama3_8B on A100 and A800).
USABLE_SHARE = 0.95


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TrainingMemory:
    """Bytes on the fullest chip. All arrays have shape (num_layouts,).

    Attributes:
        states_bytes: Weights, gradients and optimizer.
        activations_bytes: All activations kept; ``recomputed_bytes``: only the layers' inputs.
    """

    states_bytes: Floats
    activations_bytes: Floats
    recomputed_bytes: Floats

    @property
    def least_bytes(self) -> Floats:
        """Bytes with full recomputation."""
        return self.states_bytes + self.recomputed_bytes


def training_memory(shape: TrainingShape, layouts: Layouts, *, held_tokens: Floats) -> TrainingMemory:
    """Memory of the first pipeline stage, which holds pp microbatches of its layers: all layers of one.

    Args:
        shape: The model.
        layouts: How it is spread.
        held_tokens: Tokens of one microbatch, over a whole context-parallel group.
            Shape: (num_layouts,).
    """
    dense, experts = params_per_chip(shape, layouts)
    dense_shards = layouts.dp * layouts.cp
    expert_shards = layouts.expert_replicas
    sharded = np.where(layouts.fsdp, WEIGHT_AND_GRADIENT_BYTES + OPTIMIZER_BYTES, OPTIMIZER_BYTES)
    whole = np.where(layouts.fsdp, 0, WEIGHT_AND_GRADIENT_BYTES)
    gathered_layer = np.where(layouts.fsdp, 2 * 2 * (dense + experts) / shape.num_hidden_layers, 0.0)
    states = whole * (dense + experts) + sharded * (dense / dense_shards + experts / expert_shards)

    tokens = held_tokens / (layouts.cp * layouts.tp)
    layers = shape.num_hidden_layers
    all_kept = ACTIVATION_BYTES * shape.active_params / (12 * shape.hidden_size)
    inputs = RECOMPUTED_ACTIVATION_BYTES * shape.hidden_size * layers + all_kept / layers
    return TrainingMemory(
        states_bytes=states + gathered_layer,
        activations_bytes=tokens * all_kept,
        recomputed_bytes=tokens * inputs,
    )


def params_per_chip(shape: TrainingShape, layouts: Layouts) -> tuple[Floats, Floats]:
    """Parameters a chip computes with, before any sharding over dp: (all but routed experts, routed experts)."""
    dense = (shape.params - shape.expert_params) / (layouts.tp * layouts.pp)
    experts = shape.expert_params / (layouts.pp * layouts.ep)
    return dense, experts
