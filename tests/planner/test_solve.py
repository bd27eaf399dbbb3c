from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from seedcorn.domain.market import Status
from seedcorn.planner import Progress, solve, verify
from tests.planner.markets import (
    a_job,
    a_market,
    a_pool,
    a_service,
    an_offer,
    best_objective,
    random_market,
    tiny_markets,
)


def solved(market, **options):
    """An allocation whose objective is known to be there."""
    return solve(market, **options)


# -- oracles ------------------------------------------------------------------------------------------


@given(market=tiny_markets())
@settings(max_examples=150, deadline=None)
def test_no_allocation_of_a_tiny_market_is_better(market):
    answer = solved(market, gap=0.0)

    best = best_objective(market)
    if best is None:
        assert answer.status is Status.INFEASIBLE
    else:
        assert answer.objective == pytest.approx(best, abs=1e-6)
        assert answer.bound >= best - 1e-6
        assert verify(market, answer) == ()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("shape", [(6, 3, 1, 5), (6, 3, 3, 5), (15, 4, 2, 5)])
def test_one_program_spelled_out_by_hand_agrees_within_the_gaps(shape, seed):
    market = random_market(*shape, seed=seed)

    answer = solved(market, gap=0.001, time_limit_s=20)

    objective, bound = monolithic(market, gap=0.001)
    slack = 0.001 * max(abs(objective), abs(answer.objective)) + 1e-9
    assert verify(market, answer) == ()
    assert answer.objective >= objective - slack
    assert answer.objective <= bound + 1e-6 * abs(bound)
    assert answer.bound >= objective - 1e-6 * abs(objective)


def monolithic(market, *, gap):
    """(objective, bound) by HiGHS on the textbook formulation, built here from the definitions."""
    import highspy

    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("mip_rel_gap", gap)
    model.setOptionValue("time_limit", 3.0)
    used = {pool.name: 0 for pool in market.pools}
    worth = 0
    for service in market.services:
        counts = [model.addIntegral(lb=0) for _ in service.offers]
        load = [0 for _ in service.offers]
        for name, demand in service.demand.items():
            shares = {
                o: model.addVariable(lb=0) for o, offer in enumerate(service.offers) if name in offer.capacity
            }
            model.addConstr(sum(shares.values()) == 1)
            for o, share in shares.items():
                load[o] = load[o] + share * (demand / service.offers[o].capacity[name])
        for offer, count, carried in zip(service.offers, counts, load, strict=True):
            model.addConstr(carried - count <= 0)
            worth = worth - offer.cost * count
            for pool, chips in offer.chips.items():
                used[pool] = used[pool] + chips * count
    for job in market.jobs:
        taken = [model.addBinary() for _ in job.options]
        model.addConstr(sum(taken) <= 1)
        for option, flag in zip(job.options, taken, strict=True):
            worth = worth + job.weight * option.progress * flag
            for pool, chips in option.chips.items():
                used[pool] = used[pool] + chips * flag
    for pool in market.pools:
        model.addConstr(used[pool.name] <= pool.chips)
        worth = worth - pool.price * used[pool.name]
    model.maximize(worth)
    info = model.getInfo()
    return info.objective_function_value, info.mip_dual_bound


# -- laws ---------------------------------------------------------------------------------------------


@given(market=tiny_markets())
@settings(max_examples=40, deadline=None)
def test_one_more_chip_never_hurts(market):
    before = solved(market, gap=0.0)
    for p, pool in enumerate(market.pools):
        pools = list(market.pools)
        pools[p] = replace(pool, chips=pool.chips + 1)
        after = solved(replace(market, pools=tuple(pools)), gap=0.0)
        if before.objective is not None:
            assert after.objective >= before.objective - 1e-6


@pytest.mark.parametrize("shape", [(8, 3, 2, 5), (60, 5, 1, 8)])
def test_same_market_and_seed_same_allocation(shape):
    market = random_market(*shape, seed=4)

    first, second = solved(market, seed=7), solved(market, seed=7)

    assert replace(first, seconds=0.0) == replace(second, seconds=0.0)


def test_a_market_in_other_units_has_the_same_answer():
    market = random_market(20, 4, 2, 6, seed=5)
    million = 1e6
    scaled = replace(
        market,
        pools=tuple(replace(pool, price=pool.price * million) for pool in market.pools),
        jobs=tuple(replace(job, weight=job.weight * million) for job in market.jobs),
    )

    plain, other = solved(market), solved(scaled)

    assert other.objective == pytest.approx(plain.objective * million, rel=0.002)
    assert other.gap <= 0.001


def test_a_million_fold_range_of_prices_is_solved_to_the_gap():
    pools = (a_pool("cheap", 10**6, 1e-3), a_pool("dear", 1000, 1e3))
    services = tuple(
        a_service(
            f"s{s}",
            {"all": 1000.0 * 10**s},
            (an_offer("cheap", "cheap", 1, {"all": 1.0 + s}), an_offer("dear", "dear", 8, {"all": 4000.0})),
        )
        for s in range(4)
    )
    market = a_market(pools, services)

    answer = solved(market)

    assert answer.status is Status.OPTIMAL
    assert verify(market, answer) == ()


# -- what the numbers mean ----------------------------------------------------------------------------


