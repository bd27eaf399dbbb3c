"""Small runways against brute force and by hand; drawn futures against what theory says of them."""

import itertools
import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Market, MarketOffer, MarketPool, MarketService
from seedcorn.planner import solve
from seedcorn.planner.futures import YEAR_S, Odds, between, drawn, generations_drawn, planned
from seedcorn.planner.runway import NEVER, Future, Outlook, Serving, Training, look_ahead
from seedcorn.workers import InTurn, Processes

MONTH_S = 30 * 86400.0
NO_LOAD = np.zeros(0)


def a_serving(offers: list[list[list[tuple[float, int]]]], price: list[float]) -> Serving:
    """``offers[service][pool]``: (capacity, chips) of each, leanest first."""
    flat = [here for service in offers for here in service]
    return Serving(
        start=np.cumsum([0, *(len(here) for here in flat)]),
        capacity=np.array([capacity for here in flat for capacity, _ in here], dtype=np.float64),
        chips=np.array([chips for here in flat for _, chips in here], dtype=np.float64),
        price=np.array(price),
    )


def a_training(
    flop: list[float], pools: int = 1, *, earliest_s: float = 0.0, by_s: float = math.inf, mixed: float = 0.0
) -> Training:
    """Gangs of 1 to 1,000 chips; a chip of pool p does 1 / (1 + p) FLOP/s."""
    g, chips = len(flop), np.array([1.0, 1000.0])
    speed = np.array([chips / (1 + p) for p in range(pools)])
    return Training(
        flop=np.array(flop),
        earliest_s=np.full(g, earliest_s),
        by_s=np.full(g, by_s),
        sizes=np.full((g, pools), 2),
        chips=np.tile(chips, (g, pools, 1)),
        speed=np.tile(speed, (g, 1, 1)),
        mixed=np.full(g, mixed),
    )


def a_future(stock: list[list[float]], demand: list[list[float]], generations: int = 0) -> Future:
    months, pools, services = len(stock), len(stock[0]), len(demand[0])
    return Future(
        month_s=np.arange(months + 1, dtype=np.float64) * MONTH_S,
        stock=np.array(stock, dtype=np.float64),
        demand=np.array(demand, dtype=np.float64).reshape(months, services),
        opens=np.zeros((services, pools), dtype=np.int64),
        capacity=np.ones((services, pools)),
        speed=np.ones((generations, pools)),
    )


def fewest_chips(load: float, offers: list[tuple[float, int]]) -> float:
    """Of replicas that carry ``load``, by trying every number of each."""
    if load <= 1e-12:
        return 0.0
    ranges = [range(math.ceil(load / capacity - 1e-9) + 1) for capacity, _ in offers]
    return min(
        sum(n * chips for n, (_, chips) in zip(counts, offers, strict=True))
        for counts in itertools.product(*ranges)
        if sum(n * capacity for n, (capacity, _) in zip(counts, offers, strict=True)) >= load - 1e-9
    )


# -- training -----------------------------------------------------------------------------------------


def test_generations_train_one_after_another_on_what_is_left():
    outlook = Outlook(
        serving=a_serving([[[(1.0, 1)]]], [1.0]), training=a_training([60 * MONTH_S, 100 * MONTH_S])
    )
    stock, demand = [[100.0], [80.0], [60.0]], [[40.0], [40.0], [40.0]]

    course = look_ahead(outlook, a_future(stock, demand, 2))

    # 60, 40 and 20 chips are left: the first takes the first month, the second 40 + 20 of its 100
    assert course.finished_s[0] == pytest.approx(MONTH_S)
    assert (course.started_s[1], course.finished_s[1]) == (pytest.approx(MONTH_S), math.inf)
    assert course.done[1] == pytest.approx(60 * MONTH_S)
    assert outlook.generations(course) == pytest.approx(1.6)


