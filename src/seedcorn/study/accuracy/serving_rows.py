"""Published serving results, vetted row by row into cases that a step model can be held against.

A row becomes a :class:`Case` only if it names a chip and a model that the catalogue knows, a number
format that the roofline has, the lengths, and a load that can be replayed. Every other row is counted
under the reason it was refused for.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelName, ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.errors import InputError
from seedcorn.perf import active_params

CHIPS = {
    "A100-40G": "nvidia-a100-sxm4-40gb",  # LLM-Inference-Bench ran on ThetaGPU and Polaris: SXM4
    "GH200": "nvidia-gh200-96gb",
    "Ascend-910B": "huawei-ascend-910b3",  # the bin is not stated; this one is the most sold
}
"""Names of the ``chip`` column that the catalogue calls ambiguous, decided by what the source says."""

BLOOM_176B = ModelSpec(
    name=ModelName("bigscience/bloom"),
    model_type="bloom",
    num_hidden_layers=70,
    hidden_size=14336,
    intermediate_size=4 * 14336 * 2 // 3,  # two matrices of width 4h hold as much as three of 8h/3
    num_attention_heads=112,
    num_key_value_heads=112,
    head_dim=128,
    vocab_size=250880,
    tie_word_embeddings=True,
)
"""Shape of BLOOM (arXiv:2211.05100, table 3): in Splitwise's profiles, not in the catalogue."""

MODELS = (
    (r"llama-?2-7b|LLaMA 7B$", "meta-llama/Llama-2-7b-hf"),
    (r"llama-?2-70b|LLaMA 70B$", "meta-llama/Llama-2-70b-hf"),
    (r"Llama-?\s?3\.1.8B", "meta-llama/Llama-3.1-8B"),
    (r"Llama-?\s?3\.[13].70B", "meta-llama/Llama-3.1-70B"),
    (r"Llama-?\s?3\.1.405B", "meta-llama/Llama-3.1-405B"),
    (r"codellama-34b", "codellama/CodeLlama-34b-hf"),
    (r"mistral.7b$", "mistralai/Mistral-7B-v0.1"),
    (r"mixtral-8x7b", "mistralai/Mixtral-8x7B-v0.1"),
    (r"qwen3-235b-a22b", "Qwen/Qwen3-235B-A22B"),
    (r"qwen3-(8b|14b|32b|30b-a3b)", r"Qwen/Qwen3-\1"),
    (r"qwen2\.5-72b-instruct", "Qwen/Qwen2.5-72B"),
    (r"deepseek-(r1|v3)(\.1|-0528|-nvfp4)?( \(see doc\))?$", "deepseek-ai/DeepSeek-V3"),
    (r"kimi-k2", "moonshotai/Kimi-K2-Instruct"),
    (r"glm-4\.5-air", "zai-org/GLM-4.5-Air"),
)
"""(pattern of the ``model`` column, catalogue name) where the two differ."""

ASCEND_RECOMMENDED = {("128.0", "4.0"), ("2000.0", "99.95"), ("4000.0", "199.922"), ("32000.0", "96.93")} | {
    ("217.393", "201.773")
}
"""(input, output) lengths of gpustack's Ascend 910B page that its second, recommended configuration ran."""

IN_STEP = ("sglang 0.5.1.post1", "sglang 0.5.8.post1")
"""Runs whose requests are all as long as each other, so that an engine that prefills first keeps its clients in step:
a client's TTFT is then half the burst's. SGLang 0.5.6.post2's cannot be (0.9 s for bursts of 352,000 tokens)."""

LIGHT_PREFILL_SHARE = 0.11
"""Of the chips' peak: up to here whole prompts would add a fifth to a step at most."""

BLIS_REQUESTS = 600
"""Requests simulated of a run of thousands."""

OWN_ARRIVALS = 1_000
"""Requests simulated at a rate, where a row does not say how many there were."""

FORMATS = {"fp8": Dtype.FP8, "w8a8": Dtype.INT8, "fp4": Dtype.FP4, "fp16": Dtype.BF16, "bf16": Dtype.BF16}


_DRAWS = np.random.default_rng(0).random((2, 16384))


