"""``market.json``: pools, services with offers of known capacity, jobs; and the allocation that answers it."""

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    JobOption,
    Market,
    MarketJob,
    MarketOffer,
    MarketPool,
    MarketResale,
    MarketService,
    Objective,
    ResaleAward,
    ResaleKind,
    Shortage,
)
from seedcorn.wire._fields import Absent, Document, Many, Name
from seedcorn.wire._reading import Problem, did_you_mean, dotted, read_document
from seedcorn.wire._text import Json, Step
from seedcorn.wire._writing import json_bytes
from seedcorn.wire.training import Sequenced, sequence_problems

_ChipCount: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
_Amount: TypeAlias = Annotated[float, Field(ge=0)]
_Chips: TypeAlias = _ChipCount | Annotated[dict[str, _ChipCount], Field(min_length=1)]
_Load: TypeAlias = _Amount | Many[_Amount]
_Replicas: TypeAlias = Annotated[int, Field(ge=0, le=10**9)]


class MarketPoolDocument(Document):
    """Chips of one kind in one place."""

    name: Name = Field(description="Unique among pools.")
    chips: _ChipCount = Field(description="Chips that may be used.")
    price: _Amount = Field(default=0.0, description="What one free chip-hour is worth.")


class _Use(Document):
    """Chips of one pool, or of several."""

    pool: Annotated[str | None, Absent("`chips` names the pools")] = Field(
        default=None, description="The pool whose chips are used."
    )
    chips: _Chips = Field(description="How many; or a mapping of pool to how many, without `pool`.")

    def by_pool(self) -> dict[PoolName, int]:
        """Chips by pool."""
        if isinstance(self.chips, dict):
            return {PoolName(pool): chips for pool, chips in self.chips.items()}
        assert self.pool is not None
        return {PoolName(self.pool): self.chips}


class MarketOfferDocument(_Use):
    """One kind of replica."""

    name: Name = Field(description="Unique among the service's offers.")
    capacity: dict[str, Annotated[float, Field(gt=0)]] = Field(
        min_length=1,
        description="Class to the load one replica carries of that class alone; loads of classes on one "
        "replica add. A class that is missing cannot be served.",
    )
    cost: _Amount = Field(default=0.0, description="Paid per replica, on top of its chips.")
    today: _Replicas = Field(default=0, description="Replicas running now.")
    move_cost: _Amount = Field(
        default=0.0,
        description="Paid per hour for each replica beyond those of `today`: what a start costs once, over the "
        "hours that the answer is to stand.",
    )
    switch_cost: _Amount = Field(
        default=0.0,
        description="Paid per hour of a slot for each replica beyond those of the slot before (before the first "
        "comes the last): what a start costs once, over the hours of a slot.",
    )


class MarketServiceDocument(Document):
    """Load that must be carried in full."""

    name: Name = Field(description="Unique among services.")
    demand: dict[str, _Load] = Field(
        min_length=1,
        description="Class to load, in the unit of the capacities; a list has the load of each slot.",
    )
    offers: Many[MarketOfferDocument] = Field(default=(), description="Replicas it may be served by.")


class JobOptionDocument(_Use):
    """One size of a job."""

    progress: _Amount = Field(description="What it makes of these chips, in reference-chip equivalents.")


class MarketJobDocument(Document):
    """A job that takes one of its options, whole, or waits. What it takes, it keeps in every slot."""

    name: Name = Field(description="Unique among jobs.")
    weight: _Amount = Field(default=1.0, description="Worth of one unit of its progress.")
    required: bool = Field(default=False, description="Whether it must run.")
    elastic: bool = Field(default=False, description="Whether it may take another option in every slot.")
    work: Annotated[_Amount | None, Absent("not said")] = Field(
        default=None, description="Hours that progress 1 takes to finish it."
    )
    deadline_hours: Annotated[Annotated[float, Field(gt=0)] | None, Absent("none")] = Field(
        default=None, description="Hours in which it must be finished: an option that takes longer is none."
    )
    priority: int = Field(default=0, description="Jobs of a lower one never displace those of a higher one.")
    after: Annotated[str | None, Absent("none")] = Field(
        default=None,
        description="The job that it follows, on the same gang. Its deadline counts from that one's end.",
    )
    switch_cost: _Amount = Field(
        default=0.0,
        description="Of an elastic job: paid per hour of a slot in which it takes an option that it did not have "
        "in the slot before.",
    )
    options: Many[JobOptionDocument] = Field(min_length=1, description="Sizes it may run at.")


