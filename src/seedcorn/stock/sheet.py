"""Lines of a table, or words of a command, read into entries; and events written as such lines."""

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from seedcorn.domain.hardware import ChipName, PoolName
from seedcorn.errors import InputError, InvalidDocument
from seedcorn.stock.event import Correction, Entry, Event, Kind, State, entry_of
from seedcorn.stock.journal import Row
from seedcorn.stock.table import Cell, Line, read_table

COLUMNS = (
    "key",
    "date",
    "event",
    "chip",
    "quantity",
    "serials",
    "state",
    "from_pool",
    "from_site",
    "pool",
    "site",
    "counterparty",
    "price",
    "currency",
    "document",
    "corrects",
)
NEEDED = ("date", "event", "chip")
TEXT_COLUMNS = ("key", "from_pool", "from_site", "pool", "site", "counterparty", "currency", "document")
OF_CORRECTIONS = {"key", "event", "document", "corrects"}

COUNT_COLUMNS = ("pool", "chip", "chips")

EXACT_DIGITS = 15
"""Decimal digits of a number that a spreadsheet keeps: IEEE 754 binary64."""

NameChip = Callable[[str], ChipName]
"""The catalogue's name of a chip as people write it; raises ``InputError``."""


def read_rows(path: Path, name_chip: NameChip, *, sheet: str | None = None) -> tuple[Row, ...]:
    """The entries and corrections of a file, from top to bottom.

    Raises:
        InvalidDocument: Lists every cell that is wrong, as ``file:row:column``.
        InputError: The file is no such table.
    """
    lines = read_table(path, columns=COLUMNS, needed=NEEDED, sheet=sheet)
    rows: list[Row] = []
    problems: list[tuple[str, str]] = []
    for line in lines:
        try:
            rows.append(row_of(line, name_chip))
        except InvalidDocument as error:
            problems += error.problems
    if problems:
        raise InvalidDocument(str(path), problems)
    return tuple(rows)


def row_of(line: Line, name_chip: NameChip) -> Row:
    """One entry or correction.

    Raises:
        InvalidDocument: Lists every cell that is wrong.
    """
    reading = _Reading(line)
    kind = reading.needed("event", lambda cell: _choice(cell, Kind, "an event"))
    is_correction = kind is Kind.CORRECTED
    row = _correction(reading) if is_correction else _entry(reading, kind, name_chip)
    if reading.problems or row is None:
        raise InvalidDocument(line.where.get("", "entry"), reading.problems)
    return row


def read_counts(path: Path, name_chip: NameChip) -> Mapping[tuple[PoolName, ChipName], int]:
    """Chips by pool and kind, as an engine or a person counted them.

    Raises:
        InvalidDocument: Lists every cell that is wrong.
        InputError: The file is no such table.
    """
    counts: dict[tuple[PoolName, ChipName], int] = {}
    problems: list[tuple[str, str]] = []
    for line in read_table(path, columns=COUNT_COLUMNS, needed=COUNT_COLUMNS):
        reading = _Reading(line)
        pool = reading.needed("pool", _text)
        chip = reading.needed("chip", lambda cell: name_chip(_text(cell)))
        chips = reading.needed("chips", _count)
        if pool and chip and chips is not None:
            if (PoolName(pool), chip) in counts:
                reading.problem("", f"pool {pool!r} has {chip} twice")
            if chips < 0:
                reading.problem("chips", f"expected 0 chips or more, got {chips}")
            counts[PoolName(pool), chip] = chips
        problems += reading.problems
    if problems:
        raise InvalidDocument(str(path), problems)
    return counts


