"""The ledger's tables, and events to rows and back. Changing a table takes a migration."""

from collections.abc import Iterable, Sequence
from datetime import UTC
from decimal import Decimal

from sqlalchemy import (
    CheckConstraint,
    Column,
    Connection,
    Date,
    DateTime,
    ForeignKey,
    Integer,
    MetaData,
    RowMapping,
    Table,
    Text,
    insert,
    select,
)

from seedcorn.domain.hardware import ChipName
from seedcorn.stock.event import Event, Kind, Place, State

METADATA = MetaData()

EVENT = Table(
    "event",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, nullable=False),
    Column("date", Date, nullable=False),
    Column("chip", Text, nullable=False),
    Column("quantity", Integer, CheckConstraint("quantity > 0", name="some_chips"), nullable=False),
    Column("from_state", Text),
    Column("from_pool", Text),
    Column("from_site", Text),
    Column("from_counterparty", Text),
    Column("to_state", Text),
    Column("to_pool", Text),
    Column("to_site", Text),
    Column("to_counterparty", Text),
    Column("counterparty", Text, nullable=False),
    Column("price", Text),  # a decimal as written: SQLite would make it binary
    Column("currency", Text, nullable=False),
    Column("document", Text, nullable=False),
    Column("key", Text, nullable=False, unique=True),
    Column("corrects", Text, ForeignKey("event.key"), unique=True),
    Column("recorded_at", DateTime, nullable=False),  # UTC
)
"""One row for each event; ``from_…`` and ``to_…`` are its places."""

EVENT_SERIAL = Table(
    "event_serial",
    METADATA,
    Column("event_id", Integer, ForeignKey("event.id"), primary_key=True),
    Column("serial", Text, primary_key=True),
)


def read_events(connection: Connection) -> tuple[Event, ...]:
    """Every event, by id."""
    rows = connection.execute(select(EVENT).order_by(EVENT.c.id)).mappings().all()
    serials: dict[
        int, list[str]
    ] = {}  # read second: whatever another writer adds in between is of no event here
    for event_id, serial in connection.execute(select(EVENT_SERIAL)):
        serials.setdefault(event_id, []).append(serial)
    return tuple(_event(row, tuple(sorted(serials.get(row["id"], ())))) for row in rows)


def write_events(connection: Connection, events: Iterable[Event]) -> None:
    """Add these events."""
    events = tuple(events)
    named = [{"event_id": event.id, "serial": serial} for event in events for serial in event.serials]
    if events:
        connection.execute(insert(EVENT), [_row(event) for event in events])
    if named:
        connection.execute(insert(EVENT_SERIAL), named)


def _event(row: RowMapping, serials: Sequence[str]) -> Event:
    return Event(
        id=row["id"],
        kind=Kind(row["kind"]),
        date=row["date"],
        chip=ChipName(row["chip"]),
        quantity=row["quantity"],
        serials=tuple(serials),
        source=_place(row, "from"),
        target=_place(row, "to"),
        counterparty=row["counterparty"],
        price=None if row["price"] is None else Decimal(row["price"]),
        currency=row["currency"],
        document=row["document"],
        key=row["key"],
        corrects=row["corrects"],
        recorded_at=row["recorded_at"].replace(tzinfo=UTC),
    )


def _place(row: RowMapping, end: str) -> Place | None:
    if row[f"{end}_state"] is None:
        return None
    return Place(
        chip=ChipName(row["chip"]),
        state=State(row[f"{end}_state"]),
        pool=row[f"{end}_pool"],
        site=row[f"{end}_site"],
        counterparty=row[f"{end}_counterparty"],
    )


def _row(event: Event) -> dict[str, object]:
    return {
        "id": event.id,
        "kind": event.kind.value,
        "date": event.date,
        "chip": event.chip,
        "quantity": event.quantity,
        **_place_row(event.source, "from"),
        **_place_row(event.target, "to"),
        "counterparty": event.counterparty,
        "price": None if event.price is None else str(event.price),
        "currency": event.currency,
        "document": event.document,
        "key": event.key,
        "corrects": event.corrects,
        "recorded_at": event.recorded_at.replace(tzinfo=None),
    }


def _place_row(place: Place | None, end: str) -> dict[str, str | None]:
    return {
        f"{end}_state": None if place is None else place.state.value,
        f"{end}_pool": None if place is None else place.pool,
        f"{end}_site": None if place is None else place.site,
        f"{end}_counterparty": None if place is None else place.counterparty,
    }