class MarketResaleDocument(Document):
    """Chips that may be sold: as many as pay more than anything else makes of them."""

    name: Name = Field(description="Unique among products.")
    pool: str = Field(description="Whose chips are sold.")
    chips: _ChipCount = Field(description="Sold at most.")
    value: _Amount = Field(description="Of one chip-hour, in the unit of the pools' prices.")
    kind: Annotated[ResaleKind, Field(strict=False)] = Field(
        default=ResaleKind.RESERVED, description="As many chips in every slot, or slot by slot."
    )


class MarketDocument(Document):
    """A market: find the allocation of highest worth.

    Σ weight·progress + Σ value·chips sold − Σ price·chips used − Σ cost·replicas − Σ move_cost·replicas
    beyond today's − Σ switch_cost·replicas beyond the slot before's is maximised, on the mean of the slots, so that all demand is carried, required jobs run, and no
    pool uses more chips than it has. Under `max-min`, jobs share the chips by time, and the least
    progress/weight of any of them is maximised instead.
    """

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["market"] = Field(description="What this document is.")
    pools: Many[MarketPoolDocument] = Field(min_length=1, description="The chips.")
    services: Many[MarketServiceDocument] = Field(default=(), description="Who must be served.")
    jobs: Many[MarketJobDocument] = Field(default=(), description="Who may train.")
    resale: Many[MarketResaleDocument] = Field(default=(), description="What may be sold.")
    slots: Annotated[int, Field(ge=1, le=24)] = Field(
        default=1, description="Equally long parts that the day is planned in."
    )
    max_moves: Annotated[_Replicas | None, Absent("any number")] = Field(
        default=None, description="Replicas beyond those of `today` that there may be in any slot."
    )
    objective: Annotated[Objective, Field(strict=False)] = Field(
        default=Objective.VALUE, description="What is maximised; `max-min` is for jobs alone."
    )


def read_market(path: Path) -> Market:
    """The market at ``path``.

    Raises:
        InputError: It is no market, or contradicts itself; every mistake with ``file:line:column``.
    """
    document = read_document(path, MarketDocument, kind="market", check=_problems).document
    return Market(
        pools=tuple(
            MarketPool(name=PoolName(pool.name), chips=pool.chips, price=pool.price)
            for pool in document.pools
        ),
        services=tuple(_service(service) for service in document.services),
        jobs=tuple(_job(job) for job in document.jobs),
        resale=tuple(
            MarketResale(
                name=product.name,
                pool=PoolName(product.pool),
                chips=product.chips,
                value=product.value,
                kind=product.kind,
            )
            for product in document.resale
        ),
        slots=document.slots,
        max_moves=document.max_moves,
        objective=document.objective,
    )


def _service(document: MarketServiceDocument) -> MarketService:
    offers = (
        MarketOffer(
            name=offer.name,
            chips=offer.by_pool(),
            capacity=offer.capacity,
            cost=offer.cost,
            today=offer.today,
            move_cost=offer.move_cost,
            switch_cost=offer.switch_cost,
        )
        for offer in document.offers
    )
    return MarketService(
        name=document.name,
        demand={name: load for name, load in document.demand.items() if not isinstance(load, tuple)},
        offers=tuple(offers),
        tidal={name: load for name, load in document.demand.items() if isinstance(load, tuple)},
    )


def _job(document: MarketJobDocument) -> MarketJob:
    options = (JobOption(chips=option.by_pool(), progress=option.progress) for option in document.options)
    return MarketJob(
        name=document.name,
        options=tuple(options),
        weight=document.weight,
        required=document.required,
        elastic=document.elastic,
        work=document.work,
        deadline_hours=document.deadline_hours,
        switch_cost=document.switch_cost,
        priority=document.priority,
        after=document.after,
    )