def csv_of(events: Sequence[Event]) -> str:
    """Events as a table that, imported into an empty ledger, records them again."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for event in events:
        writer.writerow(_cells(entry_of(event)))
    return text.getvalue()


def _cells(row: Row) -> Mapping[str, object]:
    said: dict[str, object] = {name: getattr(row, name) for name in COLUMNS if hasattr(row, name)}
    if isinstance(row, Correction):
        return said | {"event": Kind.CORRECTED.value}
    price = "" if row.price is None else f"{row.price:f}"
    return said | {"event": row.kind.value, "serials": " ".join(row.serials), "price": price}


T = TypeVar("T")
E = TypeVar("E", bound=StrEnum)


class _Reading:
    """One line being read: cells taken by name, problems gathered with their places."""

    def __init__(self, line: Line) -> None:
        self.cells = line.cells
        self.where = line.where
        self.problems: list[tuple[str, str]] = []

    def needed(self, name: str, read: Callable[[Cell], T]) -> T | None:
        """The cell as ``read`` makes it; ``None``, with a problem noted, where it is missing or wrong."""
        if name not in self.cells:
            self.problem(name, f"{name} is missing")
        return self.optional(name, read)

    def optional(self, name: str, read: Callable[[Cell], T]) -> T | None:
        """The cell as ``read`` makes it; ``None`` where there is none or, with a problem noted, it is wrong."""
        try:
            return read(self.cells[name]) if name in self.cells else None
        except InputError as error:
            self.problem(name, f"{name}: {error.message}")
            return None

    def text(self, name: str) -> str:
        """The cell as text; empty where there is none."""
        return self.optional(name, _text) or ""

    def problem(self, name: str, message: str) -> None:
        """Note what is wrong with a cell."""
        self.problems.append((self.where.get(name, self.where.get("", name)), message))


def _correction(reading: _Reading) -> Correction:
    for name in sorted(reading.cells.keys() - OF_CORRECTIONS):
        reading.problem(name, f"a correction takes back a whole event: leave {name} empty")
    return Correction(
        corrects=reading.needed("corrects", _text) or "",
        document=reading.text("document"),
        key=reading.text("key"),
        where=reading.where,
    )


def _entry(reading: _Reading, kind: Kind | None, name_chip: NameChip) -> Entry | None:
    if "corrects" in reading.cells:
        reading.problem("corrects", f"only the event 'corrected' corrects one, got it with {kind}")
    day = reading.needed("date", _date)
    chip = reading.needed("chip", lambda cell: name_chip(_text(cell)))
    serials = reading.optional("serials", _serials) or ()
    quantity = reading.optional("quantity", _count) if "quantity" in reading.cells else len(serials)
    if "quantity" not in reading.cells and not serials:
        reading.problem("quantity", "give a quantity or serials")
    entry = {name: reading.text(name) for name in TEXT_COLUMNS}
    price = reading.optional("price", _price)
    state = reading.optional("state", lambda cell: _choice(cell, State, "a state"))
    if kind is None or day is None or chip is None or quantity is None:
        return None
    return Entry(
        kind=kind,
        date=day,
        chip=chip,
        quantity=quantity,
        serials=serials,
        state=state,
        price=price,
        where=reading.where,
        **entry,
    )


def _text(cell: Cell) -> str:
    if isinstance(cell, str):
        return cell
    if isinstance(cell, int | float) and not isinstance(cell, bool):
        if abs(cell) >= 10**EXACT_DIGITS:
            raise InputError(f"{cell} has more digits than a spreadsheet keeps: write it as text")
        if float(cell).is_integer():
            return str(int(cell))
    raise InputError(f"expected text, got {cell}: write it as text")


def _count(cell: Cell) -> int:
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)
    if isinstance(cell, int) and not isinstance(cell, bool):
        return cell
    if isinstance(cell, str) and re.fullmatch(r"[+-]?[0-9]{1,18}", cell):
        return int(cell)
    raise InputError(f"expected a whole number of chips, such as 64, got {cell}")


def _date(cell: Cell) -> date:
    if isinstance(cell, datetime) and cell.time() == time.min:
        return cell.date()
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return cell
    if isinstance(cell, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", cell):
        with suppress(ValueError):
            return date.fromisoformat(cell)
    raise InputError(f"expected a date, such as 2026-01-31, got {cell}")


def _price(cell: Cell) -> Decimal:
    if isinstance(cell, int | float | str) and not isinstance(cell, bool):
        with suppress(InvalidOperation):
            return Decimal(str(cell))
    raise InputError(f"expected a price of one chip, such as 281250.00, got {cell}")


def _serials(cell: Cell) -> tuple[str, ...]:
    return tuple(filter(None, re.split(r"[\s,;]+", _text(cell))))


def _choice(cell: Cell, choices: type[E], what: str) -> E:
    word = _text(cell).casefold().replace(" ", "_")
    if word in [choice.value for choice in choices]:
        return choices(word)
    near = get_close_matches(word, list(choices), n=1)
    hint = f"; did you mean {near[0]}?" if near else f": one of {', '.join(choices)}"
    raise InputError(f"{_text(cell)!r} is not {what}{hint}")
