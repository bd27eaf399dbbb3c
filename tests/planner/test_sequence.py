"""Jobs in sequence on one gang, and jobs of different priority, against every allocation tried."""

import itertools
import math
from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import JobOption, MarketJob, Status
from seedcorn.planner import solve, verify
from tests.planner.markets import a_job, a_market, a_pool, a_service, best_objective, tiny_markets


@st.composite
def chained_markets(draw):
    """A tiny market whose one job is followed by another, with work and perhaps deadlines."""
    market = draw(tiny_markets(max_classes=1))
    assume(market.jobs)
    (first,) = market.jobs
    pools = [pool.name for pool in market.pools]
    options = draw(
        st.lists(
            st.builds(
                lambda pool, chips, pace: JobOption(chips={pool: chips}, progress=chips * pace),
                st.sampled_from(pools),
                st.integers(1, 4),
                st.sampled_from([0.5, 1.0]),
            ),
            min_size=1,
            max_size=2,
        )
    )
    deadlines = st.sampled_from([None, 4.0, 8.0])
    first = replace(first, work=draw(st.sampled_from([4.0, 12.0])), deadline_hours=draw(deadlines))
    work = draw(st.sampled_from([None, 6.0]))
    second = MarketJob(
        name="then",
        options=tuple(options),
        weight=draw(st.sampled_from([0.5, 2.0])),
        work=work,
        deadline_hours=None if work is None else draw(deadlines),
        after=first.name,
    )
    return replace(market, jobs=(first, second))


def as_one_job(first, second):
    """The two as one job, from the definitions: chips of the larger gang, worth the mean over its life."""
    options = []
    for a, b in itertools.product(first.options, second.options):
        held = {pool: max(a.chips.get(pool, 0), b.chips.get(pool, 0)) for pool in {*a.chips, *b.chips}}
        hours = [first.work / a.progress, math.inf if second.work is None else second.work / b.progress]
        late = any(
            job.deadline_hours is not None and h > job.deadline_hours
            for job, h in zip((first, second), hours, strict=True)
        )
        if late or held not in (a.chips, b.chips):
            continue
        rates = [first.weight * a.progress, second.weight * b.progress]
        mean = rates[1] if math.isinf(hours[1]) else (rates[0] * hours[0] + rates[1] * hours[1]) / sum(hours)
        options.append(JobOption(chips=held, progress=mean))
    return MarketJob(name=first.name, options=tuple(options), required=first.required or second.required)


@given(market=chained_markets())
@settings(max_examples=60, deadline=None)
def test_no_allocation_of_jobs_in_sequence_is_better(market):
    answer = solve(market, gap=0.0)

    best = best_objective(replace(market, jobs=(as_one_job(*market.jobs),)))
    if best is None:
        assert answer.status is Status.INFEASIBLE
        assert answer.shortages
    else:
        assert verify(market, answer) == ()
        assert answer.objective == pytest.approx(best, abs=1e-6)


def test_jobs_in_sequence_hold_one_gang_and_start_one_after_the_other():
    first = replace(a_job("pretrain", sizes=((4, 4.0), (6, 6.0))), work=12.0)
    second = replace(a_job("tune", sizes=((2, 2.0),)), work=4.0, after="pretrain")
    third = replace(a_job("distil", sizes=((6, 6.0),)), after="tune")
    market = a_market((a_pool(chips=8, price=0.1),), (), (third, second, first))

    answer = solve(market, gap=0.0)

    starts = {award.job: (award.starts_in_hours, award.chips) for award in answer.jobs}
    assert starts == {
        "pretrain": (0.0, {"h20": 6}),
        "tune": (2.0, {"h20": 2}),
        "distil": (4.0, {"h20": 6}),
    }
    assert answer.pools[0].used == 6


def test_a_deadline_after_another_job_counts_from_that_one_s_end():
    first = replace(a_job("pretrain", sizes=((4, 4.0),)), work=40.0)
    second = replace(a_job("tune", sizes=((4, 4.0),)), work=4.0, deadline_hours=1.5, after="pretrain")

    answer = solve(a_market((a_pool(),), (), (first, second)), gap=0.0)

    assert [award.option for award in answer.jobs] == [0, 0]


