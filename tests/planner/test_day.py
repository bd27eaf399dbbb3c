"""Days: slots, elastic jobs, resale, deadlines, moves, against every allocation tried."""

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import MarketResale, ResaleKind, Status
from seedcorn.planner import solve, verify
from tests.planner.days import best_day, tiny_days
from tests.planner.markets import a_job, a_market, a_pool, a_service, an_offer, random_market
from tests.planner.test_shortage import applied


@given(market=tiny_days())
@settings(max_examples=150, deadline=None)
def test_no_allocation_of_a_tiny_day_is_better(market):
    answer = solve(market, gap=0.0)

    best = best_day(market)
    if best is None:
        assert answer.status is Status.INFEASIBLE
    else:
        assert answer.objective == pytest.approx(best, abs=1e-6)
        assert answer.bound >= best - 1e-6
        assert verify(market, answer) == ()


@given(market=tiny_days())
@settings(max_examples=60, deadline=None)
def test_every_remedy_makes_the_day_feasible(market):
    assume(best_day(market) is None)

    answer = solve(market)

    assert answer.status is Status.INFEASIBLE
    needed = [shortage for shortage in answer.shortages if shortage.needed]
    for shortage in needed:
        market = applied(market, shortage)
    others = [shortage for shortage in answer.shortages if not shortage.needed]
    assert needed or others
    for cured in [applied(market, shortage) for shortage in others] or [market]:
        assert verify(cured, solve(cured)) == ()


# -- slots --------------------------------------------------------------------------------------------


def a_tide(peak, *parts, **of_service):
    """A service whose load is ``parts`` of ``peak``."""
    return replace(
        a_service(demand={"all": peak}, **of_service),
        demand={},
        tidal={"all": tuple(peak * part for part in parts)},
    )


def test_an_elastic_job_takes_what_the_trough_leaves():
    job = replace(a_job(sizes=((2, 2.0), (6, 6.0))), elastic=True)
    market = replace(a_market((a_pool(chips=8),), (a_tide(6.0, 1.0, 1 / 3),), (job,)), slots=2)

    answer = solve(market, gap=0.0)

    assert [(award.slot, award.chips["h20"]) for award in answer.jobs] == [(0, 2), (1, 6)]
    assert answer.objective == pytest.approx(((2 * 2.0 - 8) + (6 * 2.0 - 8)) / 2)


def test_a_gang_keeps_its_chips_all_day():
    job = a_job(sizes=((2, 2.0), (6, 6.0)))
    market = replace(a_market((a_pool(chips=8),), (a_tide(6.0, 1.0, 1 / 3),), (job,)), slots=2)

    (award,) = solve(market, gap=0.0).jobs

    assert (award.slot, award.chips) == (None, {"h20": 2})


def test_chips_are_dear_at_the_peak_and_free_in_the_trough():
    service = a_tide(
        8.0,
        1.0,
        0.25,
        offers=(an_offer(), an_offer("far", "far", 1, {"all": 1.0})),
    )
    market = replace(a_market((a_pool(chips=4), a_pool("far", 9, 3.0)), (service,)), slots=2)

    prices = {(use.pool, use.slot): use.shadow_price for use in solve(market, gap=0.0).pools}

    assert prices["h20", 0] == pytest.approx(3.0 - 1.0)  # one more spares a far chip, and costs its own price
    assert prices["h20", 1] == pytest.approx(0.0)


def test_a_day_of_equal_slots_is_worth_its_one_slot():
    market = random_market(8, 3, 1, 5, seed=3)

    once, day = solve(market), solve(replace(market, slots=4))

    assert day.objective == pytest.approx(once.objective, rel=0.002)
    assert verify(replace(market, slots=4), day) == ()


def test_a_peak_that_does_not_fit_is_answered_with_the_chips_for_the_peak():
    market = replace(a_market((a_pool(chips=8),), (a_tide(11.0, 0.5, 1.0),)), slots=2)

    more, shed, *_ = solve(market).shortages

    assert more.add_chips == {"h20": 3}
    assert shed.shed["all"] == pytest.approx(3.0, abs=0.011)


# -- resale -------------------------------------------------------------------------------------------


def a_product(kind=ResaleKind.RESERVED, chips=9, value=1.5):
    return MarketResale(name="cloud", pool=PoolName("h20"), chips=chips, value=value, kind=kind)


@pytest.mark.parametrize(("kind", "sold"), [(ResaleKind.RESERVED, [2]), (ResaleKind.SPOT, [2, 6])])
def test_reserved_chips_are_what_the_peak_leaves_and_spot_what_each_slot_leaves(kind, sold):
    market = replace(
        a_market((a_pool(chips=8),), (a_tide(6.0, 1.0, 1 / 3),)), slots=2, resale=(a_product(kind),)
    )

    answer = solve(market, gap=0.0)

    assert [award.chips for award in answer.resale] == sold


@pytest.mark.parametrize(("value", "trains", "sold"), [(1.9, 6, 2), (2.1, 0, 8)])
def test_resale_displaces_training_only_where_it_pays_more(value, trains, sold):
    job = a_job(sizes=((6, 6.0),), weight=2.0)
    market = replace(a_market((a_pool(chips=8),), (), (job,)), resale=(a_product(value=value),))

    answer = solve(market, gap=0.0)

    assert (answer.jobs[0].progress, answer.resale[0].chips) == (trains, sold)


