"""The answer of ``runway``: how many generations the stock trains, when it falls short, and what would change that."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.horizon import Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerationRun:
    """One generation in one course of events.

    Attributes:
        starts, finishes: ``None``: not within the months looked at.
        due: When it must be done; ``None``: whenever.
        pool: Where it trains first; ``None``: nowhere.
        chips: Of the gang there, in its first month.
        done_share: Part of its compute done when it is due, or at the end.
    """

    name: str
    flop: float
    starts: datetime.date | None
    finishes: datetime.date | None
    due: datetime.date | None
    pool: PoolName | None
    chips: int
    done_share: float

    @property
    def is_in_time(self) -> bool:
        """Whether it is done when due (or at all, where it has no date)."""
        return self.finishes is not None and (self.due is None or self.finishes <= self.due)


class Lacking(StrEnum):
    """What a course of events runs out of first."""

    SERVING = "serving"
    TRAINING = "training"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortfall:
    """The first thing that the chips do not suffice for.

    Attributes:
        month: Counted from 0; ``on`` is its first day, or the day on which a generation is due.
        claimant: The service that lacks most, or the generation.
        pool: Where more chips would help.
        chips: How many more there; of services, those that lack chips in that month, together.
        missing: Requests/s of the claimant that nothing carries, or FLOP not done.
    """

    month: int
    on: datetime.date
    lacking: Lacking
    claimant: str
    pool: PoolName
    chips: int
    missing: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonthUse:
    """Chips of one pool in one month: what there are (spare ones left out), and what serves."""

    month: datetime.date
    pool: PoolName
    chips: int
    serving: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunwayCase:
    """One course of events.

    Attributes:
        generations: Those trained in a row, each in time, and the part of the next that is done.
        quantiles: The same over drawn futures; ``None``: none were drawn.
        short_share: Part of those futures in which some service's load is not carried.
    """

    generations: float
    runs: tuple[GenerationRun, ...]
    shortfall: Shortfall | None
    uses: tuple[MonthUse, ...]
    quantiles: Quantiles | None = None
    short_share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SupplyEffect:
    """One supply: how it stands with the export rules, and the generations that are lost without it.

    Attributes:
        chips: That are counted on; of ``offered``.
        standing: In words; ``why``: the reasons of the rules, a line for each different answer.
        lost: ``None`` where none of it is counted on.
    """

    name: str
    pool: PoolName
    offered: int
    chips: int
    first: datetime.date
    standing: str
    why: tuple[str, ...]
    lost: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeverEffect:
    """Generations that a lever would add."""

    name: str
    generations: float
    gained: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Runway:
    """Everything that ``runway`` prints.

    Attributes:
        moved: Inference on the least capable chips.
        stayed: Inference where it runs today; ``None``: no service runs anywhere yet.
        supplies: In the scenario's order.
        levers: Most gained first.
        draws: Futures drawn.
        defaults: Path → default, for keys of the future that the scenario leaves out.
        disclaimer: What is said beside any answer that export rules were applied to; empty: none were.
    """

    name: str
    start: datetime.date
    months: int
    draws: int
    seed: int
    moved: RunwayCase
    stayed: RunwayCase | None
    supplies: tuple[SupplyEffect, ...]
    levers: tuple[LeverEffect, ...]
    disclaimer: str
    warnings: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
