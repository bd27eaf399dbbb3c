"""A case and its answer."""

from dataclasses import dataclass
from datetime import date

from seedcorn.rules.law import Citation, Outcome, Signal

NOT_ADVICE = "Decision support, not legal advice: ask counsel and read the cited texts before you act."
"""Said with every answer."""

NOT_CONTROLLED = "none"
"""Item of a chip that no paragraph of the control list describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Buyer:
    """Who buys, and for what.

    Attributes:
        destination: ISO 3166 code of where the chip goes.
        headquarters: ISO 3166 code of the headquarters, or of the ultimate parent's.
        end_use: One that a rule names (``Rulebook.end_uses``), else ``None``.
    """

    destination: str
    headquarters: str
    end_use: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DieArea:
    """What a chip of unpublished die area is, up to ``up_to_mm2`` (``inf``: any larger one)."""

    item: str
    up_to_mm2: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """An answer. Decision support, not legal advice.

    Attributes:
        tpp: ``None`` where no rate of the matrix units is published.
        performance_density: Per mm²; ``None`` where the die area or the TPP is unpublished.
        control_class: Paragraphs met (``3A090.b.1/b.2``), ``none`` or ``unknown``.
        exception: Its name, where ``outcome`` is ``exception``.
        notice_days: Calendar days before the export that BIS must be told; 0 for none.
        is_domestic: Designed and used in China: no export that these rules name.
        die_areas: What the die area decides, where it is unpublished and decides; smallest first.
    """

    chip: str
    on: date
    version: str
    tpp: float | None
    performance_density: float | None
    control_class: str
    outcome: Outcome
    exception: str | None
    notice_days: int | None
    is_domestic: bool
    die_areas: tuple[DieArea, ...]
    reasons: tuple[str, ...]
    sources: tuple[Citation, ...]
    signals: tuple[Signal, ...]
