"""A chip as the rules look at it, and the figures they measure it by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf

from seedcorn.rules.three_valued import Range, exactly

_VECTOR_FORMATS = ("fp64", "fp64_matrix", "fp32")
"""Formats whose rates say nothing of the matrix units, whose rates decide."""

_DECIMALS = 6
"""TPP is rounded to these, so that no binary fraction decides at a bound; data sheets give four digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuledChip:
    """One integrated circuit as published; ``None`` is unpublished. A card of two holds two of these.

    Attributes:
        vendor: The company, as its letters name it.
        designer: ISO 3166 code of the designer's country.
        op_per_s: Dense peak rate by number format, the highest that the manufacturer claims; a multiply-accumulate is two
            operations. Formats that the chip does not have are absent.
        die_area_mm2: All logic dies made with non-planar transistors, caches included, HBM stacks excluded.
        link_bytes_per_s: Chip-to-chip links, both directions together; 0 where there are none.
        host_bytes_per_s: Host interface, both directions together.
        dram_bytes_per_s: Every DRAM of the item.
        at_least_dram_bytes_per_s: What is known of it where the total is not.
        marketed_for_datacenter: Designed or marketed for data centres.
        estimated: Names of the attributes and number formats above whose values nobody published.
    """

    name: str
    vendor: str
    designer: str | None = None
    op_per_s: Mapping[str, float] = field(default_factory=dict)
    die_area_mm2: float | None = None
    link_bytes_per_s: float | None = None
    host_bytes_per_s: float | None = None
    dram_bytes_per_s: float | None = None
    at_least_dram_bytes_per_s: float = 0.0
    marketed_for_datacenter: bool | None = None
    estimated: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What the rules measure, each as far as it is known.

    Attributes:
        tpp: Total processing performance.
        performance_density: TPP per mm² of applicable die area.
        io_bytes_per_s: Aggregate bidirectional transfer rate.
        dram_bytes_per_s: Total DRAM bandwidth.
        tpp_format: Number format that gives the TPP, where it is known.
    """

    tpp: Range
    performance_density: Range
    io_bytes_per_s: Range
    dram_bytes_per_s: Range
    tpp_format: str | None

    def of(self, quantity: str) -> Range:
        """The figure of this name, as a law's conditions write it."""
        if quantity == "dram_and_io_bytes_per_s":
            return self.dram_bytes_per_s + self.io_bytes_per_s
        return {
            "tpp": self.tpp,
            "performance_density": self.performance_density,
            "io_bytes_per_s": self.io_bytes_per_s,
            "dram_bytes_per_s": self.dram_bytes_per_s,
        }[quantity]


def figures(chip: RuledChip, bit_lengths: Mapping[str, int]) -> Figures:
    """What the rules measure of ``chip`` (3A090, Technical Note 2; 87 FR 62186 for the transfer rate)."""
    tpp, tpp_format = _tpp(chip, bit_lengths)
    dram = chip.dram_bytes_per_s
    return Figures(
        tpp=tpp,
        performance_density=_performance_density(tpp, chip.die_area_mm2),
        io_bytes_per_s=_known(chip.link_bytes_per_s) + _known(chip.host_bytes_per_s),
        dram_bytes_per_s=Range(chip.at_least_dram_bytes_per_s) if dram is None else exactly(dram),
        tpp_format=tpp_format,
    )


def _known(value: float | None) -> Range:
    return Range() if value is None else exactly(value)


def _tpp(chip: RuledChip, bit_lengths: Mapping[str, int]) -> tuple[Range, str | None]:
    """2 × MacTOPS × bit length, the highest over all formats: TOPS × bit length where a MAC counts as two operations."""
    by_format = {
        name: round(rate * bit_lengths[name] / 1e12, _DECIMALS) for name, rate in chip.op_per_s.items()
    }
    if all(name in _VECTOR_FORMATS for name in by_format):
        return Range(max(by_format.values(), default=0.0)), None
    highest = max(by_format, key=by_format.__getitem__)
    return exactly(by_format[highest]), highest


def _performance_density(tpp: Range, die_area_mm2: float | None) -> Range:
    if die_area_mm2 is None:
        return Range()
    return Range(tpp.low / die_area_mm2, inf if tpp.high == inf else tpp.high / die_area_mm2)
