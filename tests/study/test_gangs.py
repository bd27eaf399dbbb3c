"""Gangs of a scenario: bounds, sequences, priorities, interruptions, mixed gangs, and who is late."""

import math

import pytest

from seedcorn.errors import InputError, Late
from seedcorn.study import plan_scenario, resolve
from seedcorn.study.gangs import gangs_of
from seedcorn.study.numeraire import numeraire
from seedcorn.wire import read_scenario
from tests.study.scenarios import POOLS, TRAINING, a_scenario_file


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


def scenario_of(folder, *jobs, **changes):
    return resolve(read_scenario(a_scenario_file(folder, services=[], training=list(jobs), **changes)))


def planned(folder, *jobs, **changes):
    return plan_scenario(scenario_of(folder, *jobs, **changes), silent)


# -- late ---------------------------------------------------------------------------------------------


def test_every_late_job_is_named_with_when_it_would_finish_and_what_would_save_it(tmp_path):
    hasty = TRAINING | {"tokens": 1e12, "deadline": "10 d"}
    other = hasty | {"name": "other", "pools": ["h20"], "deadline": "5 d"}
    fine = TRAINING | {"name": "fine"}

    with pytest.raises(Late, match="'next', 'other'") as caught:
        planned(tmp_path, hasty, other, fine)

    late, other_late = caught.value.late
    assert (late.job, other_late.job) == ("next", "other")
    assert late.finishes_in_s > late.deadline_s == 10 * 86400
    assert any("more chips of pool h800" in note and "next" in note for note in caught.value.__notes__)


def test_each_change_named_for_a_late_job_alone_puts_it_in_time(tmp_path):
    hasty = TRAINING | {"tokens": 1e12, "deadline": "10 d"}
    with pytest.raises(Late) as caught:
        planned(tmp_path, hasty)
    (late,) = caught.value.late

    longer = hasty | {"deadline": f"{math.ceil(late.finishes_in_s)} s"}
    shorter = hasty | {"tokens": late.tokens}
    more = late.add_chips["h800"]
    pools = [POOLS[0] | {"chips": 64 + more}, *POOLS[1:]]
    bounds = {"chips": {"min": 16, "max": 64 + more}}

    for changed in (longer, shorter):
        assert planned(tmp_path, changed).jobs[0].pool == "h800"
    assert planned(tmp_path, hasty | bounds, fleet={"pools": pools}).jobs[0].pool == "h800"


# -- sequence, priority -------------------------------------------------------------------------------


def test_a_job_after_another_starts_when_that_one_ends_on_the_same_chips(tmp_path):
    tune = TRAINING | {"name": "tune", "tokens": 1e10, "after": "next", "deadline": "30 d"}

    plan = planned(tmp_path, TRAINING, tune)

    first, second = plan.jobs
    assert second.starts_in_s == pytest.approx(first.finishes_in_s)
    assert second.finishes_in_s == pytest.approx(second.starts_in_s + 1e10 / second.tokens_per_s)
    h800 = next(pool for pool in plan.pools if pool.pool == "h800")
    assert h800.used_by_jobs == max(first.chips, second.chips)


def test_a_job_of_higher_priority_goes_first_whatever_the_other_is_worth(tmp_path):
    bounds = {"chips": {"min": 32, "max": 32}}
    first = TRAINING | bounds | {"name": "first", "priority": 1}
    worthy = TRAINING | bounds | {"weight": 9.0}

    plan = planned(tmp_path, worthy, first)

    assert [job.pool for job in plan.jobs] == [None, "h800"]


@pytest.mark.parametrize(
    ("jobs", "match"),
    [
        ([TRAINING | {"after": "nxt"}], "no job 'nxt' in training; did you mean 'next'"),
        ([TRAINING | {"after": "next"}], "comes after itself"),
        ([TRAINING | {"tokens": None}, TRAINING | {"name": "b", "after": "next"}], "'next' never ends"),
        (
            [TRAINING, TRAINING | {"name": "b", "after": "next"}, TRAINING | {"name": "c", "after": "next"}],
            "'b' follows 'next' already",
        ),
    ],
)
def test_sequences_that_are_no_line_are_refused(tmp_path, jobs, match):
    with pytest.raises(InputError, match=match):
        scenario_of(tmp_path, *jobs)


# -- interruptions, mixed gangs -----------------------------------------------------------------------


def test_slow_checkpoints_and_restarts_slow_a_gang_as_the_formula_says(tmp_path):
    told = {"checkpoint": {"every": "1 h", "takes": "6 min"}, "restart": {"takes": "1 h", "mtbf": "1000 d"}}

    usual, slow = (
        {gang.chips["h800"]: gang.tokens_per_s for gang in gangs_of(found, numeraire(found))["next"]}
        for found in (scenario_of(tmp_path, TRAINING), scenario_of(tmp_path, TRAINING | told))
    )

    failures_per_s = 16 / (1000 * 86400)
    share = 1 / (1 + 0.1 + failures_per_s * (1800 + 3600))
    undisturbed = usual[16] / usual_share(16)
    assert slow[16] == pytest.approx(undisturbed * share)


def usual_share(chips):
    """Of Llama 3's failures, 10 s checkpoints at Young's interval, 15 min restarts."""
    mtbf_s = 54 * 86400 * 16384 / 419 / chips
    interval_s = math.sqrt(2 * 10 * mtbf_s)
    return 1 / (1 + 10 / interval_s + (interval_s / 2 + 900) / mtbf_s)


def test_a_mixed_gang_takes_chips_of_two_pools_only_where_it_is_allowed(tmp_path):
    large = {
        "params": 30e9,
        "tokens": 1e11,
        "pools": ["h800", "h20"],
        "chips": {"min": 16, "max": 128},
        "name": "next",
    }

    def counts(job):
        found = scenario_of(tmp_path, job)
        return {len(gang.chips) for gang in gangs_of(found, numeraire(found))["next"]}

    assert counts(large) == {1}
    assert counts(large | {"mixed_gang": True}) == {1, 2}
    plan = planned(tmp_path, large | {"mixed_gang": True})
    used = {pool.pool: pool.used_by_jobs for pool in plan.pools}
    assert used["h800"] == plan.jobs[0].chips_by_pool.get("h800", 0)
    assert used["h20"] == plan.jobs[0].chips_by_pool.get("h20", 0)
