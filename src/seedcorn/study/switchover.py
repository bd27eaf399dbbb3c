"""From slot to slot: whether chips are there for replicas that start while others still serve."""

from collections import Counter
from collections.abc import Mapping, Sequence

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import ResaleKind
from seedcorn.domain.plan import Deployment, JobPlan, SalePlan
from seedcorn.domain.scenario import Scenario
from seedcorn.study.gangs import chips_held
from seedcorn.study.starting import start_s
from seedcorn.units import format_seconds, format_slot


def tight_starts(
    scenario: Scenario,
    deployments: Mapping[str, tuple[Deployment, ...]],
    jobs: Sequence[JobPlan],
    resale: Sequence[SalePlan],
) -> tuple[str, ...]:
    """For each pool the moment of the day at which it lacks most chips to start replicas ahead, in words.

    A replica that serves in a slot is started before it, while those of the slot before still serve. Elastic
    jobs and spot buyers leave for it; gangs and reserved buyers do not.
    """
    slots = scenario.planning.slots
    if slots == 1:
        return ()
    kept = chips_held(scenario.jobs, tuple(job for job in jobs if job.slot is None))
    sold = Counter({pool.name: 0 for pool in scenario.pools})
    for sale in resale:
        sold[sale.pool] += sale.chips[0] if sale.kind is ResaleKind.RESERVED else 0
    warnings = []
    for pool in scenario.pools:
        usable = pool.usable_chips - kept.get(pool.name, 0) - sold[pool.name]
        needs = [_at_once(deployments, pool.name, t, slots) for t in range(slots)]
        lacking, slot = max((need - usable, -t) for t, need in enumerate(needs))
        if lacking > 0:
            warnings.append(
                f"pool {pool.name!r} lacks {lacking:,} chips to start every replica for {format_slot(-slot, slots)} before others "
                f"stop: some serve up to {_longest(deployments, pool.name, scenario)} late"
            )
    return tuple(warnings)


def _at_once(deployments: Mapping[str, tuple[Deployment, ...]], pool: PoolName, slot: int, slots: int) -> int:
    """Chips of ``pool`` that services hold while the replicas of ``slot`` start: more of a kind than there were."""
    before, now = (_replicas(deployments, t) for t in ((slot - 1) % slots, slot))
    chips = {
        (d.offer.candidate.service, d.offer.candidate.name): d.offer.candidate.chips.get(pool, 0)
        for those in deployments.values()
        for d in those
    }
    return sum(chips[kind] * max(before[kind], now[kind]) for kind in before.keys() | now.keys())


def _replicas(deployments: Mapping[str, tuple[Deployment, ...]], slot: int) -> Counter[tuple[str, str]]:
    """Replicas of each service and kind in ``slot``, whichever class they serve."""
    found: Counter[tuple[str, str]] = Counter()
    for service, those in deployments.items():
        for d in those:
            if d.slot == slot:
                found[service, d.offer.candidate.name] += d.replicas
    return found


def _longest(deployments: Mapping[str, tuple[Deployment, ...]], pool: PoolName, scenario: Scenario) -> str:
    """The longest start of any kind of replica on ``pool``."""
    kinds = {d.offer.candidate for those in deployments.values() for d in those}
    return format_seconds(max(start_s(kind, scenario) for kind in kinds if pool in kind.chips))
