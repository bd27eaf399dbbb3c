"""The bundled curves against measurements: operator times, and two real vLLM runs through the replay."""

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings, Trace
from seedcorn.perf import step_model
from seedcorn.perf.efficiency import efficiency
from seedcorn.perf.roofline import Roofline
from seedcorn.perf.shapes import Linear
from seedcorn.replay import replay_requests
from tests.perf.examples import a_llama

MEASUREMENTS = Path(__file__).parents[3] / "shared" / "data" / "measurements"
pytestmark = pytest.mark.skipif(not MEASUREMENTS.is_dir(), reason="published measurements are not at hand")


def a_replica(model, chip, dtype) -> Roofline:
    return Roofline(
        model=model,
        chip=chip,
        dtype=dtype,
        parallelism=Parallelism(),
        engine=EngineSettings(max_num_seqs=1),
        curve=efficiency(chip),
    )


@pytest.mark.parametrize(
    ("folder", "chip", "dtype"),
    [
        ("t4", "nvidia-t4", Dtype.FP16),
        ("v100", "nvidia-v100-sxm2-16gb", Dtype.FP16),
        ("l4", "nvidia-l4", Dtype.BF16),
        ("a100", "nvidia-a100-sxm4-40gb", Dtype.BF16),
    ],
)
@pytest.mark.parametrize(("phase", "tokens"), [("decode", 4), ("prompt", 4000)])
def test_a_layer_of_a_70b_model_takes_what_helix_measured(folder, chip, dtype, phase, tokens):
    """Within 25 %: the times are rounded to 0.1 ms (decode) and 1 ms (prompt)."""
    times = np.loadtxt(
        MEASUREMENTS / "ops" / "helix" / "llama2_70b" / folder / f"{phase}_bs2time.csv", delimiter=","
    )
    measured_s = times[times[:, 0] == tokens, 1][0] / 1e3
    headless = replace(find_model("meta-llama/Llama-2-70b-hf").model, vocab_size=1)
    replica = a_replica(headless, find_chip(chip).chip, dtype)

    got_s = replica.chip_s(np.array([float(tokens)]))[0] / 80

    assert got_s == pytest.approx(measured_s, rel=0.25)


@pytest.mark.parametrize(
    ("file", "dtype"), [("MatMulV2.csv", Dtype.BF16), ("QuantBatchMatmulV3.csv", Dtype.INT8)]
)
def test_large_matrix_multiplications_of_a_910b_take_what_was_measured(file, dtype):
    """Median within 20 %, over matrices of at least 32 M weights."""
    replica = a_replica(a_llama(), find_chip("huawei-ascend-910b2").chip, dtype)
    errors = []
    with (MEASUREMENTS / "ops" / "ascend-910b" / "0.18.0" / file).open(encoding="utf-8-sig") as lines:
        for row in csv.DictReader(lines):
            (tokens, inputs), (outputs, _) = (
                tuple(map(int, shape.split(","))) for shape in row["Input Shapes"].split(";")[:2]
            )
            if inputs * outputs >= 2**25:
                linear = Linear(name="probe", inputs=inputs, outputs=outputs, layers=1)
                got_s = replica.linear_s(np.array([float(tokens)]), linear)[0]
                errors.append(got_s / (float(row["Average Duration(us)"]) / 1e6) - 1)

    assert len(errors) > 100
    assert np.median(np.abs(errors)) < 0.2


@pytest.mark.parametrize(
    ("folder", "model", "chip", "tp"),
    [
        ("rtx4090_llama-3.1-8b", "meta-llama/Llama-3.1-8B", "nvidia-rtx-4090", 1),
        ("rtxpro6000x2_qwen3-32b", "Qwen/Qwen3-32B", "nvidia-rtx-pro-6000-server", 2),
    ],
)
def test_a_real_vllm_run_is_replayed_from_the_data_sheet_alone(folder, model, chip, tp):
    """Mean TPOT and mean end-to-end latency within the step model's own interval. The runs' TPOT are two of the rows
    that the curves were fitted on, and the only ones of their chips; nothing else of them was used."""
    run = MEASUREMENTS / "vllm_runs" / folder
    settings = json.loads((run / "meta.json").read_text(encoding="utf-8"))["engine_kwargs"]
    requests = [
        json.loads(line) for line in (run / "requests.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    requests.sort(key=lambda request: request["queued_ts"])
    queued_s, first_s, last_s = (
        np.array([request[name] for request in requests])
        for name in ("queued_ts", "first_token_ts", "last_token_ts")
    )
    trace = Trace(
        name=folder,
        arrival_s=queued_s - queued_s[0],
        input_tokens=np.array([request["input_toks"] for request in requests], dtype=np.int32),
        output_tokens=np.array([request["output_toks"] for request in requests], dtype=np.int32),
    )
    engine = EngineSettings(
        max_num_seqs=settings["max_num_seqs"], max_num_batched_tokens=settings["max_num_batched_tokens"]
    )
    step = step_model(
        find_model(model).model,
        find_chip(chip).chip,
        dtype=Dtype.BF16,
        parallelism=Parallelism(tp=tp),
        engine=engine,
        chips_per_node=tp,
    )

    times = replay_requests([step], engine, trace)

    gaps = trace.output_tokens - 1
    tpot_s = (times.finish_s - times.first_token_s) / gaps
    off = 1.645 * step.log_sigma  # nine in ten lie within
    assert abs(np.log(tpot_s.mean() / ((last_s - first_s) / gaps).mean())) <= off
    assert abs(np.log((times.finish_s - trace.arrival_s).mean() / (last_s - queued_s).mean())) <= off
