"""The rules as values: what a version changes, and the law of one date."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum
from fnmatch import fnmatchcase

from seedcorn.rules.three_valued import Bounds

Condition = Mapping[str, Bounds]
"""Bounds by name of a figure; all must hold."""


class Outcome(StrEnum):
    """What the rules say of one chip, destination and date."""

    NO_LICENCE = "no_licence"
    EXCEPTION = "exception"
    CASE_BY_CASE = "case_by_case"
    PRESUMPTION_OF_DENIAL = "presumption_of_denial"
    PRESUMPTION_OF_APPROVAL = "presumption_of_approval"
    LICENCE = "licence"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a rule applies: to a destination, or to a buyer by its headquarters.

    Attributes:
        anywhere: Applies to every destination.
        countries: ISO 3166 codes, in whatever group.
        groups: Country groups; a member of ``not_groups`` is left out.
        headquarters: As ``countries``, of the buyer's headquarters or ultimate parent.
    """

    text: str
    anywhere: bool = False
    countries: frozenset[str] = frozenset()
    groups: frozenset[str] = frozenset()
    not_groups: frozenset[str] = frozenset()
    headquarters: frozenset[str] = frozenset()
    headquarters_groups: frozenset[str] = frozenset()

    def covers(self, destination: str, headquarters: str, groups: Mapping[str, frozenset[str]]) -> bool:
        """Whether the rule applies to a buyer there; ``groups`` are the members of each country group."""
        return (
            self.anywhere
            or destination in self.countries
            or headquarters in self.headquarters
            or (_in(destination, self.groups, groups) and not _in(destination, self.not_groups, groups))
            or _in(headquarters, self.headquarters_groups, groups)
        )


def _in(country: str, names: frozenset[str], groups: Mapping[str, frozenset[str]]) -> bool:
    return any(country in groups[name] for name in names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """Which text says so, and how well it is known.

    Attributes:
        version: Id of the version it belongs to.
        status: ``text read``, ``press``, ``memory`` or ``not found``.
    """

    version: str
    title: str
    cite: str
    in_force: date
    status: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Paragraph:
    """A paragraph of the control list: a chip that meets ``when`` is the item."""

    citation: Citation
    item: str
    name: str
    when: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Exemption:
    """Chips not designed or marketed for data centres that meet ``when`` are not controlled."""

    citation: Citation
    text: str
    when: Condition


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """Where an item needs a licence."""

    citation: Citation
    place: Place


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceException:
    """What spares a controlled chip the licence: one of ``items``, or not designed or marketed for data centres."""

    citation: Citation
    name: str
    place: Place
    items: frozenset[str]
    notice_days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """How applications are reviewed; the first that applies decides."""

    citation: Citation
    place: Place
    outcome: Outcome
    when: Condition = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A licence needed whatever the control list says: by a company's letter, an end use, a place.

    Attributes:
        companies: Whom the letter binds; empty: everyone.
        items: Items it is for: then it is one of the control list, and exceptions spare it too; empty: every chip.
        chips: Patterns of catalogue names.
        any_of: One of these must hold, or a name must match; both empty: every chip.
        end_use: The end use it is for; ``None``: every one.
        enforced: False for a text that its authority says it will not enforce.
        unsettled: Texts contradict each other on whether it applies.
        outside: It bars the exceptions, but what it asks for is not in these rules.
    """

    citation: Citation
    until: date
    text: str
    place: Place
    companies: frozenset[str] = frozenset()
    items: frozenset[str] = frozenset()
    chips: tuple[str, ...] = ()
    any_of: tuple[Condition, ...] = ()
    end_use: str | None = None
    enforced: bool = True
    unsettled: bool = False
    outside: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """What a buyer should know beside the outcome; never an outcome."""

    id: str
    kind: str
    in_force: date
    until: date
    place: Place
    text: str
    cite: str
    status: str
    chips: tuple[str, ...] = ()
    items: frozenset[str] = frozenset()
    designers: frozenset[str] = frozenset()
    not_designers: frozenset[str] = frozenset()
    when: Condition = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Early:
    """Named chips (patterns of names) for which a version was in force before its date, and who says so."""

    citation: Citation
    chips: tuple[str, ...]

    def applies(self, chip: str, on: date) -> bool:
        """Whether the chip is named and the early date reached."""
        return self.citation.in_force <= on and matches(chip, self.chips)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One dated change; ``None`` leaves a part as it was.

    Attributes:
        scopes: By item; the other items' stay.
    """

    citation: Citation
    kind: str
    change: str
    published: date | None = None
    early: Early | None = None
    paragraphs: tuple[Paragraph, ...] | None = None
    exemption: Exemption | None = None
    scopes: Mapping[str, Scope] = field(default_factory=dict)
    exceptions: tuple[LicenceException, ...] | None = None
    reviews: tuple[Review, ...] | None = None

    def applies(self, chip: str, on: date) -> bool:
        """Whether it is in force for this chip."""
        return self.citation.in_force <= on or (self.early is not None and self.early.applies(chip, on))


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupChange:
    """A country that joined and left country groups on a date."""

    country: str
    in_force: date
    joins: frozenset[str]
    leaves: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Law:
    """All that is in force for one chip on one date.

    Attributes:
        version: The last change.
        groups: Members of each country group.
    """

    version: Version
    groups: Mapping[str, frozenset[str]]
    paragraphs: tuple[Paragraph, ...]
    exemption: Exemption | None
    scopes: Mapping[str, Scope]
    exceptions: tuple[LicenceException, ...]
    reviews: tuple[Review, ...]
    requirements: tuple[Requirement, ...]
    signals: tuple[Signal, ...]
    early: Early | None


def matches(chip: str, patterns: tuple[str, ...]) -> bool:
    """Whether a chip's name is one of these, ``*`` standing for anything."""
    return any(fnmatchcase(chip, pattern) for pattern in patterns)
