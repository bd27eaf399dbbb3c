"""A step model from operators timed on the chip: aiconfigurator-core's tables (the extra ``silicon``).

The package holds, per chip, times of matrix multiplications, attention, experts and collectives as
vLLM runs them, and adds them up to the time of a prefill or of a decode step. These times are sampled
once per (model, chip, tp, ep, dtype), kept on disk, and fitted by the terms of a :class:`StepModel`.
Where it has no times there is no answer: it is never asked to estimate.
"""

import hashlib
import json
import logging
import tempfile
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

from seedcorn.domain.hardware import Chip, ChipName, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.workload import EngineName, EngineSettings
from seedcorn.errors import Unsupported
from seedcorn.perf.memory import kv_tokens
from seedcorn.perf.roofline import check_supported
from seedcorn.perf.step_model import StepModel

Floats = NDArray[np.float64]

_log = logging.getLogger(__name__)

PACKAGE = "aiconfigurator-core"

SYSTEMS = {
    ChipName("nvidia-a100-sxm4-80gb"): "a100_sxm",
    ChipName("nvidia-h100-sxm"): "h100_sxm",
    ChipName("nvidia-h200-sxm"): "h200_sxm",
    ChipName("nvidia-b200"): "b200_sxm",
    ChipName("nvidia-b300"): "b300_sxm",
    ChipName("nvidia-gb200"): "gb200",
    ChipName("nvidia-gb300"): "gb300",
    ChipName("nvidia-l40s"): "l40s",
    ChipName("nvidia-rtx-pro-6000-server"): "rtx_pro_6000_server",
    ChipName("intel-arc-pro-b60"): "b60",
}
"""Chip → the package's name of the system it timed under vLLM. Its other systems (A30, L4, the PCIe
cards) hold no times."""

ARCHITECTURES = {
    "llama": "LlamaForCausalLM",
    "qwen2": "Qwen2ForCausalLM",
    "qwen3": "Qwen3ForCausalLM",
    "mimo": "MiMoForCausalLM",
    "mixtral": "MixtralForCausalLM",
    "qwen3_moe": "Qwen3MoeForCausalLM",
    "minimax_m2": "MiniMaxM2ForCausalLM",
    "deepseek_v3": "DeepseekV3ForCausalLM",
    "kimi_k2": "DeepseekV3ForCausalLM",
}
"""``model_type`` → ``architectures[0]`` in the config.json of its makers."""

QUANT_MODES = {
    Dtype.BF16: ("bfloat16", "bfloat16"),
    Dtype.FP8: ("fp8", "fp8_block"),
    Dtype.FP4: ("nvfp4", "nvfp4"),
}
"""Format → the package's names of it, in matrix multiplications and in experts.

FP8 multiplies with one scale per tensor or channel (vLLM's ``--quantization fp8``). The package's times
of block-scaled multiplications are those of their launch wherever tokens are few (on a B200 up to seven
times 16-bit), which a captured graph does not pay. Experts are the other way round: per-tensor ones were
timed in a kernel for ModelOpt checkpoints that takes 3.5 times as long as 16-bit on Hopper, block-scaled
ones in the kernel that vLLM runs."""

DECODE_SEQS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
"""(G,) sequences of the decode steps sampled: up to vLLM's largest captured graph."""

CONTEXTS = (16, 512, 1024, 4096, 16384)
"""(C,) tokens that each of those sequences has in its cache."""

PREFILL_TOKENS = (512, 768, 1024, 1536, 2048, 4096, 8192, 16384)
"""(H,) prompt tokens of the prefill steps sampled."""

PREFILLS = ((1, 0), (4, 0), (16, 0), (1, 4096), (1, 16384))
"""(L,) how those tokens come: sequences, and tokens of each that are in the cache already."""

LOG_SIGMA = 0.21
"""Standard deviation of ln(measured / predicted): that of the normal whose 90 % interval holds 90 % of the
end-to-end errors on 213 published vLLM rows of H100, B200, B300 and RTX PRO 6000, none of them fitted and
no set-up counted more than four times. Operators leave out the host's work; adding any made it no better."""


class _Engine(Protocol):
    """What is used of the package: milliseconds of steps that only decode or only prefill."""

    def predict_decode_latency(self, bs: int, isl: int) -> float: ...

    def predict_prefill_latency(self, bs: int, isl: int, prefix: int) -> float: ...

    def last_provenance(self) -> str | None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """What is sampled: one replica in the package's words.

    Attributes:
        config: The model's config.json.
    """

    package_version: str
    chip: ChipName
    config: str
    dtype: Dtype
    tp: int
    ep: int

    @property
    def key(self) -> str:
        """Hexadecimal digest of all that decides the samples."""
        asked = [asdict(self), QUANT_MODES[self.dtype], DECODE_SEQS, CONTEXTS, PREFILL_TOKENS, PREFILLS]
        return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:24]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Samples:
    """Seconds of steps.

    Attributes:
        decode_s: (G, C) of :data:`DECODE_SEQS` × :data:`CONTEXTS`.
        prefill_s: (H, L) of :data:`PREFILL_TOKENS` × :data:`PREFILLS`.
    """

    decode_s: Floats
    prefill_s: Floats


