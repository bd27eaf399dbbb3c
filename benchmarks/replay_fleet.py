"""The replay's speed and memory, each figure beside its target.

    python benchmarks/replay_fleet.py             about two minutes
    python benchmarks/replay_fleet.py --billion   also the 10⁸ and 10⁹ requests: tens of minutes

Speeds are requests per second of processor time on one core, whatever other programs do; the day of
50 services is timed by the clock, on as many threads as there are cores. Lengths are those of the
Azure conversation trace. The peer of the field is Vidur: 279 s for that trace on four replicas,
percentiles included, measured on a machine of this kind.
"""

import argparse
import itertools
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import reduce
from operator import add

import numba
import numpy as np

from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import EngineSettings, Router, Trace
from seedcorn.perf.step_model import StepModel
from seedcorn.replay import (
    StreamSums,
    day_curve,
    day_curves,
    generated_day,
    read_trace,
    replay,
    replay_requests,
    replay_stream,
)
from seedcorn.replay.reference import replay_slowly
from seedcorn.replay.traffic import part

SEED = 7
DAY_S = 86_400
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
SLOWER = replace(REPLICA, dense_s=REPLICA.dense_s * 1.7, context_s=5e-8, kv_tokens=200_000)
FASTER = replace(REPLICA, dense_s=REPLICA.dense_s * 0.8, context_s=9e-8, kv_tokens=150_000)
SATURATED_PER_S = 5.3  # of REPLICA on these lengths: 10⁶ requests at once take 52 hours
COMPILE = """
import os, tempfile, time
os.environ["NUMBA_CACHE_DIR"] = tempfile.mkdtemp()
sys_path = __import__("sys").path; sys_path.insert(0, "benchmarks")
import replay_fleet as fleet
conversation = fleet.read_trace("azure-conv")
for routers in (fleet.Router.ROUND_ROBIN,), tuple(fleet.Router):
    began_s = time.process_time()
    for router in routers:
        fleet.replay([fleet.REPLICA] * 2, fleet.ENGINE, conversation, router=router)
    print(time.process_time() - began_s)
"""


def processor_s(run: Callable[[], object], repeats: int = 3) -> float:
    """Least processor time of ``repeats`` runs."""
    durations_s = []
    for _ in range(repeats):
        began_s = time.thread_time()
        run()
        durations_s.append(time.thread_time() - began_s)
    return min(durations_s)


def say(work: str, got: str, target: str) -> None:
    print(f"{work:<66} {got:>22}   {target}", flush=True)


def peak_memory() -> str:
    kib = 1024 if sys.platform != "darwin" else 1
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * kib / 2**30:.2f} GiB resident"


def poisson(num_requests: int, rate_per_s: float) -> Trace:
    """The conversation trace's lengths in random order, Poisson arrivals."""
    rng = np.random.default_rng(SEED)
    conversation = read_trace("azure-conv")
    drawn = part(conversation, rng.integers(0, conversation.num_requests, num_requests))
    return replace(drawn, arrival_s=np.cumsum(rng.exponential(1 / rate_per_s, num_requests)))


def compile_time() -> None:
    done = subprocess.run([sys.executable, "-c", COMPILE], capture_output=True, text=True, check=True)
    first_s, other_s = map(float, done.stdout.split())
    say("first replay after install", f"{first_s:.1f} s", "target 15 s, once")
    say("  and the kernels of least outstanding", f"{other_s:.1f} s more", "once")


def one_replica() -> None:
    for load in (0.3, 0.5, 0.9):
        trace = poisson(1_000_000, load * SATURATED_PER_S)
        took_s = processor_s(lambda trace=trace: replay_requests([REPLICA], ENGINE, trace))  # type: ignore[misc]
        say(f"one replica, load {load:.0%}", f"{1 / took_s:.2f} M requests/s", "target 5 M/s")


def a_thousand_replicas() -> None:
    replicas = list(itertools.islice(itertools.cycle([REPLICA, SLOWER, FASTER]), 1_000))
    for load, router in itertools.product((0.3, 0.8), (Router.LEAST_OUTSTANDING, Router.POWER_OF_TWO)):
        trace = poisson(500_000, load * SATURATED_PER_S * 0.9 * 1_000)
        took_s = processor_s(
            lambda trace=trace, router=router: replay_requests(replicas, ENGINE, trace, router=router)  # type: ignore[misc]
        )
        target = "target 1.5 M/s" if router is Router.LEAST_OUTSTANDING else ""
        say(
            f"1,000 replicas of 3 kinds, {router}, load {load:.0%}",
            f"{0.5 / took_s:.2f} M requests/s",
            target,
        )


