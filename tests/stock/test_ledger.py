"""What a ledger takes, what it refuses, and that it never changes what it took; on SQLite and PostgreSQL."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError

from seedcorn.errors import InputError, InvalidDocument, NotInStock, UnknownName
from seedcorn.stock import Correction, fleet_on, open_ledger
from seedcorn.stock.ledger import LOCK
from seedcorn.stock.tables import METADATA
from tests.stock.builders import H20, H800, NOW, a_year_of_chips, an_entry, day, record, stock


def engine_of(db):
    url = db.replace("postgresql:", "postgresql+psycopg:") if "://" in db else f"sqlite:///{db}"
    return create_engine(url)


def test_every_kind_of_event_moves_chips_where_it_says(ledger):
    record(ledger, *a_year_of_chips())

    assert stock(ledger, 1) == {"on order from 'acme'": 16}
    assert stock(ledger, 3) == {
        "on order from 'acme'": 4,
        "in store at 'x'": 4,
        "in service in pool 'a' at 'x'": 8,
    }
    assert stock(ledger, 10) == {
        "on order from 'acme'": 4,
        "in store at 'x'": 4,  # 4 delivered + 1 returned - 1 sold
        "in service in pool 'a' at 'x'": 5,  # 8 - 2 moved - 2 failed + 1 repaired
        "lent to 'lab' at 'x'": 1,
        "sold to 'buyer'": 1,
        "retired": 1,
    }


def test_an_event_is_read_back_as_it_was_recorded(ledger):
    paid = an_entry(
        "ordered",
        serials="S2 S1",
        counterparty="ac'me; 北京",
        price=Decimal("281250.10"),
        currency="CNY",
        document="PO-1",
    )

    recorded = record(ledger, paid).events

    assert ledger.events() == recorded
    assert recorded[0].serials == ("S1", "S2")
    assert recorded[0].price == Decimal("281250.10")
    assert recorded[0].recorded_at == NOW


def test_what_is_recorded_late_counts_from_its_own_date(ledger):
    record(ledger, an_entry("ordered", 4, on=9), an_entry("ordered", 2, on=3))

    assert stock(ledger, 5) == {"on order": 2}
    assert stock(ledger, 9) == {"on order": 6}


REFUSED = {
    "a delivery before its order": (
        an_entry("delivered", on=1),
        "delivered: 1 x nvidia-h20-96gb would have to be on order on 2026-01-01, but the ledger has none",
    ),
    "a failure of a chip not owned": (
        an_entry("failed", chip=H800, on=20),
        "failed: 1 x nvidia-h800-sxm would have to be in service or in store on 2026-01-20, but the ledger has none",
    ),
    "more than there are": (an_entry("failed", 9, on=20, pool="a"), "but there are 8"),
    "a serial that nobody has": (
        an_entry("failed", serials="S9", on=20),
        "had the serial 'S9' by 2026-01-20",
    ),
    "a serial twice": (an_entry("ordered", serials="S1", on=20), "serial 'S1' is in the ledger already"),
    "a serial of another chip": (
        an_entry("ordered", serials="S1", on=20, chip=H800),
        "serial 'S1' is in the ledger already, of a nvidia-h20-96gb",
    ),
    "a serial that is elsewhere": (an_entry("installed", serials="S1", on=20, pool="a"), "'S1' in service"),
    "named chips as if they had no names": (
        an_entry("failed", 1, on=20, pool="b"),
        "but there are 0 without a serial; 2 more have one: name them",
    ),
    "a choice left open": (
        an_entry("retired", 1, on=20),
        "may be of 8 in service in pool 'a' at 'x'; 2 in service in pool 'b' at 'x'; 2 in store at 'x': say which",
    ),
    "what a later event needs": (
        an_entry("failed", 6, on=4),
        "failed on 2026-01-04 leaves too few for event 'e3' (installed 8 x nvidia-h20-96gb on 2026-01-05)",
    ),
}


@pytest.fixture
def some_chips(ledger):
    """8 in service in a, S1 and S2 in service in b, 2 in store, 4 on order."""
    record(
        ledger,
        an_entry("ordered", 16, on=2),
        an_entry("delivered", 10, on=3, site="x"),
        an_entry("installed", 8, on=5, pool="a"),
        an_entry("delivered", serials="S1 S2", on=6, site="x"),
        an_entry("installed", serials="S1 S2", on=7, pool="b"),
    )
    return ledger


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_have_happened_is_refused(some_chips, case):
    entry, message = REFUSED[case]
    before = some_chips.events()

    with pytest.raises(InputError) as caught:
        record(some_chips, an_entry("ordered", 1, on=20), entry)

    assert message in str(caught.value)
    assert some_chips.events() == before, "all of it or nothing"


def test_the_error_carries_both_numbers(some_chips):
    with pytest.raises(NotInStock) as caught:
        record(some_chips, an_entry("sold", 11, on=20, pool="a"))

    assert (caught.value.asked, caught.value.held) == (11, 8)


MALFORMED = {
    "no chips": (an_entry("ordered", 0), "quantity", "expected 1 chip to 2,147,483,647, got 0"),
    "less than none": (an_entry("ordered", -5), "quantity", "got -5"),
    "tomorrow": (
        replace(an_entry("ordered"), date=date(2026, 7, 1)),
        "date",
        "2026-07-01 is after today, 2026-06-30",
    ),
    "too few serials": (
        replace(an_entry("ordered", serials="A"), quantity=2),
        "serials",
        "1 serials for 2 chips",
    ),
    "the same serial twice": (an_entry("ordered", serials="A A"), "serials", "'A' is given 2 times"),
    "two serials in one": (
        replace(an_entry("ordered"), serials=("A,B",)),
        "serials",
        "it may hold no space, comma or semicolon",
    ),
    "a pool on order": (an_entry("ordered", pool="a"), "pool", "ordered takes no pool"),
    "installed nowhere": (an_entry("installed"), "pool", "installed needs a pool"),
    "lent to nobody": (an_entry("lent"), "counterparty", "lent needs a counterparty"),
    "moved nowhere": (an_entry("moved"), "pool", "moved needs a pool or site"),
    "installed in no pool": (an_entry("installed", pool="-"), "pool", "it needs a name"),
    "a state that it cannot follow": (
        an_entry("repaired", state="lent"),
        "state",
        "before repaired, chips are failed; got 'lent'",
    ),
    "a price in nothing": (an_entry("ordered", price=Decimal(3)), "currency", "are given together"),
    "a price below nothing": (an_entry("ordered", price=Decimal(-3), currency="CNY"), "price", "got -3"),
    "a price that is no number": (
        an_entry("ordered", price=Decimal("NaN"), currency="CNY"),
        "price",
        "got NaN",
    ),
    "a price that no one can read": (
        an_entry("ordered", price=Decimal("1E+99"), currency="CNY"),
        "price",
        "got 1E+99",
    ),
    "a currency unknown to ISO": (
        an_entry("ordered", price=Decimal(3), currency="yuan"),
        "currency",
        "'yuan'",
    ),
    "text that no database takes": (an_entry("ordered", document="a\0b"), "document", "cannot be printed"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_what_is_no_entry_is_refused_by_field(case, tmp_path):
    entry, field, message = MALFORMED[case]

    with (
        open_ledger(str(tmp_path / "l.sqlite"), create=True) as ledger,
        pytest.raises(InvalidDocument) as caught,
    ):
        record(ledger, entry)

    ((where, said),) = caught.value.problems
    assert where == field
    assert message in said


def test_a_correction_takes_an_event_back_from_its_own_date(some_chips):
    wrong = record(some_chips, an_entry("failed", 3, on=8, pool="a")).events[0]
    before = some_chips.events()

    (correction,) = record(some_chips, Correction(corrects=wrong.key, document="it was a cable")).events

    assert stock(some_chips, 8)["in service in pool 'a' at 'x'"] == 8
    assert some_chips.events() == (*before, correction), "what was recorded stays"
    assert (correction.date, correction.corrects) == (wrong.date, wrong.key)


def test_a_correction_gives_serials_back(some_chips):
    wrong = record(some_chips, an_entry("delivered", serials="S3", on=20)).events[0]
    record(some_chips, Correction(corrects=wrong.key))

    record(some_chips, an_entry("delivered", serials="S3", on=21, site="y"))

    assert stock(some_chips)["in store at 'y'"] == 1


def test_a_name_that_later_events_use_is_not_taken_back(ledger):
    record(
        ledger,
        an_entry("ordered", 4),
        an_entry("delivered", serials="S1", on=2),
        an_entry("delivered", 3, on=2),
        an_entry("failed", serials="S1", on=3),
    )

    with pytest.raises(
        NotInStock, match=r"without event 'e2' .* 'e4' .* no nvidia-h20-96gb had the serial 'S1'"
    ):
        record(ledger, Correction(corrects="e2"))


def test_what_later_events_rest_on_is_corrected_after_them(some_chips):
    with pytest.raises(NotInStock, match=r"without event 'e2' .* too few for event 'e3'"):
        record(some_chips, Correction(corrects="e2"))


@pytest.mark.parametrize(("key", "message"), [("e6", "is a correction"), ("e5", "has been corrected")])
def test_an_event_is_corrected_once(some_chips, key, message):
    record(some_chips, Correction(corrects="e5"))

    with pytest.raises(InputError, match=message):
        record(some_chips, Correction(corrects=key))


def test_a_correction_of_nothing_is_refused(ledger):
    with pytest.raises(UnknownName, match="unknown event 'e1'"):
        record(ledger, Correction(corrects="e1"))


def test_a_key_is_recorded_once(ledger):
    row = an_entry("ordered", 4, key="PO-1/1")
    record(ledger, row)

    again = record(ledger, row, row)

    assert (len(again.events), again.repeated) == (0, 2)
    assert stock(ledger) == {"on order": 4}


def test_a_key_stands_for_one_thing(ledger):
    record(ledger, an_entry("ordered", 4, key="PO-1/1"))

    with pytest.raises(InputError, match="key 'PO-1/1' is taken by"):
        record(ledger, an_entry("ordered", 5, key="PO-1/1"))


def test_dash_selects_chips_that_have_no_site(ledger):
    record(
        ledger,
        an_entry("ordered", 4),
        an_entry("delivered", 1, on=2),
        an_entry("delivered", 3, on=2, site="x"),
        an_entry("installed", 1, on=3, pool="a", site="-"),
    )

    assert stock(ledger) == {"in service in pool 'a'": 1, "in store at 'x'": 3}


def test_a_failed_chip_sent_away_leaves_its_pool(some_chips):
    record(
        some_chips,
        an_entry("failed", 1, on=8, pool="a"),
        an_entry("moved", 1, on=9, state="failed", site="workshop"),
        an_entry("repaired", 1, on=10),
    )

    assert stock(some_chips)["in store at 'workshop'"] == 1


def test_a_preview_records_nothing(some_chips):
    before = some_chips.events()

    draft = some_chips.preview([an_entry("failed", 3, on=8, pool="a")], now=NOW)

    assert [(str(place), was, will) for place, was, will in draft.changes] == [
        ("failed in pool 'a' at 'x'", 0, 3),
        ("in service in pool 'a' at 'x'", 8, 5),
    ]
    assert some_chips.events() == before


@pytest.mark.parametrize("change", ["UPDATE event SET quantity = 99", "DELETE FROM event_serial"])
def test_the_database_itself_refuses_changes(some_chips, db, change):
    engine = engine_of(db)

    with pytest.raises(DBAPIError, match="the ledger only grows"), engine.begin() as connection:
        connection.execute(text(change))

    engine.dispose()
    assert stock(some_chips)["in service in pool 'a' at 'x'"] == 8


def test_migrations_make_the_tables_that_the_code_reads(ledger, db):
    engine = engine_of(db)
    with engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), METADATA)
    engine.dispose()

    assert differences == []


def test_a_ledger_of_a_newer_program_is_left_alone(ledger, db):
    engine = engine_of(db)
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()

    with pytest.raises(InputError, match="a newer seedcorn wrote it"):
        open_ledger(db)


def test_pools_are_what_is_in_service(some_chips, db):
    record(some_chips, an_entry("failed", 3, on=8, pool="a"))

    pools = fleet_on(db, day(8)).pools

    assert [(pool.name, pool.chip, pool.chips, pool.site) for pool in pools] == [
        ("a", H20, 5, "x"),
        ("b", H20, 2, "x"),
    ]


def test_a_pool_of_two_kinds_of_chip_is_refused_by_name(some_chips, db):
    record(
        some_chips,
        an_entry("ordered", 1, chip=H800),
        an_entry("delivered", 1, chip=H800, on=2, site="x"),
        an_entry("installed", 1, chip=H800, on=8, pool="a"),
    )

    with pytest.raises(
        InputError, match="pool 'a' was nvidia-h20-96gb at 'x' and also nvidia-h800-sxm at 'x'"
    ):
        fleet_on(db, day(8))


def test_a_day_without_chips_in_service_has_no_pools(some_chips, db):
    with pytest.raises(InputError, match="on 2026-01-01: no chips were in service"):
        fleet_on(db, day(1))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.sqlite", "there is no ledger nowhere.sqlite yet"),
        ("mysql://root@localhost/x", "'mysql' is not known"),
        ("://", "is no URL"),
        ("postgresql://user@host:port/x", "is no URL"),
        ("postgresql://nobody@localhost:1/x", "onnection"),
    ],
)
def test_a_ledger_that_cannot_be_opened_says_why(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(InputError, match=message):
        open_ledger(name)

    assert list(tmp_path.iterdir()) == [], "a misspelt name makes no file"


def test_a_writer_does_not_wait_for_ever(ledger, db, monkeypatch):
    monkeypatch.setattr("seedcorn.stock.ledger.PATIENCE_S", 1)
    engine = engine_of(db)
    with open_ledger(db) as impatient, engine.connect() as other:
        if engine.dialect.name == "sqlite":
            other.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            other.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": LOCK})

        with pytest.raises(InputError, match="lock"):
            record(impatient, an_entry("ordered"))
    engine.dispose()

    record(ledger, an_entry("ordered"))


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path):
    file = tmp_path / "notes.txt"
    file.write_text("not a database, but long enough to be read as one" * 9)

    with pytest.raises(InputError, match="file is not a database"):
        open_ledger(str(file), create=True)
