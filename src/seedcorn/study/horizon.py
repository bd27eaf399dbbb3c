"""From the sections of a scenario that look ahead to the values they stand for."""

import datetime
import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from seedcorn.catalog import find_chip, find_model, nearest_fact, sourcing_facts
from seedcorn.domain.hardware import ChipName, Pool, PoolName
from seedcorn.domain.horizon import (
    Attrition,
    Delivery,
    Exporting,
    Generation,
    Horizon,
    Lever,
    Limits,
    Money,
    Porting,
    Quantiles,
    Supply,
)
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import InputError
from seedcorn.perf import active_params, total_params
from seedcorn.rules import rulebook
from seedcorn.study.resolve import placed
from seedcorn.units import format_money, format_seconds, format_share
from seedcorn.wire import Located, ScenarioDocument
from seedcorn.wire.horizon import (
    AttritionDocument,
    GenerationDocument,
    RunwayDocument,
    SourcingDocument,
    SupplyDocument,
)

TOKENS_PER_PARAM = 20
"""Of a compute-optimal dense model (arXiv:2203.15556, table 3); its compute is then 6 · N · 20 N."""
CHIPS_PER_NODE = 8
"""Of a supply that says nothing else: boards of eight are the usual server."""
CANDIDATE_CHIPS = 512
"""Of a catalogue chip to be weighed: the number at which chips are compared in training."""


def resolve_horizon(
    located: Located[ScenarioDocument], scenario: Scenario, *, candidates: Sequence[str] = ()
) -> Horizon:
    """What the scenario says of the future, with every name looked up.

    Args:
        candidates: Catalogue chips to weigh besides those of the scenario.

    Raises:
        InputError: A name is unknown, a supply joins a pool of another chip or does not say when it comes,
            or nothing says when the future starts.
    """
    document = located.document
    runway = document.runway or RunwayDocument()
    start = _start(located)
    supply = tuple(_supply(located, i, s, scenario, start) for i, s in enumerate(document.supply))
    return Horizon(
        start=start,
        months=runway.months,
        draws=runway.draws,
        generations=tuple(_generations(located)),
        supply=supply,
        attrition=tuple(_attrition(located, scenario, supply)),
        growth={service.name: _quantiles(service.growth) for service in document.services},
        levers=tuple(
            Lever(
                name=lever.name,
                serving_speedup=lever.serving_speedup,
                training_speedup=lever.training_speedup,
                mfu=lever.mfu,
                dtypes=lever.dtypes,
                demand=lever.demand,
                services=lever.services,
            )
            for lever in document.levers
        ),
        candidates=tuple(_candidates(located, candidates, scenario, start)),
        limits=_limits(document.sourcing),
        exporting=_exporting(located, start),
    )


def _exporting(located: Located[ScenarioDocument], start: datetime.date) -> Exporting | None:
    """Where chips go, looked up before any long work; ``None``: the scenario keeps to no rules."""
    rules = located.document.rules
    if rules is None:
        return None
    book = rulebook()
    with placed(located.where("rules", "destination")):
        destination = book.destination(rules.destination)
    with placed(located.where("rules", "headquarters")):
        headquarters = book.destination(rules.headquarters or rules.destination)
    with placed(located.where("rules", "on")):
        book.law_on(start, "any chip")
    return Exporting(destination=destination, headquarters=headquarters)


def _start(located: Located[ScenarioDocument]) -> datetime.date:
    document = located.document
    given = (
        document.runway.start if document.runway else None,
        document.fleet.on,
        document.rules.on if document.rules else None,
    )
    start = next((date for date in given if date is not None), None)
    if start is None:
        raise InputError(
            "a future needs a first day: give 'runway: {start: 2026-11-24}', or 'fleet.on', or 'rules.on'",
            where=located.where(),
        )
    return start


def _quantiles(three: tuple[float, float, float]) -> Quantiles:
    return Quantiles(p10=three[0], p50=three[1], p90=three[2])


def _money(money: tuple[float, str] | None) -> Money | None:
    return None if money is None else Money(amount=money[0], currency=money[1])


# -- generations --------------------------------------------------------------------------------------


def _generations(located: Located[ScenarioDocument]) -> Iterator[Generation]:
    for i, generation in enumerate(located.document.generations):
        model = None
        if generation.model is not None:
            with placed(located.where("generations", i, "model")):
                model = find_model(located.reference(generation.model)).model
        for k in range(generation.count):
            yield _generation(generation, model, k)


def _generation(document: GenerationDocument, model: ModelSpec | None, k: int) -> Generation:
    """The ``k``-th of a row. A given architecture grows in tokens; sizes alone grow with the tokens, both
    by the square root, which stays compute-optimal (arXiv:2203.15556)."""
    factor = document.growth**k
    params, active, tokens = _size(document, model, factor)
    shift = datetime.timedelta(seconds=k * (document.every or 0.0))
    name = document.name if document.count == 1 else f"{document.name}-{k + 1}"
    return Generation(
        name=name,
        flop=6 * active * tokens,
        job=TrainingJob(
            name=name,
            params=params,
            active_params=active,
            model=model,
            tokens=tokens,
            batch_tokens=document.batch_tokens,
            sequence_length=document.sequence_length,
            dtype=document.dtype,
            pools=tuple(PoolName(pool) for pool in document.pools),
            min_chips=document.chips.min,
            max_chips=document.chips.max,
        ),
        earliest=None if document.earliest is None else document.earliest + shift,
        by=None if document.by is None else document.by + shift,
        mixed=document.mixed,
    )


