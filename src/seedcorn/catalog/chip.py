"""Chips: one TOML file each, facts with provenance, resolved to what the planner needs."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from seedcorn.catalog.facts import FIELDS, Fact, Kind, Source, Value, number
from seedcorn.catalog.files import Document, read_document
from seedcorn.catalog.names import load_index, resolve
from seedcorn.domain.hardware import Chip, ChipName
from seedcorn.errors import InputError
from seedcorn.units import GB, GIB

FILE_SUFFIXES = (".toml", ".yaml", ".yml")

_KEYS = (
    "name",
    "vendor",
    "title",
    "family",
    "aliases",
    "confidence",
    "cross_check",
    "notes",
    "sources",
    "facts",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogChip:
    """A chip with everything that is known of it and who says so.

    Attributes:
        chip: What the layers above compute with.
        facts: By field, as published; fields that nobody published are absent.
        sources: By key, as facts cite them.
        confidence: ``high``, ``medium`` or ``low``: the row as a whole.
        cross_check: Result of a comparison with a second collection.
    """

    chip: Chip
    facts: Mapping[str, Fact]
    sources: Mapping[str, Source]
    aliases: tuple[str, ...]
    confidence: str
    cross_check: str
    notes: str


def find_chip(name_or_path: str) -> CatalogChip:
    """The chip of this name, or of this file (``.toml``, ``.yaml``) in the catalogue's own format.

    Kubernetes' ``-SHARED`` (several clients share one chip) names the same hardware; a MIG slice
    is not the chip and is refused.

    Raises:
        UnknownName, AmbiguousName: With the nearest names, or with the candidates.
        InputError: The file is not a chip file; says where.
    """
    if name_or_path.endswith(FILE_SUFFIXES):
        return _read(Path(name_or_path))
    _refuse_slice(name_or_path)
    whole = re.sub(r"-SHARED$", "", name_or_path, flags=re.IGNORECASE)
    return _bundled(resolve("chip", whole, load_index()["chips"]))


def chips() -> tuple[CatalogChip, ...]:
    """Every chip of the catalogue, by name."""
    return tuple(_bundled(name) for name in sorted(_names()))


def _names() -> tuple[str, ...]:
    folder = files("seedcorn.catalog") / "chips"
    return tuple(file.name.removesuffix(".toml") for file in folder.iterdir() if file.name.endswith(".toml"))


def _refuse_slice(name: str) -> None:
    """A MIG slice has a part of a chip's memory and compute, and the planner plans whole chips."""
    if match := re.match(r"(.+)-MIG-\d+g\.\d+gb", name, re.IGNORECASE):
        raise InputError(
            f"{name!r} is a slice (MIG) of a {match[1]}, and only whole chips are planned with: "
            f"leave its nodes out, or turn MIG off and write {match[1]!r}"
        )


@cache
def _bundled(name: str) -> CatalogChip:
    return _read(files("seedcorn.catalog") / "chips" / f"{name}.toml")


def _read(file: Traversable) -> CatalogChip:
    document = read_document(file)
    document.refuse_unknown(document.values, _KEYS)
    sources = _sources(document)
    facts = _facts(document, sources)
    return CatalogChip(
        chip=_chip(document, facts),
        facts=facts,
        sources=sources,
        aliases=document.texts_of("aliases"),
        confidence=document.text_of("confidence", "unrated"),
        cross_check=document.text_of("cross_check", ""),
        notes=document.text_of("notes", ""),
    )


@cache
def _source_registry() -> Mapping[str, Mapping[str, str]]:
    registry: dict[str, dict[str, str]] = tomllib.loads(
        (files("seedcorn.catalog") / "sources.toml").read_text(encoding="utf-8")
    )
    return registry


def _sources(document: Document) -> dict[str, Source]:
    """The file's sources, with what the registry knows of their kind."""
    result = {}
    for key, text in document.table_of("sources").items():
        if not isinstance(text, str):
            raise document.error(f"source {key}: expected a text, got {text!r}", key)
        known = _source_registry().get(re.sub(r"-\d+$", "", key), {})
        result[key] = Source(key=key, text=text, **known)
    return result


