"""Max-min fairness against the textbook linear program, and by hand."""

from dataclasses import replace

import numpy as np
import pytest

from seedcorn.domain.market import JobOption, Market, MarketJob, Objective
from seedcorn.planner import solve, verify
from tests.planner.markets import a_job, a_market, a_pool


def a_cluster(num_jobs, *, seed):
    """The shape of Gavel's problem: jobs of 1 to 8 chips, three kinds of chip, throughputs far apart."""
    rng = np.random.default_rng(seed)
    pools = tuple(
        a_pool(name, max(8, num_jobs // part)) for name, part in (("v100", 16), ("p100", 12), ("k80", 8))
    )
    jobs = []
    for j in range(num_jobs):
        chips = int(rng.choice([1, 2, 4, 8], p=[0.7, 0.1, 0.15, 0.05]))
        pace = rng.lognormal(0, 1.5) * chips * np.array([rng.uniform(2, 10), rng.uniform(1, 4), 1.0])
        options = tuple(
            JobOption(chips={pool.name: chips}, progress=float(g))
            for pool, g in zip(pools, pace, strict=True)
        )
        weight = float(pace.mean() / chips * rng.choice([1, 2]))
        jobs.append(MarketJob(name=f"j{j}", options=options, weight=weight))
    return Market(pools=pools, jobs=tuple(jobs), objective=Objective.MAX_MIN)


@pytest.mark.parametrize("seed", range(4))
def test_the_level_is_the_optimum_of_the_linear_program(seed):
    market = a_cluster(60, seed=seed)

    answer = solve(market)

    assert answer.objective == pytest.approx(textbook_level(market), rel=1e-7)
    assert answer.bound == pytest.approx(answer.objective, rel=1e-7)
    assert verify(market, answer) == ()


def textbook_level(market):
    """max t by HiGHS, written from the definition."""
    import highspy

    model = highspy.Highs()
    model.setOptionValue("output_flag", False)
    level = model.addVariable(lb=0)
    used = {pool.name: 0 for pool in market.pools}
    for job in market.jobs:
        parts = [model.addVariable(lb=0) for _ in job.options]
        model.addConstr(sum(parts) <= 1)
        gained = sum(option.progress / job.weight * x for option, x in zip(job.options, parts, strict=True))
        model.addConstr(gained - level >= 0)
        for option, x in zip(job.options, parts, strict=True):
            for pool, chips in option.chips.items():
                used[pool] = used[pool] + chips * x
    for pool in market.pools:
        model.addConstr(used[pool.name] <= pool.chips)
    model.maximize(level)
    return model.getInfo().objective_function_value


def test_two_jobs_share_one_chip_by_weight():
    jobs = tuple(replace(a_job(f"j{w}", sizes=((1, 1.0),), weight=w)) for w in (1.0, 3.0))

    answer = solve(replace(a_market((a_pool(chips=1),), (), jobs), objective=Objective.MAX_MIN))

    assert [award.share for award in answer.jobs] == pytest.approx([0.25, 0.75])
    assert answer.objective == pytest.approx(0.25)
    assert answer.pools[0].shadow_price == pytest.approx(0.25)  # two chips would carry twice the level


def test_a_job_that_fits_nowhere_leaves_the_least_at_nothing():
    market = a_market((a_pool(chips=1),), (), (a_job(sizes=((2, 2.0),)),))

    answer = solve(replace(market, objective=Objective.MAX_MIN))

    assert (answer.objective, answer.jobs[0].option) == (0.0, None)