def test_a_generation_waits_for_its_first_day_and_counts_what_is_done_when_due():
    training = a_training([40 * MONTH_S], earliest_s=0.5 * MONTH_S, by_s=2.25 * MONTH_S)
    outlook = Outlook(serving=a_serving([], [1.0]), training=training)

    course = look_ahead(outlook, a_future([[10.0], [20.0], [20.0]], [[], [], []], 1))

    # half a month of 10 chips, a month of 20, a quarter of 20: 30 of 40 when due; done at 2 ¾ months
    assert course.started_s[0] == pytest.approx(0.5 * MONTH_S)
    assert course.done[0] == pytest.approx(30 * MONTH_S)
    assert course.finished_s[0] == pytest.approx(2.75 * MONTH_S)
    assert outlook.generations(course) == pytest.approx(0.75)


def test_a_gang_stays_in_the_pool_that_is_fastest_unless_it_may_span_them():
    stock = [[10.0, 30.0]]  # 10 · 1 or 30 · ½ FLOP/s
    for mixed, pool, rate in ((0.0, 1, 15.0), (0.9, 2, 22.5)):
        outlook = Outlook(serving=a_serving([], [1.0, 0.5]), training=a_training([1e12], 2, mixed=mixed))
        course = look_ahead(outlook, a_future(stock, [[]], 1))
        assert course.pool[0] == pool
        assert course.done[0] == pytest.approx(rate * MONTH_S)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_a_runway_without_inference_is_the_sum_of_what_chips_do(seed):
    rng = np.random.default_rng(seed)
    months, generations = int(rng.integers(1, 12)), int(rng.integers(1, 5))
    stock = rng.integers(1, 100, (months, 1)).astype(float)
    flop = [float(f) for f in rng.uniform(10, 200, generations) * MONTH_S]
    outlook = Outlook(serving=a_serving([], [1.0]), training=a_training(flop))

    course = look_ahead(outlook, a_future(stock.tolist(), [[] for _ in range(months)], generations))

    whole = stock.sum() * MONTH_S
    for g in range(generations):
        before = sum(flop[:g])
        assert course.done[g] == pytest.approx(min(max(whole - before, 0.0), flop[g]), rel=1e-9, abs=1.0)


# -- serving ------------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_one_service_and_two_pools_use_no_more_than_brute_force_finds(seed):
    rng = np.random.default_rng(seed)
    offers = [
        [(float(rng.uniform(0.5, 3)) * tp**0.9, tp) for tp in (1, 2, 4) if tp == 1 or rng.random() < 0.6]
        for _ in range(2)
    ]
    lean = [sorted(here, key=lambda o: -o[0] / o[1]) for here in offers]
    price, stock = (
        [1.0, float(rng.uniform(0.05, 0.9))],
        [float(rng.integers(5, 25)), float(rng.integers(0, 15))],
    )
    load = float(rng.uniform(0.5, 6.0))
    outlook = Outlook(serving=a_serving([lean], price), training=a_training([1.0], 2))

    course = look_ahead(outlook, a_future([stock], [[load]], 1))

    splits = [load * part / 200 for part in range(201)]
    costs = [
        (first * price[0] + second * price[1])
        for here in splits
        for first, second in [(fewest_chips(here, lean[0]), fewest_chips(load - here, lean[1]))]
        if first <= stock[0] and second <= stock[1]
    ]
    assert (course.unmet.sum() == 0) == bool(costs)
    if costs:
        # whole replicas cost at most one more in each pool than the cheapest split
        spare = sum(price[p] * max(chips for _, chips in lean[p]) for p in range(2))
        assert min(costs) - 1e-6 <= float(course.used[0] @ price) <= min(costs) + spare


