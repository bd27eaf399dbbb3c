"""Two real vLLM 0.19 runs: corrected by their first half, from the data sheet's prediction, the second is foretold."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.workload import Trace
from seedcorn.errors import InputError
from seedcorn.evidence import Given, read_measurement
from seedcorn.replay import replay_requests
from seedcorn.study.evidence import best_step_model
from tests.evidence.reports import a_file

RUNS = Path(__file__).parents[3] / "shared" / "data" / "measurements" / "vllm_runs"
at_hand = pytest.mark.skipif(not RUNS.is_dir(), reason="the measured vLLM runs are not here")
CHIPS = {"rtx4090_llama-3.1-8b": None, "rtxpro6000x2_qwen3-32b": "nvidia-rtx-pro-6000-server"}


def halves(measurement):
    """The measurement with the times of the second half unseen, and which requests those are."""
    log = measurement.log
    unseen = np.arange(log.arrival_s.shape[0]) >= log.arrival_s.shape[0] // 2
    first_token_s, last_token_s = (
        np.where(unseen, np.nan, times_s) for times_s in (log.first_token_s, log.last_token_s)
    )
    return replace(
        measurement, log=replace(log, first_token_s=first_token_s, last_token_s=last_token_s)
    ), unseen


@at_hand
@pytest.mark.parametrize("name", CHIPS)
def test_the_second_half_of_a_run_is_foretold_from_its_first(name):
    """TTFT and TPOT, mean and 99th percentile, within 3 %; the prediction it starts from is 7 to 16 % off."""
    run = read_measurement(RUNS / name, Given(chip=CHIPS[name]))
    half, unseen = halves(run)
    key, log = run.key, run.log

    model = best_step_model(
        find_model(key.model).model,
        find_chip(key.chip).chip,
        dtype=key.dtype,
        parallelism=key.parallelism,
        engine=run.engine,
        chips_per_node=8,
        measurements=(half,),
    )

    trace = Trace(
        name=name, arrival_s=log.arrival_s, input_tokens=log.input_tokens, output_tokens=log.output_tokens
    )
    times = replay_requests([model], run.engine, trace)
    gaps = log.output_tokens - 1
    for found_s, measured_s in (
        (times.first_token_s - log.arrival_s, log.first_token_s - log.arrival_s),
        ((times.finish_s - times.first_token_s) / gaps, (log.last_token_s - log.first_token_s) / gaps),
    ):
        assert found_s[unseen].mean() == pytest.approx(measured_s[unseen].mean(), rel=0.03)
        assert np.percentile(found_s[unseen], 99) == pytest.approx(
            np.percentile(measured_s[unseen], 99), rel=0.03
        )


@at_hand
def test_a_run_says_what_it_was_made_on():
    run = read_measurement(RUNS / "rtx4090_llama-3.1-8b", Given())

    assert run.key.name == "meta-llama/Llama-3.1-8B bf16 tp1 on nvidia-rtx-4090, vllm 0.19.0"
    assert (run.kv_tokens, run.engine.max_num_seqs, run.engine.max_num_batched_tokens) == (41_408, 256, 2_048)
    assert run.log.arrival_s.shape == (300,)
    assert run.log.arrival_s[0] == 0 and np.all(np.diff(run.log.arrival_s) >= 0)
    assert np.all(run.log.first_token_s > run.log.arrival_s)


LINE = (
    '{"input_toks": 10, "output_toks": 4, "arrival_time": 5.0, "queued_ts": 1.0, "scheduled_ts": 1.1, '
    '"first_token_ts": 1.2, "last_token_ts": 1.5}'
)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (LINE.replace("1.5", "1.15"), "last_token_ts (1.150000) comes before first_token_ts (1.200000)"),
        (LINE.replace('"queued_ts": 1.0, ', ""), "queued_ts is missing"),
        (LINE.replace('"input_toks": 10', '"input_toks": 0'), "whole number of at least 1"),
        (LINE.replace("1.2", "-1.2"), "at least 0"),
        (LINE[:-3], "not JSON"),
        ("", "is empty"),
    ],
)
def test_a_request_that_is_wrong_is_refused_by_line(tmp_path, line, message):
    path = a_file(tmp_path, f"{LINE}\n{line}\n" if line else "", "requests.jsonl")

    with pytest.raises(InputError) as caught:
        read_measurement(path, Given(model="llama-3.1-8b", chip="h20"))

    assert message in str(caught.value)
    assert not line or "requests.jsonl:2" in str(caught.value)
