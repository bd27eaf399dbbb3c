"""Draw the operator times that the roofline is fitted on from PyPI's aiconfigurator-core.

Run once; kept because it says where ``tools/operator_times.csv`` comes from::

    pip download --no-deps --dest WHEELS aiconfigurator-core && pip install pyarrow
    python tools/sample_operators.py WHEELS/aiconfigurator_core-*.whl tools/operator_times.csv

The wheel (Apache-2.0) times every kernel on a shape by itself. Of each (chip, operator, format) as vLLM runs it some
dozens of times are drawn with a fixed seed, from shapes large enough that the work and not the call is timed.
"""

import csv
import io
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from seedcorn.perf.silicon import SYSTEMS

COLUMNS = (
    "chip",
    "operator",
    "dtype",
    "tokens",
    "inputs",
    "outputs",
    "experts",
    "experts_per_tok",
    "context",
    "heads",
    "kv_heads",
    "chips",
    "microseconds",
    "engine",
)
"""``tokens`` are rows of a matrix multiplication, sequences of attention, elements of a collective."""

ROWS = 24
"""Times drawn of each (chip, operator, format)."""

LEAST_WEIGHTS = 2**24
"""Weights of a matrix, or of the experts that a step touches: fewer are read in the time of a call."""

LEAST_READ_BYTES = 1e8
LEAST_PAIRS_FLOP = 1e11
LONG_PROMPT = 4096
"""Tokens from which a prompt's attention is all pairs; tiles that straddle the diagonal weigh on shorter ones."""

FORMATS = {"bfloat16": "bf16", "fp8": "fp8", "nvfp4": "fp4", "sq": "int8"}
EXPERT_FORMATS = {"bfloat16": "bf16", "fp8_block": "fp8", "nvfp4": "fp4"}
"""The package's name → ours. Per-tensor fp8 experts were timed in a kernel that vLLM does not run."""

Row = dict[str, Any]


def _matmul(row: Row) -> Row | None:
    if (
        row["gemm_dtype"] not in FORMATS
        or min(row["n"], row["k"]) < 1024
        or row["n"] * row["k"] < LEAST_WEIGHTS
    ):
        return None
    return {"dtype": FORMATS[row["gemm_dtype"]], "tokens": row["m"], "inputs": row["k"], "outputs": row["n"]}


def _experts(row: Row) -> Row | None:
    share = row["topk"] / row["num_experts"]
    width = row["inter_size"] / row["moe_tp_size"]
    touched = row["num_experts"] * (1 - (1 - share) ** row["num_tokens"])
    if (
        row["moe_dtype"] not in EXPERT_FORMATS
        or row["moe_ep_size"] > 1
        or width < 128
        or row["num_tokens"] > 16384
        or row["distribution"] not in ("power_law_1.01", "balanced")
        or 3 * row["hidden_size"] * width * touched < LEAST_WEIGHTS
    ):
        return None
    return {
        "dtype": EXPERT_FORMATS[row["moe_dtype"]],
        "tokens": row["num_tokens"],
        "inputs": row["hidden_size"],
        "outputs": round(width),
        "experts": row["num_experts"],
        "experts_per_tok": row["topk"],
    }


def _is_plain(row: Row) -> bool:
    return row["head_dim"] == 128 and row["kv_cache_dtype"] == "bfloat16" and not row.get("window_size")


def _decode(row: Row) -> Row | None:
    context = row["step"] + row["isl"]
    read_bytes = row["batch_size"] * context * row["num_key_value_heads"] * 512
    if not _is_plain(row) or read_bytes < LEAST_READ_BYTES:
        return None
    return _attention(row, context)


def _prefill(row: Row) -> Row | None:
    flop = row["batch_size"] * row["isl"] ** 2 * row["num_heads"] * 256
    if not _is_plain(row) or row["isl"] < LONG_PROMPT or row["step"] or flop < LEAST_PAIRS_FLOP:
        return None
    return _attention(row, row["isl"])


def _attention(row: Row, context: int) -> Row:
    return {
        "dtype": "bf16",
        "tokens": row["batch_size"],
        "context": context,
        "heads": row["num_heads"],
        "kv_heads": row["num_key_value_heads"],
    }


def _all_reduce(row: Row) -> Row | None:
    if not row["backend"].endswith("_graph") or row["message_size"] > 2**25:
        return None
    return {"dtype": "bf16", "tokens": row["message_size"], "chips": row["num_gpus"]}


OPERATORS: dict[str, tuple[str, str, Callable[[Row], Row | None]]] = {
    "matmul": ("gemm", "gemm_perf", _matmul),
    "experts": ("moe", "moe_perf", _experts),
    "decode_attention": ("attention", "generation_attention_perf", _decode),
    "prefill_attention": ("attention", "context_attention_perf", _prefill),
    "all_reduce": ("comm", "custom_allreduce_perf", _all_reduce),
}
"""Operator → folder and file of its times, and what of them is taken."""


def _newest(names: list[str], system: str, folder: str, engine: str, file: str) -> str | None:
    """The file of an engine's newest version."""
    start, end = f"aiconfigurator_core/systems/data/{system}/{folder}/{engine}/", f"/{file}.parquet"
    found = [name for name in names if name.startswith(start) and name.endswith(end)]
    return max(
        found,
        key=lambda name: [int(part) for part in name.split("/")[-2].split(".") if part.isdigit()],
        default=None,
    )


def _drawn(rows: list[Row], rng: np.random.Generator) -> Iterator[Row]:
    """:data:`ROWS` of every format, alike over the logarithm of tokens."""
    for dtype in sorted({row["dtype"] for row in rows}):
        own = [row for row in rows if row["dtype"] == dtype]
        sizes = sorted({int(row["tokens"]).bit_length() for row in own})
        each = -(-ROWS // len(sizes))
        for size in sizes:
            alike = [row for row in own if int(row["tokens"]).bit_length() == size]
            for i in sorted(rng.permutation(len(alike))[:each]):
                yield alike[i]


def sampled(wheel: Path) -> Iterator[Row]:
    """All rows of the file."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        for chip, system in SYSTEMS.items():
            for operator, (folder, file, taken) in OPERATORS.items():
                engines = (
                    ("vllm", "trtllm")
                    if operator == "matmul" and chip.startswith("nvidia-a100")
                    else ("vllm",)
                )
                for engine in engines:  # int8 was timed under TensorRT-LLM alone, as "sq" (SmoothQuant)
                    member = _newest(names, system, folder, engine, file)
                    if member is None:
                        continue
                    rows = []
                    for row in pq.read_table(io.BytesIO(archive.read(member))).to_pylist():
                        kept = taken(row)
                        if kept is not None and (engine == "vllm" or kept["dtype"] == "int8"):
                            rows.append(kept | {"microseconds": f"{row['latency'] * 1e3:.4g}"})
                    version = f"{engine} {member.split('/')[-2]}"
                    for row in _drawn(rows, rng):
                        yield {"chip": chip, "operator": operator, "engine": version, **row}


def main(wheel: Path, target: Path) -> None:
    """Write the sample."""
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n", restval="")
        writer.writeheader()
        writer.writerows(sampled(wheel))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