def test_resale_never_displaces_a_service():
    market = replace(a_market(services=(a_service(),)), resale=(a_product(value=1e6),))

    answer = solve(market, gap=0.0)

    assert (answer.deployments[0].replicas, answer.resale[0].chips) == (3, 5)


def test_chips_worth_more_idle_are_not_sold():
    market = replace(a_market(services=(a_service(),)), resale=(a_product(value=0.9),))

    assert solve(market).resale[0].chips == 0


# -- deadlines ----------------------------------------------------------------------------------------


def a_hurried_job(deadline_hours, **of_job):
    return replace(a_job(sizes=((2, 2.0), (4, 4.0)), **of_job), work=100.0, deadline_hours=deadline_hours)


def test_an_option_too_slow_for_the_deadline_is_none():
    slow_pays = a_hurried_job(30.0, weight=1.1, required=True)
    dear = a_market((a_pool(chips=8, price=2.0),), (), (slow_pays,))

    assert solve(dear).jobs[0].progress == 4.0
    assert solve(replace(dear, jobs=(replace(slow_pays, deadline_hours=60.0),))).jobs[0].progress == 2.0


def test_a_late_job_is_named_with_when_it_would_finish_and_what_would_save_it():
    market = a_market((a_pool(chips=8),), (), (a_hurried_job(20.0, required=True),))

    (late,) = solve(market).shortages

    assert (late.claimant, late.deadline_hours) == ("next-gen", 25.0)
    assert "would finish after 25 h" in late.binds
    assert "cut its work to 80" in late.remedy
    assert "progress of at least 5" in late.remedy
    assert solve(applied(market, late)).jobs[0].progress == 4.0


def test_a_job_late_for_want_of_chips_is_told_when_it_could_finish():
    market = a_market((a_pool(chips=6),), (a_service(),), (a_hurried_job(30.0, required=True),))

    remedies = solve(market).shortages

    assert next(s.add_chips for s in remedies if s.add_chips) == {"h20": 1}
    assert next(s.deadline_hours for s in remedies if s.deadline_hours) == 50.0


def test_a_job_that_is_late_and_may_wait_waits():
    answer = solve(a_market((a_pool(chips=8),), (), (a_hurried_job(20.0),)))

    assert (answer.status, answer.jobs[0].option) == (Status.OPTIMAL, None)


# -- moves --------------------------------------------------------------------------------------------


def running(market, answer, *, load=1.0, move_cost):
    """``market`` at ``load`` times its demand, when ``answer`` is what runs."""
    replicas = {(d.service, d.offer): d.replicas for d in answer.deployments}
    services = tuple(
        replace(
            service,
            demand={name: amount * load for name, amount in service.demand.items()},
            offers=tuple(
                replace(offer, today=replicas.get((service.name, offer.name), 0), move_cost=move_cost)
                for offer in service.offers
            ),
        )
        for service in market.services
    )
    return replace(market, services=services)


@pytest.mark.parametrize("load", [0.95, 1.0, 1.05])
def test_a_little_load_more_or_less_moves_no_service_that_what_runs_can_carry(load):
    market = random_market(12, 3, 1, 5, seed=9)
    before = solve(market)
    today = running(market, before, load=load, move_cost=1.0)

    started = starts(solve(today))
    started_for_free = starts(solve(running(market, before, load=load, move_cost=0.0)))

    short = {service.name for service in today.services if not carried_today(service)}
    assert {name for name, count in started.items() if count} == short
    assert load == 1.0 or sum(started.values()) < sum(started_for_free.values())


def starts(answer):
    """Service → replicas started."""
    found: dict[str, int] = {}
    for d in answer.deployments:
        found[d.service] = found.get(d.service, 0) + d.started
    return found


def carried_today(service):
    return sum(offer.today * offer.capacity["c0"] for offer in service.offers) >= service.demand["c0"]


def test_a_move_is_made_where_it_pays():
    service = a_service(
        demand={"all": 4.0},
        offers=(replace(an_offer("dear", "dear"), today=4), replace(an_offer(), move_cost=0.5)),
    )
    pools = (a_pool("dear", 8, 2.0), a_pool(chips=8, price=1.0))

    (moved,) = solve(a_market(pools, (service,)), gap=0.0).deployments
    stays = replace(service, offers=(service.offers[0], replace(service.offers[1], move_cost=1.5)))
    (stayed,) = solve(a_market(pools, (stays,)), gap=0.0).deployments

    assert (moved.offer, moved.started) == ("h20-tp1", 4)
    assert (stayed.offer, stayed.started) == ("dear", 0)


def test_no_more_is_started_than_allowed():
    service = a_service(demand={"all": 4.0}, offers=(replace(an_offer("dear", "dear"), today=4), an_offer()))
    market = replace(a_market((a_pool("dear", 8, 2.0), a_pool(chips=8)), (service,)), max_moves=3)

    dear, cheap = solve(market, gap=0.0).deployments

    assert (dear.replicas, cheap.replicas, cheap.started) == (1, 3, 3)


def test_moves_that_do_not_suffice_are_counted():
    market = replace(a_market(services=(a_service(),)), max_moves=1)

    (more, shed) = solve(market).shortages

    assert (more.add_moves, more.remedy) == (2, "allow 2 more moves")
    assert shed.shed["all"] == pytest.approx(2.0, abs=0.004)
