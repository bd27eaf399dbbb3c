"""A market as arrays: what the solver reads instead of names.

Amounts of value are divided by ``unit``, so that solvers see numbers near 1 whatever the user's scale.
Loads are in replicas: ``load[o, r]`` replicas of offer o carry all of class r, so that only ratios of
demand to capacity remain.

A service is one part, or, where replicas cost something to start, one part for each slot of the day. Its
replicas of one kind in one slot are a cell; a cell's replicas beyond those of the cell before cost something.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Tie:
    """Services of a plain market that are one service in every slot of a day, consecutive and in order.

    Attributes:
        first: Index of the first slot's; ``slots``: how many.
        line: Of each offer of a slot, which kind of replica it is: 0, 1, …, in order.
        start_cost: By kind, of one replica beyond those of the slot before (the first follows the last).
    """

    first: int
    slots: int
    line: tuple[int, ...]
    start_cost: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Problem:
    """A market in arrays. Parts of service s are ``part_start[s]:part_start[s+1]``; offers of parts, cells of
    services and options of jobs likewise.

    Attributes:
        stock: (num_pools,) chips.
        unit: Value of 1.0 in the arrays, in the market's own unit.
        offer_cost: (num_offers,) price·chips + cost of one replica when no pool is scarce.
        offer_chips: (num_offers, num_pools) chips of one replica.
        max_replicas: (num_offers,) replicas beyond which an offer is of no use; 0: does not fit the pools.
        load_start: (num_parts + 1,) where each part's (offers, classes) block of ``load`` starts.
        load: Blocks of replicas needed to carry a whole class; ``inf``: cannot.
        num_classes: (num_parts,) classes with demand.
        cell: (num_offers,) cell that the offer's replicas count in, −1 where starts are free. Cells of a
            service are numbered slot by slot.
        cell_before: (num_cells,) the cell of the same kind in the slot before.
        start_cost: (num_cells,) of a replica beyond those of the cell before.
        option_value: (num_options,) weight·progress − price·chips.
        option_chips: (num_options, num_pools).
        required: (num_jobs,) whether the job must run.
        constant: Earned whatever is allocated.
    """

    market: Market
    unit: float
    stock: Floats
    part_start: Ints
    offer_start: Ints
    offer_cost: Floats
    offer_chips: Floats
    max_replicas: Floats
    load_start: Ints
    load: Floats
    num_classes: Ints
    cell_start: Ints
    cell: Ints
    cell_before: Ints
    start_cost: Floats
    option_start: Ints
    option_value: Floats
    option_chips: Floats
    required: NDArray[np.bool_]
    constant: float

    @property
    def num_services(self) -> int:
        """How many services."""
        return len(self.part_start) - 1

    @property
    def num_jobs(self) -> int:
        """How many jobs."""
        return len(self.market.jobs)

    @property
    def is_dense(self) -> NDArray[np.bool_]:
        """(num_parts,) small enough for the compiled best response; past it a sparse solver is faster."""
        offers = np.diff(self.offer_start)
        return (self.num_classes <= 1) | (
            (offers + self.num_classes) * offers * self.num_classes <= DENSE_LIMIT
        )

    @property
    def service_of_offer(self) -> Ints:
        """(num_offers,) whose it is."""
        return np.repeat(np.arange(self.num_services), np.diff(self.offer_start[self.part_start]))

    @property
    def job_of_option(self) -> Ints:
        """(num_options,) whose it is."""
        return np.repeat(np.arange(self.num_jobs), np.diff(self.option_start))

    def offers(self, service: int) -> slice:
        """Rows of the service's offers, in all its parts."""
        first, last = self.part_start[service], self.part_start[service + 1]
        return slice(int(self.offer_start[first]), int(self.offer_start[last]))

    def parts(self, service: int) -> range:
        """The service's parts."""
        return range(int(self.part_start[service]), int(self.part_start[service + 1]))

    def part_offers(self, part: int) -> slice:
        """Rows of the part's offers."""
        return slice(int(self.offer_start[part]), int(self.offer_start[part + 1]))

    def cells(self, service: int) -> slice:
        """The service's cells."""
        return slice(int(self.cell_start[service]), int(self.cell_start[service + 1]))

    def options(self, job: int) -> slice:
        """Rows of the job's options."""
        return slice(int(self.option_start[job]), int(self.option_start[job + 1]))

    def loads(self, part: int) -> Floats:
        """(num_offers, num_classes) replicas each offer of the part needs for each class alone."""
        block = self.load[self.load_start[part] : self.load_start[part + 1]]
        offers = self.part_offers(part)
        return block.reshape(offers.stop - offers.start, int(self.num_classes[part]))

    def starts(self, replicas: Floats) -> Floats:
        """(num_cells,) replicas started, of (num_offers,) replicas."""
        counted = self.cell >= 0
        running = np.bincount(self.cell[counted], replicas[counted], minlength=len(self.start_cost))
        return np.asarray(np.maximum(running - running[self.cell_before], 0.0))

    @property
    def rising(self) -> NDArray[np.bool_]:
        """(num_cells,) whether the load rises there over the slot before."""
        needed = np.zeros(len(self.start_cost))
        for part in np.unique(np.searchsorted(self.offer_start, np.flatnonzero(self.cell >= 0), "right") - 1):
            loads = self.loads(int(part))
            np.maximum.at(
                needed,
                self.cell[self.part_offers(int(part))],
                np.where(np.isfinite(loads), loads, 0.0).sum(axis=1),
            )
        return np.asarray(needed > needed[self.cell_before])

    def start_costs(self, replicas: Floats) -> Floats:
        """(num_services,) paid for starts by (num_offers,) replicas."""
        owner = np.repeat(np.arange(self.num_services), np.diff(self.cell_start))
        paid = self.starts(replicas) * self.start_cost
        return np.bincount(owner, paid, minlength=self.num_services).astype(np.float64)


