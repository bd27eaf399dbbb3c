"""From a scenario and its horizon to the arrays that ``planner.runway`` looks ahead with."""

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from statistics import NormalDist

import numpy as np

from seedcorn.domain.hardware import Pool, PoolName
from seedcorn.domain.horizon import Attrition, Generation, Horizon, Quantiles, Supply
from seedcorn.domain.offer import Offer
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Service, TrainingJob
from seedcorn.errors import Infeasible, UnknownFact
from seedcorn.perf.training import GangOption, gang_options, mixed_gang_rate
from seedcorn.planner.futures import Odds
from seedcorn.planner.placement import Floats
from seedcorn.planner.runway import NEVER, Outlook, Serving, Training
from seedcorn.study.numeraire import FEWER_CHIPS, numeraire
from seedcorn.study.offers import OfferBook, cautious_step_model, demand_req_per_s

_DAY_S = 86400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What every course of events stands on: pools as large as they may ever be, offers, gangs, prices.

    Attributes:
        scenario: With the pools that supplies form; ``offers`` by service and pool, leanest first.
        gangs: By generation and pool.
        prices: What a chip that serves is worth elsewhere: what it trains, in pools where generations train.
            In others next to nothing, however capable their chips are; a part of the plan's price keeps the
            plan's order among them.
        reference: The pool whose chips speeds are counted in.
        speeds: Of pools where generations train: training speed of a chip, in reference chips.
        readiness: Of pools that supplies form, the share of the predicted speed; 1 of others.
        warnings: What is unknown, and what was done about it.
    """

    scenario: Scenario
    horizon: Horizon
    offers: Mapping[tuple[str, PoolName], tuple[Offer, ...]]
    gangs: Mapping[tuple[str, PoolName], tuple[GangOption, ...]]
    mixed: Mapping[str, float]
    prices: Mapping[PoolName, float]
    reference: PoolName
    speeds: Mapping[PoolName, float]
    readiness: Mapping[PoolName, float]
    warnings: tuple[str, ...]

    @property
    def pools(self) -> tuple[PoolName, ...]:
        """Names, in order."""
        return tuple(pool.name for pool in self.scenario.pools)


def ground_of(scenario: Scenario, horizon: Horizon, book: OfferBook) -> Ground:
    """What can be served and trained where, at the sizes that ``scenario``'s pools may ever have.

    Raises:
        Infeasible: No generation trains on any pool.
    """
    gangs, warnings = _gangs(scenario, horizon.generations)
    jobs = tuple(generation.job for generation in horizon.generations[:1]) or scenario.jobs
    worth = numeraire(replace(scenario, jobs=jobs))
    homes = _homes(horizon.generations, gangs) or {worth.reference.name}
    return Ground(
        scenario=scenario,
        horizon=horizon,
        offers=offers_by_pool(book),
        gangs=gangs,
        mixed={g.name: _mixed_share(g, scenario, gangs) if g.mixed else 0.0 for g in horizon.generations},
        prices={
            pool.name: FEWER_CHIPS * worth.prices[pool.name]
            + (worth.speeds[pool.name] if pool.name in homes else 0.0)
            for pool in scenario.pools
        },
        reference=worth.reference.name,
        speeds={pool: worth.speeds[pool] for pool in homes},
        readiness={s.pool: s.readiness for s in horizon.supply if not s.joins},
        warnings=warnings if horizon.generations else worth.warnings,
    )


def offers_by_pool(book: OfferBook) -> dict[tuple[str, PoolName], tuple[Offer, ...]]:
    """(service, pool) → offers there, most load a chip first; units that span pools are left out."""
    found: dict[tuple[str, PoolName], list[Offer]] = {}
    for service, offers in book.offers.items():
        for offer in offers:
            if offer.candidate.prefill is None:
                found.setdefault((service, offer.candidate.pool), []).append(offer)
    return {
        key: tuple(
            sorted(
                offers,
                key=lambda o: (-o.capacity_req_per_s / o.candidate.parallelism.chips, o.candidate.name),
            )
        )
        for key, offers in found.items()
    }


# -- training -----------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def _ladder(job: TrainingJob, pool: Pool) -> tuple[GangOption, ...] | Infeasible:
    """Gangs of a pool, or why there are none; generations that differ only in tokens share a batch by their own law."""
    try:
        return gang_options(job, pool)
    except Infeasible as error:
        return error


def _gangs(
    scenario: Scenario, generations: Sequence[Generation]
) -> tuple[dict[tuple[str, PoolName], tuple[GangOption, ...]], tuple[str, ...]]:
    gangs: dict[tuple[str, PoolName], tuple[GangOption, ...]] = {}
    unknown: dict[PoolName, str] = {}
    nowhere: list[str] = []
    for generation in generations:
        reasons = []
        for pool in scenario.pools:
            if generation.job.pools and pool.name not in generation.job.pools:
                continue
            found = _ladder(generation.job, pool)
            if isinstance(found, Infeasible):
                reasons.append(f"pool {pool.name}: {found.message}")
                if isinstance(found, UnknownFact):
                    unknown[pool.name] = found.message
            else:
                gangs[generation.name, pool.name] = found
        if not any((generation.name, pool.name) in gangs for pool in scenario.pools):
            nowhere.append(f"generation {generation.name!r} trains nowhere: {'; '.join(reasons)}")
    if generations and not gangs:
        raise Infeasible(nowhere[0])
    warnings = [f"pool {pool!r} trains nothing here: {why}" for pool, why in unknown.items()]
    return gangs, (*nowhere, *warnings)


def _homes(
    generations: Sequence[Generation], gangs: Mapping[tuple[str, PoolName], tuple[GangOption, ...]]
) -> set[PoolName]:
    """Pools where generations train: the fastest for each, or all of a mixed one's."""
    homes: set[PoolName] = set()
    for generation in generations:
        speeds = {pool: o[-1].tokens_per_s for (name, pool), o in gangs.items() if name == generation.name}
        fastest = sorted(speeds, key=lambda pool: -speeds[pool])
        homes |= set(fastest if generation.mixed else fastest[:1])
    return homes


