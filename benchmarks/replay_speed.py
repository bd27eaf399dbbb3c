"""Simulated requests per second of the replay, on one core.

    python benchmarks/replay_speed.py

Single replica: the Azure conversation trace's lengths, repeated to a million requests, Poisson
arrivals at stated shares of the replica's saturated rate; best of
three, in processor time. Then the conversation trace
itself on four replicas, percentiles included, beside the 279 s that Vidur (the reference simulator
of the field) took for the same trace and number of replicas on such a machine.
"""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable

import numba
import numpy as np

from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import EngineSettings, Router, Trace
from seedcorn.perf.step_model import StepModel
from seedcorn.replay import outcome, read_trace, replay, replay_requests, scaled

NUM_REQUESTS = 1_000_000
SEED = 7
VIDUR_S = 279.0
ENGINE = EngineSettings()
# A dense 8 B model in bf16 on an 80 GB chip of about 2 TB/s and 312 TFLOP/s, in round figures.
REPLICA = StepModel(
    tokens=np.array([1.0, 256.0, 8192.0]),
    dense_s=np.array([0.0085, 0.011, 0.6]),
    context_s=6.5e-8,
    pair_s=1.7e-9,
    kv_tokens=400_000,
    evidence=Evidence.DATASHEET,
)


def best_s(run: Callable[[], object], repeats: int = 3) -> float:
    """Least processor time of ``repeats`` runs: seconds of one core, whatever the other cores do."""
    durations_s = []
    for _ in range(repeats):
        began_s = time.thread_time()
        run()
        durations_s.append(time.thread_time() - began_s)
    return min(durations_s)


def million(load: float, saturated_per_s: float) -> Trace:
    """The conversation trace's lengths in random order, Poisson arrivals."""
    rng = np.random.default_rng(SEED)
    conversation = read_trace("azure-conv")
    pick = rng.integers(0, conversation.num_requests, NUM_REQUESTS)
    gaps_s = rng.exponential(1 / (load * saturated_per_s), NUM_REQUESTS)
    return Trace(
        name="azure-conv lengths",
        arrival_s=np.cumsum(gaps_s),
        input_tokens=conversation.input_tokens[pick],
        output_tokens=conversation.output_tokens[pick],
    )


def compile_s() -> float:
    """Processor seconds that a fresh process takes to compile every kernel into an empty cache."""
    code = (
        "import tempfile, os; os.environ['NUMBA_CACHE_DIR'] = tempfile.mkdtemp()\n"
        "import time\n"
        "from benchmarks.replay_speed import *\n"
        "trace = read_trace('azure-conv'); began = time.process_time()\n"
        "for router in Router: replay([REPLICA] * 2, ENGINE, trace, router=router)\n"
        "print(time.process_time() - began)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return float(done.stdout)


def processor() -> str:
    """The processor's own name, where Linux tells it."""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    print(
        f"{processor()}, {os.cpu_count()} CPUs; Python {platform.python_version()}, numba {numba.__version__}"
    )
    print(f"seed {SEED}, max_num_seqs {ENGINE.max_num_seqs}, budget {ENGINE.max_num_batched_tokens} tokens")
    print(f"all kernels compiled into an empty cache in {compile_s():.1f} s\n")
    at_once = million(1e9, 1.0)
    saturated_per_s = NUM_REQUESTS / replay([REPLICA], ENGINE, at_once).duration_s
    print(f"one replica, one core, {NUM_REQUESTS:,} requests, saturated at {saturated_per_s:.1f} requests/s")
    print(
        f"{'load':>6} {'M requests/s':>14} {'steps/request':>15} {'tokens/s':>12} {'TTFT p99':>10} {'preempted':>10}"
    )
    for load in (0.1, 0.3, 0.5, 0.7, 0.9, 1.2):
        trace = million(load, saturated_per_s)
        took_s = best_s(lambda trace=trace: replay_requests([REPLICA], ENGINE, trace))  # type: ignore[misc]
        found = outcome(replay_requests([REPLICA], ENGINE, trace), trace)
        tokens = int(trace.output_tokens.sum())
        print(
            f"{load:>6.0%} {NUM_REQUESTS / took_s / 1e6:>14.2f} {found.steps / NUM_REQUESTS:>15.1f}"
            f" {tokens / took_s:>12.3g} {found.ttft.p99_s:>9.2f}s {found.preemptions:>10,}"
        )

    conversation = read_trace("azure-conv")
    print("\nthe Azure conversation trace (19,366 requests) on 4 replicas, percentiles included")
    for router in Router:
        took_s = best_s(lambda router=router: replay([REPLICA] * 4, ENGINE, conversation, router=router))  # type: ignore[misc]
        print(
            f"  {router:<18} {took_s * 1e3:7.1f} ms   Vidur {VIDUR_S:.0f} s: {VIDUR_S / took_s:,.0f} times as long"
        )

    print("\nleast-outstanding router, half the saturated load on each replica")
    for replicas in (10, 100, 1000):
        trace = scaled(
            conversation, rate_per_s=0.5 * saturated_per_s * replicas, seed=SEED, num_requests=200_000
        )
        took_s = best_s(
            lambda trace=trace, replicas=replicas: replay_requests(  # type: ignore[misc]
                [REPLICA] * replicas, ENGINE, trace, router=Router.LEAST_OUTSTANDING
            ),
            repeats=1,
        )
        print(f"  {replicas:>5} replicas {trace.num_requests / took_s / 1e6:8.2f} M requests/s")


if __name__ == "__main__":
    main()
