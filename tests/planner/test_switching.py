"""Days on which starting a replica, or an elastic job's other option, costs something."""

from dataclasses import replace

import highspy
import numpy as np
import pytest
from hypothesis import given, settings

from seedcorn.domain.market import MarketService, Status
from seedcorn.planner import solve, verify
from seedcorn.planner.claims import Branch
from seedcorn.planner.day import day_of
from seedcorn.planner.integer import Point
from seedcorn.planner.master import Master
from seedcorn.planner.problem import problem_of
from tests.planner.days import best_switching_day, tiny_switching_days
from tests.planner.markets import a_job, a_market, a_pool, an_offer, random_market
from tests.planner.test_shortage import applied


@given(market=tiny_switching_days())
@settings(max_examples=60, deadline=None)
def test_no_allocation_of_a_tiny_switching_day_is_better(market):
    answer = solve(market, gap=0.0)

    best = best_switching_day(market)
    if best is None:
        assert answer.status is Status.INFEASIBLE
    else:
        assert verify(market, answer) == ()
        assert answer.bound >= best - 1e-6
        assert answer.objective == pytest.approx(best, abs=1e-6)


@given(market=tiny_switching_days())
@settings(max_examples=40, deadline=None)
def test_every_remedy_makes_a_switching_day_feasible(market):
    answer = solve(market)

    if answer.status is not Status.INFEASIBLE:
        return
    assert answer.shortages
    for shortage in answer.shortages:
        if shortage.needed:
            market = applied(market, shortage)
    others = [shortage for shortage in answer.shortages if not shortage.needed]
    for cured in [applied(market, shortage) for shortage in others] or [market]:
        assert verify(cured, solve(cured)) == ()


def a_swing(low, high, switch_cost, **options):
    """A service with ``low`` load in one slot and ``high`` in the other."""
    offer = replace(an_offer(), switch_cost=switch_cost)
    return MarketService(name="chat", demand={}, tidal={"all": (low, high)}, offers=(offer,), **options)


@pytest.mark.parametrize(("switch_cost", "replicas"), [(0.5, [2, 6]), (2.0, [6, 6])])
def test_replicas_are_held_through_a_trough_where_starting_them_again_costs_more(switch_cost, replicas):
    market = replace(a_market((a_pool(chips=8, price=1.0),), (a_swing(2.0, 6.0, switch_cost),)), slots=2)

    answer = solve(market, gap=0.0)

    assert [d.replicas for d in answer.deployments] == replicas


def test_an_elastic_job_stays_where_it_is_if_a_restart_costs_more_than_it_gains():
    job = replace(a_job(sizes=((2, 2.0), (6, 6.0))), elastic=True)
    service = a_swing(2.0, 6.0, 0.0)
    market = replace(a_market((a_pool(chips=8, price=0.0),), (service,), (job,)), slots=2)

    breathing = solve(market, gap=0.0)
    steady = solve(replace(market, jobs=(replace(job, switch_cost=5.0),)), gap=0.0)

    assert [award.option for award in breathing.jobs] == [1, 0]
    assert [award.option for award in steady.jobs] == [0, 0]


def test_the_proof_of_a_day_holds_against_one_program_spelled_out_by_hand():
    market = a_switching_day(8, 3, 4, seed=1)

    answer = solve(market, gap=0.002, time_limit_s=3)

    objective, bound = monolithic(market, time_limit_s=3)
    assert verify(market, answer) == ()
    assert answer.bound >= objective - 1e-6 * abs(objective)
    assert answer.objective <= bound + 1e-6 * abs(bound)


@pytest.mark.parametrize("seed", range(4))
def test_a_service_alone_is_answered_near_its_bound(seed):
    market = a_switching_day(1, 4, 12, seed=seed)
    alone = replace(market, jobs=(), pools=tuple(replace(pool, chips=10**5) for pool in market.pools))
    day = day_of(alone)
    problem = problem_of(day.plain, day.constant, day.ties)
    nothing = np.zeros(len(problem.stock))

    relaxed = Master(problem).relax(Branch.root(problem), nothing, precision=1e-4, enough=lambda *_: False)
    claims = relaxed.claims

    paid = Point(replicas=claims.replicas, option=np.zeros(0, dtype=np.int64)).cost(problem)
    objective, bound = monolithic(alone, time_limit_s=3)
    best, least = -objective / problem.unit, -bound / problem.unit
    assert claims.bound <= best + 1e-9 and paid >= least - 1e-9
    assert paid <= 1.01 * best
    assert claims.bound >= 0.95 * paid


def monolithic(market, *, time_limit_s):
    """(objective, bound) by HiGHS on a day of one class per service, built here from the definitions."""
    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    model.setOptionValue("time_limit", float(time_limit_s))
    slots = range(market.slots)
    used = {(pool.name, slot): 0 for pool in market.pools for slot in slots}
    worth = 0
    for service in market.services:
        counts = {(o.name, t): model.addIntegral(lb=0) for o in service.offers for t in slots}
        for t in slots:
            carried = sum(o.capacity["c0"] * counts[o.name, t] for o in service.offers)
            model.addConstr(carried >= service.load(t)["c0"] * (1 - 1e-9))
        for offer in service.offers:
            for t in slots:
                started = model.addVariable(lb=0)
                model.addConstr(counts[offer.name, t] - counts[offer.name, (t - 1) % market.slots] <= started)
                worth = worth - offer.switch_cost * started
                for pool, chips in offer.chips.items():
                    used[pool, t] = used[pool, t] + chips * counts[offer.name, t]
    for job in market.jobs:
        taken = [model.addBinary() for _ in job.options]
        model.addConstr(sum(taken) <= 1)
        for option, x in zip(job.options, taken, strict=True):
            worth = worth + market.slots * job.weight * option.progress * x
            for pool, chips in option.chips.items():
                for t in slots:
                    used[pool, t] = used[pool, t] + chips * x
    for pool in market.pools:
        for t in slots:
            if not isinstance(used[pool.name, t], int):
                model.addConstr(used[pool.name, t] <= pool.chips)
                worth = worth - pool.price * used[pool.name, t]
    model.maximize(worth)
    info = model.getInfo()
    return info.objective_function_value / market.slots, info.mip_dual_bound / market.slots


def a_switching_day(num_services, num_pools, slots, *, seed):
    """``random_market`` over a day of tides; a start costs half an hour of the replica's chips."""
    market = random_market(num_services, num_pools, 1, 6, seed=seed, num_jobs=2)
    rng = np.random.default_rng(seed)
    hours = np.arange(slots) * 24 / slots
    services = []
    for service in market.services:
        swing = np.cos((hours - rng.normal(15, 3)) * np.pi / 12) / 3 + 2 / 3
        offers = tuple(
            replace(offer, switch_cost=0.5 * sum(offer.chips.values()) * slots / 24)
            for offer in service.offers
        )
        tidal = {name: tuple((load * swing).tolist()) for name, load in service.demand.items()}
        services.append(replace(service, demand={}, tidal=tidal, offers=offers))
    return replace(market, services=tuple(services), slots=slots)