@pytest.mark.parametrize("seed", range(3))
def test_the_placement_of_a_month_is_near_the_proven_best(seed):
    rng = np.random.default_rng(seed)
    pools, services = 4, 24
    offers = [
        [
            sorted(
                [(float(rng.uniform(0.3, 1.5)) * tp**0.95, tp) for tp in (1, 2, 4)[: rng.integers(0, 4)]],
                key=lambda o: -o[0] / o[1],
            )
            for _ in range(pools)
        ]
        for _ in range(services)
    ]
    for service in offers:
        if not any(service):
            service[0] = [(1.0, 1)]
    price = [1.0, *(float(x) for x in rng.uniform(0.02, 0.6, pools - 1))]
    load = rng.lognormal(4.5, 1, services)
    stock = [1e5, *(float(round(x)) for x in rng.uniform(0.1, 0.5, pools - 1) * load.sum())]
    outlook = Outlook(serving=a_serving(offers, price), training=a_training([1.0], pools))

    course = look_ahead(outlook, a_future([stock], [[float(x) for x in load]], 1))

    names = [PoolName(f"p{p}") for p in range(pools)]
    market = Market(
        pools=tuple(
            MarketPool(name=n, chips=int(c), price=x) for n, c, x in zip(names, stock, price, strict=True)
        ),
        services=tuple(
            MarketService(
                name=f"s{s}",
                demand={"all": float(load[s])},
                offers=tuple(
                    MarketOffer(name=f"{names[p]}-{i}", chips={names[p]: chips}, capacity={"all": capacity})
                    for p in range(pools)
                    for i, (capacity, chips) in enumerate(offers[s][p])
                ),
            )
            for s in range(services)
        ),
    )
    best = solve(market, gap=1e-3, time_limit_s=600.0)  # kernels may compile on the clock
    assert best.objective is not None and best.bound is not None
    assert course.unmet.sum() == course.short.sum() == 0
    # no better than what is proven; no more than 1 % dearer than the best known
    assert -best.bound - 1e-6 <= float(course.used[0] @ price) <= -best.objective * 1.01


def test_what_whole_replicas_take_beyond_the_stock_is_short():
    outlook = Outlook(serving=a_serving([[[(10.0, 8)]]], [1.0]), training=a_training([1.0]))

    course = look_ahead(outlook, a_future([[12.0]], [[12.0]], 1))

    assert course.used[0, 0] + course.short[0, 0] >= 8
    assert course.unmet[0, 0] > 0 or course.short[0, 0] > 0


# -- futures ------------------------------------------------------------------------------------------


def some_odds(**changes: object) -> Odds:
    """Twelve months, one pool of 1,000 chips, one service of load 100, one generation; ``changes`` replace fields."""
    given: dict[str, object] = {
        "month_s": np.linspace(0, YEAR_S, 13),
        "chips": np.array([1000.0]),
        "spare": np.zeros(1),
        "retire_month": np.array([NEVER]),
        "mtbf_s": np.array([np.inf]),
        "load": np.array([100.0]),
        "growth": np.ones((1, 3)),
        "delivery_supply": np.zeros(0, dtype=np.int64),
        "delivery_pool": np.zeros(0, dtype=np.int64),
        "delivery_chips": np.zeros(0),
        "delivery_s": np.zeros(0),
        "delivered": np.zeros((0, 3)),
        "delay_s": np.zeros((0, 3)),
        "forms": np.array([-1]),
        "porting_s": np.zeros((1, 1)),
        "step_sigma": np.zeros((1, 1)),
        "speed_sigma": np.zeros((1, 1)),
        "caution": 0.0,
        **changes,
    }
    return Odds(**given)  # type: ignore[arg-type]


ONE_POOL = Outlook(serving=a_serving([[[(1.0, 1)]]], [1.0]), training=a_training([1000 * YEAR_S]))
THREE = np.array([[1.2, 1.6, 2.4]])


def test_a_future_without_odds_is_the_planned_one():
    assert all(
        np.array_equal(a, b) for a, b in zip(drawn(some_odds(), 0, 7), planned(some_odds()), strict=True)
    )