def _size(document: GenerationDocument, model: ModelSpec | None, factor: float) -> tuple[float, float, float]:
    """Parameters, active parameters and tokens; ``factor`` is on the compute."""
    if model is not None:
        params, active = float(total_params(model)), float(active_params(model))
        tokens = document.tokens or (document.flop or 0.0) / (6 * active)
        return params, active, tokens * factor
    if document.params is not None:
        active = document.active_params or document.params
        tokens = document.tokens or (document.flop or 0.0) / (6 * active)
        root = math.sqrt(factor)
        return document.params * root, active * root, tokens * root
    assert document.flop is not None  # the document has flop, or tokens of something
    params = math.sqrt(document.flop * factor / (6 * TOKENS_PER_PARAM))
    return params, params, TOKENS_PER_PARAM * params


# -- chips to come and to go --------------------------------------------------------------------------


def _supply(
    located: Located[ScenarioDocument],
    i: int,
    document: SupplyDocument,
    scenario: Scenario,
    start: datetime.date,
) -> Supply:
    with placed(located.where("supply", i, "chip")):
        reference = located.reference(document.chip)
        chip = find_chip(reference).chip
    joined = _joined(located, i, document, scenario)
    if joined is not None and joined.chip.name != chip.name:
        raise InputError(
            f"supply {document.name!r} is of {chip.name}, but pool {joined.name!r} is of {joined.chip.name}: "
            "leave 'pool' out, and it forms a pool of its own",
            where=located.where("supply", i, "pool"),
        )
    network = (
        document.network if document.network is not None or joined is None else joined.network_bytes_per_s
    )
    priors: list[str] = []
    deliveries = _deliveries(located, i, document, chip.name, start, priors)
    delivered = _delivered(document, chip.name, priors)
    price = _price(document.price_per_chip, chip.name, start, priors)
    node = document.chips_per_node or (joined.chips_per_node if joined else CHIPS_PER_NODE)
    return Supply(
        name=document.name,
        pool=joined.name if joined else PoolName(document.name),
        joins=joined is not None,
        chip=chip,
        chip_reference=reference,
        chips_per_node=node,
        deliveries=deliveries,
        network_bytes_per_s=network,
        delivered=delivered,
        delay_s=_quantiles(document.delay),
        price=price,
        porting=tuple(
            Porting(family=line.family, time_s=line.time, cost=_money(line.cost)) for line in document.porting
        ),
        readiness=document.readiness,
        power_w=document.power_per_chip if document.power_per_chip is not None else chip.tdp_w,
        committed=document.committed,
        licence_held=document.licence_held,
        priors=tuple(priors),
    )


def _joined(
    located: Located[ScenarioDocument], i: int, document: SupplyDocument, scenario: Scenario
) -> Pool | None:
    """The pool that the supply joins; pools of a stock ledger are known only here."""
    named = document.pool or document.name
    found = next((pool for pool in scenario.pools if pool.name == named), None)
    if document.pool is not None and found is None:
        raise InputError(
            f"no pool {named!r} in the fleet; known: {', '.join(pool.name for pool in scenario.pools)}",
            where=located.where("supply", i, "pool"),
        )
    if document.pool is None and found is not None:
        raise InputError(
            f"{named!r} is a pool already: give 'pool: {named}', or another name",
            where=located.where("supply", i, "name"),
        )
    return found


def _deliveries(
    located: Located[ScenarioDocument],
    i: int,
    document: SupplyDocument,
    chip: ChipName,
    start: datetime.date,
    priors: list[str],
) -> tuple[Delivery, ...]:
    for j, delivery in enumerate(document.deliveries):
        if delivery.on < start:
            raise InputError(
                f"a delivery of {delivery.on} is in the fleet of {start} already, the first day looked at: leave it out",
                where=located.where("supply", i, "deliveries", j, "on"),
            )
    if document.deliveries:
        return tuple(Delivery(on=delivery.on, chips=delivery.chips) for delivery in document.deliveries)
    lead_s, ordered = document.lead_time, document.order or start
    if lead_s is None:
        fact = nearest_fact(chip, "lead_s", ordered)
        if fact is None or fact.lead_s is None:
            raise InputError(
                f"supply {document.name!r} does not say when it comes, and no public fact does: give 'deliveries', "
                "or a 'lead_time'",
                where=located.where("supply", i),
            )
        lead_s = fact.lead_s
        priors.append(f"lead time {format_seconds(lead_s)}: {fact}")
    assert document.chips is not None  # the document has chips, or deliveries
    return (Delivery(on=ordered + datetime.timedelta(seconds=lead_s), chips=document.chips),)


