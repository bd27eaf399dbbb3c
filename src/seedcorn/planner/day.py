"""A day is a plain market: one slot, no resale, no deadlines, nothing that runs today.

Chips of a slot are a pool of their own, and so is each slot's allowance of moves. A service, an elastic
job and a spot product are a claimant of their own in every slot; a gang and a reserved product take
chips in every slot at once. Replicas that run today and replicas to be started are two offers. A product
is a service whose load is the chips that might be sold: each is sold, or left unsold at the cost of its
value. Values are divided by the slots, so that the day counts its mean.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import (
    Allocation,
    JobAward,
    JobOption,
    Market,
    MarketDeployment,
    MarketJob,
    MarketOffer,
    MarketPool,
    MarketService,
    PoolUse,
    ResaleAward,
    ResaleKind,
)

_SOLD, _UNSOLD = "sold", "unsold"


class _At(NamedTuple):
    """Which claimant or pool of the day, in which slot; ``None``: in every slot."""

    which: int
    slot: int | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Day:
    """A market, and the plain one that it is.

    Attributes:
        market: As it was given.
        plain: The same without slots. What it calls a claimant or a pool is nobody's name.
        constant: An allocation of ``market`` is worth this much more than the same one of ``plain``.
        pools, services, products: What each name in ``plain`` stands for. Pools of moves have −1.
    """

    market: Market
    plain: Market
    constant: float
    pools: Mapping[str, _At]
    services: Mapping[str, _At]
    products: Mapping[str, _At]

    def allocation(self, answer: Allocation) -> Allocation:
        """What ``answer``, an allocation of ``plain``, is in the words of ``market``."""
        if self.market is self.plain:
            return answer
        deployments = (d for d in answer.deployments if d.service in self.services)
        return replace(
            answer,
            deployments=self._deployments(tuple(deployments)),
            jobs=self._awards({award.job: award for award in answer.jobs}),
            pools=tuple(self._use(use) for use in answer.pools if self.pools[use.pool].which >= 0),
            resale=self._sales(answer),
        )

    def _use(self, use: PoolUse) -> PoolUse:
        index, slot = self.pools[use.pool]
        assert slot is not None
        price = use.shadow_price * self.market.slots
        return replace(use, pool=self.market.pools[index].name, slot=slot, shadow_price=price)

    def _deployments(self, deployments: Sequence[MarketDeployment]) -> tuple[MarketDeployment, ...]:
        """Replicas kept and replicas started of one offer, together again."""
        counts_moves = self.market.counts_moves
        parts: dict[tuple[str, int], list[MarketDeployment]] = defaultdict(list)
        for deployment in deployments:
            parts[deployment.service, _offer_index(deployment.offer)].append(deployment)
        return tuple(
            self._whole(service, offer, found, counts_moves) for (service, offer), found in parts.items()
        )

    def _whole(
        self, service: str, offer: int, parts: list[MarketDeployment], counts_moves: bool
    ) -> MarketDeployment:
        owner, slot = self.services[service]
        assert slot is not None
        whose = self.market.services[owner]
        taken = whose.offers[offer]
        replicas = sum(part.replicas for part in parts)
        share = {name: sum(part.share.get(name, 0.0) for part in parts) for name in whose.load(slot)}
        return MarketDeployment(
            service=whose.name,
            offer=taken.name,
            chips={pool: chips * replicas for pool, chips in taken.chips.items()},
            replicas=replicas,
            share={name: carried for name, carried in share.items() if carried > 0},
            slot=slot,
            started=max(replicas - taken.today, 0) if counts_moves else None,
        )

    def _awards(self, awards: Mapping[str, JobAward]) -> tuple[JobAward, ...]:
        """Every job, slot by slot where it is elastic; one that had nothing to choose from has nothing."""
        found = []
        for j, job in enumerate(self.market.jobs):
            for slot in _slots_of(self.market, job):
                award = awards.get(_job_name(j, slot))
                option = None if award is None or award.option is None else _in_time(job)[award.option]
                if option is None:
                    found.append(JobAward(job=job.name, option=None, slot=slot))
                    continue
                taken = job.options[option]
                found.append(
                    JobAward(
                        job=job.name, option=option, chips=taken.chips, progress=taken.progress, slot=slot
                    )
                )
        return tuple(found)

    def _sales(self, answer: Allocation) -> tuple[ResaleAward, ...]:
        sold = {d.service: d.replicas for d in answer.deployments if d.offer == _SOLD}
        return tuple(
            ResaleAward(
                product=self.market.resale[index].name,
                pool=self.market.resale[index].pool,
                chips=sold.get(name, 0) if answer.objective is not None else 0,
                slot=slot,
            )
            for name, (index, slot) in self.products.items()
        )


def day_of(market: Market) -> Day:
    """``market`` and the plain market that it is: itself, where it is plain already."""
    if _is_plain(market):
        return Day(
            market=market,
            plain=market,
            constant=0.0,
            pools={pool.name: _At(p, 0) for p, pool in enumerate(market.pools)},
            services={service.name: _At(s, 0) for s, service in enumerate(market.services)},
            products={},
        )
    slots = range(market.slots)
    pools = {f"{t}:{p}": _At(p, t) for t in slots for p in range(len(market.pools))}
    if market.max_moves is not None:
        pools |= {_moves(t): _At(-1, t) for t in slots}
    services = {f"{t}:{s}": _At(s, t) for t in slots for s in range(len(market.services))}
    products = {
        f"sale {index}:{slot}": _At(index, slot)
        for index, product in enumerate(market.resale)
        for slot in (slots if product.kind is ResaleKind.SPOT else (None,))
    }
    jobs = {
        _job_name(j, slot): _At(j, slot)
        for j, job in enumerate(market.jobs)
        if _in_time(job)
        for slot in _slots_of(market, job)
    }
    places = _Places(market)
    plain = Market(
        pools=tuple(_pool(market, name, at) for name, at in pools.items()),
        services=(
            *(_service(market, places, name, at) for name, at in services.items()),
            *(_product(market, places, name, at) for name, at in products.items()),
        ),
        jobs=tuple(_job(market, places, name, at) for name, at in jobs.items()),
    )
    return Day(
        market=market,
        plain=plain,
        constant=sum(product.chips * product.value for product in market.resale),
        pools=pools,
        services=services,
        products=products,
    )


def _is_plain(market: Market) -> bool:
    return (
        market.slots == 1
        and not market.resale
        and not market.counts_moves
        and not any(service.tidal for service in market.services)
        and all(job.deadline_hours is None for job in market.jobs)
    )


class _Places:
    """Where chips of the day's pools are in the plain market."""

    def __init__(self, market: Market) -> None:
        index = {pool.name: p for p, pool in enumerate(market.pools)}
        self._name = [{pool: PoolName(f"{t}:{p}") for pool, p in index.items()} for t in range(market.slots)]

    def chips(self, uses: Mapping[PoolName, int], slot: int | None) -> dict[PoolName, int]:
        """``uses`` in one slot, or in all."""
        names = self._name if slot is None else (self._name[slot],)
        return {name[pool]: count for name in names for pool, count in uses.items()}


