"""How fast a runway is looked ahead: one future, and a thousand drawn ones.

Run: ``python benchmarks/runway.py``. 60 months, 10 pools, 5 generations and 100 services of lognormal size, each
with one to three kinds of replica on some of the pools, some of which run full; capacities are given, as the
replay would find them once for any number of months.
"""

import os
import platform
import sys
import time
from importlib.metadata import version

import numpy as np

from seedcorn.planner.futures import YEAR_S, Odds, generations_drawn, planned
from seedcorn.planner.runway import NEVER, Outlook, Serving, Training, look_ahead
from seedcorn.workers import Processes

MONTHS, POOLS, GENERATIONS, SERVICES, DRAWS = 60, 10, 5, 100, 1000
SEED = 0


def an_outlook(rng: np.random.Generator) -> tuple[Outlook, Odds]:
    """Inference that doubles every two years or so, and fills the lesser pools on the way."""
    speed = np.append(1.0, rng.uniform(0.05, 0.6, POOLS - 1))
    load = rng.lognormal(3.0, 1.0, SERVICES)
    starts, capacity, chips, need = [0], [], [], np.zeros(POOLS)
    for s in range(SERVICES):
        for p in range(POOLS):
            kinds = [
                (tp**0.9 * speed[p] * rng.uniform(0.8, 1.2), tp) for tp in (1, 2, 4)[: rng.integers(0, 4)]
            ]
            kinds = kinds or ([(speed[p], 1)] if p == 0 else [])
            for carried, size in sorted(kinds, key=lambda kind: -kind[0] / kind[1]):
                capacity.append(carried)
                chips.append(float(size))
            starts.append(len(capacity))
            if kinds:
                need[p] += load[s] / max(carried / size for carried, size in kinds) / POOLS
    stock = np.round(need * rng.uniform(0.8, 2.5, POOLS))
    stock[0] = np.round(2 * load.sum())
    month_s = np.linspace(0.0, MONTHS * YEAR_S / 12, MONTHS + 1)
    sizes = np.geomspace(8.0, 2 * stock[0], 40)
    training = Training(
        flop=stock[0] * 4e14 * YEAR_S * np.geomspace(0.2, 1.6, GENERATIONS),
        earliest_s=np.zeros(GENERATIONS),
        by_s=np.full(GENERATIONS, month_s[-1]),
        sizes=np.full((GENERATIONS, POOLS), 40),
        chips=np.tile(sizes, (GENERATIONS, POOLS, 1)),
        speed=np.tile(sizes * speed[:, np.newaxis] * 4e14, (GENERATIONS, 1, 1)),
        mixed=np.zeros(GENERATIONS),
    )
    outlook = Outlook(
        serving=Serving(np.array(starts), np.array(capacity), np.array(chips), speed), training=training
    )
    odds = Odds(
        month_s=month_s,
        chips=stock,
        spare=np.zeros(POOLS),
        retire_month=np.where(np.arange(POOLS) == POOLS - 1, 36, NEVER),
        mtbf_s=np.full(POOLS, 10 * YEAR_S),
        load=load,
        growth=np.tile([1.2, 1.4, 1.8], (SERVICES, 1)),
        delivery_supply=np.array([0, 0, 1]),
        delivery_pool=np.array([1, 1, 2]),
        delivery_chips=np.full(3, 500.0),
        delivery_s=np.array([0.5, 1.0, 1.5]) * YEAR_S,
        delivered=np.tile([0.3, 0.6, 0.9], (2, 1)),
        delay_s=np.tile([0.0, 0.1 * YEAR_S, 0.3 * YEAR_S], (2, 1)),
        forms=np.full(POOLS, -1),
        porting_s=np.zeros((SERVICES, POOLS)),
        step_sigma=np.full((SERVICES, POOLS), 0.15),
        speed_sigma=np.full((GENERATIONS, POOLS), 0.1),
        caution=1.28,
    )
    return outlook, odds


def main() -> None:
    """Print both figures, and what was found, so that runs can be compared."""
    outlook, odds = an_outlook(np.random.default_rng(SEED))
    began_s = time.perf_counter()
    look_ahead(outlook, planned(odds))
    print(
        f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, "
        f"numpy {version('numpy')}, numba {version('numba')}, seed {SEED}"
    )
    print(
        f"first call, compilation included where kernels are not on disk: {time.perf_counter() - began_s:.2f} s"
    )
    began_s = time.perf_counter()
    course = look_ahead(outlook, planned(odds))
    seconds = time.perf_counter() - began_s
    print(
        f"{MONTHS} months x {POOLS} pools x {GENERATIONS} generations x {SERVICES} services, one future: "
        f"{seconds:.3f} s (to reach: 5 s); {outlook.generations(course):.3f} generations"
    )
    processes = int(sys.argv[1]) if len(sys.argv) > 1 else 2
    began_s = time.perf_counter()
    drawn = generations_drawn(outlook, odds, draws=DRAWS, seed=SEED, workers=Processes(processes))
    seconds = time.perf_counter() - began_s
    p10, p50, p90 = np.quantile(drawn[:, 0], [0.1, 0.5, 0.9])
    print(
        f"{DRAWS:,} futures in {processes} processes: {seconds:.1f} s (to reach: 60 s); "
        f"P10 {p10:.3f}, P50 {p50:.3f}, P90 {p90:.3f} generations"
    )


if __name__ == "__main__":
    main()
