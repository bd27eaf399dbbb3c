"""Which item of the control list a chip is, as far as its published facts decide."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from math import inf

from seedcorn.rules.chip import Figures
from seedcorn.rules.judgement import NOT_CONTROLLED, DieArea
from seedcorn.rules.law import Condition, Exemption, Paragraph
from seedcorn.rules.three_valued import either, every, exactly, negation
from seedcorn.rules.wording import bounds_met, die_areas_text, known_figures

_DENSITY = "performance_density"


@dataclass(frozen=True, slots=True)
class Classification:
    """A chip beside the control list.

    Attributes:
        is_for_datacenters: Designed or marketed for them; ``None``: not known.
        paragraphs: The list; paragraphs of one item stand together, stricter items first.
    """

    figures: Figures
    is_for_datacenters: bool | None
    paragraphs: tuple[Paragraph, ...]
    exemption: Exemption | None

    def items(self) -> tuple[str, ...]:
        """Every item that the chip may be, as far as its facts are known."""
        exempt = self.is_exempt()
        if exempt:
            return (NOT_CONTROLLED,)
        possible = list(self._listed_items())
        if exempt is None and NOT_CONTROLLED not in possible:
            possible.append(NOT_CONTROLLED)
        return tuple(possible)

    def _listed_items(self) -> Iterable[str]:
        """Items by the paragraphs alone, strictest first, up to the first that it certainly is."""
        for item, paragraphs in groupby(self.paragraphs, key=lambda paragraph: paragraph.item):
            met = either(self.holds(paragraph.when) for paragraph in paragraphs)
            if met is not False:
                yield item
            if met:
                return
        yield NOT_CONTROLLED

    def is_exempt(self) -> bool | None:
        """Whether the exemption of chips not made for data centres spares it."""
        if self.exemption is None:
            return False
        return every([negation(self.is_for_datacenters), self.holds(self.exemption.when)])

    def holds(self, condition: Condition) -> bool | None:
        """Whether all bounds hold."""
        return every(self.figures.of(quantity).lies_in(bounds) for quantity, bounds in condition.items())

    def met(self) -> tuple[Paragraph, ...]:
        """The paragraphs of the chip's item that it certainly meets, where its item is certain."""
        if len(self.items()) > 1:
            return ()
        (item,) = self.items()
        return tuple(p for p in self.paragraphs if p.item == item and self.holds(p.when))

    def control_class(self) -> str:
        """The paragraphs met, as ``3A090.b.1/b.2``."""
        if len(self.items()) > 1:
            return "unknown"
        if self.items() == (NOT_CONTROLLED,):
            return NOT_CONTROLLED
        first, *others = (paragraph.name for paragraph in self.met())
        return "/".join([first, *(name.partition(".")[2] for name in others)])

    def die_areas(self) -> tuple[DieArea, ...]:
        """What an unpublished die area decides, smallest first; empty where it decides nothing."""
        tpp, density = self.figures.tpp.value, self.figures.performance_density
        if tpp is None or density.value is not None:
            return ()
        bounds = [p.when[_DENSITY] for p in self.paragraphs if _DENSITY in p.when]
        densities = sorted({0.0, *(b.low for b in bounds), *(b.high for b in bounds)} - {inf}, reverse=True)
        areas = [
            DieArea(item=self._item_at(density), up_to_mm2=tpp / density if density else inf)
            for density in densities
        ]
        largest = [area for area, larger in pairwise(areas) if area.item != larger.item]
        return (*largest, areas[-1]) if largest else ()

    def _item_at(self, density: float) -> str:
        figures = replace(self.figures, performance_density=exactly(density))
        return " or ".join(replace(self, figures=figures).items())

    def reasons(self) -> Iterable[str]:
        """What the chip is and by which figures, or which facts would decide."""
        if len(self.items()) > 1:
            yield f"the published facts leave open what it is: {' or '.join(self.items())}"
            yield from self._missing()
        elif met := self.met():
            yield from (f"{p.name}: {bounds_met(p.when, self.figures)}" for p in met)
        elif self.is_exempt():
            assert self.exemption is not None
            yield f"not controlled: {self.exemption.text}"
        elif self.paragraphs:
            yield f"no paragraph of the control list is met: {known_figures(self.paragraphs, self.figures)}"

    def _missing(self) -> Iterable[str]:
        """The facts that would decide which item it is."""
        if self.figures.tpp.value is None:
            yield "no rate of its matrix units is published, so that its TPP is unknown"
        if areas := self.die_areas():
            yield f"its die area is unpublished and decides: {die_areas_text(areas)}"
        asks_for_io = any("io_bytes_per_s" in paragraph.when for paragraph in self.paragraphs)
        if asks_for_io and self.figures.io_bytes_per_s.value is None:
            yield "its aggregate transfer rate is not fully published"
        if self.is_for_datacenters is None:
            yield "whether it is designed or marketed for data centres is not known"
