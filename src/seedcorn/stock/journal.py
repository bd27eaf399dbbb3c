"""From entries to events: what a ledger accepts, given all that it has recorded so far."""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import count

from seedcorn.domain.hardware import ChipName
from seedcorn.errors import InputError, InvalidDocument, NotInStock, UnknownName
from seedcorn.stock.book import Book
from seedcorn.stock.event import NONE, RULES, Correction, Entry, Event, Kind, Place, entry_of, target_of

Row = Entry | Correction


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What recording some rows would add.

    Attributes:
        events: New ones, in order.
        repeated: Rows that the ledger has already, by their keys.
        before, after: Chips in each place, by all events known and with the new ones.
    """

    events: tuple[Event, ...]
    repeated: int
    before: Mapping[Place, int]
    after: Mapping[Place, int]

    @property
    def changes(self) -> tuple[tuple[Place, int, int], ...]:
        """(place, chips before, chips after) where the two differ; sorted."""
        pairs = (
            (place, self.before.get(place, 0), self.after.get(place, 0))
            for place in {*self.before, *self.after}
        )
        return tuple(sorted(pair for pair in pairs if pair[1] != pair[2]))


def live(events: Iterable[Event]) -> list[Event]:
    """Events that count: neither corrections nor what they correct."""
    events = list(events)
    corrected = {event.corrects for event in events}
    return [event for event in events if event.corrects is None and event.key not in corrected]


def draft(recorded: Sequence[Event], rows: Sequence[Row], *, now: datetime) -> Draft:
    """The events that these rows become, from top to bottom; all of them or none.

    Args:
        recorded: Everything in the ledger, by id.
        rows: What to add.
        now: Local time: nothing may be dated later than its day.

    Raises:
        InvalidDocument: Some rows are no entries at all; lists every one.
        NotInStock: A row takes chips that are not there, or takes them from under a later event.
        InputError: A row leaves a choice open, repeats a serial or reuses a key for something else.
    """
    _refuse_malformed(rows, now.date())
    journal = _Journal(recorded)
    before = journal.balances()
    events, repeated = [], 0
    for row in _keyed(rows):
        try:
            event = journal.add(row, now)
        except InputError as error:
            error.where = error.where or _at(row, _blamed(row))
            raise
        if event is None:
            repeated += 1
        else:
            events.append(event)
    return Draft(events=tuple(events), repeated=repeated, before=before, after=journal.balances())


class _Journal:
    """The live events of each kind of chip in order of (date, id), and what they add up to."""

    def __init__(self, recorded: Sequence[Event]) -> None:
        self._by_key = {event.key: event for event in recorded}
        self._corrected = {event.corrects for event in recorded}
        self._logs: dict[ChipName, list[Event]] = {}
        for event in live(recorded):
            self._logs.setdefault(event.chip, []).append(event)
        for log in self._logs.values():
            log.sort(key=_order)
        self._books = {chip: Book(log) for chip, log in self._logs.items()}

    def balances(self) -> Mapping[Place, int]:
        """Chips in each place by all events so far."""
        return {place: chips for book in self._books.values() for place, chips in book.balances.items()}

    def add(self, row: Row, now: datetime) -> Event | None:
        """The event of a row, taken into account; ``None`` if it is recorded already."""
        known = self._by_key.get(row.key) if row.key else None
        if known is not None:
            self._refuse_other(row, known)
            return None
        event = self._correction(row, now) if isinstance(row, Correction) else self._event(row, now)
        self._by_key[event.key] = event
        return event

    def _event(self, entry: Entry, now: datetime) -> Event:
        self._refuse_serials_of_others(entry)
        log = self._logs.setdefault(entry.chip, [])
        is_last = not log or log[-1].date <= entry.date
        latest = self._books.setdefault(entry.chip, Book())
        book = latest if is_last else Book(event for event in log if event.date <= entry.date)
        source = book.source_of(entry)
        selected = () if source is None else RULES[entry.kind].selects
        supplier = source.counterparty if source and "counterparty" in selected else ""
        event = Event(
            id=len(self._by_key) + 1,
            kind=entry.kind,
            date=entry.date,
            chip=entry.chip,
            quantity=entry.quantity,
            serials=tuple(sorted(entry.serials)),
            source=source,
            target=target_of(entry, source),
            counterparty=entry.counterparty or supplier,
            price=entry.price,
            currency=entry.currency,
            document=entry.document,
            key=entry.key or self._free_key(),
            corrects=None,
            recorded_at=_utc(now),
        )
        book.apply(event)
        log.append(event)
        if not is_last:
            log.sort(key=_order)
            self._add_up_again(event.chip, f"{event.kind} on {event.date} leaves too few for")
        return event

    def _correction(self, row: Correction, now: datetime) -> Event:
        wrong = self._by_key.get(row.corrects)
        if wrong is None:
            raise UnknownName("event", row.corrects, where=_at(row, "corrects"))
        if wrong.corrects is not None or wrong.key in self._corrected:
            state = "has been corrected" if wrong.corrects is None else "is a correction"
            raise InputError(
                f"{wrong} {state}: record what happened as a new event", where=_at(row, "corrects")
            )
        self._corrected.add(wrong.key)
        self._logs[wrong.chip].remove(wrong)
        self._add_up_again(wrong.chip, f"without {wrong} there are too few for")
        return replace(
            wrong,
            id=len(self._by_key) + 1,
            kind=Kind.CORRECTED,
            source=wrong.target,
            target=wrong.source,
            counterparty="",
            price=None,
            currency="",
            document=row.document,
            key=row.key or self._free_key(),
            corrects=wrong.key,
            recorded_at=_utc(now),
        )

    def _add_up_again(self, chip: ChipName, why: str) -> None:
        """Add up the whole log of a chip; an event that no longer finds its chips is named, with ``why``."""
        book = self._books[chip] = Book()
        for event in self._logs[chip]:
            try:
                book.apply(event)
            except NotInStock as error:
                message = f"{why} {event}, which must be corrected first: {error.message}"
                raise NotInStock(message, asked=error.asked, held=error.held) from None

    def _refuse_other(self, row: Row, known: Event) -> None:
        if not _says(row, entry_of(known)):
            raise InputError(
                f"key {row.key!r} is taken by {known}, which says something else: correct that event, then "
                "record this one under a new key",
                where=_at(row, "key"),
            )

    def _refuse_serials_of_others(self, entry: Entry) -> None:
        for chip, book in self._books.items():
            for serial in entry.serials:
                if serial in book.serials and chip != entry.chip:
                    raise InputError(f"serial {serial!r} is in the ledger already, of a {chip}")

    def _free_key(self) -> str:
        """``e`` and the id of the event, or the next number that no row has taken as its key."""
        return next(f"e{n}" for n in count(len(self._by_key) + 1) if f"e{n}" not in self._by_key)


def _at(row: Row, name: str) -> str | None:
    """Place of a field in the file, or of the row where the file has no such column."""
    return row.where.get(name, row.where.get(""))


def _blamed(row: Row) -> str:
    """The field that counts chips."""
    if isinstance(row, Correction):
        return "corrects"
    return "serials" if row.serials else "quantity"


def _order(event: Event) -> tuple[date, int]:
    return event.date, event.id


def _utc(now: datetime) -> datetime:
    return now.astimezone(UTC).replace(microsecond=0)


MAX_QUANTITY = 2**31 - 1
"""What an INTEGER of SQL holds."""

PRICE_DIGITS = 12
"""More than any currency has: a price with more is a slip of the pen."""

PLACE_FIELDS = ("from_pool", "from_site", "pool", "site")
TEXTS = {*PLACE_FIELDS, "chip", "counterparty", "document", "key", "corrects"}

_INSTEAD = {
    (Kind.ORDERED, "site"): ": chips on order are nowhere yet, say where when they are delivered",
    (Kind.ORDERED, "pool"): ": chips on order are nowhere yet, say where when they are installed",
    (Kind.DELIVERED, "pool"): ": chips join a pool when they are installed",
}

FILLED_IN = ("state", "pool", "site", "from_pool", "from_site", "counterparty")
"""Fields of an entry that the ledger fills in where they are left out."""


def _says(row: Row, recorded: Row) -> bool:
    """Whether a row, as far as it goes, says what was recorded."""
    if isinstance(row, Correction) or isinstance(recorded, Correction):
        return row == recorded
    filled = {name: getattr(recorded, name) for name in FILLED_IN if not getattr(row, name)}
    return replace(row, serials=tuple(sorted(row.serials)), **filled) == recorded


def _keyed(rows: Iterable[Row]) -> Iterable[Row]:
    """Rows from files, each with a key: the same file read again gives the same keys.

    A row without one is named by what it says, and equal rows are counted: two equal deliveries are two.
    """
    seen: Counter[str] = Counter()
    for row in rows:
        if row.key or not row.where:
            yield row
            continue
        said = {f.name: str(getattr(row, f.name)) for f in fields(row) if f.name != "where"}
        text = json.dumps({name: value for name, value in said.items() if value not in ("", "None", "()")})
        digest = hashlib.sha256(text.encode()).hexdigest()[:12]
        seen[digest] += 1
        yield replace(row, key=f"{digest}-{seen[digest]}")


def _refuse_malformed(rows: Iterable[Row], today: date) -> None:
    found = [(row, name, message) for row in rows for name, message in _problems(row, today)]
    if found:
        first = found[0][0].where.get("")
        name = "entry" if first is None else first.rsplit(":", 1)[0]
        raise InvalidDocument(name, [(_at(row, name) or name, message) for row, name, message in found])


def _problems(row: Row, today: date) -> Iterator[tuple[str, str]]:
    """(field, message) of everything that is wrong with a row whatever the ledger holds."""
    for name in sorted(TEXTS & {f.name for f in fields(row)}):
        if not getattr(row, name).isprintable():
            yield name, f"{name} {getattr(row, name)!r} has characters that cannot be printed"
    if isinstance(row, Entry):
        yield from _misplaced(row)
        yield from _miscounted(row)
        yield from _mispriced(row)
        if row.date > today:
            yield (
                "date",
                f"{row.date} is after today, {today}: the ledger holds what happened, not what is planned",
            )


def _misplaced(entry: Entry) -> Iterator[tuple[str, str]]:
    rule = RULES[entry.kind]
    for name in PLACE_FIELDS:
        value = getattr(entry, name)
        if value and name not in rule.takes:
            yield name, f"{entry.kind} takes no {name}{_INSTEAD.get((entry.kind, name), '')}, got {value!r}"
        elif value == NONE and name not in rule.selects:
            yield name, f"{name} is where the chips go: it needs a name, got {value!r}"
    for needed in rule.needs:
        if not any(getattr(entry, name) for name in needed.split(" or ")):
            yield needed.split(" or ")[0], f"{entry.kind} needs a {needed}"
    if entry.state and entry.state not in rule.before:
        before = ", ".join(rule.before) or "nothing: they come from outside"
        yield "state", f"before {entry.kind}, chips are {before}; got {entry.state.value!r}"


def _miscounted(entry: Entry) -> Iterator[tuple[str, str]]:
    if not 1 <= entry.quantity <= MAX_QUANTITY:
        yield "quantity", f"expected 1 chip to {MAX_QUANTITY:,}, got {entry.quantity:,}"
    elif entry.serials and len(entry.serials) != entry.quantity:
        yield (
            "serials",
            f"{len(entry.serials)} serials for {entry.quantity} chips: give one for each, or none",
        )
    for serial, times in Counter(entry.serials).items():
        if times > 1:
            yield "serials", f"serial {serial!r} is given {times} times"
        if not serial.isprintable() or not re.fullmatch(r"[^\s,;]+", serial):
            yield "serials", f"{serial!r} is no serial: it may hold no space, comma or semicolon"


def _is_price(price: Decimal) -> bool:
    return (
        price.is_finite()
        and price >= 0
        and price.adjusted() < PRICE_DIGITS
        and price == round(price, PRICE_DIGITS)
    )


def _mispriced(entry: Entry) -> Iterator[tuple[str, str]]:
    if entry.price is not None and not _is_price(entry.price):
        yield (
            "price",
            f"expected 0 or more, with up to {PRICE_DIGITS} digits on each side of the point, got {entry.price}",
        )
    if (entry.price is None) != (not entry.currency):
        yield "currency", "price and currency are given together or not at all"
    elif entry.currency and not re.fullmatch("[A-Z]{3}", entry.currency):
        yield "currency", f"expected the three letters of ISO 4217, such as CNY, got {entry.currency!r}"
