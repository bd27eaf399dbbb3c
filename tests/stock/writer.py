"""Another process that writes to a ledger: run by the tests, never imported by them.

    writer.py orders DB COUNT    orders COUNT chips, one at a time, each in a transaction of its own
    writer.py sales DB COUNT     tries COUNT times to sell one chip; prints how often there was one
    writer.py dies DB FILE       imports FILE and kills itself with the first row written and not yet committed

It says "ready" and starts when it is told to, so that two of them overlap.
"""

import os
import signal
import sys
from datetime import UTC, date, datetime

from sqlalchemy import Engine, event

from seedcorn.domain.hardware import ChipName
from seedcorn.errors import NotInStock
from seedcorn.stock import Entry, Kind, open_ledger

H20 = ChipName("nvidia-h20-96gb")


def write(kind: Kind, db: str, count: int) -> int:
    """How many of ``count`` events of one chip the ledger took."""
    taken = 0
    with open_ledger(db, create=True) as ledger:
        for _ in range(count):
            try:
                entry = Entry(kind=kind, date=date(2026, 1, 9), chip=H20, quantity=1)
                ledger.record([entry], now=datetime.now(UTC))
                taken += 1
            except NotInStock:
                continue
    return taken


def die_in_the_middle(db: str, file: str) -> None:
    """Import a file as the command does; the process ends by SIGKILL between the first INSERT and COMMIT."""
    from seedcorn.cli import main

    @event.listens_for(Engine, "after_cursor_execute")
    def kill(_connection, _cursor, statement, *_rest):
        if statement.startswith("INSERT INTO event "):
            os.kill(os.getpid(), signal.SIGKILL)

    sys.argv = ["seedcorn", "stock", "import", file, "--yes", "--db", db]
    main()


if __name__ == "__main__":
    what, db, argument = sys.argv[1:]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if what == "dies":
        die_in_the_middle(db, argument)
    else:
        sys.stdout.write(str(write(Kind.ORDERED if what == "orders" else Kind.SOLD, db, int(argument))))
