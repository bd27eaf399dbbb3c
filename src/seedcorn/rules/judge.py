"""What the rules say of one chip, buyer and date, with the reasons.

Three-valued throughout: where the published facts leave open which item a chip is, it is judged as
each of them, and only what the rulings agree on is the outcome.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from seedcorn.rules.chip import RuledChip, figures
from seedcorn.rules.classification import Classification
from seedcorn.rules.judgement import NOT_CONTROLLED, Buyer, Judgement
from seedcorn.rules.law import (
    Citation,
    Law,
    LicenceException,
    Outcome,
    Place,
    Requirement,
    Signal,
    matches,
)
from seedcorn.rules.rulebook import Rulebook
from seedcorn.rules.three_valued import either, every, negation
from seedcorn.rules.wording import (
    estimate_text,
    exception_text,
    outcome_text,
    reading_text,
    requirement_text,
    review_text,
)

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
    case = _Case(
        chip=chip,
        listed=_listed(chip, law, rules.bit_lengths),
        law=law,
        buyer=buyer,
        with_unenforced=with_unenforced,
        is_domestic=chip.designer in rules.domestic and buyer.destination in rules.domestic,
    )
    outcome, exception = case.outcome()
    return Judgement(
        chip=chip.name,
        on=on,
        version=law.version.citation.version,
        tpp=case.listed.figures.tpp.value,
        performance_density=case.listed.figures.performance_density.value,
        control_class=case.listed.control_class(),
        outcome=outcome,
        exception=exception.name if exception else None,
        notice_days=exception.notice_days if exception else None,
        is_domestic=case.is_domestic,
        die_areas=case.listed.die_areas(),
        reasons=(*case.reasons(), *_caveats(case, rules, on)),
        sources=case.sources(),
        signals=tuple(signal for signal in law.signals if case.shows(signal)),
    )


def _listed(chip: RuledChip, law: Law, bit_lengths: Mapping[str, int]) -> Classification:
    return Classification(
        figures(chip, bit_lengths), chip.marketed_for_datacenter, law.paragraphs, law.exemption
    )


@dataclass(frozen=True, slots=True)
class _Ruling:
    """One way the case may come out, why, and by which texts."""

    outcome: Outcome
    reason: str
    sources: tuple[Citation, ...]
    exception: LicenceException | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """A chip and a buyer under the law of a date."""

    chip: RuledChip
    listed: Classification
    law: Law
    buyer: Buyer
    with_unenforced: bool
    is_domestic: bool

    def outcome(self) -> tuple[Outcome, LicenceException | None]:
        """What all rulings agree on: the outcome, or at least that a licence is needed."""
        rulings = [ruling for item in self.listed.items() for ruling in self.rulings(item)]
        first = rulings[0]
        if all((r.outcome, r.exception) == (first.outcome, first.exception) for r in rulings):
            return first.outcome, first.exception
        if all(ruling.outcome in _NEEDS_LICENCE for ruling in rulings):
            return Outcome.LICENCE, None
        return Outcome.UNKNOWN, None

    def rulings(self, item: str) -> tuple[_Ruling, ...]:
        """Every way the case may come out if the chip is ``item``: one, unless facts are missing."""
        if self.is_domestic:
            return (self._domestic(item),)
        scope = self.law.scopes.get(item)
        if scope is None:
            return self._uncontrolled(item, "not a controlled item", ())
        if not self.covers(scope.place):
            reason = f"{item} needs no licence for this destination and buyer, only for {scope.place.text}"
            return self._uncontrolled(item, reason, (scope.citation,))
        return self._controlled(item, scope.citation)

    def _domestic(self, item: str) -> _Ruling:
        where = f"designed in {self.chip.designer} and used in {self.buyer.destination}"
        if item == NOT_CONTROLLED:
            return _Ruling(Outcome.NO_LICENCE, f"{where}, and not a controlled item", ())
        reason = (
            f"{where}: no export, and whether a chip that is {item} is subject to US rules all the same "
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
        is_eligible = either([item in exception.items, negation(self.chip.marketed_for_datacenter)])
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
        reason = "; ".join(requirement_text(rule, self.listed.figures) for rule in asking)
        if ruling.exception:
            reason += f"; this bars Licence Exception {ruling.exception.name}"
        texts = (*ruling.sources, *(rule.citation for rule in asking))
        licence = _Ruling(Outcome.LICENCE, reason, texts)
        return (licence,) if certain else (licence, ruling)

    def _reviews(self, scope: Citation) -> tuple[_Ruling, ...]:
        """Every review policy that may apply, up to the first that certainly does."""
        rulings = []
        for review in self.law.reviews:
            applies = every([self.covers(review.place), self.listed.holds(review.when)])
            if applies is not False:
                reason = review_text(review, self.listed.figures)
                rulings.append(_Ruling(review.outcome, reason, (scope, review.citation)))
            if applies:
                break
        return tuple(rulings)

    def requires(self, rule: Requirement, item: str) -> bool | None:
        """Whether this requirement applies if the chip is ``item``."""
        if matches(self.chip.name, rule.chips):
            facts: bool | None = True
        elif rule.any_of:
            facts = either(self.listed.holds(condition) for condition in rule.any_of)
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

    def reasons(self) -> tuple[str, ...]:
        """Why: what the chip is, and what follows."""
        early = self.law.early
        title = self.law.version.citation.title
        began = [f"{title} was in force for this chip from {early.citation.in_force}"] if early else []
        return (*began, *self.listed.reasons(), *self._consequences())

    def _consequences(self) -> Iterable[str]:
        by_item = {item: self.rulings(item) for item in self.listed.items()}
        for item, rulings in by_item.items():
            text = ", or ".join(ruling.reason for ruling in rulings)
            yield text if len(by_item) == 1 else f"if {item}: {text}"

    def sources(self) -> tuple[Citation, ...]:
        """Every text that the answer rests on, in order of the argument."""
        early = (self.law.early.citation,) if self.law.early else ()
        listed = tuple(paragraph.citation for paragraph in self.law.paragraphs)
        ruled = tuple(
            citation
            for item in self.listed.items()
            for ruling in self.rulings(item)
            for citation in ruling.sources
        )
        return tuple(dict.fromkeys((*listed, *early, *ruled))) or (self.law.version.citation,)

    def shows(self, signal: Signal) -> bool:
        """Whether this signal is for this chip and buyer."""
        return (
            self.covers(signal.place)
            and (not signal.chips or matches(self.chip.name, signal.chips))
            and (not signal.items or not signal.items.isdisjoint(self.listed.items()))
            and (not signal.designers or self.chip.designer in signal.designers)
            and self.chip.designer not in signal.not_designers
            and self.listed.holds(signal.when) is True
        )


def _caveats(case: _Case, rules: Rulebook, on: date) -> Iterable[str]:
    """What the answer rests on that may be otherwise.

    That a chip is marketed for data centres is the stricter reading and needs no caveat; that it is not does.
    """
    chip = case.chip
    if chip.designer is None and case.buyer.destination in rules.domestic:
        yield "the designer's country is not given; taken to be abroad"
    for what, unknown in (
        (case.listed.figures.tpp_format, replace(chip, op_per_s={})),
        ("die_area_mm2", replace(chip, die_area_mm2=None)),
        (
            "marketed_for_datacenter",
            replace(chip, marketed_for_datacenter=chip.marketed_for_datacenter or None),
        ),
    ):
        if what in chip.estimated and _turns(case, unknown, rules.bit_lengths):
            yield f"the answer turns on an estimate: {estimate_text(what, chip)}"
    if other := _turns(case, chip, rules.other_bit_lengths):
        reading = reading_text(rules, other.listed.figures)
        yield f"the answer turns on an open point: {reading}, and the outcome {outcome_text(other.outcome()[0])}"
    if on > rules.checked:
        yield f"the texts were read up to {rules.checked}: a later change would not show here"


def _turns(case: _Case, chip: RuledChip, bit_lengths: Mapping[str, int]) -> _Case | None:
    """The case with other facts, or another reading of them, where its outcome differs."""
    other = replace(case, chip=chip, listed=_listed(chip, case.law, bit_lengths))
    return other if other.outcome() != case.outcome() else None
