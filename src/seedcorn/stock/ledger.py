"""The ledger in its database: opened, brought up to date, read, and added to by one writer at a time."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Self

from platformdirs import user_data_path
from sqlalchemy import URL, Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, DatabaseError, IntegrityError

from seedcorn.errors import InputError
from seedcorn.stock.event import Event
from seedcorn.stock.holdings import Holding, StockFleet, fleet_of, stock_on
from seedcorn.stock.journal import Draft, Row, draft
from seedcorn.stock.tables import read_events, write_events

DEFAULT = "default"
"""Name of the ledger in the platform's folder for data of programs."""

REVISION = "0001"
"""The newest migration in ``migrations/versions``: what this program reads and writes."""

PATIENCE_S = 60
"""How long a writer waits for another one."""

LOCK = 0x5EEDC0
"""Any number that no other program on the server uses for its advisory lock."""


class Ledger:
    """Everything that happened to the chips of a company. Made by :func:`open_ledger`.

    Every method raises ``InputError`` where the database cannot be reached or another writer holds it too long.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._engine = engine
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._engine.dispose()

    def migrate(self) -> None:
        """Run the migrations that the database lacks; most often there are none, and Alembic is not loaded.

        Raises:
            InputError: This is no ledger, or a newer seedcorn wrote it.
        """
        with self._transaction() as connection:
            if _revision(connection) == REVISION:
                return
        with self._transaction(is_writing=True) as connection:
            revision = _revision(connection)
            if revision is not None and revision > REVISION:
                raise InputError(
                    f"ledger {self._name}: a newer seedcorn wrote it (revision {revision}, here {REVISION})"
                )
            _upgrade(connection)

    def events(self) -> tuple[Event, ...]:
        """Every event in the order of recording, corrections and what they correct included."""
        with self._transaction() as connection:
            return read_events(connection)

    def stock_on(self, on: date) -> tuple[Holding, ...]:
        """Where chips were at the end of a day, by all that is known today; sorted by place."""
        return stock_on(self.events(), on)

    def preview(self, rows: Sequence[Row], *, now: datetime) -> Draft:
        """What :meth:`record` would do; nothing is written."""
        return draft(self.events(), rows, now=now)

    def record(self, rows: Sequence[Row], *, now: datetime) -> Draft:
        """Add rows, all of them or none, after every other writer has finished.

        Raises:
            InputError: As :func:`seedcorn.stock.journal.draft`; nothing was written.
        """
        with self._transaction(is_writing=True) as connection:
            drafted = draft(read_events(connection), rows, now=now)
            write_events(connection, drafted.events)
        return drafted

    @contextmanager
    def _transaction(self, *, is_writing: bool = False) -> Iterator[Connection]:
        """A transaction; one that writes begins when every other writer has finished.

        SQLite locks the file. PostgreSQL takes an advisory lock, first of all, so that what is read
        afterwards is what every earlier writer left.
        """
        try:
            with self._engine.execution_options(is_writing=is_writing).begin() as connection:
                if is_writing and connection.dialect.name == "postgresql":
                    connection.execute(text(f"SET LOCAL lock_timeout = '{PATIENCE_S}s'"))
                    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
                yield connection
        except IntegrityError:
            raise  # what the journal lets through, the tables take: a bug of ours
        except DatabaseError as error:
            raise InputError(f"ledger {self._name}: {_reason(error)}") from None


def fleet_on(db: str, on: date) -> StockFleet:
    """The fleet of a ledger at the end of a day: pools of chips in service, and what is left out of them.

    Raises:
        InputError: There is no such ledger, nothing was in service, or a pool was not identical chips in one place.
    """
    with open_ledger(db) as ledger:
        try:
            return fleet_of(ledger.stock_on(on))
        except InputError as error:
            raise InputError(f"ledger {ledger._name} on {on}: {error.message}") from None


def open_ledger(db: str = DEFAULT, *, create: bool = False) -> Ledger:
    """Open a ledger and bring its tables up to date.

    Args:
        db: ``default``, the path of an SQLite file, or the URL of a PostgreSQL database.
        create: Make the SQLite file if there is none.

    Raises:
        InputError: There is no such ledger, it cannot be reached, or a newer seedcorn wrote it.
    """
    url = _url(db)
    name = url.render_as_string(hide_password=True) if "://" in db else str(url.database)
    if url.get_backend_name() == "sqlite":
        _prepare_file(Path(str(url.database)), create=create)
    try:
        ledger = Ledger(_engine(url), name)
    except ImportError:
        raise InputError(
            f"ledger {name}: PostgreSQL needs its driver: pip install 'seedcorn[postgres]'"
        ) from None
    with ExitStack() as on_failure:
        on_failure.push(ledger)
        ledger.migrate()
        on_failure.pop_all()
    return ledger


def _url(db: str) -> URL:
    if "://" not in db:
        path = user_data_path("seedcorn") / "stock.sqlite" if db == DEFAULT else Path(db)
        return URL.create("sqlite+pysqlite", database=str(path))
    try:
        url = make_url(db)
    except (ArgumentError, ValueError):  # a port that is no number
        raise InputError(f"ledger {db!r} is no URL such as postgresql://user@host/database") from None
    if url.drivername not in ("postgresql", "postgres"):
        raise InputError(f"ledger: {url.drivername!r} is not known; give a path or postgresql://…")
    return url.set(drivername="postgresql+psycopg")


def _prepare_file(path: Path, *, create: bool) -> None:
    if path.is_file():
        return
    if not create:
        raise InputError(f"there is no ledger {path} yet: 'seedcorn stock add' or 'import' makes it")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"ledger {path}: {error.strerror}") from None


def _engine(url: URL) -> Engine:
    if url.get_backend_name() != "sqlite":
        return create_engine(url)
    engine = create_engine(url, connect_args={"timeout": PATIENCE_S})

    @event.listens_for(engine, "connect")
    def _leave_transactions_to_us(connection: object, _: object) -> None:
        connection.isolation_level = None  # type: ignore[attr-defined]
        connection.execute("PRAGMA foreign_keys = ON")  # type: ignore[attr-defined]

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        is_writing = connection.get_execution_options().get("is_writing", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if is_writing else "BEGIN")

    return engine


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    revision: str | None = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
    return revision


def _upgrade(connection: Connection) -> None:
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "seedcorn.stock:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def _reason(error: DatabaseError) -> str:
    """The database's own first line."""
    return str(error.orig).strip().splitlines()[0]
