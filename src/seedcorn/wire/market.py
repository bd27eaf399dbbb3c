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
    MarketService,
    Shortage,
)
from seedcorn.wire._fields import Absent, Document, Many, Name
from seedcorn.wire._reading import Problem, did_you_mean, dotted, read_document
from seedcorn.wire._text import Json, Step
from seedcorn.wire._writing import json_bytes

_ChipCount: TypeAlias = Annotated[int, Field(ge=1, le=10**9)]
_Amount: TypeAlias = Annotated[float, Field(ge=0)]
_Chips: TypeAlias = _ChipCount | Annotated[dict[str, _ChipCount], Field(min_length=1)]


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


class MarketServiceDocument(Document):
    """Load that must be carried in full."""

    name: Name = Field(description="Unique among services.")
    demand: dict[str, _Amount] = Field(
        min_length=1, description="Class to load, in the unit of the capacities."
    )
    offers: Many[MarketOfferDocument] = Field(default=(), description="Replicas it may be served by.")


class JobOptionDocument(_Use):
    """One size of a job."""

    progress: _Amount = Field(description="What it makes of these chips, in reference-chip equivalents.")


class MarketJobDocument(Document):
    """A job that takes one of its options, whole, or waits."""

    name: Name = Field(description="Unique among jobs.")
    weight: _Amount = Field(default=1.0, description="Worth of one unit of its progress.")
    required: bool = Field(default=False, description="Whether it must run.")
    options: Many[JobOptionDocument] = Field(min_length=1, description="Sizes it may run at.")


class MarketDocument(Document):
    """A market: find the allocation of highest worth.

    Σ weight·progress − Σ price·chips used − Σ cost·replicas is maximised, so that all demand is carried,
    required jobs run, and no pool uses more chips than it has.
    """

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["market"] = Field(description="What this document is.")
    pools: Many[MarketPoolDocument] = Field(min_length=1, description="The chips.")
    services: Many[MarketServiceDocument] = Field(default=(), description="Who must be served.")
    jobs: Many[MarketJobDocument] = Field(default=(), description="Who may train.")


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
    )


def _service(document: MarketServiceDocument) -> MarketService:
    offers = (
        MarketOffer(name=offer.name, chips=offer.by_pool(), capacity=offer.capacity, cost=offer.cost)
        for offer in document.offers
    )
    return MarketService(name=document.name, demand=document.demand, offers=tuple(offers))


def _job(document: MarketJobDocument) -> MarketJob:
    options = (JobOption(chips=option.by_pool(), progress=option.progress) for option in document.options)
    return MarketJob(
        name=document.name, options=tuple(options), weight=document.weight, required=document.required
    )


def _problems(market: MarketDocument) -> Iterator[Problem]:
    """What is wrong between fields: names that clash or lead nowhere."""
    pools = [pool.name for pool in market.pools]
    yield from _twice(pools, "pools")
    yield from _twice([service.name for service in market.services], "services")
    yield from _twice([job.name for job in market.jobs], "jobs")
    for s, service in enumerate(market.services):
        yield from _twice([offer.name for offer in service.offers], "services", s, "offers")
        for o, offer in enumerate(service.offers):
            yield from _use_problems(offer, pools, "services", s, "offers", o)
            yield from _stray_classes(service, offer, "services", s, "offers", o)
    for j, job in enumerate(market.jobs):
        for k, option in enumerate(job.options):
            yield from _use_problems(option, pools, "jobs", j, "options", k)


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
            yield Problem((*steps, "pool"), f"no pool is called {use.pool!r}{did_you_mean(use.pool, pools)}")
        return
    if use.pool is not None:
        yield Problem((*steps, "pool"), "give either 'pool' or pools in 'chips', not both")
    for pool in use.chips:
        if pool not in pools:
            message = f"no pool is called {pool!r}{did_you_mean(pool, pools)}"
            yield Problem((*steps, "chips", pool), message, at_key=True)


def _stray_classes(
    service: MarketServiceDocument, offer: MarketOfferDocument, *steps: Step
) -> Iterator[Problem]:
    for name in offer.capacity:
        if name not in service.demand:
            hint = did_you_mean(name, list(service.demand))
            message = f"service {service.name!r} has no class {name!r}{hint}"
            yield Problem((*steps, "capacity", name), message, at_key=True)


def allocation_json(allocation: Allocation) -> bytes:
    """The answer as JSON. Numbers that are not finite are ``null``."""
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
                    **_use(deployment.chips),
                    "replicas": deployment.replicas,
                    "share": dict(deployment.share),
                }
                for deployment in allocation.deployments
            ],
            "jobs": [
                {
                    "job": award.job,
                    "option": award.option,
                    **_use(award.chips),
                    "progress": award.progress,
                }
                for award in allocation.jobs
            ],
            "pools": [
                {
                    "pool": use.pool,
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
    }


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
