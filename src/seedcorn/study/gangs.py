"""The gangs each training job may take, and the progress they make."""

from dataclasses import dataclass

from seedcorn.domain.hardware import Pool
from seedcorn.domain.market import JobAward, JobOption, MarketJob
from seedcorn.domain.plan import JobPlan
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import Infeasible, UnknownFact
from seedcorn.perf.training import GangOption, gang_options, speed_per_chip
from seedcorn.study.numeraire import Numeraire
from seedcorn.units import format_seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """One gang in one pool; ``progress`` is in chips of the reference pool that would train as fast."""

    pool: Pool
    option: GangOption
    progress: float


def gangs_of(job: TrainingJob, scenario: Scenario, numeraire: Numeraire) -> tuple[Gang, ...]:
    """Every gang that meets the job's bounds and deadline, pool by pool.

    Raises:
        Infeasible: There is none; says per pool why, or when the fastest gang would finish.
    """
    found: list[tuple[Pool, GangOption]] = []
    refusals: list[str] = []
    for pool in scenario.pools:
        if job.pools and pool.name not in job.pools:
            continue
        try:
            found += [(pool, option) for option in gang_options(job, pool)]
        except Infeasible as error:
            refusals.append(f"pool {pool.name}: {error.message}")
    if not found:
        raise Infeasible(f"training job {job.name!r} runs nowhere: {'; '.join(refusals)}")
    in_time = [(pool, option) for pool, option in found if _is_in_time(job, option)]
    if not in_time:
        raise _too_late(job, found)
    reference_tokens_per_s = _tokens_per_s_per_reference_chip(job, found, numeraire)
    return tuple(
        Gang(pool=pool, option=option, progress=option.tokens_per_s / reference_tokens_per_s)
        for pool, option in in_time
    )


def market_job(job: TrainingJob, gangs: tuple[Gang, ...]) -> MarketJob:
    """The job as a claimant; a deadline makes it one that must run."""
    return MarketJob(
        name=job.name,
        weight=job.weight,
        required=job.deadline_s is not None,
        options=tuple(
            JobOption(chips={gang.pool.name: gang.option.chips}, progress=gang.progress) for gang in gangs
        ),
    )


def job_plan(job: TrainingJob, gangs: tuple[Gang, ...], award: JobAward) -> JobPlan:
    """What the job got."""
    if award.option is None:
        return JobPlan(job=job.name, pool=None)
    gang = gangs[award.option]
    return JobPlan(
        job=job.name,
        pool=gang.pool.name,
        chips=gang.option.chips,
        parallelism=str(gang.option.parallelism),
        tokens_per_s=gang.option.tokens_per_s,
        finishes_in_s=None if job.tokens is None else job.tokens / gang.option.tokens_per_s,
        progress=gang.progress,
    )


def _is_in_time(job: TrainingJob, option: GangOption) -> bool:
    if job.deadline_s is None or job.tokens is None:
        return True
    return job.tokens / option.tokens_per_s <= job.deadline_s


def _too_late(job: TrainingJob, found: list[tuple[Pool, GangOption]]) -> Infeasible:
    assert job.tokens is not None and job.deadline_s is not None
    pool, fastest = max(found, key=lambda pair: pair[1].tokens_per_s)
    took_s = job.tokens / fastest.tokens_per_s
    return Infeasible(
        f"training job {job.name!r} cannot meet its deadline of {format_seconds(job.deadline_s)}: its fastest gang, "
        f"{fastest.chips:,} chips of pool {pool.name}, takes {format_seconds(took_s)} for {job.tokens:.3g} tokens; "
        f"a deadline of {format_seconds(took_s)}, {job.deadline_s / took_s * job.tokens:.3g} tokens, or more chips would work"
    )


def _tokens_per_s_per_reference_chip(
    job: TrainingJob, found: list[tuple[Pool, GangOption]], numeraire: Numeraire
) -> float:
    """The job's speed on one reference chip at moderate scale. Where it does not run there: its best
    speed per chip elsewhere, over what that chip is worth against the reference in general."""
    try:
        on_reference = speed_per_chip(job, numeraire.reference)
    except UnknownFact:  # of a chip that the job need not use
        on_reference = 0.0
    if on_reference > 0:
        return on_reference
    speeds = [
        option.tokens_per_s / option.chips / numeraire.speeds[pool.name]
        for pool, option in found
        if numeraire.speeds[pool.name] > 0
    ]
    if not speeds:
        raise Infeasible(
            f"training job {job.name!r} cannot be compared with others: it does not train on reference pool "
            f"{numeraire.reference.name!r}, nor does the first job train where it does; name another fleet.reference"
        )
    return max(speeds)
