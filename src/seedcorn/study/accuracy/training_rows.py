"""Published training runs, vetted row by row into questions that the training model can be held against.

A row becomes a :class:`Row` only if it names a chip with facts, how many of them, the model's parameter
counts and a throughput. Every other row is counted under the reason it was refused for.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import Infeasible, InputError
from seedcorn.perf.training.coefficients import Coefficients, bundled_coefficients
from seedcorn.perf.training.layout import TrainingParallelism, layouts_of
from seedcorn.perf.training.rate import Question, resolve
from seedcorn.perf.training.search import best_layout


@dataclass(frozen=True, slots=True)
class Machine:
    """The catalogue chip a row's name means, and the nodes it was measured in.

    Rows do not say the network; these are the makers' reference designs.
    """

    chip: str
    chips_per_node: int = 8
    network_bytes_per_s: float = 50e9  # 400 Gb/s per chip: DGX H100, B200, MI300X reference designs


MACHINES = {
    "H100": Machine("nvidia-h100-sxm"),
    "H200": Machine("nvidia-h200-sxm"),
    "B200": Machine("nvidia-b200"),
    "B300": Machine("nvidia-b300", 8, 100e9),
    "GB200": Machine("nvidia-gb200", 4),
    "GB300": Machine("nvidia-gb300", 4, 100e9),
    "A100": Machine("nvidia-a100-sxm4-80gb", 8, 25e9),
    "A100-40GB": Machine("nvidia-a100-sxm4-40gb", 8, 25e9),
    "A800": Machine("nvidia-a800-sxm4-80gb", 8, 25e9),
    "MI300X": Machine("amd-mi300x"),
    "MI325X": Machine("amd-mi325x"),
    "MI350X": Machine("amd-mi350x"),
    "MI355X": Machine("amd-mi355x"),
    "Gaudi2": Machine("intel-gaudi2", 8, 37.5e9),
    # 353.9 TFLOP/s, which the rows infer, is 24 cores x 8192 x 1.8 GHz: the 910B2.
    "Ascend910B": Machine("huawei-ascend-910b2", 8, 25e9),
    "Ascend910B3": Machine("huawei-ascend-910b3", 8, 25e9),
    "MetaX C500": Machine("metax-c500-oam", 8, 25e9),
}

# Architectures that parameter counts alone would misjudge: experts.
MOE_MODELS = {
    "DeepSeekV3": "deepseek-ai/DeepSeek-V3",
    "Qwen3_235B_a22B": "Qwen/Qwen3-235B-A22B",
    "Qwen3_30B_a3B": "Qwen/Qwen3-30B-A3B",
}

# Published MFU counts that include attention, as a multiple of causal attention (a full square is 2).
ATTENTION_IN_MFU = {"MegaScale": 1.0, "NVIDIA/Megatron-LM": 2.0, "Llama-3": 1.0, "Ascend/MindSpeed-LLM": 2.0}

UNSTATED_SEQUENCE = {"GPT 530B": 2048, "GPT-3 175B (MindSpeed-LLM)": 2048}
DEFAULT_SEQUENCE = 4096
STATED_BATCH_TOKENS = {"Llama-3 405B": 2048 * 8192}  # arXiv:2407.21783, table 4


# Share of today's attention kernels that a source's kernels reach: FlashAttention-1, 25-40 % of an
# A100's peak where FlashAttention-2 reaches 50-73 % (arXiv:2307.08691, abstract); on an H100 its
# instructions (mma) stop at 63 % of what Hopper's own (wgmma) reach (arXiv:2402.13499).
OLD_ATTENTION = {("mosaicml/llm-foundry", "ampere"): 0.5, ("mosaicml/llm-foundry", "hopper"): 0.5 * 0.63}


@dataclass(frozen=True, slots=True)
class Row:
    """One published run, ready to be predicted."""

    source: str
    chip: str
    model: str
    question: Question
    parallelism: TrainingParallelism
    tokens_per_s_per_chip: float


def source_of(text: str) -> str:
    """The publisher: all rounds of MLPerf and all releases of one repository are one source."""
    name = re.split(r"[@#: ]", text)[0]
    return (
        "mlcommons/training_results"
        if name.startswith("mlcommons")
        else {"Ascend": "Ascend/ModelLink"}.get(name, name)
    )


def read_rows(
    records: Iterable[Mapping[str, str]], fitted: Coefficients | None = None, *, any_chip: bool = False
) -> tuple[list[Row], Counter[str]]:
    """Usable rows, and how many were refused for which reason.

    Args:
        records: With the columns of ``training.csv``.
        fitted: Coefficients that choose a layout where a row states none; ``None``: the bundled ones.
        any_chip: Take chips by their names in the catalogue too, in nodes of eight.
    """
    rows, refused = [], Counter[str]()
    for record in records:
        try:
            rows.append(_row(record, fitted or bundled_coefficients(), any_chip=any_chip))
        except _Refused as error:
            refused[str(error)] += 1
        except ValueError:
            refused["a number that is none"] += 1
        except Infeasible:
            refused["does not fit, or a format that the chip has no arithmetic for"] += 1
    return rows, refused


class _Refused(Exception):
    """Why a row is no evidence."""


def _row(record: Mapping[str, str], fitted: Coefficients, *, any_chip: bool) -> Row:
    note = f"{record['note']} {record['source']} {record['model']}"
    if re.search(r"LoRA|SFT|finetune|llava", note):
        raise _Refused("fine-tuning or vision model")
    source, chip = source_of(record["source"]), record["chip"]
    if source == "FlagOpen/FlagPerf" and chip == "Ascend910B":
        chip = "Ascend910B3"  # its MFU figures are over 313 TFLOP/s
    machine = MACHINES.get(chip) or (_any_machine(chip) if any_chip else None)
    if machine is None:
        raise _Refused("int8 format only assumed" if "TPU" in chip else "no chip, or none with facts")
    if not (record["params_total_b"] and record["params_active_b"]):
        raise _Refused("no parameter counts")
    if not record["n_chips"]:
        raise _Refused("no number of chips")
    if "DO NOT mix" in record["note"]:
        raise _Refused("its two figures disagree")
    question = resolve(_job(record), _pool(record, machine), fitted)
    observed = _tokens_per_s_per_chip(record, source, question)
    if observed <= 0:
        raise _Refused("throughput not above 0")
    parallelism = _parallelism(record, question)
    return Row(source, chip, record["model"], question, parallelism, observed)


def _dtype(record: Mapping[str, str]) -> Dtype:
    text = record["dtype"] + (record["note"] if record["dtype"] in ("", "see note") else "")
    if "NVFP4" in text.upper():
        return Dtype.FP4
    return Dtype.FP8 if "FP8" in text.upper() else Dtype.BF16


def _job(record: Mapping[str, str]) -> TrainingJob:
    stated = re.search(r"(?:mpe|MPE)=(\d+)", record["note"])
    sequence = int(record["seq_len"] or (stated and stated[1]) or 0)
    sequence = sequence or next(
        (s for m, s in UNSTATED_SEQUENCE.items() if record["model"].startswith(m)), DEFAULT_SEQUENCE
    )
    batch = re.search(r"(?:gbs|GBS)=(\d+)", record["parallelism"] + record["note"])
    model = next(
        (find_model(name).model for key, name in MOE_MODELS.items() if record["model"].startswith(key)), None
    )
    return TrainingJob(
        name=record["model"],
        params=float(record["params_total_b"]) * 1e9,
        active_params=float(record["params_active_b"]) * 1e9,
        model=model,
        sequence_length=sequence,
        batch_tokens=float(batch[1]) * sequence if batch else STATED_BATCH_TOKENS.get(record["model"]),
        dtype=_dtype(record),
    )


def _any_machine(name: str) -> Machine | None:
    try:
        return Machine(find_chip(name).chip.name)
    except InputError:
        return None


def _pool(record: Mapping[str, str], machine: Machine) -> Pool:
    return Pool(
        name=PoolName(record["chip"]),
        chip=find_chip(machine.chip).chip,
        chips=int(record["n_chips"]),
        chips_per_node=machine.chips_per_node,
        network_bytes_per_s=machine.network_bytes_per_s,
    )


def _tokens_per_s_per_chip(record: Mapping[str, str], source: str, question: Question) -> float:
    """The row's tokens/s, or what its FLOP/s or MFU mean in tokens by the source's own count."""
    if record["tok_s_per_chip"]:
        return float(record["tok_s_per_chip"])
    attention = ATTENTION_IN_MFU.get(source, 0.0)
    flop_per_token = (
        question.shape.weight_flop_per_token
        + attention * question.shape.attention_flop_per_token(question.step.sequence_length)
    )
    if record["tflops_per_chip"]:
        return float(record["tflops_per_chip"]) * 1e12 / flop_per_token
    if not record["mfu_pct"]:
        raise _Refused("no throughput")
    peak = float(record["mfu_peak_tflops"] or 0) * 1e12 or question.facts.flop_per_s
    return float(record["mfu_pct"]) / 100 * peak / flop_per_token


def _parallelism(record: Mapping[str, str], question: Question) -> TrainingParallelism:
    """The row's own layout; what it leaves out, as the search would choose."""
    text = f"{record['parallelism']} {record['note']}"
    chips = int(record["n_chips"])
    sizes = {axis.lower(): int(size) for axis, size in re.findall(r"(TP|PP|CP|EP|mbs=)(\d+)", text)}
    mbs = sizes.get("mbs=", 1)
    if "SHARD" in record["parallelism"]:
        return TrainingParallelism(
            dp=chips,
            mbs=mbs,
            fsdp="FULL" in record["parallelism"],
            recompute="ckpt=True" in record["parallelism"],
        )
    if source_of(record["source"]) == "Ascend/ModelLink":  # its scripts: tp fills the node, pp crosses nodes
        return TrainingParallelism(tp=8, pp=chips // 8)
    if "tp" not in sizes:
        return best_layout(question, chips)
    tp, pp, cp = (sizes.get(axis, 1) for axis in ("tp", "pp", "cp"))
    whole = TrainingParallelism(
        tp=tp, pp=pp, cp=cp, dp=max(1, chips // (tp * pp * cp)), ep=sizes.get("ep", 1), mbs=mbs
    )
    fits = question.needed_bytes(layouts_of([whole]))[0] <= question.usable_bytes
    return replace(whole, fsdp=not fits and pp == 1 and whole.dp > 1)


def question_under(row: Row, fitted: Coefficients) -> Question:
    """A row's question under these coefficients and its own attention kernels."""
    old = OLD_ATTENTION.get((row.source, row.question.facts.family), 1.0)
    return replace(row.question, fitted=replace(fitted, attention_share=fitted.attention_share * old))


def published_mfu(row: Row) -> float:
    """What a source would print: MFU with full-square attention counted, as most of them do; without it a
    constant has no chance at long sequences."""
    shape, facts = row.question.shape, row.question.facts
    attention = shape.attention_flop_per_token(row.question.step.sequence_length)
    flop_per_token = shape.weight_flop_per_token + 2 * attention
    return row.tokens_per_s_per_chip * flop_per_token / facts.flop_per_s