class Unusable(Exception):
    """Why a row is no evidence."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """How requests come: ``clients`` that each wait for their answer, or at ``arrival_s``.

    Attributes:
        spread: Lengths are uniform within ± this share of the mean, unless ``lengths`` says each.
        arrival_s: (num_requests,) or empty.
        lengths: (2, num_requests) input and output tokens, or ``None``.
    """

    num_requests: int
    clients: int = 0
    spread: float = 0.0
    arrival_s: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    lengths: NDArray[np.int64] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One published result and everything needed to predict it.

    Attributes:
        engine: Name and era, which carry their own offsets (``vllm``, ``trtllm 0.9``).
        version: As published, or the harness where versions are not.
        observed: ``ttft`` and ``tpot`` in seconds, ``tokens_per_s`` of output.
        counts_as: Rows of a table that it is worth.
    """

    chip: Chip
    model: ModelSpec
    dtype: Dtype
    parallelism: Parallelism
    engine: str
    version: str
    source: str
    input_tokens: float
    output_tokens: float
    load: Load
    observed: Mapping[str, float]
    max_num_seqs: int = 1024
    max_num_batched_tokens: int = 8192
    counts_as: float = 1.0

    @property
    def lengths(self) -> NDArray[np.int32]:
        """(2, num_requests) input and output tokens: as the run had them, or drawn, the same for every case."""
        if self.load.lengths is not None:
            return self.load.lengths.astype(np.int32)
        return drawn_lengths(
            self.input_tokens, self.output_tokens, self.load.spread, num_requests=self.load.num_requests
        )

    @property
    def group(self) -> tuple[str, str, str, str]:
        """Rows that stand or fall together: same chip, model, format and engine version."""
        return self.chip.name, self.model.name, self.dtype, self.version


def drawn_lengths(
    input_tokens: float, output_tokens: float, spread: float, *, num_requests: int
) -> NDArray[np.int32]:
    """(2, num_requests) lengths, uniform within ± ``spread`` of their means; the same draws for all."""
    means = np.array([[input_tokens], [output_tokens]])
    draws = 2 * np.take(_DRAWS, np.arange(num_requests), axis=1, mode="wrap") - 1
    return np.maximum(1, np.rint(means * (1 + spread * draws))).astype(np.int32)


def read_cases(
    rows: Iterable[Mapping[str, str]], *, any_source: bool = False
) -> tuple[list[Case], Counter[str]]:
    """Every usable row, and how many were refused for which reason.

    Args:
        rows: With the columns of ``inference.csv``.
        any_source: Take rows of sources that have no reader by their columns alone (:func:`_stated`).
    """
    cases, refused = [], Counter[str]()
    for row in rows:
        try:
            cases.append(_case(row, any_source=any_source))
        except Unusable as reason:
            refused[str(reason)] += 1
    return cases, refused


def _case(row: Mapping[str, str], *, any_source: bool) -> Case:
    if row["quality"] == "D":
        raise Unusable("quality D")
    if "+spec" in row["engine"]:
        raise Unusable("speculative decoding")
    if row["quality"] == "A-disagg":
        raise Unusable("prefill and decode on different chips")
    if not (row["n_chips"] and row["input_len"] and row["output_len"]):
        raise Unusable("no chip count or lengths")
    chip, model = _chip(row["chip"]), _model(row["model"])
    reader = next((reader for source, reader in READERS.items() if source in row["source"]), None)
    if reader is None and not any_source:
        raise Unusable("source without a replayable load")
    try:
        case = (reader or _stated)(row, chip, model, _dtype(row, chip, model))
    except ValueError:
        raise Unusable("a number that is none") from None
    if not case.observed or min(*case.observed.values(), case.input_tokens, case.output_tokens) <= 0:
        raise Unusable("nothing measured, or not above 0")
    return case


def _chip(name: str) -> Chip:
    try:
        return find_chip(CHIPS.get(name, name)).chip
    except InputError:
        raise Unusable("chip unknown, ambiguous or mixed") from None


def _model(name: str) -> ModelSpec:
    if name == "bloom-176b":
        return BLOOM_176B
    for pattern, known in MODELS:
        match = re.search(pattern, name, re.IGNORECASE)
        if match:
            name = match.expand(known)
            break
    try:
        return find_model(name).model
    except InputError:
        raise Unusable("model not in the catalogue") from None