def silicon_step_model(
    model: ModelSpec,
    chip: Chip,
    *,
    dtype: Dtype,
    parallelism: Parallelism,
    engine: EngineSettings,
    chips_per_node: int,
) -> StepModel:
    """The step model of one replica, from operators timed on this very chip.

    Raises:
        Unsupported: The package is not installed, or has no times of this chip, format or model; or the
            chip has no such format, or the model cannot be split so.
        DoesNotFit: Weights, reserve and cache exceed the memory.
        UnknownFact: The catalogue lacks the chip's memory.
    """
    check_supported(model, chip, dtype=dtype, parallelism=parallelism, chips_per_node=chips_per_node)
    capacity = kv_tokens(model, chip, dtype=dtype, parallelism=parallelism, engine=engine)
    if engine.engine is not EngineName.VLLM:
        raise Unsupported(f"{PACKAGE}'s times are read as vLLM runs them, not {engine.engine}")
    _check_timed(model, chip, dtype)
    sampled = Sampled(
        chip=chip.name,
        config=_config(model),
        dtype=dtype,
        tp=parallelism.tp,
        ep=parallelism.ep,
        package_version=_package_version(),
    )
    return fitted(_samples(sampled), pp=parallelism.pp, kv_tokens=capacity)


def fitted(samples: Samples, *, pp: int, kv_tokens: int) -> StepModel:
    """The step model nearest to the samples, in least squares of relative errors.

    Decode steps give the dense seconds up to :data:`DECODE_SEQS`' last, prefill steps those beyond. What is
    left where no context is read (a kernel's launch, work per sequence) is dense too. As in the roofline, a
    pipeline spreads a step's tokens over as many micro-batches as it has stages.
    """
    decode_s, context_s = _common_slope(_context_tokens(), samples.decode_s)
    prefill_s, pair_s = _common_slope(_pairs(), samples.prefill_s)
    is_beyond = np.array(PREFILL_TOKENS) > DECODE_SEQS[-1]
    tokens = np.array([*DECODE_SEQS, *np.array(PREFILL_TOKENS)[is_beyond]], dtype=np.float64)
    dense_s = np.maximum.accumulate(np.concatenate([decode_s, prefill_s[is_beyond]]))
    return StepModel(
        tokens=tokens,
        dense_s=np.interp(tokens / pp, tokens, dense_s),
        context_s=context_s / pp,
        pair_s=pair_s / pp,
        kv_tokens=kv_tokens,
        evidence=Evidence.SILICON,
        log_sigma=LOG_SIGMA,
        ttft_log_sigma=LOG_SIGMA,
    )


def _context_tokens() -> Floats:
    """(G, C) KV tokens that each sampled decode step reads."""
    return np.outer(DECODE_SEQS, CONTEXTS).astype(np.float64)


def _pairs() -> Floats:
    """(H, L) (query, key) pairs of each sampled prefill step: n sequences of t tokens on c cached ones
    attend n·t·(c + (t + 1)/2)."""
    sequences, cached = np.array(PREFILLS, dtype=np.float64).T
    each = np.array(PREFILL_TOKENS, dtype=np.float64)[:, None] / sequences
    pairs: Floats = sequences * each * (cached + (each + 1) / 2)
    return pairs


def _common_slope(load: Floats, seconds: Floats) -> tuple[Floats, float]:
    """The intercepts (rows,) and the one slope that minimise Σ ((aᵣ + s·load − seconds) / seconds)².

    Subtracting each row's weighted mean leaves a problem in s alone (the within estimator).
    """
    weights = seconds**-2.0
    load_mean = np.average(load, axis=1, weights=weights)
    seconds_mean = np.average(seconds, axis=1, weights=weights)
    load_off, seconds_off = load - load_mean[:, None], seconds - seconds_mean[:, None]
    slope = max(float(np.sum(weights * load_off * seconds_off) / np.sum(weights * load_off**2)), 0.0)
    return seconds_mean - slope * load_mean, slope


def _check_timed(model: ModelSpec, chip: Chip, dtype: Dtype) -> None:
    """Refuse what the package is known not to have, before it is asked."""
    if chip.name not in SYSTEMS:
        raise Unsupported(
            f"{PACKAGE} has no operators timed on {chip.name}; it has those of {', '.join(SYSTEMS)}"
        )
    if model.model_type not in ARCHITECTURES:
        raise Unsupported(
            f"{PACKAGE} does not know {model.model_type}, the architecture of {model.name}; "
            f"it knows {', '.join(ARCHITECTURES)}"
        )
    if dtype not in QUANT_MODES:
        raise Unsupported(
            f"{PACKAGE} has no operators timed in {dtype} under vLLM; it has {', '.join(QUANT_MODES)}"
        )
    if model.is_mla and dtype is Dtype.FP8:
        raise Unsupported(
            f"{PACKAGE} has latent attention, as in {model.name}, in fp8 only with block-scaled multiplications, "
            "whose times are not those of a captured graph; it has it in bf16 and fp4"
        )


