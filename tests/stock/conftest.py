from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from seedcorn.stock import Ledger, open_ledger
from tests.stock.postgres import running_server

NUMBERS = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    with running_server() as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def new_db(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], str]:
    """Makes the names of empty ledgers, on each of the two databases."""
    if request.param == "sqlite":
        return lambda: str(tmp_path / f"{next(NUMBERS)}.sqlite")
    url = request.getfixturevalue("postgres")

    def new_schema() -> str:
        name = f"ledger_{next(NUMBERS)}"
        engine = create_engine(url.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {name}"))
        engine.dispose()
        return f"{url}&options=-csearch_path%3D{name}"

    return new_schema


@pytest.fixture
def db(new_db: Callable[[], str]) -> str:
    """The name of one empty ledger."""
    return new_db()


@pytest.fixture
def ledger(db: str) -> Iterator[Ledger]:
    with open_ledger(db, create=True) as ledger:
        yield ledger