def _mixed_share(
    generation: Generation, scenario: Scenario, gangs: Mapping[tuple[str, PoolName], tuple[GangOption, ...]]
) -> float:
    """What a gang over pools reaches of their speeds' sum, by its two fastest pools; 0 where it cannot span them."""
    fastest = sorted(
        (pool for pool in scenario.pools if (generation.name, pool.name) in gangs),
        key=lambda pool: -gangs[generation.name, pool.name][-1].tokens_per_s,
    )[:2]
    if len(fastest) < 2:
        return 0.0
    first, second = (gangs[generation.name, pool.name][-1] for pool in fastest)
    try:
        rate = mixed_gang_rate(
            generation.job, (fastest[0], first.chips), (fastest[1], second.chips)
        ).sustained_tokens_per_s
    except Infeasible:
        return 0.0
    return min(rate / (first.tokens_per_s + second.tokens_per_s), 1.0)


# -- arrays -------------------------------------------------------------------------------------------


def outlook_of(
    ground: Ground,
    *,
    offers: Mapping[tuple[str, PoolName], tuple[Offer, ...]] | None = None,
    stays: bool = False,
    mfu: float | None = None,
) -> Outlook:
    """What can be done.

    Args:
        offers: Instead of the ground's.
        stays: Services run where they run today, if they have an offer there.
        mfu: Of every gang, instead of the predicted one.
    """
    known = ground.offers if offers is None else offers
    return Outlook(serving=_serving(ground, known, stays=stays), training=_training(ground, mfu))


def _serving(
    ground: Ground, offers: Mapping[tuple[str, PoolName], tuple[Offer, ...]], *, stays: bool
) -> Serving:
    starts, capacity, chips = [0], [], []
    for service in ground.scenario.services:
        today = None if service.today is None else service.today.pool
        fixed = today if stays and today is not None and (service.name, today) in offers else None
        for pool in ground.pools:
            here = offers.get((service.name, pool), ()) if fixed in (None, pool) else ()
            for offer in here:
                capacity.append(offer.capacity_req_per_s * ground.readiness.get(pool, 1.0))
                chips.append(float(offer.candidate.parallelism.chips))
            starts.append(len(capacity))
    return Serving(
        start=np.array(starts, dtype=np.int64),
        capacity=np.array(capacity, dtype=np.float64),
        chips=np.array(chips, dtype=np.float64),
        price=np.array([ground.prices[pool] for pool in ground.pools], dtype=np.float64),
    )


def _training(ground: Ground, mfu: float | None) -> Training:
    generations, pools = ground.horizon.generations, ground.pools
    longest = max((len(options) for options in ground.gangs.values()), default=1)
    sizes = np.zeros((len(generations), len(pools)), dtype=np.int64)
    chips, speed = (np.zeros((*sizes.shape, longest)) for _ in range(2))
    for g, generation in enumerate(generations):
        for p, pool in enumerate(pools):
            options = ground.gangs.get((generation.name, pool), ())
            sizes[g, p] = len(options)
            for i, option in enumerate(options):
                faster = 1.0 if mfu is None else mfu / option.rate.mfu
                chips[g, p, i] = option.chips
                speed[g, p, i] = (
                    6
                    * generation.job.active_params
                    * option.tokens_per_s
                    * faster
                    * ground.readiness.get(pool, 1.0)
                )
    end_s = seconds_between(ground.horizon.start, month_starts(ground.horizon)[-1])
    return Training(
        flop=np.array([g.flop for g in generations], dtype=np.float64),
        earliest_s=np.array(
            [seconds_between(ground.horizon.start, g.earliest) for g in generations], dtype=np.float64
        ),
        by_s=np.array(
            [seconds_between(ground.horizon.start, g.by, absent=end_s) for g in generations], dtype=np.float64
        ),
        sizes=sizes,
        chips=chips,
        speed=speed,
        mixed=np.array([ground.mixed[g.name] for g in generations], dtype=np.float64),
    )


