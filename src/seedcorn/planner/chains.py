"""Jobs in sequence are one job: a chain holds the chips of its largest gang from the first start to the last end.

Each job of a chain trains on what one of its options takes, within the chips of one of them: a chain
has one gang, in one place. A bundle of chips is an option of any of its jobs; within it every job takes its
fastest option in time. What a chain is worth is the mean over its life: Σ weight·work / Σ hours; of one
that never ends, what its last job is worth. A chain runs whole or waits whole.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Allocation, JobAward, JobOption, Market, MarketJob


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Joined:
    """A market, and the same with every chain as one job, called after its first.

    Attributes:
        market: As it was given.
        whole: With chains joined.
        taken: By the chain's first job and its option in ``whole``: the option of each of its jobs.
    """

    market: Market
    whole: Market
    taken: Mapping[str, tuple[tuple[int, ...], ...]]

    def allocation(self, answer: Allocation) -> Allocation:
        """What ``answer``, an allocation of ``whole``, is in the words of ``market``."""
        if self.whole is self.market:
            return answer
        chains = {chain[0].name: chain for chain in self.market.chains}
        found = {award.job: award for award in answer.jobs if award.job not in chains}
        for award in answer.jobs:
            if award.job in chains:
                options = None if award.option is None else self.taken[award.job][award.option]
                found |= {part.job: part for part in _awards(chains[award.job], options)}
        order = {job.name: j for j, job in enumerate(self.market.jobs)}
        breathing = tuple(award for award in answer.jobs if award.slot is not None)
        jobs = sorted(
            (*(a for a in found.values() if a.slot is None), *breathing), key=lambda a: order[a.job]
        )
        return replace(answer, jobs=tuple(jobs))


def join(market: Market) -> Joined:
    """``market`` with every chain as one job; itself where there is none."""
    chains = {chain[0].name: chain for chain in market.chains}
    if not chains:
        return Joined(market=market, whole=market, taken={})
    followers = {job.name for chain in chains.values() for job in chain[1:]}
    found = {name: ways(chain) for name, chain in chains.items()}
    jobs = [
        _whole(chains[job.name], found[job.name]) if job.name in chains else job
        for job in market.jobs
        if job.name not in followers
    ]
    return Joined(
        market=market,
        whole=replace(market, jobs=tuple(jobs)),
        taken={name: tuple(taken for taken, _ in options) for name, options in found.items()},
    )


def _whole(chain: Sequence[MarketJob], found: Sequence[tuple[tuple[int, ...], JobOption]]) -> MarketJob:
    first = chain[0]
    return MarketJob(
        name=first.name,
        options=tuple(option for _, option in found),
        required=any(job.required for job in chain),
        priority=max(job.priority for job in chain),
    )


def ways(chain: Sequence[MarketJob]) -> list[tuple[tuple[int, ...], JobOption]]:
    """Every way to run the chain: each job's option, and what they are together."""
    bundles = [option.chips for job in chain for option in job.options]
    found: dict[tuple[int, ...], JobOption] = {}
    for bundle in bundles:
        options = tuple(_fastest(job, bundle, ends=job is not chain[-1]) for job in chain)
        if None not in options:
            taken = tuple(k for k in options if k is not None)
            found.setdefault(taken, _together(chain, taken))
    return list(found.items())


def _fastest(job: MarketJob, bundle: Mapping[PoolName, int], *, ends: bool) -> int | None:
    """The job's fastest option in time within ``bundle``; one that never ``ends`` will not do before another."""
    able = [
        k
        for k, option in enumerate(job.options)
        if all(chips <= bundle.get(pool, 0) for pool, chips in option.chips.items())
        and job.is_in_time(option)
        and not (ends and math.isinf(job.finishes_in_hours(option)))
    ]
    return max(able, key=lambda k: job.options[k].progress, default=None)


def _together(chain: Sequence[MarketJob], taken: tuple[int, ...]) -> JobOption:
    chips: dict[PoolName, int] = {}
    for job, k in zip(chain, taken, strict=True):
        for pool, count in job.options[k].chips.items():
            chips[pool] = max(chips.get(pool, 0), count)
    return JobOption(
        chips=chips, progress=worth(chain, [job.options[k] for job, k in zip(chain, taken, strict=True)])
    )


def worth(chain: Sequence[MarketJob], options: Sequence[JobOption]) -> float:
    """Σ weight·work / Σ hours: the mean of weight·progress over the chain's life."""
    last = chain[-1]
    if not last.work:
        return last.weight * options[-1].progress
    hours = sum(job.finishes_in_hours(option) for job, option in zip(chain, options, strict=True))
    return 0.0 if math.isinf(hours) else sum(job.weight * (job.work or 0.0) for job in chain) / hours


def _awards(chain: Sequence[MarketJob], options: tuple[int, ...] | None) -> list[JobAward]:
    """What each job of the chain got, one after the other."""
    if options is None:
        return [JobAward(job=job.name, option=None) for job in chain]
    awards, hours = [], 0.0
    for job, k in zip(chain, options, strict=True):
        option = job.options[k]
        awards.append(
            JobAward(
                job=job.name, option=k, chips=option.chips, progress=option.progress, starts_in_hours=hours
            )
        )
        hours += job.finishes_in_hours(option)
    return awards
