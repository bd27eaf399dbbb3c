"""What can be sold: chips add up in every hour, replicas never carry more than was proved, quotes are the nearest."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.catalog import find_model
from seedcorn.domain.hardware import ChipName, Dtype, PoolName
from seedcorn.domain.market import ResaleKind
from seedcorn.domain.offer import Candidate, Evidence, Offer, Parallelism
from seedcorn.domain.plan import Deployment, PoolPlan
from seedcorn.domain.sale import HOURS, PoolHour, PoolSale, Product, Sale
from seedcorn.domain.scenario import Planning, Scenario
from seedcorn.domain.workload import (
    DayCurve,
    EngineSettings,
    Metric,
    Objective,
    Service,
    Slo,
    Statistic,
    Trace,
)
from seedcorn.study import plan_scenario, quote, resolve, sale_of
from seedcorn.study.forecast import Forecast, day_forecast
from seedcorn.study.selling import Breath, pool_sale
from seedcorn.wire import read_scenario
from tests.study.scenarios import CHAT, a_scenario_file

POOL = PoolName("h20")
OBJECTIVE = Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=1.0)


def quiet(what, done, total):
    pass


def a_deployment(replicas, tp=1):
    candidate = Candidate(
        service="chat",
        pool=POOL,
        dtype=Dtype.BF16,
        parallelism=Parallelism(tp=tp),
        engine=EngineSettings(),
    )
    offer = Offer(
        candidate=candidate,
        capacity_req_per_s=1.0,
        predicted=(),
        binds=OBJECTIVE,
        evidence=Evidence.CALIBRATED,
        kv_tokens=1,
    )
    return Deployment(offer=offer, replicas=replicas, share=1.0)


def a_forecast(middle, high):
    return Forecast(middle=np.array(middle), high=np.array(high), basis="")


demands = st.lists(st.floats(0.01, 5.0), min_size=24, max_size=24)
breaths = st.builds(
    lambda middle, more, deployments: Breath(
        deployments=tuple(a_deployment(replicas, tp) for replicas, tp in deployments),
        forecast=a_forecast(middle, np.add(middle, more)),
    ),
    demands,
    demands,
    st.lists(st.tuples(st.integers(1, 50), st.sampled_from([1, 2, 4])), min_size=1, max_size=3),
)
products = st.builds(
    Product,
    name=st.uuids().map(str),
    pool=st.just(POOL),
    max_chips=st.integers(1, 200),
    price=st.tuples(st.floats(0.1, 10.0), st.sampled_from(["CNY", "USD"])),
    kind=st.sampled_from(ResaleKind),
)


@given(
    services=st.lists(breaths, max_size=3),
    products=st.lists(products, max_size=4),
    training=st.integers(0, 100),
    spare=st.integers(0, 10),
    free=st.integers(0, 100),
)
def test_chips_add_up_to_those_owned_in_every_hour(services, products, training, spare, free):
    used = sum(d.chips for breath in services for d in breath.deployments)
    owned = used + training + spare + free
    plan = PoolPlan(
        pool=POOL,
        chip=ChipName("x"),
        chips=owned,
        spare=spare,
        used_by_services=used,
        used_by_jobs=training,
        price=0.1,
        shadow_price=0.2,
    )
    scenario = Scenario(
        name="", pools=(), products=tuple(products), planning=Planning(reference_price=(10.0, "CNY"))
    )

    sale = pool_sale(plan, {str(i): breath for i, breath in enumerate(services)}, scenario)

    assert len(sale.hours) == 24
    for hour in sale.hours:
        parts = (hour.spare, hour.services, hour.training, hour.reserved, hour.spot, hour.idle)
        assert sum(parts) == owned
        assert min(parts) >= 0
        assert hour.spot_p50 >= hour.spot
        assert hour.reserved == sale.reserved
    assert sum(sold.chip_hours for sold in sale.products) <= 24 * sale.reserved + sale.spot_chip_hours
    if products:
        assert sum(sold.chip_hours for sold in sale.products) == 24 * sale.reserved + sale.spot_chip_hours
    below = [s for s in sale.products if s.product.price[1] == "CNY" and s.product.price[0] < 1.0]
    assert all(sold.chip_hours == 0 and not sold.pays for sold in below)


@given(breath=breaths, hour=st.integers(0, 23))
def test_no_replica_carries_more_than_in_the_busiest_hour(breath, hour):
    demand, peak = float(breath.forecast.high[hour]), float(breath.forecast.high.max())

    for then, now in zip(breath.deployments, breath.at(demand), strict=True):
        assert demand / now.replicas <= peak / then.replicas * (1 + 1e-6)
        assert now.replicas <= then.replicas


# -- forecasts ----------------------------------------------------------------------------------------


def a_service(trace_days=0.01, day=None):
    arrival_s = np.arange(0.0, trace_days * 86_400, 60.0)
    tokens = np.ones(len(arrival_s), dtype=np.int32)
    trace = Trace(name="mine", arrival_s=arrival_s, input_tokens=tokens, output_tokens=tokens)
    return Service(
        name="chat",
        model=find_model("Qwen/Qwen2.5-7B-Instruct").model,
        trace=trace,
        rate_per_s=1.0,
        slo=Slo(objectives=(OBJECTIVE,)),
        day=day,
    )


def test_quantiles_are_over_days_of_the_busiest_window_of_the_hour():
    days = np.ones((5, 48))
    days[:, 2] = [2, 4, 6, 8, 10]  # 01:00 to 01:30
    days[0, 47] = np.nan
    curve = DayCurve(name="c", rate_per_s=np.nanmean(days, axis=0), days_per_s=days)

    forecast = day_forecast(a_service(day=curve))

    mean = (47 + 6) / 48
    assert forecast.middle[1] * mean == pytest.approx(6.0)
    assert forecast.high[1] * mean == pytest.approx(9.2)  # linear between the order statistics 8 and 10
    assert np.delete(forecast.high, 1) * mean == pytest.approx(1.0)
    assert "5 days" in forecast.basis


def test_windows_longer_than_an_hour_hold_for_each_of_their_hours():
    forecast = day_forecast(a_service(day=DayCurve(name="c", rate_per_s=np.array([1.0, 3.0]))))

    assert forecast.high.tolist() == [0.5] * 12 + [1.5] * 12
    assert "one day only" in forecast.basis


def test_a_trace_of_whole_days_is_its_own_curve():
    service = a_service(trace_days=2.5)
    doubled = service.trace.arrival_s % 86_400 < 3_600  # twice the requests in the first hour of each day
    trace = Trace(
        name="mine",
        arrival_s=np.sort(np.append(service.trace.arrival_s, service.trace.arrival_s[doubled])),
        input_tokens=np.ones(len(doubled) + doubled.sum(), dtype=np.int32),
        output_tokens=np.ones(len(doubled) + doubled.sum(), dtype=np.int32),
    )

    forecast = day_forecast(replace(service, trace=trace))

    assert forecast.is_in_trace
    assert forecast.high == pytest.approx(np.append(48 / 25, [24 / 25] * 23))


def test_without_a_curve_every_hour_is_alike():
    forecast = day_forecast(a_service())

    assert forecast.middle.tolist() == forecast.high.tolist() == [1.0] * 24
    assert "no traffic.day" in forecast.basis


# -- quotes -------------------------------------------------------------------------------------------


def a_sale(**pools):
    """Pools by name: free chips in each of 24 hours, all of them spot, of which none is more likely."""
    return Sale(
        name="s",
        reference_pool=POOL,
        reference_price=None,
        slos_held=True,
        forecasts={},
        pools=tuple(
            PoolSale(
                pool=PoolName(name),
                chip=ChipName("x"),
                owned=100,
                reserved_floor=0.5,
                spot_floor=0.1 * (1 + i),
                hours=tuple(
                    PoolHour(
                        hour=hour,
                        spare=0,
                        services=100 - free[hour],
                        training=0,
                        reserved=0,
                        spot=free[hour],
                        idle=0,
                        spot_p50=free[hour],
                    )
                    for hour in HOURS
                ),
            )
            for i, (name, free) in enumerate(pools.items())
        ),
    )


@given(
    free=st.lists(st.integers(0, 20), min_size=24, max_size=24),
    chips=st.integers(1, 20),
    start=st.integers(0, 23),
    length=st.integers(1, 24),
)
def test_a_quote_is_the_least_of_its_hours_and_names_the_nearest_others(free, chips, start, length):
    hours = [(start + i) % 24 for i in range(length)]

    answer = quote(a_sale(h20=free), pool="h20", chips=chips, hours=hours)

    assert answer.is_yes == all(free[hour] >= chips for hour in hours)
    assert answer.free == min(free[hour] for hour in hours)
    moves = [m for m in range(-11, 13) if all(free[(hour + m) % 24] >= chips for hour in hours)]
    if answer.other_hours is None:
        assert not moves
    else:
        moved = (answer.other_hours[0] - start) % 24
        assert min(moved, 24 - moved) == min(map(abs, moves))
        assert all(free[hour] >= chips for hour in answer.other_hours)


def test_another_pool_of_the_nearest_worth_is_named_first():
    sale = a_sale(far=[9] * 24, asked=[1] * 24, near=[9] * 24, none=[2] * 24, farther=[9] * 24)
    near = replace(sale.pools[2], spot_floor=sale.pools[1].spot_floor)
    sale = replace(sale, pools=(*sale.pools[:2], near, *sale.pools[3:]))

    answer = quote(sale, pool="asked", chips=5, hours=[3])

    assert not answer.is_yes
    assert answer.other_pools == ("near", "far", "farther")


def test_a_whole_day_is_priced_as_reserved():
    sale = a_sale(h20=[9] * 24)

    assert quote(sale, pool="h20", chips=2, hours=HOURS, days=10).floor == pytest.approx(2 * 24 * 10 * 0.5)
    assert quote(sale, pool="h20", chips=2, hours=[3]).floor == pytest.approx(2 * 0.1)


# -- end to end ---------------------------------------------------------------------------------------


def a_scenario(folder, **traffic):
    service = {**CHAT, "traffic": {"trace": "azure-conv", "rate_per_s": 40, **traffic}}
    return resolve(read_scenario(a_scenario_file(folder, services=[service], planning={"classes": 1})))


def test_a_fleet_whose_hours_are_alike_sells_what_its_plan_leaves_free(tmp_path):
    scenario = a_scenario(tmp_path)
    plan = plan_scenario(scenario, quiet)

    sale = sale_of(scenario, quiet)

    assert [pool.reserved for pool in sale.pools] == [pool.free for pool in plan.pools]
    assert [pool.spot_chip_hours for pool in sale.pools] == [0, 0, 0]
    assert [pool.spot_floor for pool in sale.pools] == [pool.price for pool in plan.pools]


def test_a_quiet_half_of_the_day_is_sold_as_spot(tmp_path):
    (tmp_path / "day.csv").write_text("start_s,rate_per_s\n0,1\n43200,3\n")

    sale = sale_of(a_scenario(tmp_path, day="day.csv"), quiet)

    busy = {pool.pool: pool.hours[23].services for pool in sale.pools}
    assert sale.slos_held and sum(busy.values()) > 3
    for pool in sale.pools:
        night = [hour.services for hour in pool.hours[:12]]
        assert len(set(night)) == 1 and math.ceil(busy[pool.pool] / 3) <= night[0] <= busy[pool.pool]
        assert pool.spot_chip_hours == 12 * (busy[pool.pool] - night[0])
    assert any(pool.spot_chip_hours for pool in sale.pools)
