"""Facts: a value as published, what kind of value it is, and who says so.

A fact is never naked. Its fields, and the quantity each one holds, are the table ``FIELDS``; a
catalogue file may hold no other.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from seedcorn import units
from seedcorn.errors import InputError

Value = str | int | bool


class Kind(StrEnum):
    """What a value is."""

    VENDOR = "vendor"
    MEASURED = "measured"
    ESTIMATED = "estimated"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Who says so.

    Attributes:
        text: The reference, as precise as it is known.
        title: The collection it belongs to.
        trust: How far to trust it, and its known errors; empty where nobody judged.
        licence: Terms of the source as a whole; single facts are not protected.
    """

    key: str
    text: str
    title: str = ""
    trust: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One value with its provenance.

    Attributes:
        value: As published, with its unit: ``"80 GB"``; counts are ``int``, claims ``bool``.
        sources: Keys into the chip's ``sources``.
        note: What a reader must know before using this value.
    """

    field: str
    value: Value
    kind: Kind
    sources: tuple[str, ...]
    note: str = ""


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"expected a text, got {value!r}")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"expected a whole number of at least 1, got {value!r}")
    return value


def _claim(value: object) -> bool:
    if not isinstance(value, bool):
        raise InputError(f"expected true or false, got {value!r}")
    return value


def _matching(pattern: str, what: str) -> Callable[[object], str]:
    compiled = re.compile(pattern)

    def read(value: object) -> str:
        if not isinstance(value, str) or compiled.fullmatch(value) is None:
            raise InputError(f"expected {what}, got {value!r}")
        return value

    return read


def _positive(read: Callable[[object], float]) -> Callable[[object], float]:
    def read_positive(value: object) -> float:
        number = read(value)
        if number <= 0:
            raise InputError(f"expected more than zero, got {value!r}; leave out what is unknown")
        return number

    return read_positive


_MEMORY = _positive(units.num_bytes)
_BANDWIDTH = _positive(units.bytes_per_s)
_RATE = _positive(units.flop_per_s)
_AREA = _matching(r"\d+(\.\d+)? mm2", "an area in mm2, such as '814 mm2'")
_DATE = _matching(r"\d{4}(-\d{2}(-\d{2})?)?", "a date, such as '2023-03-21' or '2023'")
_PRICE = _matching(r"\d+(\.\d+)? [A-Z]{3}", "a price, such as '34000 USD'")

FIELDS: Mapping[str, Callable[[object], object]] = {
    "memory": _MEMORY,
    "memory_type": _text,
    "memory_bandwidth": _BANDWIDTH,
    "total_dram_bandwidth": _BANDWIDTH,
    "fp64": _RATE,
    "fp64_matrix": _RATE,
    "fp32": _RATE,
    "tf32": _RATE,
    "bf16": _RATE,
    "fp16": _RATE,
    "fp16_fp16_accumulate": _RATE,
    "fp8": _RATE,
    "int8": _RATE,
    "int4": _RATE,
    "fp4": _RATE,
    "link": _text,
    "link_bandwidth": _BANDWIDTH,
    "scale_up_domain": _count,
    "host_interface": _text,
    "host_bandwidth": _BANDWIDTH,
    "tdp": _positive(units.watts),
    "form_factor": _text,
    "chips_per_card": _count,
    "dies": _count,
    "die_area": _AREA,
    "process_node": _text,
    "foundry": _text,
    "vendor_country": _matching(r"[A-Z]{2}", "an ISO 3166 country code, such as 'US'"),
    "announced": _DATE,
    "marketed_for_datacenter": _claim,
    "price": _PRICE,
    "software": _text,
}
"""Fact field → what checks and reads its value.

Rates are dense (no sparsity) and, but for ``fp16_fp16_accumulate``, with FP32 accumulation.
``link_bandwidth`` and ``host_bandwidth`` are both directions together, all links of one chip.
``total_dram_bandwidth`` counts every DRAM of the package, a superchip's CPU memory included.
"""


def number(fact: Fact) -> float:
    """A fact's value in the base unit of its field (bytes, bytes/s, FLOP/s, W, a count)."""
    value = FIELDS[fact.field](fact.value)
    assert isinstance(value, int | float), f"{fact.field} is no quantity"
    return value
