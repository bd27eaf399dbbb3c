"""What the plan must withstand beside the traffic that is expected, and what came of the test."""

from collections.abc import Mapping
from dataclasses import dataclass

from seedcorn.domain.outcome import Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadCase:
    """A forecast that may come true: service → its mean rate against the scenario's; others are as expected."""

    name: str
    load: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """One service replayed on what it has in the plan, under one of those cases.

    Attributes:
        case: A load case by its name, or :data:`NODE_LOSS`.
        lost: Replicas that the case takes away.
        outcome: ``None``: nothing is left to serve some of the traffic.
        slot: Of the day.
    """

    case: str
    lost: int
    slos_held: bool
    outcome: Outcome | None
    slot: int = 0


NODE_LOSS = "node loss"
"""The case of :class:`Trial` in which ``planning.spare`` nodes of each pool fail at once."""
