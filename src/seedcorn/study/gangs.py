"""The gangs each training job may take, the progress they make, and who cannot be in time on any of them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations

from seedcorn.domain.hardware import Pool, PoolName
from seedcorn.domain.market import JobAward, JobOption, MarketJob
from seedcorn.domain.offer import Evidence
from seedcorn.domain.plan import JobPlan
from seedcorn.domain.prediction import times_off
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import Infeasible, Late, LateJob, UnknownFact
from seedcorn.perf.training import gang_options, mixed_gang_rate, speed_per_chip
from seedcorn.study.numeraire import Numeraire
from seedcorn.units import format_seconds

HOUR_S = 3600.0
MIXED_SHARES = (1.0, 0.5, 0.25)
"""Of two pools that one gang spreads over: a mixed gang takes the same part of both."""
SHORTENING = 0.01
MOST_SHORTENINGS = 20
"""Each takes a late job's tokens to a hundredth less than its gangs of the step before train in time."""
MOST_GROWTH = 8
"""Times its size that a pool may be asked to grow to for a late job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gang:
    """One gang; ``progress`` is in chips of the reference pool that would train as fast.

    Attributes:
        chips: By pool, that of the first layers first; nearly always one pool.
        log_sigma: Standard deviation of ln(true speed / predicted).
    """

    chips: Mapping[PoolName, int]
    parallelism: str
    tokens_per_s: float
    log_sigma: float
    evidence: Evidence
    progress: float = 0.0


def gangs_of(scenario: Scenario, numeraire: Numeraire) -> dict[str, tuple[Gang, ...]]:
    """Job → every gang within its bounds, pool by pool, then over two pools where it may be mixed.

    Raises:
        Infeasible: A job runs nowhere; says per pool why.
        Late: No gang of a job meets its deadline; says of each such job when it would finish and what would save it.
    """
    found = {job.name: _gangs(job, scenario) for job in scenario.jobs}
    late = [
        late_job(job, found[job.name], scenario)
        for job in scenario.jobs
        if not any(_is_in_time(job, gang) for gang in found[job.name])
    ]
    if late:
        raise _too_late(late)
    return {job.name: _valued(job, found[job.name], numeraire) for job in scenario.jobs}


def market_job(job: TrainingJob, gangs: tuple[Gang, ...]) -> MarketJob:
    """The job as a claimant; a deadline makes it one that must run."""
    tokens_per_hour = gangs[0].tokens_per_s / gangs[0].progress * HOUR_S  # of progress 1
    return MarketJob(
        name=job.name,
        weight=job.weight,
        required=job.deadline_s is not None,
        elastic=job.elastic,
        options=tuple(JobOption(chips=gang.chips, progress=gang.progress) for gang in gangs),
        work=None if job.tokens is None else job.tokens / tokens_per_hour,
        deadline_hours=None if job.deadline_s is None else job.deadline_s / HOUR_S,
        priority=job.priority,
        after=job.after,
    )


def job_plan(job: TrainingJob, gangs: tuple[Gang, ...], award: JobAward) -> JobPlan:
    """What the job got."""
    if award.option is None:
        return JobPlan(job=job.name, pool=None, slot=award.slot)
    gang = gangs[award.option]
    (pool, chips), *rest = gang.chips.items()
    starts_in_s = award.starts_in_hours * HOUR_S
    off = times_off(gang.log_sigma)
    return JobPlan(
        job=job.name,
        pool=pool,
        chips=chips,
        parallelism=gang.parallelism,
        tokens_per_s=gang.tokens_per_s,
        finishes_in_s=None if job.tokens is None else starts_in_s + job.tokens / gang.tokens_per_s,
        progress=gang.progress,
        starts_in_s=starts_in_s,
        rest_pool=rest[0][0] if rest else None,
        rest_chips=rest[0][1] if rest else 0,
        slot=award.slot,
        tokens_per_s_low=gang.tokens_per_s / off,
        tokens_per_s_high=gang.tokens_per_s * off,
        evidence=gang.evidence,
    )


def chips_held(jobs: tuple[TrainingJob, ...], plans: tuple[JobPlan, ...]) -> dict[PoolName, int]:
    """Pool → chips that training takes; jobs in sequence take the same ones."""
    first = {job.name: job.after for job in jobs}
    held: dict[str, dict[PoolName, int]] = {}
    for plan in plans:
        leader = plan.job
        while (before := first[leader]) is not None:
            leader = before
        mine = held.setdefault(leader, {})
        for pool, chips in plan.chips_by_pool.items():
            mine[pool] = max(mine.get(pool, 0), chips)
    total: dict[PoolName, int] = {}
    for mine in held.values():
        for pool, chips in mine.items():
            total[pool] = total.get(pool, 0) + chips
    return total


def _gangs(job: TrainingJob, scenario: Scenario) -> tuple[Gang, ...]:
    pools = [pool for pool in scenario.pools if not job.pools or pool.name in job.pools]
    found: list[Gang] = []
    refusals: list[str] = []
    for pool in pools:
        try:
            found += _in_pool(job, pool)
        except Infeasible as error:
            refusals.append(f"pool {pool.name}: {error.message}")
    if job.mixed_gang:
        for first, second in permutations(pools, 2):
            found += _over(job, first, second)
    if not found:
        raise Infeasible(f"training job {job.name!r} runs nowhere: {'; '.join(refusals)}")
    return tuple(found)


def _in_pool(job: TrainingJob, pool: Pool) -> Iterator[Gang]:
    for option in gang_options(job, pool):
        yield Gang(
            chips={pool.name: option.chips},
            parallelism=str(option.parallelism),
            tokens_per_s=option.tokens_per_s,
            log_sigma=option.rate.log_sigma,
            evidence=option.rate.evidence,
        )


def _over(job: TrainingJob, first: Pool, second: Pool) -> Iterator[Gang]:
    """Gangs over two pools, of those sizes that work."""
    for share in MIXED_SHARES:
        counts = [_whole_nodes(pool, share) for pool in (first, second)]
        least, most = job.min_chips or 1, job.max_chips or sum(counts)
        if min(counts) == 0 or not least <= sum(counts) <= most:
            continue
        try:
            rate = mixed_gang_rate(job, (first, counts[0]), (second, counts[1]))
        except Infeasible:  # one pool alone has said why
            continue
        head, tail = rate.parts
        yield Gang(
            chips={first.name: head.parallelism.chips, second.name: tail.parallelism.chips},
            parallelism=f"{head.parallelism} of {head.layers} layers + {tail.parallelism} of {tail.layers}",
            tokens_per_s=rate.sustained_tokens_per_s,
            log_sigma=rate.log_sigma,
            evidence=Evidence.DATASHEET,  # no run of this kind has been published
        )


def _whole_nodes(pool: Pool, share: float) -> int:
    return int(pool.usable_chips * share) // pool.chips_per_node * pool.chips_per_node


def _valued(job: TrainingJob, gangs: tuple[Gang, ...], numeraire: Numeraire) -> tuple[Gang, ...]:
    """The same with their progress."""
    reference = _tokens_per_s_per_reference_chip(job, gangs, numeraire)
    return tuple(replace(gang, progress=gang.tokens_per_s / reference) for gang in gangs)


def _is_in_time(job: TrainingJob, gang: Gang) -> bool:
    if job.deadline_s is None or job.tokens is None:
        return True
    return job.tokens / gang.tokens_per_s <= job.deadline_s


def late_job(job: TrainingJob, gangs: tuple[Gang, ...], scenario: Scenario) -> LateJob:
    """How late a job with a deadline is on the fastest of ``gangs``, and what would save it."""
    assert job.tokens is not None and job.deadline_s is not None
    fastest = max(gangs, key=lambda gang: gang.tokens_per_s)
    enough = {
        str(pool.name): more
        for pool in scenario.pools
        if not job.pools or pool.name in job.pools
        if (more := _chips_more(job, pool)) is not None
    }
    return LateJob(
        job=job.name,
        deadline_s=job.deadline_s,
        finishes_in_s=job.tokens / fastest.tokens_per_s,
        chips={str(pool): chips for pool, chips in fastest.chips.items()},
        add_chips=enough,
        tokens=_tokens_in_time(job, fastest.tokens_per_s, scenario),
    )


def _tokens_in_time(job: TrainingJob, tokens_per_s: float, scenario: Scenario) -> float:
    """As many tokens as are trained in time, to a hundredth: fewer tokens make smaller batches, and those train slower."""
    assert job.deadline_s is not None
    for _ in range(MOST_SHORTENINGS):
        job = replace(job, tokens=(1 - SHORTENING) * job.deadline_s * tokens_per_s)
        gangs = _gangs(job, scenario)
        if any(_is_in_time(job, gang) for gang in gangs):
            break
        tokens_per_s = max(gang.tokens_per_s for gang in gangs)
    assert job.tokens is not None
    return job.tokens


def _chips_more(job: TrainingJob, pool: Pool) -> int | None:
    """Chips that ``pool`` needs beyond its own, or beyond ``max_chips``, for the job to be in time; ``None``: none would do."""
    there = min(pool.usable_chips, job.max_chips or pool.usable_chips)
    larger = replace(pool, chips=pool.chips + (MOST_GROWTH - 1) * pool.usable_chips)
    least, most = there, MOST_GROWTH * there
    for _ in range(2):  # the ladder of gangs, then the rungs between the last two
        try:
            gangs = list(_in_pool(replace(job, min_chips=least, max_chips=most), larger))
        except Infeasible:
            return None
        sizes = [gang.chips[pool.name] for gang in gangs]
        first = next((i for i, gang in enumerate(gangs) if _is_in_time(job, gang)), None)
        if first is None:
            return None
        least, most = sizes[first - 1] if first else least, sizes[first]
    return most - there


def _too_late(late: list[LateJob]) -> Late:
    names = ", ".join(repr(job.job) for job in late)
    error = Late(
        f"training job{'s' if len(late) > 1 else ''} {names} cannot be in time on any gang of the fleet",
        late=late,
    )
    for job in late:
        error.add_note(f"{job.job}: {what_would_save(job)}")
    return error


def what_would_save(late: LateJob) -> str:
    """When the job would finish, and every change that alone puts it in time."""
    took, gang = (
        format_seconds(late.finishes_in_s),
        " + ".join(f"{n:,} {pool}" for pool, n in late.chips.items()),
    )
    changes = [
        f"a deadline of {took}",
        f"{late.tokens:.3g} tokens",
        *(f"{more:,} more chips of pool {pool}" for pool, more in late.add_chips.items()),
    ]
    return (
        f"finishes in {took} on its fastest gang, {gang}, not in {format_seconds(late.deadline_s)}; any one of these is "
        f"enough: {', or '.join(changes)}"
    )


def _tokens_per_s_per_reference_chip(
    job: TrainingJob, found: tuple[Gang, ...], numeraire: Numeraire
) -> float:
    """The job's speed on one reference chip at moderate scale. Where it does not run there: its best
    speed per chip elsewhere, over what that chip is worth against the reference in general."""
    try:
        on_reference = speed_per_chip(job, numeraire.reference)
    except UnknownFact:  # of a chip that the job need not use
        on_reference = 0.0
    if on_reference > 0:
        return on_reference
    worth = [sum(numeraire.speeds[pool] * chips for pool, chips in gang.chips.items()) for gang in found]
    speeds = [gang.tokens_per_s / chips for gang, chips in zip(found, worth, strict=True) if chips > 0]
    if not speeds:
        raise Infeasible(
            f"training job {job.name!r} cannot be compared with others: it does not train on reference pool "
            f"{numeraire.reference.name!r}, nor does the first job train where it does; name another fleet.reference"
        )
    return max(speeds)
