"""How fast the market clears, rung by rung, beside one program in HiGHS at equal time.

Run: ``python benchmarks/market_ladder.py [RUNG …]``; without rungs, all of them. Building the problem is
part of the time. The program of each rung is the textbook one: integer replicas, shares of classes,
binary job options, one thread, stopped after the seconds that the market took (at least one).
"""

import math
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    JobOption,
    Market,
    MarketJob,
    MarketOffer,
    MarketPool,
    MarketResale,
    MarketService,
    Objective,
    ResaleKind,
)
from seedcorn.planner import solve
from seedcorn.planner.build import Build
from seedcorn.planner.day import day_of
from seedcorn.planner.highs import Solution, solve_program
from seedcorn.planner.problem import problem_of

TENSOR_PARALLEL = (1, 2, 4, 8)


def fleet_market(
    num_services: int, num_pools: int, num_classes: int, num_offers: int, *, num_jobs: int, seed: int
) -> Market:
    """Services of lognormal size, each with offers on some of the pools; jobs want the first pool.

    Pools hold between 0.7 and 1.8 times what an even spread over offers would use: some are scarce.
    """
    rng = np.random.default_rng(seed)
    speed = np.append(2.0, rng.uniform(0.3, 1.5, num_pools - 1))
    price = np.append(1.0, (speed[1:] * rng.uniform(0.3, 0.7, num_pools - 1)).round(3))
    names = [PoolName(f"pool{p}") for p in range(num_pools)]
    services, need = [], np.zeros(num_pools)
    for s in range(num_services):
        service, chips = _service(f"service{s}", names, speed, num_classes, num_offers, rng)
        services.append(service)
        need += chips
    stock = np.maximum(need * rng.uniform(0.7, 1.8, num_pools), 8 * math.sqrt(num_services)).astype(int)
    pools = (
        MarketPool(name=name, chips=int(n), price=float(c))
        for name, n, c in zip(names, stock, price, strict=True)
    )
    jobs = (_job(f"job{j}", names[0], int(stock[0]), rng) for j in range(num_jobs))
    return Market(pools=tuple(pools), services=tuple(services), jobs=tuple(jobs))


def _service(
    name: str,
    pools: list[PoolName],
    speed: NDArray[np.float64],
    num_classes: int,
    num_offers: int,
    rng: np.random.Generator,
) -> tuple[MarketService, NDArray[np.float64]]:
    """A service, and the chips it uses by pool when spread evenly over its offers."""
    demand = 2 * rng.lognormal(3, 1) * rng.dirichlet(np.full(num_classes, 2.0))
    suits = rng.lognormal(0, 0.3, len(pools))
    kinds = rng.choice(len(pools) * len(TENSOR_PARALLEL), num_offers, replace=False)
    chips, offers = np.zeros(len(pools)), []
    for kind in sorted(int(k) for k in kinds):
        p, tp = kind // len(TENSOR_PARALLEL), TENSOR_PARALLEL[kind % len(TENSOR_PARALLEL)]
        scaling = tp ** rng.uniform(0.85, 1.05)
        rates = speed[p] * suits[p] * scaling * rng.lognormal(0, 0.2, num_classes)
        capacity = {f"class{r}": float(rate) for r, rate in enumerate(rates)}
        offers.append(MarketOffer(name=f"{pools[p]}-tp{tp}", chips={pools[p]: tp}, capacity=capacity))
        chips[p] += tp * math.ceil((demand / rates).sum()) / num_offers
    load = {f"class{r}": float(d) for r, d in enumerate(demand)}
    return MarketService(name=name, demand=load, offers=tuple(offers)), chips


