"""What the rules say of one chip, buyer and date, with the reasons.

Three-valued throughout: where the published facts leave open which item a chip is, it is judged as
each of them, and only what the rulings agree on is the outcome.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from itertools import groupby, pairwise
from math import inf

from seedcorn.rules.chip import Figures, RuledChip, figures
from seedcorn.rules.judgement import NOT_CONTROLLED, Buyer, DieArea, Judgement
from seedcorn.rules.law import (
    Citation,
    Condition,
    Law,
    LicenceException,
    Outcome,
    Paragraph,
    Place,
    Requirement,
    Signal,
    matches,
)
from seedcorn.rules.rulebook import Rulebook
from seedcorn.rules.three_valued import either, every, exactly
from seedcorn.rules.wording import (
    bounds_met,
    die_areas_text,
    estimate_text,
    exception_text,
    known_figures,
    outcome_text,
    reading_text,
    requirement_text,
    review_text,
)

DENSITY = "performance_density"

_NEEDS_LICENCE = (
    Outcome.CASE_BY_CASE,
    Outcome.PRESUMPTION_OF_DENIAL,
    Outcome.PRESUMPTION_OF_APPROVAL,
    Outcome.LICENCE,
)


def judge(
    chip: RuledChip, rules: Rulebook, buyer: Buyer, *, on: date, with_unenforced: bool = False
) -> Judgement:
    """What the rules say of ``chip`` for ``buyer``.

    Args:
        with_unenforced: Count texts that are law but that their authority says it will not enforce.

    Raises:
        InputError: The date is before the first rule.
    """
    law = rules.law_on(on, chip.name)
    is_domestic = chip.designer in rules.domestic and buyer.destination in rules.domestic
    case = _Case(chip, figures(chip, rules.bit_lengths), law, buyer, with_unenforced, is_domestic)
    outcome, exception = case.outcome()
    return Judgement(
        chip=chip.name,
        on=on,
        version=law.version.citation.version,
        tpp=case.figures.tpp.value,
        performance_density=case.figures.performance_density.value,
        control_class=case.control_class(),
        outcome=outcome,
        exception=exception.name if exception else None,
        notice_days=exception.notice_days if exception else None,
        is_domestic=is_domestic,
        die_areas=case.die_areas(),
        reasons=(*case.reasons(), *_caveats(case, rules, on)),
        sources=case.sources(),
        signals=tuple(signal for signal in law.signals if case.shows(signal)),
    )


@dataclass(frozen=True, slots=True)
class _Ruling:
    """One way the case may come out, why, and by which texts."""

    outcome: Outcome
    reason: str
    sources: tuple[Citation, ...]
    exception: LicenceException | None = None


@dataclass(frozen=True, slots=True)
class _Case:
    """A chip and a buyer under the law of a date."""

    chip: RuledChip
    figures: Figures
    law: Law
    buyer: Buyer
    with_unenforced: bool
    is_domestic: bool

    def outcome(self) -> tuple[Outcome, LicenceException | None]:
        """What all rulings agree on: the outcome, or at least that a licence is needed."""
        rulings = [ruling for item in self.items() for ruling in self.rulings(item)]
        first = rulings[0]
        if all((r.outcome, r.exception) == (first.outcome, first.exception) for r in rulings):
            return first.outcome, first.exception
        if all(ruling.outcome in _NEEDS_LICENCE for ruling in rulings):
            return Outcome.LICENCE, None
        return Outcome.UNKNOWN, None

    # Which item it is

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
        for item, paragraphs in groupby(self.law.paragraphs, key=lambda paragraph: paragraph.item):
            met = either(self.holds(paragraph.when) for paragraph in paragraphs)
            if met is not False:
                yield item
            if met:
                return
        yield NOT_CONTROLLED

    def is_exempt(self) -> bool | None:
        """Whether the exemption of chips not made for data centres spares it."""
        if self.law.exemption is None:
            return False
        return every([self.is_unmarketed(), self.holds(self.law.exemption.when)])

    def is_unmarketed(self) -> bool | None:
        """Whether it is not designed or marketed for data centres."""
        marketed = self.chip.marketed_for_datacenter
        return None if marketed is None else not marketed

    def holds(self, condition: Condition) -> bool | None:
        """Whether all bounds hold."""
        return every(self.figures.of(quantity).lies_in(bounds) for quantity, bounds in condition.items())

    def met(self) -> tuple[Paragraph, ...]:
        """The paragraphs of the chip's item that it certainly meets, where its item is certain."""
        if len(self.items()) > 1:
            return ()
        (item,) = self.items()
        return tuple(p for p in self.law.paragraphs if p.item == item and self.holds(p.when))

    def control_class(self) -> str:
        """The paragraphs met, as ``3A090.b.1/b.2``."""
        if len(self.items()) > 1:
            return "unknown"
        if self.items() == (NOT_CONTROLLED,):
            return NOT_CONTROLLED
        first, *others = (paragraph.name for paragraph in self.met())
        return "/".join([first, *(name.partition(".")[2] for name in others)])

    def die_areas(self) -> tuple[DieArea, ...]:
        """What the unpublished die area decides; empty where it is published or decides nothing."""
        tpp = self.figures.tpp.value
        if self.chip.die_area_mm2 is not None or tpp is None:
            return ()
        bounds = [p.when[DENSITY] for p in self.law.paragraphs if DENSITY in p.when]
        edges = sorted({0.0, inf, *(b.low for b in bounds), *(b.high for b in bounds)}, reverse=True)
        by_item: list[DieArea] = []
        for above, density in pairwise(edges):
            item = " or ".join(self._of_density(density).items())
            up_to_mm2 = tpp / density if density else inf
            if by_item and by_item[-1].item == item:
                by_item[-1] = replace(by_item[-1], up_to_mm2=up_to_mm2)
            else:
                by_item.append(DieArea(item=item, over_mm2=tpp / above, up_to_mm2=up_to_mm2))
        return tuple(by_item) if len(by_item) > 1 else ()

    def _of_density(self, density: float) -> "_Case":
        return replace(self, figures=replace(self.figures, performance_density=exactly(density)))

    # What follows from the item

    def rulings(self, item: str) -> tuple[_Ruling, ...]:
        """Every way the case may come out if the chip is ``item``: one, unless facts are missing."""
        if self.is_domestic:
            return (self._domestic(item),)
        scope = self.law.scopes.get(item)
        if scope is None:
            return self._uncontrolled(item, "it is not a controlled item", ())
        if not self.covers(scope.place):
            reason = f"{item} needs no licence for this destination and buyer, only for {scope.place.text}"
            return self._uncontrolled(item, reason, (scope.citation,))
        return self._controlled(item, scope.citation)

    def _domestic(self, item: str) -> _Ruling:
        if item == NOT_CONTROLLED:
            reason = "designed and used in China, and not a controlled item"
            return _Ruling(Outcome.NO_LICENCE, reason, ())
        reason = (
            f"designed and used in China: whether a chip that is {item} is subject to US rules "
            "turns on how it was made, which these rules cannot tell"
        )
        return _Ruling(Outcome.UNKNOWN, reason, ())

    def _uncontrolled(self, item: str, reason: str, sources: tuple[Citation, ...]) -> tuple[_Ruling, ...]:
        """A chip that the control list asks no licence for; a letter or an end use still may."""
        free = _Ruling(Outcome.NO_LICENCE, reason, sources)
        return self._unless_required(free, item, [r for r in self.law.requirements if not r.outside])

    def _controlled(self, item: str, scope: Citation) -> tuple[_Ruling, ...]:
        exception = next((e for e in self.law.exceptions if self.covers(e.place)), None)
        if exception is None:
            return self._reviews(scope)
        is_eligible = either([item in exception.items, self.is_unmarketed()])
        if is_eligible is False:
            return self._reviews(scope)
        spared = _Ruling(
            Outcome.EXCEPTION, exception_text(exception, item), (scope, exception.citation), exception
        )
        bars = [rule for rule in self.law.requirements if not rule.items]
        rulings = self._unless_required(spared, item, bars)
        return rulings if is_eligible else (*rulings, *self._reviews(scope))

    def _unless_required(
        self, ruling: _Ruling, item: str, requirements: Sequence[Requirement]
    ) -> tuple[_Ruling, ...]:
        """``ruling``, unless one of these asks for a licence whatever the control list says."""
        certain = [rule for rule in requirements if self.requires(rule, item)]
        asking = certain or [rule for rule in requirements if self.requires(rule, item) is None]
        if not asking:
            return (ruling,)
        reason = "; ".join(requirement_text(rule, self.figures) for rule in asking)
        if ruling.exception:
            reason += f"; this bars Licence Exception {ruling.exception.name} (740.8(b))"
        texts = (*ruling.sources, *(rule.citation for rule in asking))
        licence = _Ruling(Outcome.LICENCE, reason, texts)
        return (licence,) if certain else (licence, ruling)

    def _reviews(self, scope: Citation) -> tuple[_Ruling, ...]:
        """Every review policy that may apply, up to the first that certainly does."""
        rulings = []
        for review in self.law.reviews:
            applies = every([self.covers(review.place), self.holds(review.when)])
            if applies is not False:
                reason = review_text(review, self.figures)
                rulings.append(_Ruling(review.outcome, reason, (scope, review.citation)))
            if applies:
                break
        return tuple(rulings)

    def requires(self, rule: Requirement, item: str) -> bool | None:
        """Whether this requirement applies if the chip is ``item``."""
        if matches(self.chip.name, rule.chips):
            facts: bool | None = True
        elif rule.any_of:
            facts = either(self.holds(condition) for condition in rule.any_of)
        else:
            facts = not rule.chips
        return every(
            [
                rule.enforced or self.with_unenforced,
                not rule.companies or self.chip.vendor in rule.companies,
                not rule.items or item in rule.items,
                rule.end_use is None or rule.end_use == self.buyer.end_use,
                self.covers(rule.place),
                facts,
                None if rule.unsettled else True,
            ]
        )

    def covers(self, place: Place) -> bool:
        """Whether the place is the buyer's."""
        return place.covers(self.buyer.destination, self.buyer.headquarters, self.law.groups)

    # What is said beside it

    def reasons(self) -> tuple[str, ...]:
        """Why: what the chip is, and what follows."""
        return (*self._classification(), *self._consequences())

    def _classification(self) -> Iterable[str]:
        if self.law.early is not None:
            yield (
                f"{self.law.version.citation.title} was in force for this chip from "
                f"{self.law.early.citation.in_force}"
            )
        if len(self.items()) > 1:
            yield f"the published facts leave open what it is: {' or '.join(self.items())}"
            yield from self._missing()
        elif met := self.met():
            yield from (f"{p.name}: {bounds_met(p.when, self.figures)}" for p in met)
        elif self.is_exempt():
            assert self.law.exemption is not None
            yield f"not controlled: {self.law.exemption.text}"
        elif self.law.paragraphs:
            yield f"no paragraph of the control list is met: {known_figures(self.law.paragraphs, self.figures)}"

    def _missing(self) -> Iterable[str]:
        """The facts that would decide which item it is."""
        if self.figures.tpp.value is None:
            yield "no rate of its matrix units is published, so that its TPP is unknown"
        if areas := self.die_areas():
            yield f"its die area is unpublished and decides: {die_areas_text(areas)}"
        asks_for_io = any("io_bytes_per_s" in paragraph.when for paragraph in self.law.paragraphs)
        if asks_for_io and self.figures.io_bytes_per_s.value is None:
            yield "its aggregate transfer rate is not fully published"
        if self.is_unmarketed() is None:
            yield "whether it is designed or marketed for data centres is not known"

    def _consequences(self) -> Iterable[str]:
        by_item = {item: self.rulings(item) for item in self.items()}
        for item, rulings in by_item.items():
            text = ", or ".join(ruling.reason for ruling in rulings)
            yield text if len(by_item) == 1 else f"if {item}: {text}"

    def sources(self) -> tuple[Citation, ...]:
        """Every text that the answer rests on, in order of the argument."""
        early = (self.law.early.citation,) if self.law.early else ()
        listed = tuple(paragraph.citation for paragraph in self.law.paragraphs)
        ruled = tuple(
            citation for item in self.items() for ruling in self.rulings(item) for citation in ruling.sources
        )
        return tuple(dict.fromkeys((*listed, *early, *ruled))) or (self.law.version.citation,)

    def shows(self, signal: Signal) -> bool:
        """Whether this signal is for this chip and buyer."""
        return (
            self.covers(signal.place)
            and (not signal.chips or matches(self.chip.name, signal.chips))
            and (not signal.items or not signal.items.isdisjoint(self.items()))
            and (not signal.designers or self.chip.designer in signal.designers)
            and self.chip.designer not in signal.not_designers
            and self.holds(signal.when) is True
        )