def _dtype(row: Mapping[str, str], chip: Chip, model: ModelSpec) -> Dtype:
    """Format of the weights. A checkpoint's own format is 16-bit unless its name or its config says fp8."""
    stated = row["dtype"].split("/")[0] or "as-checkpoint"
    if stated == "as-checkpoint" and re.search(r"kimi-k2\.\d", row["model"], re.IGNORECASE):
        stated = "int4"  # as Moonshot publishes it: weights alone
    if stated == "as-checkpoint":
        is_fp8 = model.torch_dtype == "fp8" or re.search("fp8", row["model"], re.IGNORECASE)
        stated = "fp8" if is_fp8 else "bf16"
    if stated not in FORMATS:
        raise Unusable(f"format {stated} is not modelled")
    dtype = FORMATS[stated]
    if dtype is Dtype.BF16 and chip.bf16_flop_per_s is None:
        dtype = Dtype.FP16
    if chip.peak_flop_per_s(dtype) is None:
        raise Unusable("format that the chip has no arithmetic for")
    return dtype


def _observed(row: Mapping[str, str]) -> dict[str, float]:
    observed = {}
    if row["ttft_ms"]:
        observed["ttft"] = float(row["ttft_ms"]) / 1e3
    if row["tpot_ms"]:
        observed["tpot"] = float(row["tpot_ms"]) / 1e3
    return observed


def _tokens_per_s(row: Mapping[str, str]) -> dict[str, float]:
    return {"tokens_per_s": float(row["output_tokens_per_s"])}


def _clients(row: Mapping[str, str]) -> int:
    match = re.match(r"(?:c|static batch|batch)=(\d+)", row["concurrency_or_rate"])
    if match is None:
        raise Unusable("load without a concurrency")
    return int(match[1])


def _engine(name: str) -> str:
    return re.split(r"[ (]", name.lower())[0] or "unknown"


def _aiconfigurator(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """Closed loops of ten requests a client. Rows that state ``dp`` come from InferenceX, whose
    lengths are 80 to 100 % of the nominal ones."""
    match = re.match(r"agg tp(\d+) pp(\d+) dp(\d*) moe_tp(\d+) ep(\d+)", row["notes"])
    if match is None:
        raise Unusable("layout not stated")
    tp, pp, dp, _, ep = (int(size or 1) for size in match.groups())
    if dp > 1 or pp > 1 or tp > chip.scale_up_domain:
        raise Unusable("data-parallel attention, pipeline or cross-node layout")
    is_inferencex, engine, clients = bool(match[3]), _engine(row["engine"]), _clients(row)
    shortened = 0.9 if is_inferencex else 1.0
    in_step = row["engine"] in IN_STEP and not is_inferencex
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=tp, ep=max(ep, 1)),
        engine=engine,
        version=f"{row['engine']} InferenceX" if is_inferencex else row["engine"],
        source="aiconfigurator",
        input_tokens=shortened * float(row["input_len"]),
        output_tokens=shortened * float(row["output_len"]),
        load=Load(clients=clients, num_requests=10 * clients, spread=0.0 if in_step else 0.1),
        observed=_observed(row),
    )


def _inferencex(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    clients = _clients(row)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine=_engine(row["engine"]),
        version=f"{row['engine']} InferenceX",
        source="InferenceX issue",
        input_tokens=0.9 * float(row["input_len"]),
        output_tokens=0.9 * float(row["output_len"]),
        load=Load(clients=clients, num_requests=10 * clients, spread=0.1),
        observed=_observed(row),
    )


def _static_batch(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """LLM-Inference-Bench: one batch, all at once; output tokens over its latency."""
    engine = row["engine"]
    if engine == "llama.cpp":
        raise Unusable("llama.cpp: splits layers over chips, a schedule of its own")
    clients = _clients(row)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine=f"{_engine(engine)} 2024",
        version=f"{engine} (LLM-Inference-Bench)",
        source="LLM-Inference-Bench",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(clients=clients, num_requests=clients),
        observed=_tokens_per_s(row),
    )


