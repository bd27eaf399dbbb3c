"""Every version of the rules, cut to one date."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import TypeVar

from seedcorn.errors import InputError, UnknownName
from seedcorn.rules.law import GroupChange, Law, Requirement, Signal, Version

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """Every version, and what stands beside them.

    Attributes:
        checked: Last day of the texts it was made from.
        domestic: Countries within which a chip designed there crosses no border that these rules name.
        bit_lengths: By number format; ``other_bit_lengths`` is the other reading of an open point.
        destinations: ISO 3166 codes.
        country_groups: Members before any of ``group_changes``.
    """

    checked: date
    domestic: frozenset[str]
    bit_lengths: Mapping[str, int]
    other_bit_lengths: Mapping[str, int]
    versions: tuple[Version, ...]
    requirements: tuple[Requirement, ...]
    signals: tuple[Signal, ...]
    destinations: frozenset[str]
    country_groups: Mapping[str, frozenset[str]]
    group_changes: tuple[GroupChange, ...]

    def __post_init__(self) -> None:
        in_force = [version.citation.in_force for version in self.versions]
        assert in_force == sorted(in_force), "versions are not in order of their dates"
        assert all(members <= self.destinations for members in self.country_groups.values())

    @property
    def end_uses(self) -> tuple[str, ...]:
        """End uses that a rule names."""
        return tuple(sorted({rule.end_use for rule in self.requirements if rule.end_use is not None}))

    def law_on(self, on: date, chip: str) -> Law:
        """What is in force for the chip of this name: every change up to the date, in order.

        Raises:
            InputError: The date is before the first rule.
        """
        applied = [version for version in self.versions if version.applies(chip, on)]
        if not applied:
            first = self.versions[0].citation
            raise InputError(
                f"{on} is before the first rule: {first.title} ({first.version}) of {first.in_force}"
            )
        last = applied[-1]
        return Law(
            version=last,
            groups=self.groups_on(on),
            paragraphs=_latest([version.paragraphs for version in applied]),
            exemption=next((v.exemption for v in reversed(applied) if v.exemption is not None), None),
            scopes={item: scope for version in applied for item, scope in version.scopes.items()},
            exceptions=_latest([version.exceptions for version in applied]),
            reviews=_latest([version.reviews for version in applied]),
            requirements=tuple(r for r in self.requirements if r.citation.in_force <= on <= r.until),
            signals=tuple(signal for signal in self.signals if signal.in_force <= on <= signal.until),
            early=last.early if last.citation.in_force > on else None,
        )

    def groups_on(self, on: date) -> Mapping[str, frozenset[str]]:
        """Members of each country group."""
        groups = dict(self.country_groups)
        for change in self.group_changes:
            if change.in_force <= on:
                country = frozenset({change.country})
                groups |= {name: groups[name] | country for name in change.joins}
                groups |= {name: groups[name] - country for name in change.leaves}
        return groups

    def destination(self, code: str) -> str:
        """The destination of this ISO 3166 code, in capitals.

        Raises:
            UnknownName: There is none.
        """
        if code.upper() in self.destinations:
            return code.upper()
        near = get_close_matches(code.upper(), sorted(self.destinations), cutoff=0.5)
        error = UnknownName("destination", code, near)
        error.add_note("destinations are ISO 3166 codes of two letters, such as CN, HK, MO, SG, AE")
        raise error


def _latest(parts: Sequence[tuple[T, ...] | None]) -> tuple[T, ...]:
    """The last change of a part; empty before the first."""
    return next((part for part in reversed(parts) if part is not None), ())