def test_growth_alone_gives_the_quantiles_that_growth_has():
    draws = generations_drawn(ONE_POOL, some_odds(growth=THREE), draws=2000, seed=1)[:, 0]

    def trained(growth: float) -> float:
        load = [100 * math.pow(growth, (month + 0.5) / 12) for month in range(12)]
        return float(sum(1000 - math.ceil(x - 1e-9) for x in load)) / 12 / 1000

    expected = [trained(growth) for growth in (2.4, 1.6, 1.2)]
    spread = expected[2] - expected[0]
    assert np.quantile(draws, [0.1, 0.5, 0.9]) == pytest.approx(expected, abs=0.06 * spread)


def test_failures_alone_thin_the_stock_as_they_should():
    odds = some_odds(mtbf_s=np.array([YEAR_S]), load=np.array([0.0]))
    last = [drawn(odds, 0, index).stock[-1, 0] for index in range(300)]
    lives = math.exp(-11 / 12)

    assert planned(odds).stock[-1, 0] == math.floor(1000 * lives)
    assert np.mean(last) == pytest.approx(1000 * lives, abs=4 * math.sqrt(1000 * lives * (1 - lives) / 300))
    assert np.std(last) == pytest.approx(math.sqrt(1000 * lives * (1 - lives)), rel=0.15)


def test_training_speed_alone_spreads_generations_log_normally():
    odds = some_odds(load=np.array([0.0]), speed_sigma=np.array([[0.2]]))
    outlook = Outlook(serving=ONE_POOL.serving, training=a_training([10_000 * YEAR_S]))
    draws = generations_drawn(outlook, odds, draws=2000, seed=3)[:, 0]

    z = NormalDist().inv_cdf(0.9)
    expected = [0.1 * math.exp(0.2 * q) for q in (-z, 0.0, z)]
    assert np.quantile(draws, [0.1, 0.5, 0.9]) == pytest.approx(expected, rel=0.03)


def test_deliveries_arrive_in_part_and_late_and_open_a_pool_after_porting():
    odds = some_odds(
        chips=np.array([0.0]),
        delivery_supply=np.array([0]),
        delivery_pool=np.array([0]),
        delivery_chips=np.array([200.0]),
        delivery_s=np.array([0.0]),
        delivered=np.array([[0.5, 0.5, 0.5]]),
        delay_s=np.array([[YEAR_S / 8] * 3]),
        forms=np.array([0]),
        porting_s=np.array([[YEAR_S / 4]]),
    )
    for future in (planned(odds), drawn(odds, 0, 0)):
        # an eighth of a year is a month and a half: there from the third month on; ported a quarter later
        assert future.stock[:, 0].tolist() == [0.0, 0.0] + [100.0] * 10
        assert future.opens[0, 0] == 5


def test_retired_chips_are_gone_and_spare_ones_are_kept():
    future = planned(some_odds(retire_month=np.array([3]), spare=np.array([10.0])))
    assert future.stock[:, 0].tolist() == [990.0] * 3 + [0.0] * 9


def test_quantities_have_the_quantiles_they_are_given_by():
    three = np.tile([[0.2, 0.5, 0.6]], (3, 1))
    z = NormalDist().inv_cdf(0.9)
    assert between(three, np.array([-z, 0.0, z])) == pytest.approx([0.2, 0.5, 0.6])


def test_any_number_of_processes_draws_the_same_futures():
    odds = some_odds(growth=THREE, mtbf_s=np.array([10 * YEAR_S]), step_sigma=np.array([[0.2]]))
    alone, together = (
        generations_drawn(ONE_POOL, odds, draws=60, seed=5, workers=workers, starting_s=0.0)
        for workers in (InTurn(), Processes(2))
    )
    assert np.array_equal(alone, together)
    assert not np.array_equal(alone, generations_drawn(ONE_POOL, odds, draws=60, seed=6))
