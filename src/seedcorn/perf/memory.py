"""What a replica keeps in memory: weights, KV cache, reserve. What is left holds the KV cache."""

from math import floor

from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import DoesNotFit, UnknownFact
from seedcorn.perf.shapes import Linear, block_linears, lm_head
from seedcorn.units import format_bytes, format_share

SIXTEEN_BIT_BYTES = 2
"""Bytes of an activation, an embedding and a cached key or value: engines keep them in 16 bits
even where the weights are fp8, int8 or fp4 (vLLM: ``kv_cache_dtype="auto"``)."""

RUNTIME_BYTES = 730_000_000
"""Driver context, kernels, communicator buffers and CUDA graphs of one chip. Set so that the vLLM
0.19 run of Llama-3.1-8B on an RTX 4090 leaves its 41,408 KV tokens."""


def element_bytes(dtype: Dtype, linear: Linear) -> float:
    """Bytes of one weight; what a quantised checkpoint leaves alone is stored in 16 bits at least."""
    is_quantised = 8 * dtype.bytes_per_element >= linear.fewest_bits
    return dtype.bytes_per_element if is_quantised else max(dtype.bytes_per_element, SIXTEEN_BIT_BYTES)


def _stored_bytes(linear: Linear, dtype: Dtype) -> float:
    """Bytes of a weight matrix over all layers and experts, all chips together."""
    return linear.params * element_bytes(dtype, linear)


def weights_bytes(model: ModelSpec, dtype: Dtype) -> int:
    """Bytes of the whole model's weights, before any split. Embedding and head stay 16-bit."""
    vocabularies = 1 if model.tie_word_embeddings else 2
    blocks = sum(_stored_bytes(linear, dtype) for linear in block_linears(model))
    return round(blocks + vocabularies * _stored_bytes(lm_head(model), dtype))


def weights_bytes_per_chip(model: ModelSpec, dtype: Dtype, parallelism: Parallelism) -> int:
    """Bytes of weights on the fullest chip of a replica.

    Tensor parallelism divides what it can (:class:`~seedcorn.perf.shapes.Linear.is_split`), pipeline
    stages divide the layers; the first stage holds the embedding, the last the output head.
    """
    tp, pp = parallelism.tp, parallelism.pp
    stage_share = _stage_share(model, pp)
    blocks = sum(
        _stored_bytes(linear, dtype) / (tp if linear.is_split else 1) for linear in block_linears(model)
    )
    vocabularies = 1 if model.tie_word_embeddings or pp > 1 else 2
    return round(blocks * stage_share + vocabularies * _stored_bytes(lm_head(model), dtype) / tp)