def _splitwise(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    clients = _clients(row)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine="vllm 2023",
        version=row["engine"],
        source="Splitwise",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(clients=clients, num_requests=clients),
        observed=_observed(row),
        max_num_batched_tokens=1_000_000,  # the whole batch's prompts in one step
    )


def _lmdeploy(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    clients = _clients(row)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine="turbomind 2023",
        version=row["engine"],
        source="LMDeploy",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(clients=clients, num_requests=clients),
        observed=_observed(row) | _tokens_per_s(row),
    )


def _tensorrt_llm(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """First-token latency of one request, or output tokens/s of a batch kept full."""
    is_offline = "inf rate" in row["concurrency_or_rate"]
    clients = 1024 if is_offline else _clients(row)
    if "pp1" not in row["notes"] and is_offline:
        raise Unusable("data-parallel attention, pipeline or cross-node layout")
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine="trtllm offline" if is_offline else "trtllm 0.9",
        version=row["engine"],
        source="TensorRT-LLM tables",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(clients=clients, num_requests=3 * clients if row["output_tokens_per_s"] else clients),
        observed=_tokens_per_s(row) if row["output_tokens_per_s"] else _observed(row),
    )


def _tenstorrent(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    clients = _clients(row)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine="vllm",
        version="vllm (tt-inference-server)",
        source="tt-inference-server issue",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(clients=clients, num_requests=4 * clients),
        observed=_observed(row),
    )


def _sglang_cookbook(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """Closed loops over lengths drawn from 0 to twice the mean."""
    clients = _clients(row)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine="sglang",
        version="sglang (cookbook)",
        source="SGLang cookbook",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(clients=clients, num_requests=max(10, 5 * clients), spread=0.95),
        observed=_observed(row),
    )


def _gpustack(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """All requests at once: only the throughput says something of the engine, the rest is queueing.

    Rows that do not show their serving configuration are refused, but for the Ascend 910B, of which
    there is nothing else: its page measures a baseline (vllm-ascend; lengths averaged over random
    ones) and a recommendation (MindIE; exact lengths).
    """
    is_ascend, engine = row["chip"] == "Ascend-910B", _engine(row["engine"])
    if is_ascend and not row["engine"]:
        engine = "mindie" if (row["input_len"], row["output_len"]) in ASCEND_RECOMMENDED else "vllm"
    elif row["quality"] != "B" or not row["engine"]:
        raise Unusable("gpustack row without engine or serving configuration")
    match = re.match(r"(all-at-once n|c)=(\d+)", row["concurrency_or_rate"])
    if match is None:
        raise Unusable("load without a concurrency")
    is_burst, clients = match[1] != "c", int(match[2])
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine=engine,
        version=f"{engine}{'-ascend' if is_ascend and engine == 'vllm' else ''} (gpustack)",
        source="gpustack",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(
            clients=clients,
            num_requests=clients if is_burst else 10 * clients,
            spread=0.9 if float(row["input_len"]) < 300 else 0.0,
        ),
        observed=_tokens_per_s(row) if is_burst else _observed(row),
        max_num_seqs=256,
    )


def _blis(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """BLIS's training runs of vLLM 0.15: Poisson arrivals, medians. Their prompts share prefixes of unstated
    length, so TTFT says little, and TPOT only while the prompts are a small part of the work."""
    rate = re.search(r"rate=(\d+(?:\.\d+)?)/s", row["concurrency_or_rate"])
    if rate is None or "failures=0" not in row["notes"]:
        raise Unusable("overloaded run, most requests failed")
    rate_per_s, chips = float(rate[1]), int(row["n_chips"])
    assert chip.bf16_flop_per_s is not None
    prefill_flop_per_s = rate_per_s * float(row["input_len"]) * 2 * active_params(model)
    if prefill_flop_per_s > LIGHT_PREFILL_SHARE * chips * chip.bf16_flop_per_s:
        raise Unusable("prompts share prefixes of unstated length")
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=chips),
        engine="vllm",
        version=row["engine"],
        source="BLIS",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=Load(
            num_requests=BLIS_REQUESTS,
            spread=0.5,
            arrival_s=_poisson(rate_per_s, BLIS_REQUESTS),
        ),
        observed={"tpot": float(row["tpot_ms"]) / 1e3},
        max_num_seqs=256,
        counts_as=2.0,  # thousands of requests
    )


