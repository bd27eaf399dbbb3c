"""Tables that people keep: what is read, and what is refused, by file, row and column."""

import json
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openpyxl import Workbook

from seedcorn.errors import InputError, InvalidDocument, UnknownName
from seedcorn.stock import Correction, csv_of, open_ledger, read_counts, read_rows
from tests.stock.builders import H20, a_year_of_chips, an_entry, record, stock

HEADER = ("date", "event", "chip", "quantity", "serials", "site", "pool", "price", "currency", "key")


def name_chip(name):
    if name != "H20":
        raise UnknownName("chip", name, ["H20"])
    return H20


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes rows under HEADER, or under their own first row, to a CSV or xlsx file; returns its path."""
    monkeypatch.chdir(tmp_path)

    def write(*rows, suffix="csv", header=HEADER, change=None):
        path = tmp_path / f"chips.{suffix}"
        if suffix == "csv":
            path.write_text(
                "\n".join(",".join(map(str, row)) for row in (header, *rows)), encoding="utf-8-sig"
            )
        else:
            book = Workbook()
            for row in (header, *rows):
                book.active.append(row)
            if change is not None:
                change(book)
            book.save(path)
        return path.relative_to(tmp_path)

    return write


def test_csv_and_xlsx_say_the_same(write):
    as_text = write(
        ("2026-01-02", "ordered", "H20", "2", "", "", "", "281250.10", "CNY", "A/1"),
        ("2026-01-03", "delivered", "H20", "", "1042 S2", " x ", "", "", "", ""),
    )
    as_cells = write(
        (datetime(2026, 1, 2), "Ordered", "H20", 2.0, None, None, None, 281250.1, "CNY", "A/1"),
        (date(2026, 1, 3), "delivered", "H20", None, "1042;S2", "x", None, None, None, None),
        suffix="xlsx",
    )

    rows = read_rows(as_text, name_chip)

    assert [row.quantity for row in rows] == [2, 2]
    assert (rows[0].price, rows[1].serials, rows[1].site) == (Decimal("281250.10"), ("1042", "S2"), "x")
    assert read_rows(as_cells, name_chip) == rows


WRONG_CELLS = [
    ("date", "2026-02-30", "chips.csv:2:1", "expected a date, such as 2026-01-31, got 2026-02-30"),
    ("date", "03/04/2026", "chips.csv:2:1", "expected a date"),
    ("date", "", "chips.csv:2:1", "date is missing"),
    ("event", "deliverd", "chips.csv:2:2", "'deliverd' is not an event; did you mean delivered?"),
    ("event", "corrected", "chips.csv:2:1", "a correction takes back a whole event: leave date empty"),
    ("chip", "H21", "chips.csv:2:3", "unknown chip 'H21'; did you mean H20?"),
    ("quantity", "eight", "chips.csv:2:4", "expected a whole number of chips, such as 64, got eight"),
    ("quantity", "2.5", "chips.csv:2:4", "got 2.5"),
    ("quantity", "", "chips.csv:2:4", "give a quantity or serials"),
    ("price", "cheap", "chips.csv:2:8", "expected a price of one chip"),
]


@pytest.mark.parametrize(("column", "cell", "where", "message"), WRONG_CELLS)
def test_a_wrong_cell_is_named_by_file_row_and_column(write, column, cell, where, message):
    row = dict(zip(HEADER, ("2026-01-02", "ordered", "H20", "2", *[""] * 6), strict=True)) | {column: cell}

    with pytest.raises(InvalidDocument) as caught:
        read_rows(write(row.values()), name_chip)

    assert any(place == where and message in said for place, said in caught.value.problems)


def test_every_wrong_cell_is_reported_at_once(write):
    file = write(
        ("2026-01-02", "ordred", "H20", "x", *[""] * 6),
        ("2026-01-02", "ordered", "H20", "2", *[""] * 6),
        ("soon", "ordered", "H20", "2", *[""] * 6),
    )

    with pytest.raises(InvalidDocument) as caught:
        read_rows(file, name_chip)

    assert [where for where, _ in caught.value.problems] == [
        "chips.csv:2:2",
        "chips.csv:2:4",
        "chips.csv:4:1",
    ]


@pytest.mark.parametrize(
    ("quantity", "where", "message"),
    [("-4", "chips.csv:3:4", "expected 1 chip"), ("9", "chips.csv:3:4", "but there are 8")],
)
def test_what_the_ledger_refuses_is_named_by_file_row_and_column(write, tmp_path, quantity, where, message):
    file = write(
        ("2026-01-02", "ordered", "H20", "8", *[""] * 6),
        ("2026-01-03", "delivered", "H20", quantity, *[""] * 6),
    )

    with open_ledger(str(tmp_path / "l.sqlite"), create=True) as ledger:
        with pytest.raises(InputError) as caught:
            record(ledger, *read_rows(file, name_chip))
        assert ledger.events() == ()

    assert str(caught.value).startswith(f"{where}: ")
    assert message in str(caught.value)


def test_a_file_read_again_adds_nothing_and_a_longer_one_adds_its_new_rows(write, tmp_path):
    rows = [("2026-01-02", "ordered", "H20", "8", *[""] * 6)] * 2
    more = [("2026-01-03", "delivered", "H20", "4", *[""] * 6)]

    with open_ledger(str(tmp_path / "l.sqlite"), create=True) as ledger:
        for lines, new, repeated in ((rows, 2, 0), (rows, 0, 2), ([*more, *rows][::-1], 1, 2)):
            draft = record(ledger, *read_rows(write(*lines), name_chip))
            assert (len(draft.events), draft.repeated) == (new, repeated)
        assert stock(ledger) == {"in store": 4, "on order": 12}, "two equal rows are two orders"


def test_a_row_whose_event_was_corrected_does_not_come_back(write, tmp_path):
    file = write(("2026-01-02", "ordered", "H20", "8", *[""] * 6))
    with open_ledger(str(tmp_path / "l.sqlite"), create=True) as ledger:
        (event,) = record(ledger, *read_rows(file, name_chip)).events
        record(ledger, Correction(corrects=event.key))

        assert record(ledger, *read_rows(file, name_chip)).repeated == 1
        assert stock(ledger) == {}


def test_what_is_exported_is_imported_as_it_was(write, tmp_path):
    with open_ledger(str(tmp_path / "a.sqlite"), create=True) as ledger:
        record(
            ledger,
            *a_year_of_chips(),
            an_entry("ordered", serials="S1 S2", price=Decimal("1E+5"), currency="CNY"),
        )
        record(ledger, Correction(corrects="e11", document='typed twice, "sorry"'))
        events = ledger.events()
    (tmp_path / "all.csv").write_text(csv_of(events), encoding="utf-8")

    with open_ledger(str(tmp_path / "b.sqlite"), create=True) as copy:
        record(copy, *read_rows(tmp_path / "all.csv", lambda name: H20))

        assert copy.events() == events


ROW = (date(2026, 1, 2), "ordered", "H20", 2)


def merge(book):
    book.active.merge_cells("A2:A3")


def add_sheet(book):
    book.create_sheet("Notes").append(["who", "what"])


def fail(book):
    book.active["D2"] = "#REF!"
    book.active["D2"].data_type = "e"


def compute(book):
    book.active["D2"] = "=1+1"


def give_an_hour(book):
    book.active["A2"] = datetime(2026, 1, 2, 9, 30)


def number_a_serial(book):
    book.active["E2"] = 12345678901234567


@pytest.mark.parametrize(
    ("change", "sheet", "message"),
    [
        (merge, None, "chips.xlsx:2:1: cells A2:A3 are merged: unmerge them"),
        (add_sheet, None, "chips.xlsx: has the sheets Sheet, Notes: name one with --sheet"),
        (add_sheet, "Note", "chips.xlsx: unknown sheet 'Note'; did you mean Sheet, Notes?"),
        (add_sheet, "Notes", "chips.xlsx:1: the first row has no column date, event, chip, it has who, what"),
        (fail, None, "chips.xlsx:2:4: the cell is in error: #REF!"),
        (compute, None, "chips.xlsx:2:4: the formula has no saved result"),
        (
            give_an_hour,
            None,
            "chips.xlsx:2:1: date: expected a date, such as 2026-01-31, got 2026-01-02 09:30:00",
        ),
        (number_a_serial, None, "chips.xlsx:2:5: serials: 1.234567890123457e+16 has more digits than"),
    ],
)
def test_a_sheet_that_hides_what_it_says_is_refused(write, change, sheet, message):
    file = write(ROW, ROW, suffix="xlsx", change=change)

    with pytest.raises(InputError) as caught:
        read_rows(file, name_chip, sheet=sheet)

    assert message in str(caught.value)


def test_one_sheet_of_several_is_read(write):
    file = write(ROW, suffix="xlsx", change=add_sheet)

    assert len(read_rows(file, name_chip, sheet="Sheet")) == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", "a.csv:1: the first row has no column date, event, chip, it has nothing"),
        ("a.csv", b"date;event;chip\n", "separate columns with commas"),
        ("a.csv", b"date,event,chip,colour\n", "a.csv:1:4: unknown column 'colour'"),
        ("a.csv", b"date,event,chip,date\n", "a.csv:1:4: there are two columns 'date'"),
        ("a.csv", b"date,event,chip\n2026-01-01,ordered,H20,7\n", "a.csv:2:4: '7' is under no column"),
        ("a.csv", b"date,event,chip\n\xff\n", "is not UTF-8"),
        ("a.csv", b'date,event,chip\n"2026\n', "a.csv:2: is not CSV"),
        ("a.xlsx", b"PK but no workbook", "a.xlsx: is no xlsx workbook"),
        ("a.xls", b"", "a.xls: expected a file .csv, .xlsx or .json"),
        ("a.json", b"[1,", "a.json:1:4: is not JSON"),
        ("a.json", b"{}", "a.json: expected a list of objects"),
        ("a.json", b'[{"date": "2026-01-01", "event": "ordered"}]', "a.json:[0].chip: chip is missing"),
        ("none.csv", None, "none.csv: cannot be read: No such file"),
    ],
)
def test_a_file_that_is_no_table_is_refused(tmp_path, monkeypatch, name, content, message):
    monkeypatch.chdir(tmp_path)
    if content is not None:
        (tmp_path / name).write_bytes(content)

    with pytest.raises(InputError) as caught:
        read_rows((tmp_path / name).relative_to(tmp_path), name_chip)

    assert message in str(caught.value)


def test_a_quoted_cell_may_span_lines_and_rows_after_it_keep_their_number(write):
    file = write(
        ("2026-01-02", "ordered", "H20", '"8\n"', *[""] * 6), ("never", "ordered", "H20", "2", *[""] * 6)
    )

    with pytest.raises(InputError, match=r"chips\.csv:4:1: date: expected a date"):
        read_rows(file, name_chip)


def test_counts_are_read_from_json_and_csv(tmp_path):
    counted = [{"pool": "a", "chip": "H20", "chips": 8}, {"pool": "b", "chip": "H20", "chips": 0}]
    (tmp_path / "a.json").write_text(json.dumps(counted))
    (tmp_path / "a.csv").write_text("pool,chip,chips\na,H20,8\nb,H20,0\n")

    assert read_counts(tmp_path / "a.json", name_chip) == {("a", H20): 8, ("b", H20): 0}
    assert read_counts(tmp_path / "a.csv", name_chip) == {("a", H20): 8, ("b", H20): 0}


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ("a,H20,8\na,H20,9\n", "a.csv:3: pool 'a' has nvidia-h20-96gb twice"),
        ("a,H20,-1\n", "a.csv:2:3: expected 0 chips or more, got -1"),
        ("a,H21,1\n", "a.csv:2:2: chip: unknown chip 'H21'"),
    ],
)
def test_a_count_that_cannot_be_is_refused(tmp_path, lines, message):
    (tmp_path / "a.csv").write_text("pool,chip,chips\n" + lines)

    with pytest.raises(InputError) as caught:
        read_counts(tmp_path / "a.csv", name_chip)

    assert message in str(caught.value)


def test_a_correction_needs_no_date_in_json(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"event": "corrected", "corrects": "PO-1"}]))

    assert read_rows(tmp_path / "a.json", name_chip) == (Correction(corrects="PO-1"),)


DAMAGE = st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), min_size=1, max_size=8)


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
@given(damage=DAMAGE)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_done_to_a_file_it_is_read_or_refused(write, suffix, damage):
    file = write(ROW, ROW, suffix=suffix)
    content = bytearray(file.read_bytes())
    for at, byte in damage:
        content[at % len(content)] = byte
    file.write_bytes(content)

    with suppress(InputError):
        read_rows(file, name_chip)