def _stage_share(model: ModelSpec, pp: int) -> float:
    """Share of the layers on the fullest of ``pp`` stages."""
    return -(-model.num_hidden_layers // pp) / model.num_hidden_layers


def kv_bytes_per_token(model: ModelSpec, *, tp: int = 1) -> float:
    """KV cache one token occupies on one of ``tp`` chips, summed over all layers.

    Grouped-query attention stores a key and a value of ``head_dim`` for every KV head
    (arXiv:2305.13245); past ``tp = num_key_value_heads`` the heads are replicated. Multi-head
    latent attention stores one latent that every chip holds whole (arXiv:2405.04434). With
    cross-layer attention ``cla_share_factor`` layers store one cache (arXiv:2405.12981). A window that all
    layers share is ignored: its cache is counted in full. Layers of a hybrid that do not grow with the
    context are in :func:`state_bytes_per_sequence`.
    """
    layers = -(-model.num_full_layers // model.cla_share_factor)
    return layers * _kv_bytes_per_layer(model, tp)


def _kv_bytes_per_layer(model: ModelSpec, tp: int) -> float:
    if model.is_mla:
        elements = model.kv_lora_rank + model.qk_rope_head_dim
    else:
        elements = 2 * -(-model.num_key_value_heads // tp) * model.head_dim
    return float(elements * SIXTEEN_BIT_BYTES)


def state_bytes_per_sequence(model: ModelSpec, *, tp: int = 1) -> float:
    """What a sequence occupies on one of ``tp`` chips however long it is: windows of sliding layers, states of
    linear ones (a matrix per value head in FP32, ``mamba_ssm_dtype``)."""
    windows = model.num_sliding_layers * model.sliding_window * _kv_bytes_per_layer(model, tp)
    return windows + linear_state_bytes(model) / tp


def linear_state_bytes(model: ModelSpec) -> float:
    """States of all linear-attention layers of one sequence, before any split; a step reads and writes them."""
    matrix = model.linear_key_head_dim * model.linear_value_head_dim
    return float(4 * model.num_linear_layers * model.linear_num_value_heads * matrix)


def reserve_bytes(model: ModelSpec, engine: EngineSettings, *, tp: int = 1) -> int:
    """Memory of one chip that holds neither weights nor KV cache.

    The runtime, plus the activations of the largest step: the gate and up projections with their
    product, the residual stream and its norm for every token, and FP32 logits for every sequence,
    twice over (raw and processed by the sampler), and what every sequence holds whatever its length.
    """
    width = max(model.intermediate_size, model.moe_intermediate_size * model.num_experts_per_tok)
    per_token = (3 * width // tp + 4 * model.hidden_size) * SIXTEEN_BIT_BYTES
    per_sequence = 2 * 4 * model.vocab_size + round(state_bytes_per_sequence(model, tp=tp))
    return RUNTIME_BYTES + engine.max_num_batched_tokens * per_token + engine.max_num_seqs * per_sequence


def kv_tokens(
    model: ModelSpec, chip: Chip, *, dtype: Dtype, parallelism: Parallelism, engine: EngineSettings
) -> int:
    """KV-cache capacity of one replica, in tokens, whole blocks only.

    Raises:
        UnknownFact: The chip's memory is unknown.
        DoesNotFit: The cache would not hold the tokens of one full step; names the smallest
            power-of-two ``tp`` that would do.
    """
    tokens = _kv_tokens(model, chip, dtype, parallelism, engine)
    if tokens < _least_kv_tokens(model, engine):
        raise _does_not_fit(model, chip, dtype, parallelism, engine)
    return tokens


def _offered_bytes(chip: Chip) -> int:
    """What the driver offers; the published size where that is not known."""
    offered = chip.driver_memory_bytes or chip.memory_bytes
    if offered is None:
        raise UnknownFact(chip.name, "memory size")
    return offered


def _kv_tokens(
    model: ModelSpec, chip: Chip, dtype: Dtype, parallelism: Parallelism, engine: EngineSettings
) -> int:
    """As :func:`kv_tokens`, but negative where the weights alone do not fit."""
    fixed = weights_bytes_per_chip(model, dtype, parallelism) + reserve_bytes(
        model, engine, tp=parallelism.tp
    )
    per_token = kv_bytes_per_token(model, tp=parallelism.tp) * _stage_share(model, parallelism.pp)
    usable = _offered_bytes(chip) * engine.gpu_memory_utilization
    blocks = floor((usable - fixed) / (per_token * engine.block_size))
    return blocks * engine.block_size


def _least_kv_tokens(model: ModelSpec, engine: EngineSettings) -> int:
    """Tokens that a cache must hold to be of use: one full step, or the longest context."""
    longest = model.max_position_embeddings or engine.max_num_batched_tokens
    return max(engine.block_size, min(longest, engine.max_num_batched_tokens))


def _smallest_tp(model: ModelSpec, chip: Chip, dtype: Dtype, engine: EngineSettings) -> int | None:
    """Smallest power-of-two tp that fits and divides the heads; the node size is not looked at."""
    tp = 1
    while model.num_attention_heads % tp == 0:
        if _kv_tokens(model, chip, dtype, Parallelism(tp=tp), engine) >= _least_kv_tokens(model, engine):
            return tp
        tp *= 2
    return None


def _does_not_fit(
    model: ModelSpec, chip: Chip, dtype: Dtype, parallelism: Parallelism, engine: EngineSettings
) -> DoesNotFit:
    chips = parallelism.chips
    least = _least_kv_tokens(model, engine)
    weights = chips * weights_bytes_per_chip(model, dtype, parallelism)
    cache = parallelism.tp * kv_bytes_per_token(model, tp=parallelism.tp) * least
    reserve = chips * reserve_bytes(model, engine, tp=parallelism.tp)
    needed = round(weights + cache + reserve)
    available = round(chips * _offered_bytes(chip) * engine.gpu_memory_utilization)
    smallest = _smallest_tp(model, chip, dtype, engine)
    remedy = f"Smallest power-of-two tp that fits: {smallest}." if smallest else "No power-of-two tp fits."
    return DoesNotFit(
        f"{model.name} in {dtype} does not fit {chips} x {chip.name}: weights {format_bytes(weights)} + "
        f"KV cache {format_bytes(cache)} ({least:,} tokens) + reserve {format_bytes(reserve)} = "
        f"{format_bytes(needed)}, but {chips} x {format_bytes(_offered_bytes(chip))} at "
        f"{format_share(engine.gpu_memory_utilization)} usable is {format_bytes(available)}. {remedy}",
        needed_bytes=needed,
        available_bytes=available,
        smallest_tp=smallest,
    )
