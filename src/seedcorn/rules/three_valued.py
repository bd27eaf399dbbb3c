"""Three-valued logic (Kleene): true, false, and ``None`` for what the published facts do not decide."""

from collections.abc import Iterable
from dataclasses import dataclass
from math import inf


def every(values: Iterable[bool | None]) -> bool | None:
    """Whether all hold: one false decides, else one unknown leaves it open.

    >>> every([True, None]), every([None, False])
    (None, False)
    """
    seen = tuple(values)
    if False in seen:
        return False
    return None if None in seen else True


def either(values: Iterable[bool | None]) -> bool | None:
    """Whether at least one holds.

    >>> either([False, None]), either([None, True])
    (None, True)
    """
    seen = tuple(values)
    if True in seen:
        return True
    return None if None in seen else False


def negation(value: bool | None) -> bool | None:
    """The contrary; of the unknown, unknown."""
    return None if value is None else not value


@dataclass(frozen=True, slots=True)
class Bounds:
    """A half-open interval that a law names: ``low <= x < high``."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Range:
    """What is known of a figure: it lies between ``low`` and ``high``, both included."""

    low: float = 0.0
    high: float = inf

    @property
    def value(self) -> float | None:
        """The figure, where it is known."""
        return self.low if self.low == self.high else None

    def lies_in(self, bounds: Bounds) -> bool | None:
        """Whether the figure is within ``bounds``.

        >>> Range(4400, 4400).lies_in(Bounds(1600, 4800)), Range(64).lies_in(Bounds(600, inf))
        (True, None)
        """
        if self.high < bounds.low or self.low >= bounds.high:
            return False
        if self.low >= bounds.low and (self.high < bounds.high or bounds.high == inf):
            return True
        return None

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)


def exactly(value: float) -> Range:
    """A figure that is known."""
    return Range(value, value)
