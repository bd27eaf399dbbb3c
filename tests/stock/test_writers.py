"""Two processes that write at once, and one that is killed while it writes."""

import signal
import subprocess
import sys
from pathlib import Path

from seedcorn.stock import csv_of, open_ledger
from tests.stock.builders import a_year_of_chips, an_entry, record, stock

WRITER = Path(__file__).with_name("writer.py")


def a_writer(*words):
    return subprocess.Popen(
        [sys.executable, WRITER, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outputs(*writers):
    """What writers print that are started at the same time."""
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    ended = [writer.communicate(timeout=60) for writer in writers]
    assert [errors for _, errors in ended] == [""] * len(writers)
    return [output for output, _ in ended]


def test_two_writers_at_once_lose_nothing(db):
    """Neither finds a ledger: both try to make it."""
    assert outputs(a_writer("orders", db, 25), a_writer("orders", db, 25)) == ["25", "25"]

    with open_ledger(db) as ledger:
        assert stock(ledger) == {"on order": 50}
        assert [event.id for event in ledger.events()] == list(range(1, 51))


def test_two_sellers_at_once_sell_no_chip_twice(ledger, db):
    record(ledger, an_entry("ordered", 20), an_entry("delivered", 20))

    sold = outputs(a_writer("sales", db, 15), a_writer("sales", db, 15))

    assert sum(map(int, sold)) == 20
    assert stock(ledger) == {"sold": 20}


def test_a_crash_in_the_middle_of_an_import_leaves_the_ledger_as_it_was(new_db, tmp_path):
    db = new_db()
    file = tmp_path / "year.csv"
    with open_ledger(new_db(), create=True) as other:
        record(other, *a_year_of_chips())
        file.write_text(csv_of(other.events()))
    with open_ledger(db, create=True) as ledger:
        record(ledger, an_entry("ordered", 3, key="before"))
        before = ledger.events()

        writer = a_writer("dies", db, file)
        writer.communicate("go\n", timeout=60)

        assert writer.returncode == -signal.SIGKILL
        assert ledger.events() == before
        record(ledger, an_entry("ordered", 1, key="after"))
        assert stock(ledger) == {"on order": 4}, "no lock is left behind"
