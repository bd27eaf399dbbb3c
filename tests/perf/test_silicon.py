"""Step models from operator times: the fit on made-up tables, refusals, and, where it is installed, the package."""

from importlib.util import find_spec
from itertools import pairwise

import numpy as np
import pytest

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Evidence, Parallelism
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import DoesNotFit, Unsupported
from seedcorn.perf import active_params, step_model
from seedcorn.perf.silicon import (
    CONTEXTS,
    DECODE_SEQS,
    PREFILL_TOKENS,
    PREFILLS,
    Samples,
    fitted,
    silicon_step_model,
)

is_installed = find_spec("aiconfigurator_core") is not None
needs_package = pytest.mark.skipif(not is_installed, reason="the extra 'silicon' is not installed")

REPLICAS = [
    ("Qwen/Qwen3-32B", "nvidia-h100-sxm", "bf16", 2, 1),
    ("meta-llama/Llama-3.1-70B", "nvidia-h200-sxm", "fp8", 4, 1),
    ("meta-llama/Llama-3.1-8B", "nvidia-l40s", "fp8", 1, 1),
    ("Qwen/Qwen3-30B-A3B", "nvidia-a100-sxm4-80gb", "bf16", 2, 2),
    ("mistralai/Mixtral-8x7B-v0.1", "nvidia-h100-sxm", "fp8", 2, 1),
]


def a_replica(model, chip, dtype="bf16", tp=1, ep=1, maker=silicon_step_model, **engine):
    return maker(
        find_model(model).model,
        find_chip(chip).chip,
        dtype=Dtype(dtype),
        parallelism=Parallelism(tp=tp, ep=ep),
        engine=EngineSettings(**engine),
        chips_per_node=8,
    )


