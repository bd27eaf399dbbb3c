"""Which number formats and splits are worth trying for a model on a chip."""

from collections.abc import Sequence
from dataclasses import dataclass

from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import DoesNotFit, Infeasible, UnknownFact, Unsupported
from seedcorn.perf.memory import kv_tokens
from seedcorn.perf.roofline import check_supported

TILE = 128
"""Width of an expert's slice below which splitting it wastes the matrix unit: the block of fp8
checkpoints (DeepSeek-V3, arXiv:2412.19437, section 3.3.2) and the usual tile of grouped kernels."""

MAX_STAGES = 4
"""Nodes a replica may span. Beyond, no published deployment of the models in the catalogue goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A number format and a split that fit the chip."""

    dtype: Dtype
    parallelism: Parallelism


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """A number format that no split makes work, and the reason nearest to working."""

    dtype: Dtype
    parallelism: Parallelism
    error: Infeasible


def native_dtype(dtype: Dtype, chip: Chip) -> Dtype:
    """``dtype``, or fp16 in place of bf16 on a chip without bf16 arithmetic (Volta, Turing), as vLLM
    runs it with ``--dtype half``."""
    lacks_bf16 = chip.bf16_flop_per_s is None and chip.fp16_flop_per_s is not None
    return Dtype.FP16 if dtype is Dtype.BF16 and lacks_bf16 else dtype


def spread_over(model: ModelSpec, chip: Chip, *, dtype: Dtype, tp: int) -> Spread:
    """One split as :func:`candidates` would make it, whether or not it fits."""
    return Spread(dtype=native_dtype(dtype, chip), parallelism=Parallelism(tp=tp, ep=_ep(model, tp)))


def candidates(
    model: ModelSpec,
    chip: Chip,
    *,
    dtypes: Sequence[Dtype],
    engine: EngineSettings,
    chips_per_node: int,
) -> tuple[tuple[Spread, ...], tuple[Refused, ...]]:
    """What to try, and for each format with nothing to try, why.

    Per format: every power-of-two ``tp`` inside a node that fits; where none does, the widest that divides
    the heads, times the fewest pipeline stages (a node each) that do. A mixture of experts spreads whole experts (``ep = tp``)
    where a slice of an expert would be no multiple of :data:`TILE` wide.

    Args:
        dtypes: Formats the owner accepts; see :func:`native_dtype` for bf16 on older chips.
    """
    found: list[Spread] = []
    refused: list[Refused] = []
    for dtype in dict.fromkeys(native_dtype(d, chip) for d in dtypes):
        spreads, refusal = _spreads(model, chip, dtype, engine, chips_per_node)
        found += spreads
        if refusal is not None:
            refused.append(refusal)
    return tuple(found), tuple(refused)


def _spreads(
    model: ModelSpec, chip: Chip, dtype: Dtype, engine: EngineSettings, chips_per_node: int
) -> tuple[list[Spread], Refused | None]:
    """Every split of one format that fits, or the refusal of the widest split that can be made."""
    found: list[Spread] = []
    refusal: Refused | None = None
    for parallelism in _ladder(model, chips_per_node):
        if parallelism.pp > 1 and found:
            break
        try:
            check_supported(model, chip, dtype=dtype, parallelism=parallelism, chips_per_node=chips_per_node)
            kv_tokens(model, chip, dtype=dtype, parallelism=parallelism, engine=engine)
        except DoesNotFit as error:
            refusal = Refused(dtype=dtype, parallelism=parallelism, error=error)
        except (Unsupported, UnknownFact) as error:
            refusal = refusal or Refused(dtype=dtype, parallelism=parallelism, error=error)
        else:
            found.append(Spread(dtype=dtype, parallelism=parallelism))
    return found, None if found else refusal


def _ladder(model: ModelSpec, chips_per_node: int) -> list[Parallelism]:
    """Powers of two inside a node, then whole nodes as pipeline stages."""
    inside = []
    tp = 1
    while tp <= chips_per_node:
        inside.append(Parallelism(tp=tp, ep=_ep(model, tp)))
        tp *= 2
    widest = [parallelism for parallelism in inside if model.num_attention_heads % parallelism.tp == 0][-1]
    return inside + [
        Parallelism(tp=widest.tp, pp=pp, ep=widest.ep)
        for pp in range(2, min(MAX_STAGES, model.num_hidden_layers) + 1)
    ]


def _ep(model: ModelSpec, tp: int) -> int:
    """``tp`` where slices of an expert would be too narrow and whole experts divide evenly, else 1."""
    narrow = model.is_moe and model.moe_intermediate_size % (TILE * tp) != 0
    return tp if narrow and model.num_experts % tp == 0 else 1
