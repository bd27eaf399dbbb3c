"""A grid of what-ifs: what was changed in a scenario, and what plan came of it. Values only."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolLeft:
    """What a plan leaves of a pool: chips nobody uses, and what one more would be worth, in reference-chip hours an hour."""

    free: int
    price: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepPoint:
    """One what-if, planned and replayed.

    Attributes:
        changes: Path in the scenario → the value put there, as text.
        inputs_hash: Of the changed scenario and all that it names: what makes the point this one.
        status: ``INFEASIBLE``: there is no plan, ``reason`` says why, and the rest is empty.
        slos_held: Whether every SLO held in replay.
    """

    changes: Mapping[str, str]
    inputs_hash: str
    status: Status
    training_chips_freed: int | None = None
    today_chips: int | None = None
    objective: float | None = None
    gap: float | None = None
    slos_held: bool | None = None
    pools: Mapping[PoolName, PoolLeft] = field(default_factory=dict)
    reason: str = ""
