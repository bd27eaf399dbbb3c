"""Entries as tests write them: short."""

from datetime import UTC, date, datetime

from seedcorn.domain.hardware import ChipName
from seedcorn.stock import Draft, Entry, Kind, Ledger, Row, State

H20 = ChipName("nvidia-h20-96gb")
H800 = ChipName("nvidia-h800-sxm")
NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)


def day(number: int) -> date:
    """A day of January 2026."""
    return date(2026, 1, number)


def an_entry(kind: str, quantity: int = 1, *, on: int = 1, chip: ChipName = H20, **rest: object) -> Entry:
    """An entry of a day of January 2026; as many chips as ``serials`` where those are given."""
    serials = tuple(str(rest.pop("serials", "")).split())
    if "state" in rest:
        rest["state"] = State(str(rest["state"]))
    fields = {"chip": chip, "date": day(on), "quantity": len(serials) or quantity, "serials": serials}
    return Entry(kind=Kind(kind), **fields, **rest)  # type: ignore[arg-type]


def record(ledger: Ledger, *rows: Row) -> Draft:
    """Record rows at noon of 30 June 2026."""
    return ledger.record(rows, now=NOW)


def stock(ledger: Ledger, on: int = 31) -> dict[str, int]:
    """Chips by place, in words: ``"in service in pool 'a' at 'x'"``."""
    return {str(holding.place): holding.chips for holding in ledger.stock_on(day(on))}


def a_year_of_chips() -> list[Entry]:
    """Every kind of event once, in an order that is possible."""
    return [
        an_entry("ordered", 16, on=1, counterparty="acme"),
        an_entry("delivered", 12, on=2, site="x"),
        an_entry("installed", 8, on=3, pool="a"),
        an_entry("moved", 2, on=4, from_pool="a", pool="b"),
        an_entry("failed", 2, on=5, pool="a"),
        an_entry("repaired", 1, on=6),
        an_entry("lent", 2, on=7, pool="b", counterparty="lab"),
        an_entry("returned", 1, on=8, counterparty="lab"),
        an_entry("sold", 1, on=9, state="in_store", counterparty="buyer"),
        an_entry("retired", 1, on=10, state="failed"),
    ]