def _problems(market: MarketDocument) -> Iterator[Problem]:
    """What is wrong between fields: names that clash or lead nowhere."""
    pools = [pool.name for pool in market.pools]
    yield from _twice(pools, "pools")
    yield from _twice([service.name for service in market.services], "services")
    yield from _twice([job.name for job in market.jobs], "jobs")
    yield from _twice([product.name for product in market.resale], "resale")
    for r, product in enumerate(market.resale):
        if product.pool not in pools:
            yield Problem(("resale", r, "pool"), _no_pool(product.pool, pools))
    for s, service in enumerate(market.services):
        yield from _tide_problems(service, market.slots, "services", s, "demand")
        yield from _twice([offer.name for offer in service.offers], "services", s, "offers")
        for o, offer in enumerate(service.offers):
            yield from _use_problems(offer, pools, "services", s, "offers", o)
            yield from _stray_classes(service, offer, "services", s, "offers", o)
    for j, job in enumerate(market.jobs):
        for k, option in enumerate(job.options):
            yield from _use_problems(option, pools, "jobs", j, "options", k)
        yield from _deadline_problems(job, "jobs", j)
        if job.switch_cost and not job.elastic:
            message = "only an 'elastic' job switches; a gang keeps its chips all day"
            yield Problem(("jobs", j, "switch_cost"), message)
    yield from _sequence_problems(market)
    if market.objective is Objective.MAX_MIN:
        yield from _max_min_problems(market)


def _sequence_problems(market: MarketDocument) -> Iterator[Problem]:
    """Jobs in sequence are in line, and none of them breathes."""
    sequenced = [Sequenced(job.name, job.after, job.work is not None) for job in market.jobs]
    yield from sequence_problems("jobs", sequenced, amount="work")
    breathing = {job.name for job in market.jobs if job.elastic}
    for j, job in enumerate(market.jobs):
        if job.after is not None and {job.name, job.after} & breathing:
            yield Problem(("jobs", j, "after"), "jobs in sequence share a gang, and none may be 'elastic'")


def _tide_problems(service: MarketServiceDocument, slots: int, *steps: Step) -> Iterator[Problem]:
    for name, load in service.demand.items():
        if isinstance(load, tuple) and len(load) != slots:
            message = (
                f"expected a number or a list of {slots} (one for each of 'slots'), got a list of {len(load)}"
            )
            yield Problem((*steps, name), message)


def _deadline_problems(job: MarketJobDocument, *steps: Step) -> Iterator[Problem]:
    if job.deadline_hours is None:
        return
    if job.work is None:
        yield Problem((*steps, "deadline_hours"), "a deadline needs 'work', the hours that progress 1 takes")
    if job.elastic:
        message = (
            "an elastic job has no one pace to meet a deadline at: give up 'elastic' or 'deadline_hours'"
        )
        yield Problem((*steps, "deadline_hours"), message)


def _max_min_problems(market: MarketDocument) -> Iterator[Problem]:
    """Max-min fairness is for jobs alone, on one slot."""
    if not market.jobs:
        yield Problem(("objective",), "'max-min' shares chips among jobs, and there are none")
    for key, given in (
        ("services", bool(market.services)),
        ("resale", bool(market.resale)),
        ("slots", market.slots > 1),
        ("max_moves", market.max_moves is not None),
    ):
        if given:
            yield Problem((key,), f"has no part in 'max-min', which is for jobs alone: leave {key!r} out")
    for j, job in enumerate(market.jobs):
        if job.weight == 0.0:
            yield Problem(("jobs", j, "weight"), "expected more than 0 under 'max-min', got 0")
        for key, told in (
            ("deadline_hours", job.deadline_hours),
            ("after", job.after),
            ("priority", job.priority),
        ):
            if told:
                yield Problem(("jobs", j, key), "has no part in 'max-min': leave it out")
        if job.required:
            yield Problem(
                ("jobs", j, "required"), "has no part in 'max-min', where every job runs: leave it out"
            )


def _no_pool(name: str, pools: Sequence[str]) -> str:
    return f"no pool is called {name!r}{did_you_mean(name, pools)}"


def _twice(names: Sequence[str], *steps: Step) -> Iterator[Problem]:
    first: dict[str, int] = {}
    for i, name in enumerate(names):
        if first.setdefault(name, i) != i:
            before = dotted((*steps, first[name]))
            yield Problem((*steps, i, "name"), f"{name!r} is given twice: first as {before}")


