"""A day is a plain market: one slot, no resale, no deadlines, nothing that runs today.

Chips of a slot are a pool of their own, and so is each slot's allowance of moves. A service, an elastic
job and a spot product are a claimant of their own in every slot; a gang and a reserved product take
chips in every slot at once. Replicas that run today and replicas to be started are two offers. A product
is a service whose load is the chips that might be sold: each is sold, or left unsold at the cost of its
value. Values are divided by the slots, so that the day counts its mean.

Where replicas cost something to start, the slots of a service are tied together and answer as one. An
elastic job that pays for its starts is such a service: it takes one of its options in every slot, or
waits at the cost of the most that it could earn.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

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
from seedcorn.planner.answer import relative_gap
from seedcorn.planner.problem import Tie

_SOLD, _UNSOLD, _WAITS = "sold", "unsold", "waits"
Decided: TypeAlias = Mapping[tuple[int, int | None], int | None]
"""(job, slot) → option, or ``None``: waits."""
_NOTHING: Decided = {}


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
        ties: Services of ``plain`` that are one service in every slot.
        decided: (job, slot) → the option it takes, ``None`` for none; a job that is not in it chooses.
        pools, services, products, payers: What each name in ``plain`` stands for; payers are jobs that are
            services. Pools of moves have −1.
    """

    market: Market
    plain: Market
    constant: float
    ties: tuple[Tie, ...]
    decided: Decided
    pools: Mapping[str, _At]
    services: Mapping[str, _At]
    products: Mapping[str, _At]
    payers: Mapping[str, _At]

    def allocation(self, answer: Allocation) -> Allocation:
        """What ``answer``, an allocation of ``plain``, is in the words of ``market``."""
        if self.market is self.plain:
            return answer
        deployments = tuple(d for d in answer.deployments if d.service in self.services)
        objective = answer.objective
        if objective is not None and answer.bound is not None:
            objective = min(objective + self._starts_saved(deployments), answer.bound)
            answer = replace(answer, objective=objective, gap=relative_gap(objective, answer.bound))
        return replace(
            answer,
            deployments=self._deployments(deployments),
            jobs=self._awards(self._options(answer)),
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
        return tuple(
            self._whole(service, offer, found, counts_moves)
            for (service, offer), found in _parts(deployments).items()
        )

    def _starts_saved(self, deployments: Sequence[MarketDeployment]) -> float:
        """What is paid for starts beside replicas of the same offer that run today and are not used: an
        allocation within the gap may do that, and together they are fewer starts."""
        saved = 0.0
        for (service, index), found in _parts(deployments).items():
            offer = self.market.services[self.services[service].which].offers[index]
            paid = sum(part.replicas for part in found if part.offer.endswith("+"))
            needed = max(sum(part.replicas for part in found) - offer.today, 0)
            saved += offer.move_cost * max(paid - needed, 0) / self.market.slots
        return saved

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

    def _options(self, answer: Allocation) -> dict[tuple[int, int | None], int]:
        """(job, slot) → the option that it runs there."""
        taken: dict[tuple[int, int | None], int] = {}
        awards = {award.job: award.option for award in answer.jobs}
        for j, job in enumerate(self.market.jobs):
            for slot in _slots_of(self.market, job):
                option = awards.get(_job_name(j, slot))
                if option is not None:
                    taken[j, slot] = _choices(self.market, self.decided, j, slot)[option]
        for deployment in answer.deployments:
            if deployment.service in self.payers and deployment.offer != _WAITS:
                taken[self.payers[deployment.service]] = int(deployment.offer)
        return taken

    def _awards(self, options: Mapping[tuple[int, int | None], int]) -> tuple[JobAward, ...]:
        """Every job, slot by slot where it is elastic; one that had nothing to choose from has nothing."""
        found = []
        for j, job in enumerate(self.market.jobs):
            for slot in _slots_of(self.market, job):
                if (j, slot) not in options:
                    found.append(JobAward(job=job.name, option=None, slot=slot))
                    continue
                option = options[j, slot]
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


def day_of(market: Market, decided: Decided = _NOTHING) -> Day:
    """``market`` and the plain market that it is, itself where it is plain already; with what jobs have ``decided``."""
    if not decided and _is_plain(market):
        return Day(
            market=market,
            plain=market,
            constant=0.0,
            ties=(),
            decided=decided,
            pools={pool.name: _At(p, 0) for p, pool in enumerate(market.pools)},
            services={service.name: _At(s, 0) for s, service in enumerate(market.services)},
            products={},
            payers={},
        )
    slots = range(market.slots)
    tied = [s for s, service in enumerate(market.services) if switches(market, service)]
    pools = {f"{t}:{p}": _At(p, t) for t in slots for p in range(len(market.pools))}
    if market.max_moves is not None:
        pools |= {_moves(t): _At(-1, t) for t in slots}
    services = {f"{t}:{s}": _At(s, t) for t in slots for s, _ in enumerate(market.services) if s not in tied}
    num_free = len(services)
    services |= {f"{t}:{s}": _At(s, t) for s in tied for t in slots}
    payers = {
        f"job {j}:{t}": _At(j, t) for j, job in enumerate(market.jobs) if _pays(market, job) for t in slots
    }
    products = {
        f"sale {index}:{slot}": _At(index, slot)
        for index, product in enumerate(market.resale)
        for slot in (slots if product.kind is ResaleKind.SPOT else (None,))
    }
    jobs = {
        _job_name(j, slot): _At(j, slot)
        for j, job in enumerate(market.jobs)
        if not _pays(market, job)
        for slot in _slots_of(market, job)
        if _choices(market, decided, j, slot)
    }
    places = _Places(market)
    plain = Market(
        pools=tuple(_pool(market, name, at) for name, at in pools.items()),
        services=(
            *(_service(market, places, name, at) for name, at in services.items()),
            *(_payer(market, places, decided, name, at) for name, at in payers.items()),
            *(_product(market, places, name, at) for name, at in products.items()),
        ),
        jobs=tuple(_job(market, places, decided, name, at) for name, at in jobs.items()),
    )
    return Day(
        market=market,
        plain=plain,
        constant=sum(product.chips * product.value for product in market.resale)
        + sum(_most_earned(job) for job in market.jobs if _pays(market, job)),
        ties=tuple(_ties(market, num_free, tied)),
        decided=decided,
        pools=pools,
        services=services,
        products=products,
        payers=payers,
    )


def _is_plain(market: Market) -> bool:
    return (
        market.slots == 1
        and not market.resale
        and not market.counts_moves
        and not any(service.tidal for service in market.services)
        and all(job.deadline_hours is None for job in market.jobs)
    )


def switches(market: Market, service: MarketService) -> bool:
    """Whether slots of ``service`` depend on each other."""
    return market.slots > 1 and any(offer.switch_cost > 0 for offer in service.offers)


def _pays(market: Market, job: MarketJob) -> bool:
    """Whether slots of ``job`` depend on each other."""
    return market.slots > 1 and job.elastic and job.switch_cost > 0


def pays_for_starts(market: Market) -> bool:
    """Whether slots of anybody depend on each other."""
    return any(switches(market, service) for service in market.services) or any(
        _pays(market, job) for job in market.jobs
    )


def _most_earned(job: MarketJob) -> float:
    return job.weight * max(option.progress for option in job.options)


def _ties(market: Market, first: int, tied: Sequence[int]) -> Iterator[Tie]:
    """Of services, then of jobs, which follow each other in the plain market from ``first`` on."""
    for s in tied:
        offers = market.services[s].offers
        line = [o for o, offer in enumerate(offers) for _ in range(_num_parts(market, offer))]
        costs = tuple(offer.switch_cost / market.slots for offer in offers)
        yield Tie(first=first, slots=market.slots, line=tuple(line), start_cost=costs)
        first += market.slots
    for job in market.jobs:
        if _pays(market, job):
            costs = (job.switch_cost / market.slots,) * len(job.options)
            costs += () if job.required else (0.0,)
            yield Tie(first=first, slots=market.slots, line=tuple(range(len(costs))), start_cost=costs)
            first += market.slots


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


def _choices(market: Market, decided: Decided, j: int, slot: int | None) -> list[int]:
    """Options that job ``j`` has in ``slot``: those that meet its deadline, or the one decided on."""
    if (j, slot) in decided:
        option = decided[j, slot]
        return [] if option is None else [option]
    job = market.jobs[j]
    return [k for k, option in enumerate(job.options) if job.is_in_time(option)]


def _parts(deployments: Sequence[MarketDeployment]) -> dict[tuple[str, int], list[MarketDeployment]]:
    """(service, offer) → the deployments of its parts, replicas kept and replicas started."""
    parts: dict[tuple[str, int], list[MarketDeployment]] = defaultdict(list)
    for deployment in deployments:
        parts[deployment.service, _offer_index(deployment.offer)].append(deployment)
    return parts


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
    if not _moves_matter(market, offer):
        return [running]
    starting = replace(
        running,
        name=f"{index}+",
        chips=chips if market.max_moves is None else {**chips, _moves(slot): 1},
        cost=cost + offer.move_cost / market.slots,
    )
    return [replace(running, most=offer.today), starting] if offer.today else [starting]


def _moves_matter(market: Market, offer: MarketOffer) -> bool:
    return market.max_moves is not None or offer.move_cost > 0.0


def _num_parts(market: Market, offer: MarketOffer) -> int:
    """How many offers of a slot ``offer`` becomes."""
    return 2 if _moves_matter(market, offer) and offer.today else 1


def _payer(market: Market, places: _Places, decided: Decided, name: str, at: _At) -> MarketService:
    """An elastic job that pays for its starts, in one slot."""
    assert at.slot is not None
    job = market.jobs[at.which]
    most, one = _most_earned(job), {"option": 1.0}
    offers = [
        MarketOffer(
            name=str(k),
            chips=places.chips(option.chips, at.slot),
            capacity=one,
            cost=(most - job.weight * option.progress) / market.slots,
            most=1 if k in _choices(market, decided, at.which, at.slot) else 0,
        )
        for k, option in enumerate(job.options)
    ]
    if not job.required:
        may_wait = decided.get((at.which, at.slot)) is None
        cost = most / market.slots
        offers.append(MarketOffer(name=_WAITS, chips={}, capacity=one, cost=cost, most=1 if may_wait else 0))
    return MarketService(name=name, demand=one, offers=tuple(offers))


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


def _job(market: Market, places: _Places, decided: Decided, name: str, at: _At) -> MarketJob:
    job = market.jobs[at.which]
    options = (
        JobOption(chips=places.chips(job.options[k].chips, at.slot), progress=job.options[k].progress)
        for k in _choices(market, decided, at.which, at.slot)
    )
    required = job.required or decided.get((at.which, at.slot)) is not None
    weight = job.weight if at.slot is None else job.weight / market.slots
    return MarketJob(name=name, options=tuple(options), weight=weight, required=required)


def decided_for(market: Market, tier: int, answer: Allocation | None) -> Decided:
    """What is settled while jobs of priority ``tier`` choose: those above do what they do in ``answer``, those
    below wait unless they are required."""
    taken = {} if answer is None else {(award.job, award.slot): award.option for award in answer.jobs}
    return {
        (j, slot): taken[job.name, slot] if job.priority > tier else None
        for j, job in enumerate(market.jobs)
        for slot in _slots_of(market, job)
        if job.priority > tier or (job.priority < tier and not job.required)
    }