def test_required_jobs_in_sequence_without_a_gang_in_common_say_so():
    first = replace(a_job("pretrain", sizes=((4, 4.0),), required=True), work=4.0)
    second = replace(a_job("tune", sizes=((4, 4.0),), pool="far"), after="pretrain")

    answer = solve(a_market((a_pool(), a_pool("far")), (), (first, second)))

    (shortage,) = answer.shortages
    assert answer.status is Status.INFEASIBLE
    assert "'pretrain', then 'tune'" in shortage.binds and shortage.wait


def test_a_late_follower_is_told_the_deadline_it_can_meet_on_the_gang_they_share():
    first = replace(a_job("pretrain", sizes=((2, 2.0),), required=True), work=4.0)
    second = replace(
        a_job("tune", sizes=((2, 2.0), (8, 8.0)), pool="h20"), work=8.0, deadline_hours=2.0, after="pretrain"
    )
    market = a_market(
        (a_pool(chips=8), a_pool("far")),
        (),
        (
            first,
            replace(
                second,
                options=(
                    JobOption(chips={PoolName("h20"): 2}, progress=2.0),
                    JobOption(chips={PoolName("far"): 8}, progress=8.0),
                ),
            ),
        ),
    )

    answer = solve(market)

    (shortage,) = answer.shortages
    assert (shortage.claimant, shortage.deadline_hours) == ("tune", 4.0)
    patient = replace(market, jobs=(first, replace(market.jobs[1], deadline_hours=4.0)))
    assert verify(patient, solve(patient)) == ()


@given(market=tiny_markets(max_classes=1), worth=st.sampled_from([0.5, 5.0, 50.0]), chips=st.integers(1, 4))
@settings(max_examples=50, deadline=None)
def test_a_job_of_lower_priority_displaces_none_however_much_it_is_worth(market, worth, chips):
    pool = market.pools[0].name
    lower = MarketJob(
        name="lower", options=(JobOption(chips={pool: chips}, progress=worth * chips),), priority=-1
    )
    market = market if market.jobs else replace(market, jobs=(a_job(pool=pool),))

    both = replace(market, jobs=(*market.jobs, lower))
    answer, alone = solve(both, gap=0.0), solve(market, gap=0.0)

    assert (answer.objective is None) == (alone.objective is None) == (best_objective(market) is None)
    if alone.objective is None:
        return
    (taken,) = (award.option for award in alone.jobs)
    (kept,) = (award.option for award in answer.jobs if award.job != "lower")
    assert kept == taken
    options = () if kept is None else (market.jobs[0].options[kept],)
    settled = replace(market.jobs[0], options=options, required=kept is not None)
    assert verify(both, answer) == ()
    assert answer.objective == pytest.approx(best_objective(replace(both, jobs=(settled, lower))), abs=1e-6)


def test_of_two_priorities_the_higher_takes_the_chips_and_the_lower_what_is_left():
    first = replace(a_job("first", sizes=((4, 4.0),), weight=1.5), priority=1)
    second = a_job("second", sizes=((8, 8.0), (4, 4.0)), weight=9.0)

    answer = solve(a_market((a_pool(chips=8),), (a_service(demand={"all": 0.0}),), (second, first)), gap=0.0)

    assert {award.job: award.chips for award in answer.jobs} == {"second": {"h20": 4}, "first": {"h20": 4}}


def test_a_required_job_of_lower_priority_still_runs():
    first = replace(a_job("first", sizes=((8, 8.0),)), priority=1)
    second = a_job("second", sizes=((4, 4.0),), required=True)

    answer = solve(a_market((a_pool(chips=8),), (), (first, second)), gap=0.0)

    assert [award.option for award in answer.jobs] == [None, 0]


def test_an_elastic_job_of_lower_priority_breathes_around_the_higher_one():
    higher = replace(a_job("higher", sizes=((4, 4.0), (6, 6.0))), elastic=True, switch_cost=0.1, priority=1)
    lower = replace(a_job("lower", sizes=((2, 2.0), (8, 8.0)), weight=50.0), elastic=True)
    market = replace(a_market((a_pool(chips=8),), (), (higher, lower)), slots=2)

    answer = solve(market, gap=0.0)

    assert [(a.job, a.chips) for a in answer.jobs] == [
        ("higher", {"h20": 6}),
        ("higher", {"h20": 6}),
        ("lower", {"h20": 2}),
        ("lower", {"h20": 2}),
    ]