def _stated(row: Mapping[str, str], chip: Chip, model: ModelSpec, dtype: Dtype) -> Case:
    """By the columns alone: clients with ten requests each, one batch, or Poisson arrivals."""
    match = re.match(
        r"(c|(?:static )?batch|rate)=(\d+(?:\.\d+)?)(?:/s)?$", row["concurrency_or_rate"].strip()
    )
    if match is None or float(match[2]) == 0:
        raise Unusable("load not stated as c=32 (clients), batch=8 (all at once) or rate=2.5/s")
    if match[1] == "rate":
        load = Load(num_requests=OWN_ARRIVALS, arrival_s=_poisson(float(match[2]), OWN_ARRIVALS))
    else:
        clients = int(float(match[2]))
        load = Load(clients=clients, num_requests=10 * clients if match[1] == "c" else clients)
    return Case(
        chip=chip,
        model=model,
        dtype=dtype,
        parallelism=Parallelism(tp=int(row["n_chips"])),
        engine=_engine(row["engine"]),
        version=row["engine"],
        source=row["source"] or "own rows",
        input_tokens=float(row["input_len"]),
        output_tokens=float(row["output_len"]),
        load=load,
        observed=_observed(row) | (_tokens_per_s(row) if row["output_tokens_per_s"] else {}),
    )


def _poisson(rate_per_s: float, num_requests: int) -> NDArray[np.float64]:
    return np.cumsum(np.random.default_rng(0).exponential(1 / rate_per_s, num_requests))


READERS = {
    "inference-sim/training": _blis,
    "aiconfigurator-core": _aiconfigurator,
    "SemiAnalysisAI/InferenceX": _inferencex,
    "LLM-Inference-Bench": _static_batch,
    "splitwise-sim": _splitwise,
    "InternLM/lmdeploy": _lmdeploy,
    "TensorRT-LLM": _tensorrt_llm,
    "tenstorrent/tt-inference-server": _tenstorrent,
    "sgl-project/sglang": _sglang_cookbook,
    "gpustack/gpustack": _gpustack,
}
"""Reader of a source's rows, by what the ``source`` column holds. Not among them: MLPerf (no lengths) and
llama.cpp on consumer cards."""


def vllm_runs(folder: Path) -> dict[str, Case]:
    """The two vLLM 0.19 runs by their folders' names, arrivals and lengths as they were; TPOT alone, as TTFT is
    mostly preemption."""
    runs = {
        "rtxpro6000x2_qwen3-32b": ("nvidia-rtx-pro-6000-server", "Qwen/Qwen3-32B"),
        "rtx4090_llama-3.1-8b": ("nvidia-rtx-4090", "meta-llama/Llama-3.1-8B"),
    }
    return {name: _vllm_run(folder / name, chip=chip, model=model) for name, (chip, model) in runs.items()}


def _vllm_run(run: Path, *, chip: str, model: str) -> Case:
    settings = json.loads((run / "meta.json").read_text(encoding="utf-8"))["engine_kwargs"]
    requests = [
        json.loads(line) for line in (run / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    requests.sort(key=lambda request: request["queued_ts"])
    column = {
        name: np.array([request[name] for request in requests])
        for name in requests[0]
        if name != "request_id"
    }
    return Case(
        chip=find_chip(chip).chip,
        model=find_model(model).model,
        dtype=Dtype.BF16,
        parallelism=Parallelism(tp=settings["tensor_parallel_size"]),
        engine="vllm",
        version="vllm 0.19.0",
        source="vLLM run",
        input_tokens=float(column["input_toks"].mean()),
        output_tokens=float(column["output_toks"].mean()),
        load=Load(
            num_requests=len(requests),
            arrival_s=column["queued_ts"] - column["queued_ts"][0],
            lengths=np.array([column["input_toks"], column["output_toks"]]),
        ),
        observed={
            "tpot": float(
                np.mean((column["last_token_ts"] - column["first_token_ts"]) / (column["output_toks"] - 1))
            )
        },
        max_num_seqs=settings["max_num_seqs"],
        max_num_batched_tokens=settings["max_num_batched_tokens"],
        counts_as=4.0,  # 300 requests, every setting known
    )
