"""How many model generations the stock trains: the market over months, with and without each thing that matters."""

import datetime
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.horizon import Horizon, Lever, Quantiles, Supply
from seedcorn.domain.offer import Offer
from seedcorn.domain.runway import (
    GenerationRun,
    Lacking,
    LeverEffect,
    MonthUse,
    Runway,
    RunwayCase,
    Shortfall,
    SupplyEffect,
)
from seedcorn.domain.scenario import Scenario
from seedcorn.errors import InputError
from seedcorn.planner.futures import ALONE, generations_drawn, planned
from seedcorn.planner.placement import Floats
from seedcorn.planner.runway import Course, Future, Outlook, look_ahead
from seedcorn.rules import NOT_ADVICE
from seedcorn.study.admission import Admission, admission, reasons, standings
from seedcorn.study.clearing import check_every_service_has_an_offer
from seedcorn.study.horizon import widened
from seedcorn.study.offers import Progress, offer_book
from seedcorn.study.outlook import (
    Ground,
    date_after,
    ground_of,
    month_starts,
    odds_of,
    offers_by_pool,
    outlook_of,
)
from seedcorn.workers import HERE, Workers


def runway_of(
    scenario: Scenario,
    horizon: Horizon,
    progress: Progress,
    *,
    workers: Workers = HERE,
    drawers: Workers = ALONE,
) -> Runway:
    """The runway of ``scenario``, as its ``horizon`` describes the future.

    Args:
        workers: Who finds capacities by replay.
        drawers: Who draws futures. The answer depends on neither.

    Raises:
        InputError: Nothing to train.
        Infeasible: A service that no pool carries within its SLO, or no generation that any pool trains.
    """
    if not horizon.generations:
        raise InputError("nothing to train: list model generations under 'generations'")
    admissions = {supply.name: admissions_of(supply, horizon) for supply in horizon.supply}
    wide = widened(scenario, horizon.supply)
    book = offer_book(wide, progress, workers)
    check_every_service_has_an_offer(book)
    ground = ground_of(wide, horizon, book)
    counted = counted_on(horizon, admissions)
    moved = _case(ground, counted, stays=False, drawers=drawers, progress=progress)
    stayed = None
    if any(service.today is not None for service in scenario.services):
        stayed = _case(ground, counted, stays=True, drawers=drawers, progress=progress)
    return Runway(
        name=scenario.name,
        start=horizon.start,
        months=horizon.months,
        draws=horizon.draws,
        seed=scenario.planning.seed,
        moved=moved,
        stayed=stayed,
        supplies=tuple(
            _supply_effect(ground, supply, counted, admissions[supply.name], moved)
            for supply in horizon.supply
        ),
        levers=_ranked(ground, counted, moved, progress),
        disclaimer=NOT_ADVICE if horizon.exporting is not None and horizon.supply else "",
        warnings=(*scenario.notes, *ground.warnings, *_not_at_home(ground)),
    )


def counted_on(horizon: Horizon, admissions: Mapping[str, Sequence[Admission]]) -> tuple[Supply, ...]:
    """The supplies with those deliveries only that the export rules of their dates let through."""
    counted = []
    for supply in horizon.supply:
        through = [
            delivery
            for delivery, found in zip(supply.deliveries, admissions[supply.name], strict=True)
            if found.standing.counts
        ]
        if through:
            counted.append(replace(supply, deliveries=tuple(through)))
    return tuple(counted)


def admissions_of(supply: Supply, horizon: Horizon) -> tuple[Admission, ...]:
    """How each delivery stands on its date."""
    return tuple(
        admission(supply.chip_reference, horizon.exporting, on=delivery.on, licence_held=supply.licence_held)
        for delivery in supply.deliveries
    )


def _not_at_home(ground: Ground) -> tuple[str, ...]:
    return tuple(
        f"service {service.name!r} runs on pool {service.today.pool!r} today but has no offer there within its SLO: "
        "without the move it is placed like with it"
        for service in ground.scenario.services
        if service.today is not None and (service.name, service.today.pool) not in ground.offers
    )


# -- one course of events -----------------------------------------------------------------------------