def _moves(slot: int) -> PoolName:
    return PoolName(f"moves:{slot}")


def _job_name(index: int, slot: int | None) -> str:
    return f"job {index}:{slot}"


def _slots_of(market: Market, job: MarketJob) -> Sequence[int | None]:
    """The slots in which the job chooses anew; ``None``: it chooses once."""
    return range(market.slots) if job.elastic and market.slots > 1 else (None,)


def _in_time(job: MarketJob) -> list[int]:
    """Options that meet the job's deadline."""
    return [k for k, option in enumerate(job.options) if job.is_in_time(option)]


def _offer_index(name: str) -> int:
    return int(name.removesuffix("+"))


def _pool(market: Market, name: str, at: _At) -> MarketPool:
    if at.which < 0:
        assert market.max_moves is not None
        return MarketPool(name=PoolName(name), chips=market.max_moves)
    pool = market.pools[at.which]
    return MarketPool(name=PoolName(name), chips=pool.chips, price=pool.price / market.slots)


def _service(market: Market, places: _Places, name: str, at: _At) -> MarketService:
    assert at.slot is not None
    service = market.services[at.which]
    offers = [
        part
        for o, offer in enumerate(service.offers)
        for part in _offer_parts(market, places, o, offer, at.slot)
    ]
    return MarketService(name=name, demand=service.load(at.slot), offers=tuple(offers))


def _offer_parts(
    market: Market, places: _Places, index: int, offer: MarketOffer, slot: int
) -> list[MarketOffer]:
    """The offer; as far as it runs today and beyond that, where that makes a difference."""
    chips = places.chips(offer.chips, slot)
    cost = offer.cost / market.slots
    running = MarketOffer(name=str(index), chips=chips, capacity=offer.capacity, cost=cost)
    if market.max_moves is None and offer.move_cost == 0.0:
        return [running]
    starting = replace(
        running,
        name=f"{index}+",
        chips=chips if market.max_moves is None else {**chips, _moves(slot): 1},
        cost=cost + offer.move_cost / market.slots,
    )
    return [replace(running, most=offer.today), starting] if offer.today else [starting]


def _product(market: Market, places: _Places, name: str, at: _At) -> MarketService:
    product = market.resale[at.which]
    value = product.value if at.slot is None else product.value / market.slots
    one = {"chips": 1.0}
    return MarketService(
        name=name,
        demand={"chips": float(product.chips)},
        offers=(
            MarketOffer(name=_SOLD, chips=places.chips({product.pool: 1}, at.slot), capacity=one),
            MarketOffer(name=_UNSOLD, chips={}, capacity=one, cost=value),
        ),
    )


def _job(market: Market, places: _Places, name: str, at: _At) -> MarketJob:
    job = market.jobs[at.which]
    options = (
        JobOption(chips=places.chips(job.options[k].chips, at.slot), progress=job.options[k].progress)
        for k in _in_time(job)
    )
    weight = job.weight if at.slot is None else job.weight / market.slots
    return MarketJob(name=name, options=tuple(options), weight=weight, required=job.required)
