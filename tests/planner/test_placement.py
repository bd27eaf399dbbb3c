"""The compiled placement against the same linear program in HiGHS."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.planner.build import Build
from seedcorn.planner.highs import solve_program
from seedcorn.planner.placement import Floats, a_basis, place, start

DEAR = 1e4


def a_fleet(seed: int, num_services: int, num_pools: int) -> tuple[Floats, Floats, Floats, Floats]:
    """(cost, need, demand, stock): some services lack some pools, some pools are scarce."""
    rng = np.random.default_rng(seed)
    need = rng.lognormal(0.0, 1.0, (num_services, num_pools)) * rng.lognormal(0.0, 0.5, num_pools)
    need[rng.random(need.shape) < 0.3] = np.inf
    demand = rng.lognormal(1.0, 1.5, num_services)
    price = rng.uniform(0.01, 1.0, num_pools)
    least = np.where(np.isfinite(need), need, np.inf).min(axis=1)
    fair = np.where(np.isfinite(least), least, 1.0) @ demand / num_pools
    stock = np.round(fair * rng.uniform(0.0, 2.5, num_pools))
    unmet = DEAR * np.where(np.isfinite(least), least, 1.0)
    return (
        np.column_stack([need * price, unmet]),
        np.column_stack([need, np.zeros(num_services)]),
        demand,
        stock,
    )


def least_cost(cost: Floats, need: Floats, demand: Floats, stock: Floats) -> float:
    """By HiGHS."""
    build = Build()
    service, pool = np.nonzero(np.isfinite(cost))
    loads = build.add_cols(cost[service, pool], np.full(len(service), np.inf), integer=False)
    build.put(build.add_rows(demand, demand)[service], loads, np.ones(len(service)))
    chips = build.add_rows(np.full(len(stock), -np.inf), stock)
    real = pool < len(stock)
    build.put(chips[pool[real]], loads[real], need[service[real], pool[real]])
    solution = solve_program(build.program(), gap=0.0, time_limit_s=10.0, seed=0)
    return float(solution.value)


def placed(cost: Floats, need: Floats, demand: Floats, stock: Floats) -> Floats:
    basis, load = a_basis(len(demand), len(stock)), np.zeros(cost.shape)
    start(basis, cost)
    assert place(cost, need, demand, stock, basis, load)
    return load


def value(cost: Floats, load: Floats) -> float:
    return float((np.where(np.isfinite(cost), cost, 0.0) * load).sum())


def check_feasible(cost: Floats, need: Floats, demand: Floats, stock: Floats, load: Floats) -> None:
    assert (load >= 0).all() and not load[~np.isfinite(cost)].any()
    np.testing.assert_allclose(load.sum(axis=1), demand, rtol=1e-9)
    used = np.where(np.isfinite(need), need, 0.0)[:, :-1] * load[:, :-1]
    assert (used.sum(axis=0) <= stock + 1e-5).all()


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 40), st.integers(1, 8))
def test_a_placement_is_the_cheapest_there_is(seed, num_services, num_pools):
    fleet = a_fleet(seed, num_services, num_pools)

    load = placed(*fleet)

    check_feasible(*fleet, load)
    assert value(fleet[0], load) == pytest.approx(least_cost(*fleet), rel=1e-6, abs=1e-6)


def test_going_on_from_last_months_basis_is_as_good_as_starting_anew():
    cost, need, demand, stock = a_fleet(7, 60, 8)
    rng = np.random.default_rng(1)
    basis, load = a_basis(60, 8), np.zeros(cost.shape)
    start(basis, cost)

    for month in range(60):
        demand = demand * rng.lognormal(0.03, 0.1, len(demand))
        stock = np.round(stock * rng.uniform(0.95, 1.03, len(stock)) + (100.0 if month == 30 else 0.0))
        assert place(cost, need, demand, stock, basis, load)
        check_feasible(cost, need, demand, stock, load)
        assert value(cost, load) == pytest.approx(value(cost, placed(cost, need, demand, stock)), rel=1e-7)


def test_what_cannot_be_carried_is_unmet_and_the_rest_is():
    cost = np.array([[1.0, 2.0, DEAR], [np.inf, 1.0, DEAR]])
    need = np.array([[1.0, 2.0, 0.0], [np.inf, 1.0, 0.0]])

    load = placed(cost, need, np.array([10.0, 3.0]), np.array([4.0, 5.0]))

    np.testing.assert_allclose(load.sum(axis=1), [10.0, 3.0])
    assert load[:, 2].sum() == pytest.approx(10.0 + 3.0 - 4.0 - 4.0)  # 3 of b's chips carry b, 2 carry 1 of a