def _case(
    ground: Ground, supply: Sequence[Supply], *, stays: bool, drawers: Workers, progress: Progress
) -> RunwayCase:
    """What is planned for, in full; and the generations of drawn futures."""
    outlook, odds = outlook_of(ground, stays=stays), odds_of(ground, supply)
    future = planned(odds)
    course = look_ahead(outlook, future)
    case = RunwayCase(
        generations=outlook.generations(course),
        runs=_runs(ground, course, future),
        shortfall=_shortfall(ground, outlook, course, future),
        uses=_uses(ground, course, future),
    )
    draws = ground.horizon.draws
    if draws == 0:
        return case
    what = "futures without the move" if stays else "futures"
    drawn = generations_drawn(
        outlook,
        odds,
        draws=draws,
        seed=ground.scenario.planning.seed,
        workers=drawers,
        progress=lambda done: progress(what, done, draws),
    )
    p10, p50, p90 = np.quantile(drawn[:, 0], [0.1, 0.5, 0.9])
    return replace(
        case,
        quantiles=Quantiles(p10=float(p10), p50=float(p50), p90=float(p90)),
        short_share=float(np.isfinite(drawn[:, 1]).mean()),
    )


def _runs(ground: Ground, course: Course, future: Future) -> tuple[GenerationRun, ...]:
    start = ground.horizon.start

    def day(seconds: float) -> datetime.date | None:
        return date_after(start, seconds) if math.isfinite(seconds) else None

    runs = []
    for g, generation in enumerate(ground.horizon.generations):
        pool, chips = _gang(ground, course, future, g)
        runs.append(
            GenerationRun(
                name=generation.name,
                flop=generation.flop,
                starts=day(course.started_s[g]),
                finishes=day(course.finished_s[g]),
                due=generation.by,
                pool=pool,
                chips=chips,
                done_share=float(min(course.done[g] / generation.flop, 1.0)),
            )
        )
    return tuple(runs)


def _gang(ground: Ground, course: Course, future: Future, g: int) -> tuple[PoolName | None, int]:
    """Where a generation begins to train, and the chips that inference leaves there; of a mixed gang, all pools together."""
    month, where = int(course.month[g]), int(course.pool[g])
    if month < 0:
        return None, 0
    left = future.stock[month] - course.used[month]
    if where < len(ground.pools):
        return ground.pools[where], int(left[where])
    return PoolName("all pools"), int(left.sum())


def _uses(ground: Ground, course: Course, future: Future) -> tuple[MonthUse, ...]:
    return tuple(
        MonthUse(month=month, pool=pool, chips=int(future.stock[m, p]), serving=int(course.used[m, p]))
        for m, month in enumerate(month_starts(ground.horizon)[:-1])
        for p, pool in enumerate(ground.pools)
    )


def _shortfall(ground: Ground, outlook: Outlook, course: Course, future: Future) -> Shortfall | None:
    """The first of what is lacking: chips that serve, or compute by the day a generation is due."""
    found = [
        _serving_short(ground, outlook, course, future),
        _training_short(ground, outlook, course, future),
    ]
    return min((short for short in found if short is not None), key=lambda short: short.on, default=None)


def _serving_short(ground: Ground, outlook: Outlook, course: Course, future: Future) -> Shortfall | None:
    lacks = (course.unmet.sum(axis=1) > 0) | (course.short.sum(axis=1) > 0)
    if not lacks.any():
        return None
    month = int(np.argmax(lacks))
    need = _leanest_chips(outlook, future, month)
    chips = np.where(np.isfinite(need), need, 0.0) * course.unmet[month][:, np.newaxis]
    lean = np.argmin(need, axis=1)
    by_service = chips[np.arange(len(lean)), lean] if len(lean) else np.zeros(0)
    by_pool = course.short[month].copy()
    for s, pool in enumerate(lean):
        by_pool[pool] += by_service[s]
    worst = int(np.argmax(by_service))
    pool = int(lean[worst]) if by_service[worst] > 0 else int(np.argmax(by_pool))
    return Shortfall(
        month=month,
        on=month_starts(ground.horizon)[month],
        lacking=Lacking.SERVING,
        claimant=ground.scenario.services[worst].name,
        pool=ground.pools[pool],
        chips=math.ceil(by_pool[pool]),
        missing=float(course.unmet[month, worst]),
    )


def _leanest_chips(outlook: Outlook, future: Future, month: int) -> Floats:
    """(S, P) chips that a unit of load takes by the leanest offer; ``inf`` where there is none."""
    serving, (num_services, num_pools) = outlook.serving, future.opens.shape
    first = serving.start[:-1].reshape(num_services, num_pools)
    there = (np.diff(serving.start).reshape(first.shape) > 0) & (future.opens <= month)
    need = np.full(first.shape, np.inf)
    need[there] = (serving.chips / serving.capacity)[first[there]] / future.capacity[there]
    return need


