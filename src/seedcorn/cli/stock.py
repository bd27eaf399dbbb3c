"""``seedcorn stock``: what chips we have, where, in what state, on any date, and how that came about.

The database is loaded inside the commands, so that ``--help`` and the rest stay quick.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.catalog import find_chip
from seedcorn.cli.output import print_json, print_page, warn
from seedcorn.domain.hardware import ChipName
from seedcorn.errors import InputError

if TYPE_CHECKING:
    from seedcorn.stock import By, Draft, Event, Holding, Place, State

SCHEMA_VERSION = 1

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Db = Annotated[
    str,
    typer.Option(
        "--db", help="The ledger: a path (SQLite), postgresql://…, or 'default', a file of this user."
    ),
]
On = Annotated[str | None, typer.Option("--on", help="A date, such as 2026-01-31; default: today.")]
DEFAULT = "default"
"""``seedcorn.stock.DEFAULT``, here without loading the database."""


def register(app: typer.Typer) -> None:
    """Add the group of commands to the application."""
    stock = typer.Typer(
        name="stock",
        help="The ledger of chips: what we own, where, in what state, on any date.",
        no_args_is_help=True,
    )
    stock.command("add")(add)
    stock.command("import")(import_file)
    stock.command("show")(show)
    stock.command("history")(history)
    stock.command("export")(export)
    stock.command("check")(check)
    app.add_typer(stock)


def add(
    event: Annotated[
        str,
        typer.Argument(
            help="ordered, delivered, installed, moved, failed, repaired, lent, returned, sold, retired or corrected."
        ),
    ],
    chip: Annotated[str | None, typer.Argument(help="A chip's name or alias.")] = None,
    quantity: Annotated[str | None, typer.Option(help="Chips; or give --serials.")] = None,
    serials: Annotated[
        str | None, typer.Option(help="Serial numbers, with spaces or commas between.")
    ] = None,
    on: On = None,
    pool: Annotated[str | None, typer.Option(help="Where they are installed, or were.")] = None,
    site: Annotated[str | None, typer.Option(help="Where they are, or arrive.")] = None,
    state: Annotated[
        str | None,
        typer.Option(help="What they did before, if that is not clear: in_store, in_service, failed."),
    ] = None,
    from_pool: Annotated[str | None, typer.Option(help="Where 'moved' takes them from.")] = None,
    from_site: Annotated[str | None, typer.Option(help="Where 'moved' takes them from.")] = None,
    counterparty: Annotated[str | None, typer.Option(help="Supplier, borrower or buyer.")] = None,
    price: Annotated[str | None, typer.Option(help="Of one chip.")] = None,
    currency: Annotated[str | None, typer.Option(help="Of the price: three letters, such as CNY.")] = None,
    document: Annotated[str | None, typer.Option(help="Order, invoice or ticket.")] = None,
    key: Annotated[str | None, typer.Option(help="Name of the event; default: the ledger gives one.")] = None,
    corrects: Annotated[
        str | None, typer.Option(help="With 'corrected': key of the event to take back.")
    ] = None,
    db: Db = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Record one event. Nothing is ever changed: 'corrected' takes an event back, from its own date on."""
    from seedcorn.report.stock import history_page
    from seedcorn.stock import Kind, Line, open_ledger, row_of

    day = on or (None if event == Kind.CORRECTED else date.today().isoformat())
    words = {
        "event": event,
        "chip": chip,
        "quantity": quantity,
        "serials": serials,
        "date": day,
        "pool": pool,
        "site": site,
        "state": state,
        "from_pool": from_pool,
        "from_site": from_site,
        "counterparty": counterparty,
        "price": price,
        "currency": currency,
        "document": document,
        "key": key,
        "corrects": corrects,
    }
    given = {name: word.strip() for name, word in words.items() if word is not None}
    row = row_of(Line(cells=given, where={}), _chip_name)
    with open_ledger(db, create=True) as ledger:
        draft = ledger.record([row], now=_now())
    if as_json:
        print_json(_draft_json(draft, "stock-add", is_recorded=True))
    elif draft.events:
        print_page(history_page(draft.events, "Recorded"))
    else:
        print_page(["This event was recorded before, under this key."])


def import_file(
    file: Annotated[Path, typer.Argument(help="A table of events: .csv, .xlsx or .json.")],
    sheet: Annotated[str | None, typer.Option(help="Which sheet of an xlsx file.")] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Record it; without, only show what would change.")
    ] = False,
    db: Db = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Record a table of events, all or none; rows that are in the ledger already are passed over."""
    from seedcorn.report.stock import draft_page
    from seedcorn.stock import open_ledger, read_rows

    rows = read_rows(file, _chip_name, sheet=sheet)
    with open_ledger(db, create=True) as ledger:
        draft = ledger.record(rows, now=_now()) if yes else ledger.preview(rows, now=_now())
    if as_json:
        print_json(_draft_json(draft, "stock-import", is_recorded=yes))
    else:
        print_page(draft_page(draft, is_recorded=yes))


def show(
    on: On = None,
    by: Annotated[
        list[str] | None,
        typer.Option(
            help="Add up by chip, pool, site or state; several may be given. Default: chip, pool and site."
        ),
    ] = None,
    db: Db = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Show the stock at the end of a day, by all that is known today."""
    from seedcorn.report.stock import stock_page
    from seedcorn.stock import open_ledger, totals

    day, groups = _day(on), _groups(by)
    with open_ledger(db) as ledger:
        holdings = ledger.stock_on(day)
    if as_json:
        print_json(stock_json(holdings, groups, day))
    else:
        print_page(stock_page(totals(holdings, groups), groups, day))