def the_samples(dense_s, context_s, pair_s):
    """Tables of a chip whose steps take exactly these terms."""
    decode_s = [[dense_s(b) + context_s * b * c for c in CONTEXTS] for b in DECODE_SEQS]
    prefill_s = [
        [dense_s(t) + pair_s * sum(c + i + 1 for _ in range(n) for i in range(t // n)) for n, c in PREFILLS]
        for t in PREFILL_TOKENS
    ]
    return Samples(decode_s=np.array(decode_s), prefill_s=np.array(prefill_s))


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch):
    """One cache for the module, apart from the user's."""
    folder = tmp_path_factory.getbasetemp() / "silicon-cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder / "seedcorn" / "silicon"


# The fit


def test_terms_that_made_the_tables_are_found_again():
    samples = the_samples(lambda x: 5e-3 + 2e-5 * x, context_s=4e-8, pair_s=1.5e-9)

    model = fitted(samples, pp=1, kv_tokens=1_000)

    assert model.context_s == pytest.approx(4e-8)
    assert model.pair_s == pytest.approx(1.5e-9)
    assert model.dense_s == pytest.approx(5e-3 + 2e-5 * model.tokens)
    assert model.evidence is Evidence.SILICON


def test_a_pipeline_works_on_one_micro_batch_per_stage():
    samples = the_samples(lambda x: 5e-3 + 2e-5 * x, context_s=4e-8, pair_s=1.5e-9)

    whole, staged = (fitted(samples, pp=pp, kv_tokens=1_000) for pp in (1, 2))

    assert staged.step_s(decode_seqs=64, context_tokens=64_000) == pytest.approx(
        whole.step_s(decode_seqs=32, context_tokens=32_000)
    )


# Refusals, which need no package


@pytest.mark.parametrize("chip", ["nvidia-h800-sxm", "nvidia-h20-96gb", "nvidia-l20", "huawei-ascend-910b3"])
def test_a_chip_that_nobody_timed_is_refused_and_the_timed_ones_are_named(chip):
    with pytest.raises(Unsupported, match=f"timed on {chip}; it has .*nvidia-h100-sxm"):
        a_replica("meta-llama/Llama-3.1-8B", chip)


def test_a_format_that_was_not_timed_is_refused():
    with pytest.raises(Unsupported, match="timed in int8 under vLLM; it has bf16, fp8, fp4"):
        a_replica("meta-llama/Llama-3.1-8B", "nvidia-h100-sxm", "int8")


def test_an_architecture_that_the_package_does_not_know_is_refused():
    with pytest.raises(Unsupported, match="does not know glm4_moe, the architecture of zai-org/GLM"):
        a_replica("zai-org/GLM-4.5-Air", "nvidia-h100-sxm", tp=8)


def test_latent_attention_in_fp8_is_refused():
    with pytest.raises(Unsupported, match=r"latent attention.* bf16 and fp4"):
        a_replica("deepseek-ai/DeepSeek-V3", "nvidia-h200-sxm", "fp8", tp=8)


def test_a_model_that_does_not_fit_is_refused_as_everywhere():
    with pytest.raises(DoesNotFit):
        a_replica("meta-llama/Llama-3.1-70B", "nvidia-h100-sxm")


@pytest.mark.skipif(is_installed, reason="the extra 'silicon' is installed")
def test_without_the_package_it_says_what_to_install():
    with pytest.raises(Unsupported, match=r"pip install 'seedcorn\[silicon\]'"):
        a_replica("meta-llama/Llama-3.1-8B", "nvidia-h100-sxm")


# The package


@needs_package
@pytest.mark.parametrize(("model", "chip", "dtype", "tp", "ep"), REPLICAS)
def test_a_step_takes_between_a_third_and_three_times_what_the_roofline_says(model, chip, dtype, tp, ep):
    timed, predicted = (
        a_replica(model, chip, dtype, tp, ep, maker) for maker in (silicon_step_model, step_model)
    )

    for load in (
        {"decode_seqs": 1, "context_tokens": 1_000},
        {"decode_seqs": 64, "context_tokens": 128_000},
        {"decode_seqs": 0, "prefill_tokens": 8192, "pairs": 8192 * 8193 / 2},
    ):
        assert 1 / 3 < timed.step_s(**load) / predicted.step_s(**load) < 3
    assert timed.kv_tokens == predicted.kv_tokens


@needs_package
@pytest.mark.parametrize(("model", "chip", "dtype", "tp", "ep"), REPLICAS)
def test_no_decode_step_is_faster_than_its_weights_can_be_read(model, chip, dtype, tp, ep):
    spec, bandwidth = find_model(model).model, find_chip(chip).chip.memory_bytes_per_s
    timed = a_replica(model, chip, dtype, tp, ep)

    read_bytes = active_params(spec) * Dtype(dtype).bytes_per_element / tp
    assert timed.step_s(decode_seqs=1) > read_bytes / bandwidth


@needs_package
@pytest.mark.parametrize(("model", "chip", "dtype", "tp", "ep"), REPLICAS)
def test_more_tokens_more_context_and_more_pairs_take_longer(model, chip, dtype, tp, ep):
    timed = a_replica(model, chip, dtype, tp, ep)

    assert all(later >= sooner for sooner, later in pairwise(timed.dense_s))
    assert timed.context_s > 0
    assert timed.pair_s > 0


@needs_package
@pytest.mark.parametrize(
    ("model", "tp"), [("Qwen/Qwen3-32B", 2), ("mistralai/Mixtral-8x7B-v0.1", 2), ("Qwen/Qwen3-30B-A3B", 1)]
)
def test_half_the_bytes_never_make_a_decode_step_much_longer(model, tp):
    """Were it otherwise, a kernel was timed that no server runs."""
    short, long = (a_replica(model, "nvidia-h100-sxm", dtype, tp) for dtype in ("fp8", "bf16"))

    for seqs in (1, 16, 64, 256):
        assert short.step_s(decode_seqs=seqs) < 1.1 * long.step_s(decode_seqs=seqs)


@needs_package
def test_steps_that_mix_prompts_and_decoding_are_as_the_package_says():
    """Only pure steps are sampled; the package sums mixed ones in its own way."""
    from aiconfigurator_core.sdk import EngineHandle

    package = EngineHandle.compile("Qwen/Qwen3-32B", "h100_sxm", "vllm", tp_size=2)
    timed = a_replica("Qwen/Qwen3-32B", "nvidia-h100-sxm", tp=2)

    for prompt, seqs, context in ((512, 32, 1024), (1536, 128, 2048), (2048, 64, 4096)):
        ours_s = timed.step_s(
            decode_seqs=seqs,
            prefill_tokens=prompt,
            context_tokens=seqs * context,
            pairs=prompt * (prompt + 1) / 2,
        )
        # Its decoding sequences have read their prompt of `isl` tokens and half of their answer.
        theirs_ms = package.mixed_step_latency(prompt, seqs, isl=context, osl=2)
        assert ours_s == pytest.approx(theirs_ms / 1e3, rel=0.05)


@needs_package
@pytest.mark.parametrize(
    ("model", "chip", "system", "tp", "dtype", "quant_mode"),
    [
        ("Qwen/Qwen3-32B", "nvidia-h100-sxm", "h100_sxm", 2, "bf16", "bfloat16"),
        ("Qwen/Qwen3-30B-A3B", "nvidia-h100-sxm", "h100_sxm", 2, "bf16", "bfloat16"),
        ("deepseek-ai/DeepSeek-V3", "nvidia-b200", "b200_sxm", 8, "fp4", "nvfp4"),
    ],
)
def test_a_model_described_by_its_shape_is_timed_as_the_published_one(
    model, chip, system, tp, dtype, quant_mode
):
    """The package's own config.json of the model is the judge."""
    from aiconfigurator_core.sdk import EngineHandle

    package = EngineHandle.compile(
        model,
        system,
        "vllm",
        tp_size=tp,
        moe_tp_size=tp,
        moe_ep_size=1,
        gemm_quant_mode=quant_mode,
        moe_quant_mode=quant_mode,
        kvcache_quant_mode="bfloat16",
        fmha_quant_mode="bfloat16",
    )
    timed = a_replica(model, chip, dtype, tp)

    for seqs, context in ((1, 1024), (32, 2048)):
        ours_s = timed.step_s(decode_seqs=seqs, context_tokens=seqs * context)
        assert ours_s == pytest.approx(package.predict_decode_latency(seqs, context) / 1e3, rel=0.05)


@needs_package
def test_the_second_call_reads_what_the_first_one_kept(cache):
    first = a_replica("Qwen/Qwen3-8B", "nvidia-h100-sxm")
    kept = {path: path.read_bytes() for path in cache.iterdir()}
    second = a_replica("Qwen/Qwen3-8B", "nvidia-h100-sxm")

    assert {path: path.read_bytes() for path in cache.iterdir()} == kept
    assert second.dense_s.tobytes() == first.dense_s.tobytes()
    assert (second.context_s, second.pair_s) == (first.context_s, first.pair_s)


@needs_package
def test_a_cache_that_cannot_be_written_is_no_obstacle(tmp_path, monkeypatch, caplog):
    in_the_way = tmp_path / "file"
    in_the_way.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(in_the_way))

    assert a_replica("Qwen/Qwen3-8B", "nvidia-h100-sxm").kv_tokens > 0
    assert "cannot write" in caplog.text


@needs_package
def test_experts_of_a_shape_that_was_not_timed_are_refused_twice_alike():
    refusals = []
    for _ in range(2):
        with pytest.raises(Unsupported, match="not timed all operators") as caught:
            a_replica("Qwen/Qwen3-Coder-480B-A35B-Instruct", "nvidia-h200-sxm", "fp8", tp=8)
        refusals.append(caught.value.message)

    assert refusals[0] == refusals[1]