def _training_short(ground: Ground, outlook: Outlook, course: Course, future: Future) -> Shortfall | None:
    """The first generation that is not done when due: the chips more that it would have needed all the time it had."""
    for g, generation in enumerate(ground.horizon.generations):
        due_s = outlook.training.by_s[g]
        if generation.by is None or course.finished_s[g] <= due_s:
            continue
        month = min(int(np.searchsorted(future.month_s, due_s, side="right")) - 1, ground.horizon.months - 1)
        missing = generation.flop - float(course.done[g])
        before_s = course.finished_s[g - 1] if g else 0.0
        had_s = due_s - max(outlook.training.earliest_s[g], min(before_s, due_s))
        speed, pool = _best_per_chip(ground, generation.name)
        return Shortfall(
            month=month,
            on=generation.by,
            lacking=Lacking.TRAINING,
            claimant=generation.name,
            pool=pool,
            chips=math.ceil(missing / (speed * had_s)) if speed * had_s > 0 else 0,
            missing=missing,
        )
    return None


def _best_per_chip(ground: Ground, generation: str) -> tuple[float, PoolName]:
    """FLOP/s of one chip in the pool's largest gang, where that gang is fastest; 0 where it trains nowhere."""
    active = next(g.job.active_params for g in ground.horizon.generations if g.name == generation)
    options = {pool: found[-1] for (name, pool), found in ground.gangs.items() if name == generation}
    if not options:
        return 0.0, ground.reference
    pool = max(options, key=lambda name: options[name].tokens_per_s)
    best = options[pool]
    return 6 * active * best.tokens_per_s * ground.readiness.get(pool, 1.0) / best.chips, pool


# -- what would change it -----------------------------------------------------------------------------


def _supply_effect(
    ground: Ground,
    supply: Supply,
    counted: Sequence[Supply],
    admissions: Sequence[Admission],
    moved: RunwayCase,
) -> SupplyEffect:
    through = next((s for s in counted if s.name == supply.name), None)
    without = [s for s in counted if s.name != supply.name]
    lost = None if through is None else moved.generations - generations_with(ground, without)
    return SupplyEffect(
        name=supply.name,
        pool=supply.pool,
        offered=supply.chips,
        chips=through.chips if through else 0,
        first=min(delivery.on for delivery in supply.deliveries),
        standing=standings(admissions),
        why=reasons(admissions),
        lost=lost,
    )


def generations_with(ground: Ground, supply: Sequence[Supply]) -> float:
    """Generations that are trained as planned if these supplies are counted on."""
    outlook = outlook_of(ground)
    return outlook.generations(look_ahead(outlook, planned(odds_of(ground, supply))))


def _ranked(
    ground: Ground, supply: Sequence[Supply], moved: RunwayCase, progress: Progress
) -> tuple[LeverEffect, ...]:
    """What each lever alone would gain, most first."""
    found = []
    for lever in ground.horizon.levers:
        generations = _generations_pulled(ground, supply, lever, progress)
        found.append(
            LeverEffect(name=lever.name, generations=generations, gained=generations - moved.generations)
        )
    return tuple(sorted(found, key=lambda effect: (-effect.gained, effect.name)))


def _generations_pulled(ground: Ground, supply: Sequence[Supply], lever: Lever, progress: Progress) -> float:
    offers = None if not lever.dtypes else _requantised(ground, lever, progress)
    outlook = outlook_of(ground, offers=offers, mfu=lever.mfu)
    future = planned(odds_of(ground, supply))
    names = [service.name for service in ground.scenario.services]
    concerned = np.array([not lever.services or name in lever.services for name in names], dtype=np.bool_)
    return outlook.generations(
        look_ahead(
            outlook,
            future._replace(
                capacity=future.capacity * np.where(concerned, lever.serving_speedup, 1.0)[:, np.newaxis],
                demand=future.demand * np.where(concerned, lever.demand, 1.0),
                speed=future.speed * lever.training_speedup,
            ),
        )
    )


def _requantised(
    ground: Ground, lever: Lever, progress: Progress
) -> Mapping[tuple[str, PoolName], tuple[Offer, ...]]:
    """Offers, where the lever's services accept its number formats besides their own."""
    services = tuple(
        replace(service, dtypes=tuple(dict.fromkeys((*service.dtypes, *lever.dtypes))))
        for service in ground.scenario.services
        if not lever.services or service.name in lever.services
    )
    book = offer_book(replace(ground.scenario, services=services), progress)
    return {**ground.offers, **offers_by_pool(book)}