def conversation_on_four() -> None:
    conversation = read_trace("azure-conv")
    for router in Router:
        took_s = processor_s(lambda router=router: replay([REPLICA] * 4, ENGINE, conversation, router=router))  # type: ignore[misc]
        say(
            f"Azure conversation trace on 4 replicas, {router}, percentiles",
            f"{took_s * 1e3:.1f} ms",
            f"target 50 ms; Vidur {VIDUR_S:.0f} s, {VIDUR_S / took_s:,.0f} times as long",
        )


def against_the_twin() -> None:
    trace = part(read_trace("azure-conv"), np.arange(60))
    models = [REPLICA, SLOWER]
    for router in (
        Router.ROUND_ROBIN,
        Router.LEAST_OUTSTANDING,
    ):  # the third draws, and is held to the twin in tests
        began_s = time.thread_time()
        ends, _ = replay_slowly(models, ENGINE, trace, router=router)
        slow_s = time.thread_time() - began_s
        found = replay_requests(models, ENGINE, trace, router=router)
        took_s = processor_s(lambda router=router: replay_requests(models, ENGINE, trace, router=router))  # type: ignore[misc]
        last_s = np.array([end.token_s[-1] for end in ends if end is not None])
        apart_s = float(np.abs(found.finish_s[found.replica >= 0] - last_s).max())
        say(
            f"token-by-token twin, {trace.num_requests} requests, {router}",
            f"{apart_s:.1e} s apart",
            f"target 1 ns; the twin takes {slow_s / took_s:,.0f} times as long",
        )


def service_day(
    service: int, num_requests: float, replicas: int, router: Router
) -> tuple[list[StepModel], Iterator[Trace]]:
    """Replicas of one kind and a generated day for them."""
    curves = day_curves()
    curve = day_curve(curves[service % len(curves)])
    kind = (REPLICA, SLOWER, FASTER)[service % 3]
    chunks = generated_day(
        curve, read_trace("azure-conv"), rate_per_s=num_requests / DAY_S, cv=1.5, seed=SEED + service
    )
    return [kind] * replicas, chunks


def growth(largest: int) -> None:
    """The same load on ten and a hundred times the replicas and requests; what is read once is read before."""
    next(service_day(0, 10**6, 4, Router.ROUND_ROBIN)[1])
    per_request_s = {}
    for num_requests in (10**6, 10**7, 10**8)[: 3 if largest >= 10**8 else 2]:
        replicas, chunks = service_day(0, num_requests, max(num_requests // 240_000, 1), Router.ROUND_ROBIN)
        began_s = time.thread_time()
        sums = replay_stream(replicas, ENGINE, chunks)
        per_request_s[num_requests] = (time.thread_time() - began_s) / sums.arrived
        say(
            f"a generated day of {sums.arrived:,} requests, {len(replicas)} replicas",
            f"{1e-6 / per_request_s[num_requests]:.2f} M requests/s",
            peak_memory(),
        )
    first, *_, last = per_request_s.values()
    say("growth: time per request, largest over least", f"{last / first:.2f}", "target within 10 % of 1")


def fifty_services(num_requests: float, router: Router) -> None:
    def one(service: int) -> StreamSums:
        replicas, chunks = service_day(service, num_requests / 50, 400, router)
        return replay_stream(replicas, ENGINE, chunks, router=router)

    began_s, began_processor_s = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = reduce(add, pool.map(one, range(50)))
    took_s, processors_s = time.perf_counter() - began_s, time.process_time() - began_processor_s
    say(
        f"{found.arrived:,} requests, {found.replicas:,} replicas, 50 services, {router}",
        f"{took_s / 60:.1f} min, {peak_memory()}",
        f"target for 10⁹: 15 min on 2 cores, 2 GiB; {found.arrived / processors_s / 1e6:.2f} M/s a processor",
    )


def processor() -> str:
    """The processor's own name, where Linux tells it."""
    try:
        with open("/proc/cpuinfo") as lines:  # noqa: PTH123
            return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--billion", action="store_true", help="also 10⁸ and 10⁹ requests")
    billion = parser.parse_args().billion
    versions = f"Python {platform.python_version()}, numba {numba.__version__}, numpy {np.__version__}"
    print(f"{processor()}, {os.cpu_count()} CPUs; {versions}; seed {SEED}")
    replay([REPLICA], ENGINE, poisson(1_000, 1.0))  # compile, or load
    compile_time()
    one_replica()
    conversation_on_four()
    against_the_twin()
    a_thousand_replicas()
    growth(10**8 if billion else 10**7)
    for router in Router:
        fifty_services(1e9 if billion and router is Router.ROUND_ROBIN else 1e7, router)


if __name__ == "__main__":
    main()