def _config(model: ModelSpec) -> str:
    """A config.json that says of the architecture all that decides its operators."""
    shape = {
        "architectures": [ARCHITECTURES[model.model_type]],
        "model_type": model.model_type,
        "num_hidden_layers": model.num_hidden_layers,
        "hidden_size": model.hidden_size,
        "intermediate_size": model.intermediate_size,
        "num_attention_heads": model.num_attention_heads,
        "num_key_value_heads": model.num_key_value_heads,
        "head_dim": model.head_dim,
        "vocab_size": model.vocab_size,
        "max_position_embeddings": model.max_position_embeddings or CONTEXTS[-1],
    }
    experts = {
        "num_local_experts": model.num_experts,
        "num_experts_per_tok": model.num_experts_per_tok,
        "moe_intermediate_size": model.moe_intermediate_size,
        "n_shared_experts": model.n_shared_experts,
        "first_k_dense_replace": model.first_k_dense_replace,
    }
    latent = {
        "q_lora_rank": model.q_lora_rank,
        "kv_lora_rank": model.kv_lora_rank,
        "qk_nope_head_dim": model.qk_nope_head_dim,
        "qk_rope_head_dim": model.qk_rope_head_dim,
        "v_head_dim": model.v_head_dim,
    }
    return json.dumps(shape | (experts if model.is_moe else {}) | (latent if model.is_mla else {}))


def _package_version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        raise Unsupported(
            f"operator measurements need {PACKAGE}, which is not installed: pip install 'seedcorn[silicon]'"
        ) from None


def _samples(sampled: Sampled) -> Samples:
    """From the cache on disk, or else sampled now and put there; a refusal is an answer too."""
    path = user_cache_path("seedcorn") / "silicon" / f"{sampled.key}.json"
    if path.exists():
        text = path.read_text(encoding="utf-8")
    else:
        text = json.dumps(_answer(sampled))
        _keep(path, text)
    answer = json.loads(text)
    if "refused" in answer:
        raise Unsupported(answer["refused"])
    return Samples(decode_s=np.array(answer["decode_s"]), prefill_s=np.array(answer["prefill_s"]))


def _keep(path: Path, text: str) -> None:
    """Write the file whole or not at all; where nothing can be written, say so and go on."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
            file.write(text)
        Path(file.name).replace(path)
    except OSError as error:
        _log.warning("operators are sampled anew in every process: cannot write %s (%s)", path, error)


def _answer(sampled: Sampled) -> dict[str, list[list[float]]] | dict[str, str]:
    """The tables of :class:`Samples`, asked of the package one step at a time, or why it has none."""
    from aiconfigurator_core.sdk.errors import EmpiricalNotImplementedError, PerfDataNotAvailableError

    try:
        return _tables(_engine(sampled))
    except (PerfDataNotAvailableError, EmpiricalNotImplementedError, ValueError) as error:
        reason, _, _ = str(error).partition(" at /")  # without the folder that it looked in
        return {
            "refused": f"{PACKAGE} {sampled.package_version} has not timed all operators of this model on "
            f"{sampled.chip} in {sampled.dtype} at tp {sampled.tp}, ep {sampled.ep}: {reason}"
        }


def _tables(engine: _Engine) -> dict[str, list[list[float]]]:
    return {
        "decode_s": [
            [_measured_s(engine, engine.predict_decode_latency(seqs, context)) for context in CONTEXTS]
            for seqs in DECODE_SEQS
        ],
        "prefill_s": [
            [
                _measured_s(engine, engine.predict_prefill_latency(n, cached + tokens // n, cached))
                for n, cached in PREFILLS
            ]
            for tokens in PREFILL_TOKENS
        ],
    }


def _engine(sampled: Sampled) -> _Engine:
    """The model, laid out by the package over its tables of the chip."""
    from aiconfigurator_core.sdk import EngineHandle

    gemm_mode, moe_mode = QUANT_MODES[sampled.dtype]
    # It warns of rows that other engines lend to vLLM while it loads tables, whether or not they are used.
    logging.getLogger("aiconfigurator_core").setLevel(logging.ERROR)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(sampled.config, encoding="utf-8")
        engine: _Engine = EngineHandle.compile(
            folder,
            SYSTEMS[sampled.chip],
            "vllm",
            tp_size=sampled.tp,
            moe_tp_size=sampled.tp // sampled.ep,
            moe_ep_size=sampled.ep,
            gemm_quant_mode=gemm_mode,
            moe_quant_mode=moe_mode,
            kvcache_quant_mode="bfloat16",  # as seedcorn.perf.memory counts the cache
            fmha_quant_mode="bfloat16",
        )
    return engine


def _measured_s(engine: _Engine, latency_ms: float) -> float:
    """Seconds of the answer just given, if measurements alone made it."""
    estimated_by = engine.last_provenance()
    if estimated_by is not None:
        raise ValueError(f"it would estimate ({estimated_by})")
    return latency_ms / 1e3
