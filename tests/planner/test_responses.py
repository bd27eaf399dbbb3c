"""The compiled best responses against programs that HiGHS solves, and against enumeration."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.planner.build import Build
from seedcorn.planner.highs import solve_program
from seedcorn.planner.responses import NODE_LIMIT, cover, level_shares, split


@given(data=st.data())
@settings(max_examples=100, deadline=None)
def test_cover_is_the_best_of_all_replica_counts(data):
    size = data.draw(st.integers(1, 3))
    price = np.array(data.draw(st.lists(st.integers(0, 9), min_size=size, max_size=size)), dtype=float)
    load = np.array(data.draw(st.lists(st.sampled_from([0.4, 1.0, 2.5, 3.0]), min_size=size, max_size=size)))
    most = np.array(data.draw(st.lists(st.integers(0, 3), min_size=size, max_size=size)), dtype=float)
    replicas = np.zeros(size)

    value, bound = cover(price, load, most, 0.0, NODE_LIMIT, replicas)

    counts = itertools.product(*(range(int(m) + 1) for m in most))
    best = min((float(price @ n) for n in counts if (np.array(n) / load).sum() >= 1 - 1e-9), default=math.inf)
    assert value == pytest.approx(best)
    assert bound == pytest.approx(best)
    assert math.isinf(best) or (replicas / load).sum() >= 1 - 1e-9


@pytest.mark.parametrize("seed", range(25))
def test_split_finds_what_highs_finds(seed):
    price, load, most = a_random_service(seed)
    replicas = np.zeros(len(price))

    value, bound = split(price, load, most, 0.0, NODE_LIMIT, replicas)

    build = Build()
    build.add_part(price, load, most)
    best = solve_program(build.program(), gap=0.0, time_limit_s=20, seed=0).value
    assert value == pytest.approx(best, rel=1e-7)
    assert bound == pytest.approx(best, rel=1e-7)


@pytest.mark.parametrize("seed", range(10))
def test_a_tolerance_keeps_the_bound_valid_and_near(seed):
    price, load, most = a_random_service(seed)
    exact, hasty = np.zeros(len(price)), np.zeros(len(price))

    best, _ = split(price, load, most, 0.0, NODE_LIMIT, exact)
    value, bound = split(price, load, most, 0.05, NODE_LIMIT, hasty)

    assert bound <= best * (1 + 1e-9) and best <= value * (1 + 1e-9)
    assert bound >= value * 0.95 - 1e-9


def test_the_node_limit_leaves_a_valid_bound():
    price, load, most = a_random_service(3)
    exact, hasty = np.zeros(len(price)), np.zeros(len(price))

    best, _ = split(price, load, most, 0.0, NODE_LIMIT, exact)
    value, bound = split(price, load, most, 0.0, 2, hasty)

    assert bound <= best <= value


@pytest.mark.parametrize("seed", range(10))
def test_level_shares_carry_everything_with_the_least_highest_load(seed):
    price, load, most = a_random_service(seed)
    replicas = np.zeros(len(price))
    split(price, load, most, 0.0, NODE_LIMIT, replicas)
    used = replicas > 0
    share = np.zeros(load[used].shape)

    highest = level_shares(np.ascontiguousarray(load[used]), replicas[used], share)

    loads = np.where(share > 0, share * np.where(np.isfinite(load[used]), load[used], 0.0), 0.0).sum(axis=1)
    assert share.sum(axis=0) == pytest.approx(np.ones(load.shape[1]))
    assert (loads / replicas[used]).max() == pytest.approx(highest)
    assert highest <= 1 + 1e-6
    assert highest <= least_highest_load(load[used], replicas[used]) + 1e-3


def least_highest_load(load, replicas):
    """min t so that shares exist with every offer loaded to t or less, by HiGHS."""
    import highspy

    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    t = model.addVariable(lb=0)
    num_offers, num_classes = load.shape
    share = {
        (o, r): model.addVariable(lb=0)
        for o in range(num_offers)
        for r in range(num_classes)
        if np.isfinite(load[o, r])
    }
    for r in range(num_classes):
        model.addConstr(sum(x for (_, q), x in share.items() if q == r) == 1)
    for o in range(num_offers):
        carried = sum(float(load[o, r]) * x for (q, r), x in share.items() if q == o)
        model.addConstr(carried - float(replicas[o]) * t <= 0)
    model.minimize(t)
    return model.getInfo().objective_function_value


def a_random_service(seed):
    rng = np.random.default_rng(seed)
    num_offers, num_classes = int(rng.integers(2, 8)), int(rng.integers(2, 6))
    chips = rng.choice([1.0, 2.0, 4.0, 8.0], num_offers)
    load = rng.lognormal(1.5, 0.8, num_classes) / (
        chips[:, None] * rng.lognormal(0, 0.3, (num_offers, num_classes))
    )
    load[rng.random(load.shape) < 0.15] = np.inf
    load[0] = np.where(np.isfinite(load).any(axis=0), load[0], 2.0)
    most = np.ceil(np.where(np.isfinite(load), load, 0.0).sum(axis=1))
    return chips * rng.uniform(0.7, 1.3, num_offers), load, most
