"""Operator and per-layer times, held against the parts of the roofline that they are."""

import csv
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from published import MEASUREMENTS
from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelName, ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.roofline import Roofline
from seedcorn.perf.shapes import Linear

Vector = NDArray[np.float64]

LLAMA_30B = ModelSpec(
    name=ModelName("llama-30b"),
    model_type="llama",
    num_hidden_layers=60,
    hidden_size=6656,
    intermediate_size=17920,
    num_attention_heads=52,
    num_key_value_heads=52,
    head_dim=128,
    vocab_size=32000,
)
"""LLaMA's 33B shape (arXiv:2302.13971, table 2)."""

HELIX_CHIPS = {
    "a100": ("nvidia-a100-sxm4-40gb", 1),  # Helix ran on Google Cloud, whose A100 machines are 40 GB
    "l4": ("nvidia-l4", 1),
    "l4x2": ("nvidia-l4", 2),
    "t4": ("nvidia-t4", 1),
    "t4x2": ("nvidia-t4", 2),
    "t4x4": ("nvidia-t4", 4),
    "v100": ("nvidia-v100-sxm2-16gb", 1),
}

NOISE = 0.1
"""Scatter of ln(observed) of an operator, quantisation of Helix's times (0.1 and 1 ms) included."""

ROWS_AS = 8
"""A family of probes counts as that many independent rows: thousands of operator times share their errors."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """Times of one kind of operator on one chip.

    Attributes:
        observed_s: (N,) measured.
        predict: Curve → (N,) seconds.
    """

    name: str
    source: str
    chip: Chip
    observed_s: Vector
    predict: Callable[[Efficiency], Vector]

    def errors(self, curve: Efficiency) -> Vector:
        """(N,) ln(predicted / observed)."""
        error: Vector = np.log(self.predict(curve) / self.observed_s)
        return error

    def residuals(self, curve: Efficiency) -> Vector:
        """(N,) errors in units of the noise, scaled to count as :data:`ROWS_AS` rows."""
        count = self.observed_s.shape[0]
        scale = min(1.0, ROWS_AS / count) ** 0.5 / NOISE
        scaled: Vector = self.errors(curve) * scale
        return scaled


def probes() -> list[Probe]:
    """Every probe there is."""
    return [*_helix(), *_ascend()]


def _roofline(model: ModelSpec, chip: Chip, dtype: Dtype, tp: int, curve: Efficiency) -> Roofline:
    return Roofline(
        model=model,
        chip=chip,
        dtype=dtype,
        parallelism=Parallelism(tp=tp),
        engine=EngineSettings(max_num_seqs=1),
        curve=curve,
    )


def _helix() -> list[Probe]:
    """Per-layer times: small decode batches (weights; more would need the contexts, which are not
    given) and prompts of thousands of tokens (arithmetic; Azure prompts, 763 tokens on average)."""
    found = []
    for folder, model in (
        ("llama1_30b", LLAMA_30B),
        ("llama2_70b", find_model("meta-llama/Llama-2-70b-hf").model),
    ):
        for machine, (chip_name, tp) in HELIX_CHIPS.items():
            chip = find_chip(chip_name).chip
            dtype = Dtype.FP16 if chip.bf16_flop_per_s is None else Dtype.BF16
            for phase, low, high in (("decode", 2, 10), ("prompt", 2000, 8000)):
                path = MEASUREMENTS / "ops" / "helix" / folder / machine / f"{phase}_bs2time.csv"
                rows = np.loadtxt(path, delimiter=",")
                rows = rows[(rows[:, 0] >= low) & (rows[:, 0] <= high) & (rows[:, 1] > 0)]
                found.append(_layer_probe(f"{folder} {machine} {phase}", model, chip, dtype, tp, rows))
    return [probe for probe in found if probe.observed_s.size]


def _layer_probe(name: str, model: ModelSpec, chip: Chip, dtype: Dtype, tp: int, rows: Vector) -> Probe:
    tokens, observed_s = rows[:, 0], rows[:, 1] / 1e3
    pairs = tokens * 763 / 2 if tokens[0] > 100 else np.zeros_like(tokens)
    headless = replace(model, vocab_size=1)

    def predict(curve: Efficiency) -> Vector:
        roofline = _roofline(headless, chip, dtype, tp, curve)
        layer_s: Vector = (roofline.chip_s(tokens) + roofline.pair_s() * pairs) / model.num_hidden_layers
        return layer_s

    return Probe(name=name, source="Helix", chip=chip, observed_s=observed_s, predict=predict)


def _ascend() -> list[Probe]:
    """Matrix multiplications and attention of an Ascend 910B under vllm-ascend 0.18.

    The file does not name the bin. Its fastest matrix multiplication reaches 327 TFLOP/s, more than a
    910B3 has (313), so the 910B2 is taken (376).
    """
    chip = find_chip("huawei-ascend-910b2").chip
    return [
        _matmul_probe("MatMulV2.csv", chip, Dtype.BF16),
        _matmul_probe("QuantBatchMatmulV3.csv", chip, Dtype.INT8),
        _attention_probe("FusedInferAttentionScore_Decode.csv", chip, is_decode=True),
        _attention_probe("FusedInferAttentionScore.csv", chip, is_decode=False),
    ]


def _ascend_rows(file: str) -> list[dict[str, str]]:
    path = MEASUREMENTS / "ops" / "ascend-910b" / "0.18.0" / file
    with path.open(encoding="utf-8-sig") as lines:
        return list(csv.DictReader(lines))


def _matmul_probe(file: str, chip: Chip, dtype: Dtype) -> Probe:
    """Matrices of at least 32 M weights: below, a call is all launch, which the layer's gaps stand for."""
    shapes, times = [], []
    for row in _ascend_rows(file):
        left, right = (tuple(map(int, shape.split(","))) for shape in row["Input Shapes"].split(";")[:2])
        if right[0] * right[1] >= 2**25:
            shapes.append((left[0], right[1], right[0]))
            times.append(float(row["Average Duration(us)"]) / 1e6)

    def predict(curve: Efficiency) -> Vector:
        roofline = _roofline(LLAMA_30B, chip, dtype, 1, curve)
        return np.array(
            [
                roofline.linear_s(
                    np.array([float(tokens)]), Linear(name="probe", inputs=inputs, outputs=outputs, layers=1)
                )[0]
                for tokens, inputs, outputs in shapes
            ]
        )

    return Probe(
        name=file, source="vllm-ascend operators", chip=chip, observed_s=np.array(times), predict=predict
    )