def _use_problems(use: _Use, pools: Sequence[str], *steps: Step) -> Iterator[Problem]:
    if isinstance(use.chips, int):
        if use.pool is None:
            yield Problem(steps, "'pool' is required where 'chips' is one number")
        elif use.pool not in pools:
            yield Problem((*steps, "pool"), _no_pool(use.pool, pools))
        return
    if use.pool is not None:
        yield Problem((*steps, "pool"), "give either 'pool' or pools in 'chips', not both")
    for pool in use.chips:
        if pool not in pools:
            yield Problem((*steps, "chips", pool), _no_pool(pool, pools), at_key=True)


def _stray_classes(
    service: MarketServiceDocument, offer: MarketOfferDocument, *steps: Step
) -> Iterator[Problem]:
    for name in offer.capacity:
        if name not in service.demand:
            hint = did_you_mean(name, list(service.demand))
            message = f"service {service.name!r} has no class {name!r}{hint}"
            yield Problem((*steps, "capacity", name), message, at_key=True)


def allocation_json(allocation: Allocation) -> bytes:
    """The answer as JSON. Numbers that are not finite are ``null``.

    ``slot`` is there where the day has several, ``null`` for what is the same in all of them; ``started``
    where moves count; ``share`` of a job where jobs share chips by time; ``resale`` where chips may be sold.
    """
    is_day = any(use.slot > 0 for use in allocation.pools)
    return json_bytes(
        {
            "seedcorn": 1,
            "kind": "allocation",
            "status": str(allocation.status),
            "objective": _finite(allocation.objective),
            "bound": _finite(allocation.bound),
            "gap": _finite(allocation.gap),
            "deployments": [
                {
                    "service": deployment.service,
                    "offer": deployment.offer,
                    **({"slot": deployment.slot} if is_day else {}),
                    **_use(deployment.chips),
                    "replicas": deployment.replicas,
                    **({} if deployment.started is None else {"started": deployment.started}),
                    "share": dict(deployment.share),
                }
                for deployment in allocation.deployments
            ],
            "jobs": [
                {
                    "job": award.job,
                    "option": award.option,
                    **({"slot": award.slot} if is_day else {}),
                    **_use(award.chips),
                    **({} if award.share is None else {"share": award.share}),
                    "progress": award.progress,
                    **({"starts_in_hours": award.starts_in_hours} if award.starts_in_hours else {}),
                }
                for award in allocation.jobs
            ],
            **(
                {"resale": [_sale(award, is_day=is_day) for award in allocation.resale]}
                if allocation.resale
                else {}
            ),
            "pools": [
                {
                    "pool": use.pool,
                    **({"slot": use.slot} if is_day else {}),
                    "chips": use.chips,
                    "used": use.used,
                    "free": use.free,
                    "shadow_price": use.shadow_price,
                }
                for use in allocation.pools
            ],
            "shortages": [_shortage(shortage) for shortage in allocation.shortages],
            "seconds": allocation.seconds,
        }
    )


def _sale(award: ResaleAward, *, is_day: bool) -> Json:
    return {
        "product": award.product,
        **({"slot": award.slot} if is_day else {}),
        "pool": award.pool,
        "chips": award.chips,
    }


def _use(chips: Mapping[PoolName, int]) -> dict[str, Json]:
    """``pool`` and ``chips`` as a market document writes them."""
    if len(chips) > 1:
        return {"pool": None, "chips": {str(pool): count for pool, count in chips.items()}}
    pool, count = next(iter(chips.items()), (None, 0))
    return {"pool": pool, "chips": count}


def _shortage(shortage: Shortage) -> Json:
    return {
        "claimant": shortage.claimant,
        "binds": shortage.binds,
        "remedy": shortage.remedy,
        "add_chips": {str(pool): count for pool, count in shortage.add_chips.items()},
        "shed": dict(shortage.shed),
        "wait": shortage.wait,
        "needed": shortage.needed,
        **({"add_moves": shortage.add_moves} if shortage.add_moves else {}),
        **({} if shortage.deadline_hours is None else {"deadline_hours": shortage.deadline_hours}),
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
