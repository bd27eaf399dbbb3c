"""What events add up to: how many chips are where, and which. No database here, only values."""

from collections import Counter
from collections.abc import Iterable

from seedcorn.errors import InputError, NotInStock
from seedcorn.stock.event import NONE, RULES, Entry, Event, Kind, Place, target_of


class Book:
    """The stock of one kind of chip after some events.

    Attributes:
        balances: Chips in each place; never negative, places without chips are left out.
        serials: Where each chip is that has a serial number.
    """

    def __init__(self, events: Iterable[Event] = ()) -> None:
        self.balances: Counter[Place] = Counter()
        self.serials: dict[str, Place] = {}
        self._named: Counter[Place] = Counter()
        for event in events:
            self.apply(event)

    def apply(self, event: Event) -> None:
        """Move the chips of one more event.

        Raises:
            NotInStock: They are not where it takes them from. The book is then of no further use.
        """
        source, target = event.source, event.target
        assert target is not None, "a correction is left out of the book together with what it corrects"
        self._refuse_unknown(event)
        known = [serial for serial in event.serials if serial in self.serials]
        if source is None:
            if known:
                raise InputError(f"serial {known[0]!r} is in the ledger already: {self.serials[known[0]]}")
        else:
            self._check(event, known, source)
            self.balances[source] -= event.quantity
            self._named[source] -= len(known)
            if not self.balances[source]:
                del self.balances[source], self._named[source]
        self.balances[target] += event.quantity
        self._named[target] += len(event.serials)
        self.serials.update(dict.fromkeys(event.serials, target))

    def _check(self, event: Event, known: list[str], source: Place) -> None:
        for serial in known:
            if self.serials[serial] != source:
                raise NotInStock(
                    f"{event.kind}: serial {serial!r} would have to be {source} on {event.date}, but it is "
                    f"{self.serials[serial]}",
                    asked=1,
                    held=0,
                )
        unnamed, held = event.quantity - len(known), self.balances[source] - self._named[source]
        if unnamed > held:
            named = self._named[source] - len(known)
            hint = f" without a serial; {named} more have one: name them" if named else ""
            raise NotInStock(
                f"{event.kind}: {unnamed} x {event.chip} would have to be {source} on {event.date}, "
                f"but there are {held}{hint}",
                asked=unnamed,
                held=held,
            )

    def source_of(self, entry: Entry) -> Place | None:
        """Where the chips of an entry come from; ``None``: from outside.

        Raises:
            NotInStock: No such chips, or none with such serials, are anywhere they could come from.
            InputError: They could come from several places.
        """
        self._refuse_unknown(entry)
        if not RULES[entry.kind].before:
            return None
        known = {self.serials[serial] for serial in entry.serials if serial in self.serials}
        places = [place for place in sorted(self.balances) if _fits(entry, place)]
        if known:
            places = [place for place in places if {place} == known]
        if len(places) == 1:
            return places[0]
        raise self._ambiguous(entry, places) if places else self._missing(entry)

    def _refuse_unknown(self, taken: Entry | Event) -> None:
        for serial in taken.serials:
            if serial not in self.serials and not RULES[taken.kind].names_serials:
                raise NotInStock(
                    f"{taken.kind}: no {taken.chip} had the serial {serial!r} by {taken.date}; chips get theirs "
                    "when they are ordered, delivered or installed",
                    asked=1,
                    held=0,
                )

    def _ambiguous(self, entry: Entry, places: list[Place]) -> InputError:
        rule = RULES[entry.kind]
        listed = "; ".join(f"{self.balances[place]} {place}" for place in places)
        fields = [*rule.selects, *["state"] * (len(rule.before) > 1)]
        return InputError(
            f"{entry.kind}: {entry.quantity} x {entry.chip} may be of {listed}: say which by "
            f"{', '.join(fields)} ({NONE!r} for none)"
        )

    def _missing(self, entry: Entry) -> NotInStock:
        held = [f"{chips} {place}" for place, chips in sorted(self.balances.items())]
        held = [f"{s!r} {self.serials[s]}" for s in entry.serials if s in self.serials] or held
        return NotInStock(
            f"{entry.kind}: {entry.quantity} x {entry.chip} would have to be {_wanted(entry)} on {entry.date}, "
            f"but the ledger has {'; '.join(held) or 'none of them'} by then",
            asked=entry.quantity,
            held=0,
        )


def _fits(entry: Entry, place: Place) -> bool:
    """Whether the chips of an entry may come from here, by its kind and by what it says of the place."""
    rule = RULES[entry.kind]
    given = {of: getattr(entry, name) for name, of in rule.selects.items() if getattr(entry, name)}
    if entry.kind is Kind.MOVED and entry.pool and not place.pool:
        return False  # what is in store becomes part of a pool by being installed
    return (
        place.state in ((entry.state,) if entry.state else rule.before)
        and all(getattr(place, of) == ("" if value == NONE else value) for of, value in given.items())
        and target_of(entry, place) != place
    )


def _wanted(entry: Entry) -> str:
    """Where chips of this entry may come from, in words."""
    rule = RULES[entry.kind]
    states = [entry.state] if entry.state else rule.before
    given = [f"{of} {getattr(entry, n)!r}" for n, of in rule.selects.items() if getattr(entry, n)]
    words = " or ".join(state.replace("_", " ") for state in states)
    return f"{words} ({', '.join(given)})" if given else words