def _delivered(document: SupplyDocument, chip: ChipName, priors: list[str]) -> Quantiles:
    """The scenario's own; else the shares that public orders of the chip had received when they were reported: the least
    as P10, the mean as P50, the most as P90; else all."""
    if document.delivered is not None:
        return _quantiles(document.delivered)
    facts = [fact for fact in sourcing_facts() if fact.chip == chip and fact.share is not None]
    shares = sorted(fact.share for fact in facts if fact.share is not None)
    if not shares:
        return Quantiles(p10=1.0, p50=1.0, p90=1.0)
    priors += [f"delivered {format_share(fact.share or 0.0)}: {fact}" for fact in facts]
    return Quantiles(p10=shares[0], p50=sum(shares) / len(shares), p90=shares[-1])


def _price(
    given: tuple[float, str] | None, chip: ChipName, on: datetime.date, priors: list[str]
) -> Money | None:
    if given is not None:
        return _money(given)
    fact = nearest_fact(chip, "price", on)
    if fact is None or fact.price is None:
        return None
    priors.append(f"price {format_money(*fact.price)} a chip: {fact}")
    return _money(fact.price)


# -- what to weigh ------------------------------------------------------------------------------------


def _candidates(
    located: Located[ScenarioDocument], more: Sequence[str], scenario: Scenario, start: datetime.date
) -> Iterator[Supply]:
    """Catalogue chips as supplies: there on the first day, since nothing says when they would come.

    They join the largest pool of the same chip; else they form one, named after the chip.
    """
    sourcing = located.document.sourcing
    named = [(name, located.where("sourcing", "candidates", i)) for i, name in enumerate(_named(sourcing))]
    for name, where in (*named, *((name, "--chips") for name in more)):
        with placed(where):
            chip = find_chip(located.reference(name)).chip
        like = [pool for pool in scenario.pools if pool.chip.name == chip.name]
        pool = max(like, key=lambda pool: pool.chips, default=None)
        priors = [f"{CANDIDATE_CHIPS} chips, there on the first day: the catalogue knows no lead time"]
        price = _price(None, chip.name, start, priors)
        yield Supply(
            name=chip.name,
            pool=pool.name if pool else PoolName(chip.name),
            joins=pool is not None,
            chip=chip,
            chip_reference=located.reference(name),
            chips_per_node=pool.chips_per_node if pool else CHIPS_PER_NODE,
            deliveries=(Delivery(on=start, chips=CANDIDATE_CHIPS),),
            network_bytes_per_s=pool.network_bytes_per_s if pool else None,
            price=price,
            power_w=chip.tdp_w,
            priors=tuple(priors),
        )


def _named(sourcing: SourcingDocument | None) -> tuple[str, ...]:
    return () if sourcing is None else sourcing.candidates


def _limits(sourcing: SourcingDocument | None) -> Limits:
    if sourcing is None:
        return Limits()
    return Limits(budget=_money(sourcing.budget), power_w=sourcing.power, exchange=sourcing.exchange)


# -- chips to go --------------------------------------------------------------------------------------


def _attrition(
    located: Located[ScenarioDocument], scenario: Scenario, supply: tuple[Supply, ...]
) -> Iterator[Attrition]:
    """One for each pool that a line applies to: a line for the pool goes before one for its chip, that before one for all."""
    chips = {pool.name: pool.chip.name for pool in scenario.pools}
    chips |= {s.pool: s.chip.name for s in supply}
    best: dict[PoolName, tuple[int, AttritionDocument]] = {}
    for i, line in enumerate(located.document.attrition):
        chip = None
        if line.chip is not None:
            with placed(located.where("attrition", i, "chip")):
                chip = find_chip(located.reference(line.chip)).chip.name
        if line.pool is not None and line.pool not in chips:
            raise InputError(
                f"no pool {line.pool!r} in the fleet or to come; known: {', '.join(chips)}",
                where=located.where("attrition", i, "pool"),
            )
        rank = 2 if line.pool is not None else 1 if chip is not None else 0
        for pool, of in chips.items():
            concerns = line.pool in (None, pool) and chip in (None, of)
            if concerns and rank >= best.get(pool, (0, line))[0]:
                best[pool] = (rank, line)
    for pool, (_, line) in best.items():
        yield Attrition(pool=pool, mtbf_s=line.mtbf, retire=line.retire)


def widened(scenario: Scenario, supply: tuple[Supply, ...]) -> Scenario:
    """The scenario with the pools that supplies form, and every pool as large as it may ever be."""
    more = {s.pool: sum(t.chips for t in supply if t.pool == s.pool) for s in supply}
    grown = tuple(replace(pool, chips=pool.chips + more.get(pool.name, 0)) for pool in scenario.pools)
    formed = tuple(
        Pool(
            name=s.pool,
            chip=s.chip,
            chips=s.chips,
            chips_per_node=s.chips_per_node,
            network_bytes_per_s=s.network_bytes_per_s,
        )
        for s in supply
        if not s.joins
    )
    return replace(scenario, pools=grown + formed)