def classes(service: MarketService) -> tuple[str, ...]:
    """Classes that have demand, in the order given."""
    return tuple(name for name, load in service.demand.items() if load > 0)


def problem_of(market: Market, constant: float = 0.0, ties: Sequence[Tie] = ()) -> Problem:
    """``market``, worth ``constant`` more than its allocation, with services tied together, in arrays."""
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
    part_start = _part_start(len(market.services), ties)
    offer_start = _starts([len(service.offers) for service in market.services])
    useful = _max_replicas(blocks, offer_chips, stock)
    _hold(useful, offer_start, ties)
    return Problem(
        market=market,
        unit=unit,
        stock=stock,
        part_start=part_start,
        offer_start=offer_start,
        offer_cost=offer_cost / unit,
        offer_chips=offer_chips,
        max_replicas=np.minimum(useful, most),
        load_start=_starts([block.size for block in blocks]),
        load=np.concatenate([np.zeros(0), *(block.ravel() for block in blocks)]),
        num_classes=np.array([block.shape[1] for block in blocks], dtype=np.int64),
        cell_start=_cell_start(part_start, ties),
        cell=_cell(offer_start, ties),
        cell_before=_cell_before(ties),
        start_cost=np.concatenate([np.zeros(0), *(np.tile(t.start_cost, t.slots) for t in ties)]) / unit,
        option_start=_starts([len(job.options) for job in market.jobs]),
        option_value=option_value / unit,
        option_chips=option_chips,
        required=np.array([job.required for job in market.jobs], dtype=np.bool_),
        constant=constant / unit,
    )


def _part_start(num_parts: int, ties: Sequence[Tie]) -> Ints:
    """(num_services + 1,) where each service's parts start."""
    first = np.ones(num_parts, dtype=np.bool_)
    for tie in ties:
        first[tie.first + 1 : tie.first + tie.slots] = False
    return np.append(np.flatnonzero(first), num_parts)


def _cell_start(part_start: Ints, ties: Sequence[Tie]) -> Ints:
    """(num_services + 1,) where each service's cells start."""
    counts = np.zeros(len(part_start) - 1, dtype=np.int64)
    for tie in ties:
        counts[np.searchsorted(part_start, tie.first)] = tie.slots * len(tie.start_cost)
    return _starts(counts.tolist())


def _cell(offer_start: Ints, ties: Sequence[Tie]) -> Ints:
    """(num_offers,) where each offer's replicas count."""
    cell, first = np.full(offer_start[-1], -1), 0
    for tie in ties:
        num_lines = len(tie.start_cost)
        where = first + num_lines * np.arange(tie.slots)[:, None] + np.array(tie.line, dtype=np.int64)
        cell[offer_start[tie.first] : offer_start[tie.first + tie.slots]] = where.ravel()
        first += tie.slots * num_lines
    return cell


def _cell_before(ties: Sequence[Tie]) -> Ints:
    """(num_cells,) the cell of the same kind in the slot before."""
    before, first = [np.zeros(0, dtype=np.int64)], 0
    for tie in ties:
        num_lines = len(tie.start_cost)
        cells = first + np.arange(tie.slots * num_lines).reshape(tie.slots, num_lines)
        before.append(np.roll(cells, 1, axis=0).ravel())
        first += tie.slots * num_lines
    return np.concatenate(before)


def _hold(useful: Floats, offer_start: Ints, ties: Sequence[Tie]) -> None:
    """Raise ``useful`` replicas to those of the day's peak, where a replica may be held through a trough."""
    for tie in ties:
        rows = useful[offer_start[tie.first] : offer_start[tie.first + tie.slots]].reshape(tie.slots, -1)
        rows[:] = rows.max(axis=0)


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