def test_the_shadow_price_is_what_one_more_chip_adds():
    # 10 units of load; a scarce h800 chip carries 4, an h20 chip 1: each h800 chip saves 4 × 0.5 less its own 1.0
    service = a_service(
        demand={"all": 100.0},
        offers=(an_offer("h800", "h800", 1, {"all": 4.0}), an_offer("h20", "h20", 1, {"all": 1.0})),
    )
    market = a_market((a_pool("h800", 10, 1.0), a_pool("h20", 200, 0.5)), (service,))

    answer = solved(market, gap=0.0)
    richer = solved(replace(market, pools=(a_pool("h800", 11, 1.0), market.pools[1])), gap=0.0)

    assert answer.pools[0].shadow_price == pytest.approx(1.0)
    assert answer.pools[1].shadow_price == pytest.approx(0.0)
    assert richer.objective - answer.objective == pytest.approx(1.0)


def test_classes_go_where_they_are_carried_best_and_replicas_are_loaded_evenly():
    service = a_service(
        demand={"short": 60.0, "long": 6.0},
        offers=(
            an_offer("small", "h20", 1, {"short": 10.0, "long": 0.2}),
            an_offer("large", "h800", 1, {"short": 12.0, "long": 2.0}),
        ),
    )
    market = a_market((a_pool("h20", 50, 0.2), a_pool("h800", 50, 1.0)), (service,))

    small, large = solved(market, gap=0.0).deployments

    assert (small.replicas, large.replicas) == (6, 3)
    assert small.share["short"] == pytest.approx(1.0)
    assert large.share["long"] == pytest.approx(1.0)


def test_a_replica_may_take_chips_of_two_pools():
    offer = an_offer("prefill-decode", chips={"h800": 1, "h20": 2}, capacity={"all": 5.0})
    market = a_market(
        (a_pool("h800", 4), a_pool("h20", 8)), (a_service(demand={"all": 18.0}, offers=(offer,)),)
    )

    answer = solved(market, gap=0.0)

    assert [use.used for use in answer.pools] == [4, 8]


def test_demand_that_fills_replicas_exactly_needs_no_further_one():
    market = a_market(services=(a_service(demand={"all": 0.3}, offers=(an_offer(capacity={"all": 0.1}),)),))

    assert solved(market).deployments[0].replicas == 3


def test_a_class_without_demand_needs_nothing():
    market = a_market(services=(a_service(demand={"all": 0.0}),))

    answer = solved(market)

    assert (answer.status, answer.deployments, answer.objective) == (Status.OPTIMAL, (), 0.0)


# -- hard shapes --------------------------------------------------------------------------------------


def test_gangs_too_large_to_split_are_proven_by_branching():
    market = random_market(150, 5, 1, 6, seed=11, num_jobs=0)
    scarce = market.pools[0]
    lump = scarce.chips * 6 // 10
    jobs = tuple(a_job(f"gang{j}", [(lump, lump * 1.3)], scarce.name, 1.0 + j / 10) for j in range(3))

    answer = solved(replace(market, jobs=jobs), gap=0.002, time_limit_s=30)

    assert answer.status is Status.OPTIMAL
    assert sum(award.option is not None for award in answer.jobs) <= 1


def test_one_service_of_many_classes_is_proven():
    rng = np.random.default_rng(3)
    demand = {f"c{r}": float(d) for r, d in enumerate(rng.dirichlet(np.ones(100)) * 60)}
    offers = tuple(
        an_offer(f"k{k}", f"k{k}", 1, {name: float(rng.uniform(0.5, 2) * (1 + k)) for name in demand})
        for k in range(6)
    )
    pools = tuple(a_pool(f"k{k}", 100, 1.0 + k) for k in range(6))
    market = a_market(pools, (a_service(demand=demand, offers=offers),))

    answer = solved(market)

    assert answer.status is Status.OPTIMAL
    objective, _ = monolithic(market, gap=0.0005)
    assert answer.objective >= objective - 0.001 * abs(objective)


# -- out of time, out of patience ---------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(5, 3, 2, 4), (200, 6, 3, 8)])
def test_no_time_gives_the_answer_at_hand_with_an_honest_gap(shape):
    market = random_market(*shape, seed=2)

    hasty = solved(market, time_limit_s=0.0)

    assert verify(market, hasty) == ()
    careful = solved(market, time_limit_s=20)
    assert hasty.bound >= careful.objective - 1e-6 * abs(careful.objective)
    assert hasty.objective <= careful.bound + 1e-6 * abs(careful.bound)


def test_ctrl_c_returns_the_best_so_far():
    market = random_market(80, 6, 3, 8, seed=6, num_jobs=6)

    def interrupt(progress):
        if progress.objective is not None:
            raise KeyboardInterrupt

    answer = solved(market, gap=0.0, progress=interrupt)

    assert answer.status is Status.FEASIBLE
    assert verify(market, answer) == ()


def test_progress_never_goes_backwards():
    seen: list[Progress] = []
    solved(random_market(60, 5, 2, 8, seed=8), gap=1e-5, time_limit_s=2, progress=seen.append)

    bounds = [p.bound for p in seen]
    objectives = [p.objective for p in seen if p.objective is not None]
    assert seen and bounds == sorted(bounds, reverse=True)
    assert objectives == sorted(objectives)


def test_an_empty_market_is_worth_nothing():
    answer = solved(a_market())

    assert (answer.objective, answer.bound, answer.gap) == (0.0, 0.0, 0.0)
