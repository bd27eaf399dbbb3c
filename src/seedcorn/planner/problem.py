"""A market as arrays: what the solver reads instead of names.

Amounts of value are divided by ``unit``, so that solvers see numbers near 1 whatever the user's scale.
Loads are in replicas: ``load[o, r]`` replicas of offer o carry all of class r, so that only ratios of
demand to capacity remain.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Market, MarketService

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DENSE_LIMIT = 40_000
"""Entries of a service's dense tableau: (offers + classes) × offers × classes."""
ROUNDING = 1e-9
"""A load of n·(1 + 1e-9) replicas is carried by n: float rounding is not traffic."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A market in arrays. Offers of service s are rows ``offer_start[s]:offer_start[s+1]``; options of jobs likewise.

    Attributes:
        stock: (num_pools,) chips.
        unit: Value of 1.0 in the arrays, in the market's own unit.
        offer_cost: (num_offers,) price·chips + cost of one replica when no pool is scarce.
        offer_chips: (num_offers, num_pools) chips of one replica.
        max_replicas: (num_offers,) replicas beyond which an offer is of no use; 0: does not fit the pools.
        load_start: (num_services + 1,) where each service's (offers, classes) block of ``load`` starts.
        load: Blocks of replicas needed to carry a whole class; ``inf``: cannot.
        num_classes: (num_services,) classes with demand.
        option_value: (num_options,) weight·progress − price·chips.
        option_chips: (num_options, num_pools).
        required: (num_jobs,) whether the job must run.
        constant: Earned whatever is allocated.
    """

    market: Market
    unit: float
    stock: Floats
    offer_start: Ints
    offer_cost: Floats
    offer_chips: Floats
    max_replicas: Floats
    load_start: Ints
    load: Floats
    num_classes: Ints
    option_start: Ints
    option_value: Floats
    option_chips: Floats
    required: NDArray[np.bool_]
    constant: float

    @property
    def num_services(self) -> int:
        """How many services."""
        return len(self.market.services)

    @property
    def num_jobs(self) -> int:
        """How many jobs."""
        return len(self.market.jobs)

    @property
    def is_dense(self) -> NDArray[np.bool_]:
        """(num_services,) small enough for the compiled best response; past it a sparse solver is faster."""
        offers = np.diff(self.offer_start)
        return (self.num_classes <= 1) | (
            (offers + self.num_classes) * offers * self.num_classes <= DENSE_LIMIT
        )

    @property
    def service_of_offer(self) -> Ints:
        """(num_offers,) whose it is."""
        return np.repeat(np.arange(self.num_services), np.diff(self.offer_start))

    @property
    def job_of_option(self) -> Ints:
        """(num_options,) whose it is."""
        return np.repeat(np.arange(self.num_jobs), np.diff(self.option_start))

    def offers(self, service: int) -> slice:
        """Rows of the service's offers."""
        return slice(int(self.offer_start[service]), int(self.offer_start[service + 1]))

    def options(self, job: int) -> slice:
        """Rows of the job's options."""
        return slice(int(self.option_start[job]), int(self.option_start[job + 1]))

    def loads(self, service: int) -> Floats:
        """(num_offers, num_classes) replicas each offer needs for each class alone."""
        block = self.load[self.load_start[service] : self.load_start[service + 1]]
        offers = self.offers(service)
        return block.reshape(offers.stop - offers.start, int(self.num_classes[service]))


def classes(service: MarketService) -> tuple[str, ...]:
    """Classes that have demand, in the order given."""
    return tuple(name for name, load in service.demand.items() if load > 0)


def problem_of(market: Market, constant: float = 0.0) -> Problem:
    """``market``, worth ``constant`` more than its allocation, in arrays."""
    index = {pool.name: i for i, pool in enumerate(market.pools)}
    stock = np.array([pool.chips for pool in market.pools], dtype=np.float64)
    price = np.array([pool.price for pool in market.pools], dtype=np.float64)
    offers = [offer for service in market.services for offer in service.offers]
    options = [option for job in market.jobs for option in job.options]
    blocks = [_loads(service) for service in market.services]
    offer_chips = _chips([offer.chips for offer in offers], index)
    option_chips = _chips([option.chips for option in options], index)
    offer_cost = offer_chips @ price + np.array([offer.cost for offer in offers], dtype=np.float64)
    worth = [job.weight * option.progress for job in market.jobs for option in job.options]
    option_value = np.array(worth, dtype=np.float64) - option_chips @ price
    most = [np.inf if offer.most is None else offer.most for offer in offers]
    unit = _unit(offer_cost, np.array(worth, dtype=np.float64))
    return Problem(
        market=market,
        unit=unit,
        stock=stock,
        offer_start=_starts([len(service.offers) for service in market.services]),
        offer_cost=offer_cost / unit,
        offer_chips=offer_chips,
        max_replicas=np.minimum(_max_replicas(blocks, offer_chips, stock), most),
        load_start=_starts([block.size for block in blocks]),
        load=np.concatenate([np.zeros(0), *(block.ravel() for block in blocks)]),
        num_classes=np.array([block.shape[1] for block in blocks], dtype=np.int64),
        option_start=_starts([len(job.options) for job in market.jobs]),
        option_value=option_value / unit,
        option_chips=option_chips,
        required=np.array([job.required for job in market.jobs], dtype=np.bool_),
        constant=constant / unit,
    )


def _loads(service: MarketService) -> Floats:
    """(num_offers, num_classes) demand over capacity."""
    names = classes(service)
    block = np.full((len(service.offers), len(names)), np.inf)
    for o, offer in enumerate(service.offers):
        for r, name in enumerate(names):
            if name in offer.capacity:
                block[o, r] = service.demand[name] / offer.capacity[name]
    return block


def _chips(uses: Sequence[Mapping[PoolName, int]], index: Mapping[PoolName, int]) -> Floats:
    """(len(uses), num_pools) chips by pool."""
    table = np.zeros((len(uses), len(index)))
    for row, use in enumerate(uses):
        for pool, chips in use.items():
            table[row, index[pool]] = chips
    return table


def _starts(lengths: list[int]) -> Ints:
    """Where each of consecutive runs starts, and where the last ends."""
    return np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)


def _unit(offer_cost: Floats, worth: Floats) -> float:
    """Typical value of a claim's smallest step: the median of what is not zero."""
    steps = np.concatenate([offer_cost, worth])
    steps = steps[steps > 0]
    return float(np.median(steps)) if steps.size else 1.0


def _max_replicas(blocks: list[Floats], offer_chips: Floats, stock: Floats) -> Floats:
    """(num_offers,) what carries every class alone; 0 where not even one replica fits the pools.

    No tighter bound by the pools: it would hide their scarcity from the prices.
    """
    needed = [np.where(np.isfinite(block), block, 0.0).sum(axis=1) for block in blocks]
    whole = np.ceil(np.concatenate([np.zeros(0), *needed]) * (1 - ROUNDING))
    return np.where(np.all(offer_chips <= stock, axis=1), whole, 0.0)