def _caveats(case: _Case, rules: Rulebook, on: date) -> Iterable[str]:
    """What the answer rests on that may be otherwise.

    That a chip is marketed for data centres is the stricter reading and needs no caveat; that it is not does.
    """
    chip = case.chip
    if chip.designer is None and case.buyer.destination in rules.domestic:
        yield "the designer's country is not given; taken to be abroad"
    for what, unknown in (
        (case.figures.tpp_format, replace(chip, op_per_s={})),
        ("die_area_mm2", replace(chip, die_area_mm2=None)),
        (
            "marketed_for_datacenter",
            replace(chip, marketed_for_datacenter=chip.marketed_for_datacenter or None),
        ),
    ):
        if what in chip.estimated and _turns(case, unknown, rules.bit_lengths):
            yield f"the answer turns on an estimate: {estimate_text(what, chip)}"
    if other := _turns(case, chip, rules.other_bit_lengths):
        reading = reading_text(rules, other.figures)
        yield f"the answer turns on an open point: {reading}, and the outcome {outcome_text(other.outcome()[0])}"
    if on > rules.checked:
        yield f"the texts were read up to {rules.checked}: a later change would not show here"


def _turns(case: _Case, chip: RuledChip, bit_lengths: Mapping[str, int]) -> _Case | None:
    """The case with other facts, or another reading of them, where its outcome differs."""
    other = replace(case, chip=chip, figures=figures(chip, bit_lengths))
    return other if other.outcome() != case.outcome() else None
