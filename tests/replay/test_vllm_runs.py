"""Two real vLLM 0.19 runs judge the semantics: fit a step model to half of the requests, predict the others.

Five numbers are fitted to the first 150 requests of a run of 300 (all arrivals are simulated, only
the first half's times are seen): seconds per step, per token up to ``max_num_seqs`` tokens and
beyond, per context token, per prefill pair. The step of one sequence is kept above the time that
reading the weights once takes by the chip's datasheet: the first half of a run hardly has a small
batch and would leave that number open, the last requests run in no other.
"""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import EngineSettings, Trace
from seedcorn.perf.step_model import StepModel
from seedcorn.replay import RequestTimes, replay_requests
from tests.replay.builders import a_trace

RUNS = Path(__file__).parents[2] / ".." / "shared" / "data" / "measurements" / "vllm_runs"
SEEN = np.arange(300) < 150

pytestmark = pytest.mark.skipif(not RUNS.is_dir(), reason="the measured vLLM runs are not here")


class Run(NamedTuple):
    """A measured run; times on the trace's clock."""

    trace: Trace
    engine: EngineSettings
    first_token_s: NDArray[np.float64]
    last_token_s: NDArray[np.float64]


def read_run(name: str, max_num_seqs: int) -> Run:
    """The engine's clock is the monotonic one; arrivals are moved onto it by the least offset seen."""
    lines = (RUNS / name / "requests.jsonl").read_text().splitlines()
    rows = sorted((json.loads(line) for line in lines), key=lambda row: row["arrival_time"])
    column = {key: np.array([row[key] for row in rows]) for key in rows[0] if key != "request_id"}
    start_s = (column["queued_ts"] - column["arrival_time"]).min() + column["arrival_time"][0]
    return Run(
        trace=a_trace(
            column["arrival_time"] - column["arrival_time"][0], column["input_toks"], column["output_toks"]
        ),
        engine=EngineSettings(max_num_seqs=max_num_seqs, max_num_batched_tokens=2048),
        first_token_s=column["first_token_ts"] - start_s,
        last_token_s=column["last_token_ts"] - start_s,
    )


def a_model(log_seconds: NDArray[np.float64], run: Run, weights_s: float, kv_tokens: int) -> StepModel:
    fixed_s, seqs_s, prefill_s, context_s, pair_s = np.exp(log_seconds)
    return StepModel(
        tokens=np.array([0.0, run.engine.max_num_seqs, run.engine.max_num_batched_tokens]),
        dense_s=weights_s + np.cumsum([fixed_s, seqs_s, prefill_s]),
        context_s=context_s,
        pair_s=pair_s,
        kv_tokens=kv_tokens,
        evidence=Evidence.MEASURED,
    )


def misfit(times: RequestTimes, run: Run) -> float:
    """Root mean square over the first half: of TTFT relative to its mean, and of TPOT relative to itself."""
    ttft_s = run.first_token_s - run.trace.arrival_s
    ttft = (times.first_token_s - run.first_token_s)[SEEN] / ttft_s[SEEN].mean()
    decode_s = run.last_token_s - run.first_token_s
    tpot = ((times.finish_s - times.first_token_s) / decode_s - 1)[SEEN]
    return float(np.sqrt((ttft**2).mean() + (tpot**2).mean()))


def least(function, start, *, reach=0.3, rounds=400):
    """Nelder and Mead's simplex: where ``function`` is least, started ``reach`` wide around ``start``."""
    corners = [start, *(start + reach * np.eye(len(start)))]
    values = [function(corner) for corner in corners]
    for _ in range(rounds):
        order = np.argsort(values, kind="stable")
        corners, values = [corners[i] for i in order], [values[i] for i in order]
        middle = np.mean(corners[:-1], axis=0)
        tries = [middle + factor * (middle - corners[-1]) for factor in (1.0, 2.0, -0.5)]
        reflected = function(tries[0])
        if reflected < values[0]:
            expanded = function(tries[1])
            corners[-1], values[-1] = (tries[1], expanded) if expanded < reflected else (tries[0], reflected)
        elif reflected < values[-2]:
            corners[-1], values[-1] = tries[0], reflected
        elif (contracted := function(tries[2])) < values[-1]:
            corners[-1], values[-1] = tries[2], contracted
        else:
            corners = [corners[0], *(0.5 * (corner + corners[0]) for corner in corners[1:])]
            values = [values[0], *(function(corner) for corner in corners[1:])]
    return corners[int(np.argmin(values))]


def errors(times: RequestTimes, run: Run) -> dict[str, float]:
    """Relative error over the second half, of mean and p99."""
    found, measured = (
        {
            "ttft": (first_s - run.trace.arrival_s)[~SEEN],
            "tpot": ((last_s - first_s) / (run.trace.output_tokens - 1))[~SEEN],
        }
        for first_s, last_s in (
            (times.first_token_s, times.finish_s),
            (run.first_token_s, run.last_token_s),
        )
    )
    return {
        f"{metric}_{name}": float(statistic(found[metric]) / statistic(measured[metric]) - 1)
        for metric in ("ttft", "tpot")
        for name, statistic in (("mean", np.mean), ("p99", lambda values: np.percentile(values, 99)))
    }


@pytest.mark.parametrize(
    ("name", "max_num_seqs", "weights_s", "kv_tokens", "bounds"),
    [
        # 32.8 G parameters of 2 bytes over two chips of 1.79 TB/s. Memory is ample: nothing is preempted.
        (
            "rtxpro6000x2_qwen3-32b",
            128,
            0.018,
            10**7,
            {"ttft_mean": 0.02, "ttft_p99": 0.02, "tpot_mean": 0.02, "tpot_p99": 0.02},
        ),
        # 7.5 G parameters (without the embedding table) of 2 bytes at 1.008 TB/s; 2,588 blocks, and
        # some 220 preemptions. The mean TPOT is 2.03 % low. What is left is who is preempted when: about
        # a dozen requests start some 10 s later or earlier than measured and decode that much faster
        # or slower. Scheduling one step ahead, and admission only when a whole prompt fits, were tried
        # in the kernel and explain it no better.
        (
            "rtx4090_llama-3.1-8b",
            256,
            0.0149,
            41_408,
            {"ttft_mean": 0.02, "ttft_p99": 0.02, "tpot_mean": 0.025, "tpot_p99": 0.02},
        ),
    ],
)
def test_the_second_half_of_a_real_run_is_predicted(name, max_num_seqs, weights_s, kv_tokens, bounds):
    run = read_run(name, max_num_seqs)

    def times(log_seconds):
        return replay_requests([a_model(log_seconds, run, weights_s, kv_tokens)], run.engine, run.trace)

    guess = np.log([0.004, 0.02, 0.2, 1e-7, 1e-9])
    fitted = least(lambda x: misfit(times(x), run), least(lambda x: misfit(times(x), run), guess))

    found = errors(times(fitted), run)
    assert all(abs(found[key]) <= bound for key, bound in bounds.items()), found