def _job(name: str, pool: PoolName, stock: int, rng: np.random.Generator) -> MarketJob:
    sizes = [max(1, stock * tenths // 10) for tenths in (1, 2, 4)]
    options = tuple(JobOption(chips={pool: n}, progress=0.95 * n) for n in sizes)
    return MarketJob(name=name, options=options, weight=float(rng.uniform(1.2, 2.0)))


def tidal_market(num_services: int, num_pools: int, num_slots: int, *, seed: int) -> Market:
    """``fleet_market`` over a day: each service swings between a third of its load and all of it, most of
    them together. One job breathes, two are gangs, and both kinds of resale take what is left."""
    market = fleet_market(num_services, num_pools, 1, 10, num_jobs=3, seed=seed)
    rng = np.random.default_rng(seed)
    hours = np.arange(num_slots) * 24 / num_slots
    services = []
    for service in market.services:
        swing = np.cos((hours - rng.normal(15, 3)) * math.pi / 12) / 3 + 2 / 3
        tidal = {name: tuple((load * swing).tolist()) for name, load in service.demand.items()}
        services.append(replace(service, demand={}, tidal=tidal))
    breathing, *gangs = market.jobs
    spot, reserved = market.pools[1], market.pools[2]
    return replace(
        market,
        services=tuple(services),
        jobs=(replace(breathing, elastic=True), *gangs),
        resale=(
            MarketResale(
                name="spot",
                pool=spot.name,
                chips=spot.chips // 2,
                value=1.2 * spot.price,
                kind=ResaleKind.SPOT,
            ),
            MarketResale(
                name="reserved", pool=reserved.name, chips=reserved.chips // 4, value=1.5 * reserved.price
            ),
        ),
        slots=num_slots,
    )


def melange_market(num_kinds: int, buckets: int, *, seed: int) -> Market:
    """One service whose requests fall into ``buckets``² size classes, on plentiful chips of many kinds.

    The shape of Mélange's problem (arXiv 2404.14527): capacity falls with input and output length, and
    small chips cannot take the longest requests.
    """
    rng = np.random.default_rng(seed)
    memory = np.sort(rng.uniform(0.3, 3.0, num_kinds))
    price = memory**1.1 * rng.uniform(0.7, 1.3, num_kinds)
    steps = np.linspace(0.1, 1.0, buckets)
    size = (0.3 * steps[:, None] + steps[None, :]).ravel()
    demand = 400 * rng.dirichlet(np.full(size.size, 0.5))
    offers = []
    for k in range(num_kinds):
        rates = 5 * memory[k] / size ** rng.uniform(0.6, 1.6) * rng.lognormal(0, 0.1, size.size)
        able = [r for r in range(size.size) if memory[k] >= 1 or size[r] <= 1]
        capacity = {f"class{r}": float(rates[r]) for r in able}
        offers.append(MarketOffer(name=f"kind{k}", chips={PoolName(f"kind{k}"): 1}, capacity=capacity))
    service = MarketService(
        name="model", demand={f"class{r}": float(d) for r, d in enumerate(demand)}, offers=tuple(offers)
    )
    pools = (
        MarketPool(name=PoolName(f"kind{k}"), chips=100_000, price=float(c)) for k, c in enumerate(price)
    )
    return Market(pools=tuple(pools), services=(service,))


def gavel_market(num_jobs: int, *, seed: int) -> Market:
    """Jobs of 1 to 8 chips on three kinds of chip, max-min fair: the shape of Gavel's problem (OSDI 2020).

    Progress is throughput; a job's weight is its own times its mean throughput per chip.
    """
    rng = np.random.default_rng(seed)
    kinds = (("v100", num_jobs // 16), ("p100", num_jobs // 12), ("k80", num_jobs // 8))
    pools = tuple(MarketPool(name=PoolName(name), chips=chips) for name, chips in kinds)
    jobs = []
    for j in range(num_jobs):
        chips = int(rng.choice([1, 2, 4, 8], p=[0.7, 0.1, 0.15, 0.05]))  # as in the Philly trace, roughly
        pace = rng.lognormal(0, 1.5) * chips * np.array([rng.uniform(2, 10), rng.uniform(1, 4), 1.0])
        options = tuple(
            JobOption(chips={pool.name: chips}, progress=float(g))
            for pool, g in zip(pools, pace, strict=True)
        )
        weight = float(pace.mean() / chips * rng.choice([1, 2]))
        jobs.append(MarketJob(name=f"job{j}", options=options, weight=weight))
    return Market(pools=pools, jobs=tuple(jobs), objective=Objective.MAX_MIN)


@dataclass(frozen=True, slots=True)
class Rung:
    """One market, the gap to reach, and the seconds to reach it in (0: none set)."""

    make: Callable[[], Market]
    gap: float
    reach_s: float


def _fleet(
    num_services: int, num_pools: int, num_classes: int, num_offers: int, num_jobs: int
) -> Callable[[], Market]:
    return lambda: fleet_market(num_services, num_pools, num_classes, num_offers, num_jobs=num_jobs, seed=1)


LADDER = {
    "10x8": Rung(_fleet(10, 8, 1, 10, 3), 0.001, 0),
    "100x8": Rung(_fleet(100, 8, 1, 10, 3), 0.001, 0),
    "1000x8": Rung(_fleet(1000, 8, 1, 10, 3), 0.001, 0),
    "1000x10x4": Rung(_fleet(1000, 10, 4, 10, 3), 0.001, 5),
    "1728x21": Rung(_fleet(1728, 21, 1, 21, 0), 0.001, 4),
    "10000x8": Rung(_fleet(10_000, 8, 1, 10, 3), 0.005, 90),
    "200x8x24": Rung(lambda: tidal_market(200, 8, 24, seed=1), 0.005, 60),
    "melange": Rung(lambda: melange_market(13, 20, seed=1), 0.001, 2),
    "gavel": Rung(lambda: gavel_market(2048, seed=1), 1e-6, 1),
}


def monolithic(market: Market, *, gap: float, time_limit_s: float) -> Solution:
    """``market`` as one program, a day spelled out slot by slot."""
    if market.objective is Objective.MAX_MIN:
        return _fair_program(market, time_limit_s=time_limit_s)
    day = day_of(market)
    problem = problem_of(day.plain, day.constant, day.ties)
    build = Build()
    pools = build.add_rows(np.full(len(problem.stock), -np.inf), problem.stock)
    options = build.add_cols(-problem.option_value, np.ones(len(problem.option_value)), integer=True)
    jobs = build.add_rows(problem.required.astype(np.float64), np.ones(problem.num_jobs))
    build.put(jobs[problem.job_of_option], options, np.ones(len(options)))
    build.put_table(pools, options, problem.option_chips)
    for s in range(problem.num_services):
        counts, _ = build.add_service(problem, s, problem.offer_cost)
        build.put_table(pools, counts, problem.offer_chips[problem.offers(s)])
    return solve_program(build.program(-problem.constant), gap=gap, time_limit_s=time_limit_s, seed=0)


def _fair_program(market: Market, *, time_limit_s: float) -> Solution:
    """Max-min fairness as it stands in the textbook: one linear program, with HiGHS as it comes."""
    problem = problem_of(market)
    num_jobs, options = problem.num_jobs, np.arange(1, 1 + len(problem.option_value))
    pace = np.array([option.progress / job.weight for job in market.jobs for option in job.options])
    build = Build()
    build.add_cols(np.full(1, -1.0), np.full(1, np.inf), integer=False)
    build.add_cols(np.zeros(len(options)), np.full(len(options), np.inf), integer=False)
    gained = build.add_rows(np.zeros(num_jobs), np.full(num_jobs, np.inf))
    busy = build.add_rows(np.full(num_jobs, -np.inf), np.ones(num_jobs))
    pools = build.add_rows(np.full(len(problem.stock), -np.inf), problem.stock)
    build.put(gained, np.zeros(num_jobs, dtype=np.int64), np.full(num_jobs, -1.0))
    build.put(gained[problem.job_of_option], options, pace)
    build.put(busy[problem.job_of_option], options, np.ones(len(options)))
    build.put_table(pools, options, problem.option_chips)
    return solve_program(build.program(), gap=0.0, time_limit_s=time_limit_s, seed=0)


def climb(name: str, rung: Rung) -> None:
    """Print one rung."""
    market = rung.make()
    chips = sum(pool.chips for pool in market.pools)
    began, began_cpu = time.perf_counter(), time.process_time()
    answer = solve(market, gap=rung.gap)
    took_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
    whole = monolithic(market, gap=rung.gap, time_limit_s=max(took_s, 1.0))
    program_gap = (whole.value - whole.bound) / max(abs(whole.value), abs(whole.bound), 1e-12)
    reach = f"reach {rung.reach_s:g} s" if rung.reach_s else ""
    print(
        f"{name:10}  {_size(market):16} {chips:9,} chips  {answer.status:8}  "
        f"objective {answer.objective:14,.6g}  bound {answer.bound:14,.6g}  gap {answer.gap:8.3%}  "
        f"{took_s:6.2f} s (processor {cpu_s:.2f} s)  {reach:10}  one program: gap "
        + (f"{program_gap:.3%}" if whole.x is not None else "none found"),
        flush=True,
    )


def _size(market: Market) -> str:
    if not market.services:
        return f"{len(market.jobs):6,} jobs"
    return f"{len(market.services):6,} services"


def main(names: list[str]) -> None:
    """Climb the rungs named, or all."""
    print(
        f"{platform.machine()}, Python {platform.python_version()}, highspy {version('highspy')}, "
        f"numba {version('numba')}, seed 1"
    )
    began = time.perf_counter()
    solve(fleet_market(4, 2, 1, 3, num_jobs=1, seed=0))
    solve(fleet_market(4, 2, 2, 3, num_jobs=1, seed=0))
    print(f"compiled kernels loaded (or compiled, once per install) in {time.perf_counter() - began:.1f} s")
    for name in names or LADDER:
        climb(name, LADDER[name])
    peak_gib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"peak memory {peak_gib:.2f} GiB, both solvers")


if __name__ == "__main__":
    main(sys.argv[1:])