def odds_of(ground: Ground, supply: Sequence[Supply]) -> Odds:
    """What may happen if these supplies are counted on."""
    scenario, horizon = ground.scenario, ground.horizon
    planning, pools = scenario.planning, list(ground.pools)
    starts = month_starts(horizon)
    deliveries = [(n, s, delivery) for n, s in enumerate(supply) for delivery in s.deliveries]
    attrition = {line.pool: line for line in horizon.attrition}
    forms = {s.pool: n for n, s in enumerate(supply) if not s.joins}
    absent = {s.pool for s in horizon.supply if not s.joins}
    to_come = {s.pool: sum(t.chips for t in horizon.supply if t.pool == s.pool) for s in horizon.supply}
    return Odds(
        month_s=np.array([seconds_between(horizon.start, start) for start in starts]),
        chips=np.array(
            [0 if pool.name in absent else pool.chips - to_come.get(pool.name, 0) for pool in scenario.pools],
            dtype=np.float64,
        ),
        spare=np.array([pool.spare for pool in scenario.pools], dtype=np.float64),
        retire_month=np.array([_retire_month(attrition.get(pool), starts) for pool in pools]),
        mtbf_s=np.array([_mtbf_s(attrition.get(pool)) for pool in pools]),
        load=np.array(
            [demand_req_per_s(service, scenario) for service in scenario.services], dtype=np.float64
        ),
        growth=_three([horizon.growth[service.name] for service in scenario.services]),
        delivery_supply=np.array([n for n, _, _ in deliveries], dtype=np.int64),
        delivery_pool=np.array([pools.index(s.pool) for _, s, _ in deliveries], dtype=np.int64),
        delivery_chips=np.array([d.chips for _, _, d in deliveries], dtype=np.float64),
        delivery_s=np.array(
            [seconds_between(horizon.start, d.on) for _, _, d in deliveries], dtype=np.float64
        ),
        delivered=_three([s.delivered for s in supply]),
        delay_s=_three([s.delay_s for s in supply]),
        forms=np.array([forms.get(pool, -1) for pool in pools], dtype=np.int64),
        porting_s=_porting_s(scenario.services, pools, supply),
        step_sigma=_step_sigma(ground),
        speed_sigma=_speed_sigma(ground),
        caution=NormalDist().inv_cdf(planning.confidence),
    )


def _three(quantiles: Sequence[Quantiles]) -> Floats:
    """(n, 3) P10, P50, P90."""
    return np.array([(q.p10, q.p50, q.p90) for q in quantiles], dtype=np.float64).reshape(-1, 3)


def _retire_month(line: Attrition | None, starts: Sequence[datetime.date]) -> int:
    """The month that holds the day: its chips are not counted on for a part of it."""
    if line is None or line.retire is None:
        return NEVER
    return max(sum(start <= line.retire for start in starts) - 1, 0)


def _mtbf_s(line: Attrition | None) -> float:
    return np.inf if line is None or line.mtbf_s is None else line.mtbf_s


def _porting_s(services: Sequence[Service], pools: Sequence[PoolName], supply: Sequence[Supply]) -> Floats:
    porting = np.zeros((len(services), len(pools)))
    for s in supply:
        times = {line.family: line.time_s for line in s.porting}
        for i, service in enumerate(services):
            porting[i, pools.index(s.pool)] = times.get(service.model.model_type, times.get("*", 0.0))
    return porting


def _step_sigma(ground: Ground) -> Floats:
    """(S, P) by the leanest offer; 0 where there is none."""
    return np.array(
        [
            [
                cautious_step_model(found[0].candidate, ground.scenario).log_sigma
                if (found := ground.offers.get((service.name, pool), ()))
                else 0.0
                for pool in ground.pools
            ]
            for service in ground.scenario.services
        ],
        dtype=np.float64,
    ).reshape(len(ground.scenario.services), len(ground.pools))


def _speed_sigma(ground: Ground) -> Floats:
    """(G, P) by the largest gang; 0 where there is none."""
    return np.array(
        [
            [
                options[-1].rate.log_sigma
                if (options := ground.gangs.get((generation.name, pool), ()))
                else 0.0
                for pool in ground.pools
            ]
            for generation in ground.horizon.generations
        ],
        dtype=np.float64,
    ).reshape(len(ground.horizon.generations), len(ground.pools))


# -- the calendar -------------------------------------------------------------------------------------


def month_starts(horizon: Horizon) -> tuple[datetime.date, ...]:
    """First days of the months looked at, and the day after the last."""
    return tuple(_months_later(horizon.start, k) for k in range(horizon.months + 1))


def _months_later(start: datetime.date, months: int) -> datetime.date:
    """The same day so many months later; the month's last day where it has no such day."""
    years, month = divmod(start.month - 1 + months, 12)
    first = datetime.date(start.year + years, month + 1, 1)
    following = datetime.date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return first.replace(day=min(start.day, (following - first).days))


def seconds_between(start: datetime.date, date: datetime.date | None, *, absent: float = 0.0) -> float:
    """Seconds from ``start`` to ``date``; ``absent`` where there is none."""
    return absent if date is None else (date - start).days * _DAY_S


def date_after(start: datetime.date, seconds: float) -> datetime.date:
    """The day that holds the moment ``seconds`` after ``start``."""
    return start + datetime.timedelta(seconds=seconds)