def _facts(document: Document, sources: Mapping[str, Source]) -> dict[str, Fact]:
    table = document.table_of("facts")
    document.refuse_unknown(table, FIELDS)
    return {field: _fact(document, field, raw, sources) for field, raw in table.items()}


def _fact(document: Document, field: str, raw: object, sources: Mapping[str, Source]) -> Fact:
    """One fact. A bare value, as a user may write it, has no provenance and counts as estimated."""
    entry = raw if isinstance(raw, Mapping) else {"value": raw, "kind": "estimated"}
    document.refuse_unknown(entry, ("value", "kind", "sources", "note"), within=field)
    value = entry.get("value")
    if isinstance(value, date):
        value = value.isoformat()
    document.read(field, FIELDS[field], value)
    assert isinstance(value, Value)
    return Fact(
        field=field,
        value=value,
        kind=document.read(field, _kind, entry.get("kind")),
        sources=document.read(field, lambda cited: _cited(cited, sources), entry.get("sources", [])),
        note=str(entry.get("note", "")),
    )


def _kind(value: object) -> Kind:
    if not isinstance(value, str) or value not in tuple(Kind):
        raise InputError(f"kind must be one of {', '.join(Kind)}, got {value!r}")
    return Kind(value)


def _cited(cited: object, sources: Mapping[str, Source]) -> tuple[str, ...]:
    if not isinstance(cited, list) or not all(key in sources for key in cited):
        listed = ", ".join(sources) or "none"
        raise InputError(f"sources must be a list of keys under [sources], which has {listed}; got {cited!r}")
    return tuple(cited)


DRIVER_SHARE = 0.98
"""Of the DRAM's GiB, what CUDA and ROCm report as total: 0.980 on an RTX 4090 (25,250,627,584 bytes, the vLLM
run of LLMServingSim), 0.98 to 0.99 on HBM parts."""


def _driver_memory_bytes(memory: float, document: Document, facts: Mapping[str, Fact]) -> int | None:
    """DRAM comes in powers of two, so a published GB is a GiB. Unknown for GDDR with in-band ECC, which
    takes a sixteenth (those cards come out near the published figure), and for other vendors' firmware."""
    kind = str(facts["memory_type"].value) if "memory_type" in facts else ""
    is_whole = kind.startswith("HBM") or kind == "GDDR6X"
    if document.text_of("vendor") not in ("NVIDIA", "AMD") or not is_whole:
        return None
    return round(memory * GIB / GB * DRIVER_SHARE)


def _chip(document: Document, facts: Mapping[str, Fact]) -> Chip:
    """What the planner needs, in base units, of one chip as scheduled, one direction of each link."""

    def per_chip(field: str) -> float | None:
        return number(facts[field]) / num_chips if field in facts else None

    def one_way(field: str) -> float | None:
        both_ways = per_chip(field)
        return None if both_ways is None else both_ways / 2

    num_chips = number(facts["chips_per_card"]) if "chips_per_card" in facts else 1
    memory, link = per_chip("memory"), facts.get("link")
    name = document.text_of("name")
    return Chip(
        name=ChipName(name),
        vendor=document.text_of("vendor"),
        title=document.text_of("title", name),
        family=document.text_of("family"),
        memory_bytes=None if memory is None else round(memory),
        driver_memory_bytes=None if memory is None else _driver_memory_bytes(memory, document, facts),
        memory_bytes_per_s=per_chip("memory_bandwidth"),
        fp32_flop_per_s=per_chip("fp32"),
        bf16_flop_per_s=per_chip("bf16"),
        fp16_flop_per_s=per_chip("fp16"),
        fp8_flop_per_s=per_chip("fp8"),
        int8_flop_per_s=per_chip("int8"),
        fp4_flop_per_s=per_chip("fp4"),
        link_name=None if link is None else str(link.value),
        link_bytes_per_s=one_way("link_bandwidth"),
        scale_up_domain=round(number(facts["scale_up_domain"])) if "scale_up_domain" in facts else 1,
        host_bytes_per_s=one_way("host_bandwidth"),
        tdp_w=per_chip("tdp"),
    )
