"""Public facts on prices and deliveries of chips: what stands in where a scenario says nothing."""

import datetime
import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TypeVar

from seedcorn.domain.hardware import ChipName
from seedcorn.units import money, seconds

_TRUST = ("high", "medium", "low")
_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcingFact:
    """What somebody published of one order or price.

    Attributes:
        price: Amount and currency of one chip.
        share: Of the order, that had arrived ``after_s`` seconds.
        lead_s: From the order to the last delivery, as agreed.
    """

    id: str
    chip: ChipName
    date: datetime.date
    claim: str
    source: str
    confidence: str
    price: tuple[float, str] | None = None
    share: float | None = None
    after_s: float | None = None
    lead_s: float | None = None

    def __str__(self) -> str:
        return f"{self.claim} ({self.source}; confidence {self.confidence})"


@cache
def sourcing_facts() -> tuple[SourcingFact, ...]:
    """Every fact, as listed."""
    document = tomllib.loads((files("seedcorn.catalog") / "sourcing.toml").read_text("utf-8"))
    return tuple(_fact(row) for row in document["fact"])


def _fact(row: dict[str, object]) -> SourcingFact:
    def given(key: str, read: Callable[[object], _Value]) -> _Value | None:
        return read(row[key]) if key in row else None

    date = row["date"]
    assert isinstance(date, datetime.date)
    return SourcingFact(
        id=str(row["id"]),
        chip=ChipName(str(row["chip"])),
        date=date,
        claim=str(row["claim"]),
        source=str(row["source"]),
        confidence=str(row["confidence"]),
        price=given("price", money),
        share=given("share", lambda value: float(str(value))),
        after_s=given("after", seconds),
        lead_s=given("lead", seconds),
    )


def nearest_fact(chip: ChipName, field: str, on: datetime.date) -> SourcingFact | None:
    """The fact that says ``field`` of ``chip``: of those most trusted, the one nearest to the date."""
    found = [fact for fact in sourcing_facts() if fact.chip == chip and getattr(fact, field) is not None]
    return min(
        found,
        key=lambda fact: (_TRUST.index(fact.confidence), abs((fact.date - on).days), fact.id),
        default=None,
    )
