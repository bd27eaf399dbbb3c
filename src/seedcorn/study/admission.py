"""What the export rules say of a purchase, and whether it counts: the catalogue's chip as the rules look at it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from seedcorn.catalog import CatalogChip, Kind, find_chip, number
from seedcorn.domain.horizon import Exporting
from seedcorn.rules import Buyer, Judgement, Outcome, RuledChip, judge, rulebook


def ruled_chip(entry: CatalogChip) -> RuledChip:
    """The catalogue's facts of one integrated circuit; a card of two is divided.

    A chip without a link but with a host interface of known bandwidth has no link.
    """
    facts = entry.facts
    num_chips = number(facts["chips_per_card"]) if "chips_per_card" in facts else 1

    def per_chip(field: str) -> float | None:
        return number(facts[field]) / num_chips if field in facts else None

    host, link = per_chip("host_bandwidth"), per_chip("link_bandwidth")
    area, marketed = facts.get("die_area"), facts.get("marketed_for_datacenter")
    designer = facts.get("vendor_country")
    estimated = (field for field, fact in facts.items() if fact.kind == Kind.ESTIMATED)
    return RuledChip(
        name=entry.chip.name,
        vendor=entry.chip.vendor,
        designer=None if designer is None else str(designer.value),
        op_per_s={field: rate for field in rulebook().bit_lengths if (rate := per_chip(field)) is not None},
        die_area_mm2=None if area is None else float(str(area.value).removesuffix(" mm2")) / num_chips,
        link_bytes_per_s=0.0 if link is None and "link" not in facts and host is not None else link,
        host_bytes_per_s=host,
        dram_bytes_per_s=per_chip("total_dram_bandwidth"),
        at_least_dram_bytes_per_s=per_chip("memory_bandwidth") or 0.0,
        marketed_for_datacenter=None if marketed is None else bool(marketed.value),
        estimated=frozenset("die_area_mm2" if field == "die_area" else field for field in estimated),
    )


class Standing(StrEnum):
    """How a purchase stands with the export rules of its date."""

    NO_RULES = "no rules given"
    OPEN = "no licence needed"
    DOMESTIC = "domestic: no export"
    LICENSED = "licence held"
    NEEDS_LICENCE = "needs a licence"
    UNKNOWN = "unknown"

    @property
    def counts(self) -> bool:
        """Whether the chips may be counted on."""
        return self not in (Standing.NEEDS_LICENCE, Standing.UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """How a purchase on a date stands, and why, in words; no reasons where no rules were given."""

    on: date
    standing: Standing
    why: str = ""
    version: str = ""


def standings(admissions: Sequence[Admission]) -> str:
    """Each different standing, in order."""
    return " / ".join(dict.fromkeys(found.standing for found in admissions))


def reasons(admissions: Sequence[Admission]) -> tuple[str, ...]:
    """Each different reason, with the rules and dates that it holds for."""
    dates: dict[str, list[str]] = {}
    for found in admissions:
        if found.why:
            dates.setdefault(found.why, []).append(f"{found.version}, {found.on}")
    return tuple(f"{why} [{'; '.join(on)}]" for why, on in dates.items())


def admission(
    chip_reference: str, exporting: Exporting | None, *, on: date, licence_held: bool = False
) -> Admission:
    """Whether a chip may be counted on, if it is to reach its buyer on this date.

    Raises:
        InputError: The date is before the first rule, or a country is unknown.
    """
    if exporting is None:
        return Admission(on=on, standing=Standing.NO_RULES)
    rules = rulebook()
    buyer = Buyer(
        destination=rules.destination(exporting.destination),
        headquarters=rules.destination(exporting.headquarters),
    )
    judgement = judge(ruled_chip(find_chip(chip_reference)), rules, buyer, on=on)
    standing = _standing(judgement, licence_held=licence_held)
    outcome = judgement.outcome.replace("_", " ")
    if judgement.exception is not None:
        outcome = f"{outcome} {judgement.exception}, notice {judgement.notice_days} days"
    said = "" if standing is Standing.DOMESTIC else f"{outcome}: "
    why = f"{said}{'; '.join(judgement.reasons)}"
    return Admission(on=on, standing=standing, why=why, version=judgement.version)


def _standing(judgement: Judgement, *, licence_held: bool) -> Standing:
    if judgement.outcome in (Outcome.NO_LICENCE, Outcome.EXCEPTION):
        return Standing.OPEN
    if judgement.is_domestic:
        return Standing.DOMESTIC
    if licence_held:
        return Standing.LICENSED
    return Standing.UNKNOWN if judgement.outcome is Outcome.UNKNOWN else Standing.NEEDS_LICENCE
