from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from seedcorn.domain.market import Status
from seedcorn.planner import solve, verify
from tests.planner.markets import a_job, a_market, a_pool, a_service, an_offer, best_objective, tiny_markets


def applied(market, shortage):
    """``market`` after the change that ``shortage`` asks for."""
    pools = tuple(
        replace(pool, chips=pool.chips + shortage.add_chips.get(pool.name, 0)) for pool in market.pools
    )
    services = tuple(
        replace(
            service,
            demand=_less(service.demand, shortage.shed),
            tidal={
                name: tuple(max(load - shortage.shed.get(name, 0.0), 0.0) for load in loads)
                for name, loads in service.tidal.items()
            },
        )
        if service.name == shortage.claimant
        else service
        for service in market.services
    )
    jobs = tuple(_told(job, shortage) if job.name == shortage.claimant else job for job in market.jobs)
    most = None if market.max_moves is None else market.max_moves + shortage.add_moves
    return replace(market, pools=pools, services=services, jobs=jobs, max_moves=most)


def _told(job, shortage):
    """``job``, told to wait or given more time."""
    if shortage.wait:
        return replace(job, required=False)
    return job if shortage.deadline_hours is None else replace(job, deadline_hours=shortage.deadline_hours)


def _less(demand, shed):
    return {name: load - shed.get(name, 0.0) for name, load in demand.items()}


@given(market=tiny_markets())
@settings(max_examples=80, deadline=None)
def test_every_remedy_makes_the_market_feasible(market):
    assume(best_objective(market) is None)

    answer = solve(market)

    assert answer.status is Status.INFEASIBLE
    assert answer.shortages
    for shortage in answer.shortages:
        if shortage.needed:
            market = applied(market, shortage)
    for shortage in [s for s in answer.shortages if not s.needed] or answer.shortages[:1]:
        cured = market if shortage.needed else applied(market, shortage)
        assert verify(cured, solve(cured)) == (), shortage


def test_the_chips_asked_for_are_the_fewest():
    market = a_market((a_pool("h20", 5),), (a_service(demand={"all": 8.0}),))

    more, *_ = solve(market).shortages

    assert more.add_chips == {"h20": 3}
    assert more.remedy == "add 3 chips to pool h20"
    assert more.binds == "pool h20: 8 chips needed, 5 there"


def test_the_load_to_shed_is_the_least_to_a_thousandth():
    market = a_market((a_pool("h20", 5),), (a_service(demand={"all": 8.0}),))

    shed = next(s for s in solve(market).shortages if s.shed)

    assert shed.claimant == "chat"
    assert shed.shed["all"] == pytest.approx(3.0, abs=8.0 / 1000)


def test_a_class_that_no_offer_serves_is_named():
    service = a_service(demand={"short": 1.0, "long": 2.5}, offers=(an_offer(capacity={"short": 9.0}),))

    answer = solve(a_market(services=(service,)))

    assert answer.status is Status.INFEASIBLE
    (shortage,) = answer.shortages
    assert shortage.claimant == "chat"
    assert "'long'" in shortage.binds and "'long'" in shortage.remedy


def test_a_required_job_may_be_told_to_wait():
    market = a_market((a_pool("h20", 8),), (a_service(),), (a_job(sizes=[(6, 6.0)], required=True),))

    waiting = next(s for s in solve(market).shortages if s.wait)

    assert waiting.claimant == "next-gen"


def test_two_pools_short_at_once_get_one_remedy_for_both():
    both = a_service(
        demand={"all": 10.0}, offers=(an_offer(chips={"h800": 1, "h20": 1}, capacity={"all": 1.0}),)
    )
    market = a_market((a_pool("h800", 4), a_pool("h20", 6)), (both,))

    more, *_ = solve(market).shortages

    assert more.add_chips == {"h800": 6, "h20": 4}
