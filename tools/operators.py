"""Operator and per-layer times, held against the parts of the roofline that they are."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from published import MEASUREMENTS
from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelName, ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.perf.collectives import all_reduce_s
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.roofline import Roofline
from seedcorn.perf.shapes import EXPERT_KERNELS, Linear

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
    return [*_helix(), *_ascend(), *_aiconfigurator()]


OPERATOR_TIMES = Path(__file__).with_name("operator_times.csv")
"""Kernels timed by aiconfigurator-core 0.12 (Apache-2.0), drawn by ``sample_operators.py``."""


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
            shapes.append((left[0], Linear(name="probe", inputs=right[1], outputs=right[0], layers=1)))
            times.append(float(row["Average Duration(us)"]) / 1e6)
    return _linears_probe(file, "vllm-ascend operators", chip, dtype, shapes, times, kernels=1)


def _linears_probe(
    name: str,
    source: str,
    chip: Chip,
    dtype: Dtype,
    shapes: Sequence[tuple[int, Linear]],
    times_s: Sequence[float],
    *,
    kernels: int,
) -> Probe:
    """Times of matrix multiplications; routed experts (``kernels`` of them) have a gate and an up matrix in one,
    whose transpose the down matrix is half of."""
    alike: dict[Linear, list[int]] = {}
    for i, (_, linear) in enumerate(shapes):
        alike.setdefault(linear, []).append(i)
    tokens = np.array([float(count) for count, _ in shapes])

    def predict(curve: Efficiency) -> Vector:
        roofline = _roofline(LLAMA_30B, chip, dtype, 1, curve)
        found = np.full(len(shapes), kernels * curve.kernel_s)
        for linear, places in alike.items():
            found[places] += roofline.matmul_s(tokens[places], linear)
            if linear.is_routed:
                down = replace(linear, inputs=linear.outputs // 2, outputs=linear.inputs)
                found[places] += roofline.linear_s(tokens[places], down)  # with the activation between
        return found

    return Probe(name=name, source=source, chip=chip, observed_s=np.array(times_s), predict=predict)


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


def _aiconfigurator() -> Iterator[Probe]:
    """Every operator of every chip that vLLM's kernels were timed on."""
    with OPERATOR_TIMES.open(encoding="utf-8") as lines:
        rows = sorted(csv.DictReader(lines), key=_kind)
    for (chip_name, operator, dtype, engine), times in groupby(rows, key=_kind):
        chip, of = find_chip(chip_name).chip, list(times)
        if chip.peak_flop_per_s(Dtype(dtype)) is None:
            continue  # timed, but unpublished: there is nothing to take a share of
        name, seconds = f"{engine} {operator} {dtype}", [float(row["microseconds"]) / 1e6 for row in of]
        if operator in ("matmul", "experts"):
            kernels = EXPERT_KERNELS if operator == "experts" else 1
            shapes = [(int(row["tokens"]), _linear(row)) for row in of]
            yield _linears_probe(name, "aiconfigurator", chip, Dtype(dtype), shapes, seconds, kernels=kernels)
        elif operator == "all_reduce":
            yield _all_reduce_probe(name, chip, of, np.array(seconds))
        else:
            yield _kernel_probe(name, chip, of, np.array(seconds), is_decode=operator == "decode_attention")


def _kind(row: dict[str, str]) -> tuple[str, str, str, str]:
    return row["chip"], row["operator"], row["dtype"], row["engine"]


def _linear(row: dict[str, str]) -> Linear:
    experts = int(row["experts"] or 1)
    return Linear(
        name="probe",
        inputs=int(row["inputs"]),
        outputs=int(row["outputs"]) * (2 if experts > 1 else 1),
        layers=1,
        experts=experts,
        experts_per_tok=int(row["experts_per_tok"] or 1),
    )


def _all_reduce_probe(name: str, chip: Chip, rows: Sequence[dict[str, str]], observed_s: Vector) -> Probe:
    """Collectives of one graph replay: a message of so many 16-bit elements."""
    chips = np.array([int(row["chips"]) for row in rows])
    message_bytes = np.array([2.0 * int(row["tokens"]) for row in rows])

    def predict(curve: Efficiency) -> Vector:
        found = np.empty_like(observed_s)
        for count in set(chips.tolist()):
            link = _roofline(LLAMA_30B, chip, Dtype.BF16, count, curve).link()
            alike = chips == count
            found[alike] = all_reduce_s(message_bytes[alike], chips=count, link=link)
        return found

    return Probe(name=name, source="aiconfigurator", chip=chip, observed_s=observed_s, predict=predict)


def _kernel_probe(
    name: str, chip: Chip, rows: Sequence[dict[str, str]], observed_s: Vector, *, is_decode: bool
) -> Probe:
    """Grouped-query attention with heads of 128: what it reads (decode), or its pairs (prefill)."""
    batch, length, heads, kv_heads = (
        np.array([float(row[field]) for row in rows]) for field in ("tokens", "context", "heads", "kv_heads")
    )
    read_bytes = batch * length * 2 * kv_heads * 128 * 2
    flop = batch * length**2 / 2 * heads * 4 * 128
    assert chip.memory_bytes_per_s is not None and chip.bf16_flop_per_s is not None
    bandwidth, peak = chip.memory_bytes_per_s, chip.bf16_flop_per_s

    def predict(curve: Efficiency) -> Vector:
        work_s: Vector = (
            read_bytes / (curve.context_share * bandwidth) if is_decode else flop / (curve.pair_share * peak)
        )
        return work_s + 2 * curve.kernel_s

    return Probe(name=name, source="aiconfigurator", chip=chip, observed_s=observed_s, predict=predict)
