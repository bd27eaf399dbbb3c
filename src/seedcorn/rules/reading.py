"""The bundled document of rules (``us.toml``) read into a :class:`~seedcorn.rules.rulebook.Rulebook`.

It ships with the package, so a mistake in it is ours: an unknown or missing key fails in the
constructor that it is handed to, a name that nothing has in its look-up.
"""

import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

from seedcorn.rules.law import (
    Citation,
    Condition,
    Early,
    Exemption,
    GroupChange,
    LicenceException,
    Outcome,
    Paragraph,
    Place,
    Requirement,
    Review,
    Scope,
    Signal,
    Version,
)
from seedcorn.rules.rulebook import Rulebook
from seedcorn.rules.three_valued import Bounds

T = TypeVar("T")

_Table = dict[str, Any]
_Places = Mapping[str, Place]


@cache
def rulebook() -> Rulebook:
    """The bundled rules."""
    with (files("seedcorn.rules") / "us.toml").open("rb") as file:
        return read_rulebook(tomllib.load(file))


def read_rulebook(table: _Table) -> Rulebook:
    """The rules that a document of this structure states."""
    places = {
        name: Place(
            **_with_sets(raw, "countries", "groups", "not_groups", "headquarters", "headquarters_groups")
        )
        for name, raw in table["places"].items()
    }
    citations = {raw["id"]: _citation(raw) for raw in table["versions"]}
    return Rulebook(
        checked=table["checked"],
        domestic=frozenset(table["domestic"]),
        bit_lengths=table["bit_lengths"],
        other_bit_lengths=table["bit_lengths"] | table["other_bit_lengths"],
        versions=tuple(_version(raw, places) for raw in table["versions"]),
        requirements=tuple(_requirement(raw, citations, places) for raw in table["requirements"]),
        signals=tuple(_signal(raw, places) for raw in table["signals"]),
        destinations=frozenset(table["iso_3166"]["codes"].split()),
        country_groups={name: frozenset(codes.split()) for name, codes in table["country_groups"].items()},
        group_changes=tuple(
            GroupChange(**_with_sets(raw, "joins", "leaves")) for raw in table["group_changes"]
        ),
    )


def _with_sets(raw: _Table, *keys: str) -> dict[str, Any]:
    """The table with these of its lists as sets."""
    return {key: frozenset(value) if key in keys else value for key, value in raw.items()}


def _condition(raw: Mapping[str, list[float]]) -> Condition:
    return {quantity: Bounds(low, high) for quantity, (low, high) in raw.items()}


def _citation(raw: _Table) -> Citation:
    return Citation(
        version=raw["id"],
        title=raw["title"],
        cite=raw["cite"],
        in_force=raw["in_force"],
        status=raw["status"],
    )


def _version(raw: _Table, places: _Places) -> Version:
    citation = _citation(raw)

    def paragraph(entry: _Table) -> Paragraph:
        return Paragraph(citation=citation, **entry | {"when": _condition(entry["when"])})

    def exemption(entry: _Table) -> Exemption:
        return Exemption(citation=citation, **entry | {"when": _condition(entry["when"])})

    def exception(entry: _Table) -> LicenceException:
        placed = entry | {"place": places[entry["place"]]}
        return LicenceException(citation=citation, **_with_sets(placed, "items"))

    def review(entry: _Table) -> Review:
        return Review(
            citation=citation,
            place=places[entry.get("place", "anywhere")],
            outcome=Outcome(entry["outcome"]),
            when=_condition(entry.get("when", {})),
            text=entry.get("text", ""),
        )

    return Version(
        citation=citation,
        kind=raw["kind"],
        change=raw["change"],
        published=raw.get("published"),
        early=_early(raw["early"], citation) if "early" in raw else None,
        paragraphs=_listed(raw, "paragraphs", paragraph),
        exemption=exemption(raw["exemption"]) if "exemption" in raw else None,
        scopes={
            item: Scope(citation=citation, place=places[name]) for item, name in raw.get("scopes", {}).items()
        },
        exceptions=_listed(raw, "exceptions", exception),
        reviews=_listed(raw, "reviews", review),
    )


def _listed(raw: _Table, key: str, read: Callable[[_Table], T]) -> tuple[T, ...] | None:
    """Each entry under ``key`` read; ``None`` where the version does not touch it."""
    return tuple(read(entry) for entry in raw[key]) if key in raw else None


def _early(raw: _Table, citation: Citation) -> Early:
    placed = replace(citation, cite=raw["cite"], in_force=raw["in_force"], status=raw["status"])
    return Early(citation=placed, chips=tuple(raw["chips"]))


def _requirement(raw: _Table, citations: Mapping[str, Citation], places: _Places) -> Requirement:
    """A requirement; where it cites no text of its own, its version's."""
    version = citations.get(raw["version"])
    citation = Citation(
        version=raw["version"],
        title=raw["text"],
        cite=raw["cite"] if version is None else raw.get("cite", version.cite),
        in_force=raw["in_force"],
        status=raw["status"] if version is None else raw.get("status", version.status),
    )
    return Requirement(
        citation=citation,
        until=raw.get("until", date.max),
        text=raw["text"],
        place=places[raw["place"]],
        companies=frozenset(raw.get("companies", ())),
        items=frozenset(raw.get("items", ())),
        chips=tuple(raw.get("chips", ())),
        any_of=tuple(_condition(entry) for entry in raw.get("any_of", ())),
        end_use=raw.get("end_use"),
        enforced=raw.get("enforced", True),
        unsettled=raw.get("unsettled", False),
        outside=raw.get("outside", False),
    )


def _signal(raw: _Table, places: _Places) -> Signal:
    read = raw | {
        "place": places[raw["place"]],
        "until": raw.get("until", date.max),
        "chips": tuple(raw.get("chips", ())),
        "when": _condition(raw.get("when", {})),
    }
    return Signal(**_with_sets(read, "items", "designers", "not_designers"))