def _attention_probe(file: str, chip: Chip, *, is_decode: bool) -> Probe:
    """Grouped-query calls that move at least 100 MB (decode) or do 100 GFLOP (prefill)."""
    rows = np.array(
        [
            [float(row[name]) for name in ("Batch", "Seq Len", "Num Heads", "Num KV Heads", "Head Size")]
            + [float(row["Average Duration(us)"]) / 1e6]
            for row in _ascend_rows(file)
        ]
    )
    batch, length, heads, kv_heads, head_dim, times = rows.T
    moved_bytes: Vector = batch * length * 2 * kv_heads * head_dim * 2
    flop: Vector = batch * length**2 / 2 * heads * 4 * head_dim
    keep = (kv_heads > 0) & ((moved_bytes >= 1e8) if is_decode else (flop >= 1e11))

    def predict(curve: Efficiency) -> Vector:
        if is_decode:
            assert chip.memory_bytes_per_s is not None
            read_s: Vector = moved_bytes[keep] / (curve.context_share * chip.memory_bytes_per_s)
            return read_s
        assert chip.bf16_flop_per_s is not None
        attended_s: Vector = flop[keep] / (curve.pair_share * chip.bf16_flop_per_s)
        return attended_s

    return Probe(
        name=file, source="vllm-ascend operators", chip=chip, observed_s=times[keep], predict=predict
    )
