"""Figures and bounds in words."""

from collections.abc import Iterable, Sequence
from math import inf

from seedcorn.rules.chip import Figures, RuledChip
from seedcorn.rules.judgement import DieArea
from seedcorn.rules.law import Condition, LicenceException, Outcome, Paragraph, Requirement, Review
from seedcorn.rules.rulebook import Rulebook
from seedcorn.rules.three_valued import Bounds, Range, every
from seedcorn.units import format_flop_per_s

_LABELS = {
    "tpp": "TPP",
    "performance_density": "performance density",
    "io_bytes_per_s": "transfer rate",
    "dram_bytes_per_s": "DRAM bandwidth",
    "dram_and_io_bytes_per_s": "DRAM bandwidth and transfer rate together",
}


def bounds_met(condition: Condition, figures: Figures) -> str:
    """``TPP 1,940 is at least 1,600 and under 4,800, performance density 6.599 is at least 5.92``."""
    return ", ".join(
        f"{_figure(quantity, figures.of(quantity))} is {_bounds(quantity, bounds)}"
        for quantity, bounds in condition.items()
    )


def known_figures(paragraphs: Iterable[Paragraph], figures: Figures) -> str:
    """The figures that these paragraphs look at, once each."""
    quantities = dict.fromkeys(quantity for paragraph in paragraphs for quantity in paragraph.when)
    return ", ".join(_figure(quantity, figures.of(quantity)) for quantity in quantities)


def die_areas_text(areas: Sequence[DieArea]) -> str:
    """``up to 743 mm² 3A090.a, up to 2,750 mm² 3A090.b, above that none``."""
    return ", ".join(
        f"above that {area.item}" if area.up_to_mm2 == inf else f"up to {area.up_to_mm2:,.0f} mm² {area.item}"
        for area in areas
    )


def exception_text(exception: LicenceException, item: str) -> str:
    """Which exception spares which chips, and what it asks."""
    chips = item if item in exception.items else f"{item} not designed or marketed for data centres"
    notice = f"{exception.notice_days} calendar days' notice to BIS" if exception.notice_days else "no notice"
    return f"Licence Exception {exception.name} is open to {chips} here, with {notice}"


def requirement_text(rule: Requirement, figures: Figures) -> str:
    """The requirement, with the bounds that make it apply, or that would."""
    holds = [
        (every(figures.of(q).lies_in(b) for q, b in c.items()), bounds_met(c, figures)) for c in rule.any_of
    ]
    met = [text for held, text in holds if held]
    open_ = [text for held, text in holds if held is None]
    if met:
        return f"{rule.text}: {met[0]}"
    return f"{rule.text}, if {' or '.join(open_)}" if open_ else rule.text


def review_text(review: Review, figures: Figures) -> str:
    """How an application is reviewed, for whom, under which bounds and conditions."""
    bounds = f" where {bounds_met(review.when, figures)}" if review.when else ""
    conditions = f", {review.text}" if review.text else ""
    return f"a licence is needed; review: {outcome_text(review.outcome)}, for {review.place.text}{bounds}{conditions}"


def outcome_text(outcome: Outcome) -> str:
    """``case by case``."""
    return outcome.replace("_", " ")


def estimate_text(what: str, chip: RuledChip) -> str:
    """An estimated attribute or number format of a chip, with its value."""
    if what == "die_area_mm2":
        return f"a die area of {chip.die_area_mm2:,g} mm²"
    if what == "marketed_for_datacenter":
        return "that it is not designed or marketed for data centres"
    return f"its {what} rate, {format_flop_per_s(chip.op_per_s[what])}"


def reading_text(rules: Rulebook, figures: Figures) -> str:
    """The other reading of bit lengths, and the TPP that follows."""
    other = {name: bits for name, bits in rules.other_bit_lengths.items() if bits != rules.bit_lengths[name]}
    formats = ", ".join(f"{name} as {bits} bits" for name, bits in other.items())
    return f"counting {formats}, {_figure('tpp', figures.tpp)}"


def _figure(quantity: str, known: Range) -> str:
    if known.value is not None:
        return f"{_LABELS[quantity]} {_number(quantity, known.value)}"
    if known.low:
        return f"{_LABELS[quantity]} (at least {_number(quantity, known.low)})"
    return f"{_LABELS[quantity]} (unpublished)"


def _bounds(quantity: str, bounds: Bounds) -> str:
    low, high = _number(quantity, bounds.low), _number(quantity, bounds.high)
    if bounds.high == inf:
        return f"at least {low}"
    return f"under {high}" if bounds.low == 0 else f"at least {low} and under {high}"


def _number(quantity: str, value: float) -> str:
    """With more digits than anybody publishes, so that no figure is rounded onto a bound; bandwidths in the laws' GB/s."""
    if quantity.endswith("_bytes_per_s"):
        return f"{_plain(value / 1e9, 3)} GB/s"
    return _plain(value, 4 if quantity == "performance_density" else 3)


def _plain(value: float, decimals: int) -> str:
    return f"{value:,.{decimals}f}".rstrip("0").rstrip(".")