def history(
    chip: Annotated[str | None, typer.Argument(help="A chip's name or alias; none: all chips.")] = None,
    db: Db = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List events by date, corrections and what they take back included."""
    from seedcorn.report.stock import history_page

    name = None if chip is None else _chip_name(chip)
    events = [event for event in _events(db) if name in (None, event.chip)]
    if as_json:
        print_json(_document("stock-history") | {"events": [_event_json(event) for event in events]})
    else:
        print_page(history_page(events, "History" if name is None else f"History of {name}"))


def export(db: Db = DEFAULT, as_json: AsJson = False) -> None:
    """Print the whole ledger as a table (CSV) that 'import' reads: into an empty ledger, it is the same again."""
    from seedcorn.stock import csv_of

    events = _events(db)
    if as_json:
        print_json(_document("stock-export") | {"events": [_event_json(event) for event in events]})
    else:
        typer.echo(csv_of(events), nl=False)


def check(
    against: Annotated[
        Path, typer.Option(help="A count of chips in service: .csv, .xlsx or .json with pool, chip, chips.")
    ],
    on: On = None,
    db: Db = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Compare what is in service with what an engine, or someone, has counted. Exits 1 if they differ."""
    from seedcorn.report.stock import check_page
    from seedcorn.stock import differences, open_ledger, read_counts

    day, counts = _day(on), read_counts(against, _chip_name)
    with open_ledger(db) as ledger:
        found = differences(ledger.stock_on(day), counts)
    if as_json:
        print_json(
            _document("stock-check")
            | {"on": day.isoformat(), "agree": not found}
            | {"differences": [asdict(difference) for difference in found]}
        )
    else:
        print_page(check_page(found, day))
    if found:
        raise typer.Exit(1)


def stock_json(holdings: "Sequence[Holding]", groups: "Sequence[By]", day: date) -> dict[str, object]:
    """The stock of a day as a document."""
    from seedcorn.stock import totals

    return (
        _document("stock")
        | {"on": day.isoformat(), "by": [group.value for group in groups]}
        | {"totals": _totals_json(totals(holdings, groups), groups)}
        | {"holdings": [_holding_json(holding) for holding in holdings]}
    )


def _events(db: str) -> "Sequence[Event]":
    from seedcorn.stock import open_ledger

    with open_ledger(db) as ledger:
        return ledger.events()


def _chip_name(name: str) -> ChipName:
    return find_chip(name).chip.name


def _now() -> datetime:
    return datetime.now().astimezone()


def _day(on: str | None) -> date:
    today = date.today()
    try:
        day = today if on is None else date.fromisoformat(on)
    except ValueError:
        raise InputError(f"--on: expected a date, such as 2026-01-31, got {on!r}") from None
    if day > today:
        warn(f"{day} is to come: this is the stock as far as it is recorded by {today}")
    return day


def _groups(by: Sequence[str] | None) -> "tuple[By, ...]":
    from seedcorn.stock import By

    groups = list(dict.fromkeys(by or (By.CHIP, By.POOL, By.SITE)))
    for group in groups:
        if group not in list(By):
            raise InputError(f"--by: expected {', '.join(By)}, got {group!r}")
    return tuple(By(group) for group in groups)


def _document(kind: str) -> dict[str, object]:
    return {"seedcorn": SCHEMA_VERSION, "kind": kind}


def _draft_json(draft: "Draft", kind: str, *, is_recorded: bool) -> dict[str, object]:
    return _document(kind) | {
        "recorded": is_recorded,
        "repeated": draft.repeated,
        "events": [_event_json(event) for event in draft.events],
        "changes": [
            _place_json(place) | {"before": before, "after": after} for place, before, after in draft.changes
        ],
    }


def _totals_json(
    sums: "Mapping[tuple[str, ...], Mapping[State, int]]", groups: "Sequence[By]"
) -> list[dict[str, object]]:
    names = [group.value for group in groups]
    return [
        dict(zip(names, group, strict=True))
        | {"chips": {state.value: n for state, n in sorted(chips.items())}}
        for group, chips in sums.items()
    ]


def _holding_json(holding: "Holding") -> dict[str, object]:
    return _place_json(holding.place) | {"chips": holding.chips, "serials": list(holding.serials)}


def _place_json(place: "Place") -> dict[str, object]:
    return {name: value for name, value in asdict(place).items() if value}


def _event_json(event: "Event") -> dict[str, object]:
    return {
        "id": event.id,
        "key": event.key,
        "event": event.kind.value,
        "date": event.date.isoformat(),
        "chip": event.chip,
        "quantity": event.quantity,
        "serials": list(event.serials),
        "from": None if event.source is None else _place_json(event.source),
        "to": None if event.target is None else _place_json(event.target),
        "counterparty": event.counterparty,
        "price": None if event.price is None else f"{event.price:f}",
        "currency": event.currency,
        "document": event.document,
        "corrects": event.corrects,
        "recorded_at": event.recorded_at.isoformat(),
    }
