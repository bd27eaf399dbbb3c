"""Sweeps: a record of each point, a table for spreadsheets, and ``kind: sweep``."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from seedcorn.domain.market import Status
from seedcorn.domain.sweep import SweepPoint
from seedcorn.errors import InputError
from seedcorn.wire._fields import Document, Many
from seedcorn.wire._writing import json_bytes
from seedcorn.wire.outcome import Number, NumberOrInf


class PoolLeftDocument(Document):
    """What the plan of one point leaves of a pool."""

    free: int = Field(description="Chips left: neither used nor spare.")
    price: Number = Field(
        description="Worth of one more chip-hour, in reference-chip hours: a free one's and its scarcity."
    )


class SweepPointDocument(Document):
    """One what-if, planned and replayed."""

    changes: Mapping[str, str] = Field(description="Path in the scenario → the value put there.")
    inputs_hash: str = Field(description="SHA-256 over the changed scenario and all that its names led to.")
    status: Annotated[Status, Field(strict=False)] = Field(
        description="What the planner can say of the plan."
    )
    training_chips_freed: int | None = Field(description="As in plans; `null`: there is no plan.")
    today_chips: int | None = Field(description="As in plans.")
    objective: Number | None = Field(description="As in plans.")
    gap: NumberOrInf | None = Field(description="As in plans.")
    slos_held: bool | None = Field(description="Whether every SLO held in replay.")
    pools: Mapping[str, PoolLeftDocument] = Field(description="What the plan leaves of each pool.")
    reason: str = Field(description="Why there is no plan.")


class SweepDocument(Document):
    """Every point of a sweep, in the order of the grid."""

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["sweep"] = Field(description="What this document is.")
    name: str = Field(description="The scenario's name.")
    points: Many[SweepPointDocument] = Field(description="The last path given changes fastest.")


_POINT = TypeAdapter(SweepPoint)


def sweep_json(name: str, points: Iterable[SweepPoint]) -> bytes:
    """The whole sweep."""
    document = SweepDocument(seedcorn=1, kind="sweep", name=name, points=tuple(map(_document, points)))
    return json_bytes(document.model_dump(mode="json"))


def sweep_csv(points: Sequence[SweepPoint]) -> str:
    """A row per point: its changes, then what came of it; free chips and prices by pool."""
    pools = list(dict.fromkeys(pool for point in points for pool in point.pools))
    rows = []
    for point in points:
        record = _document(point).model_dump(mode="json")
        row = {**record.pop("changes"), **{key: record[key] for key in record if key != "pools"}}
        for pool in pools:
            left = record["pools"].get(pool, {"free": None, "price": None})
            row |= {f"{pool} free": left["free"], f"{pool} price": left["price"]}
        rows.append(row)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def point_json(point: SweepPoint) -> bytes:
    """One point's record."""
    return json_bytes(_document(point).model_dump(mode="json"))


def read_point(path: Path) -> SweepPoint | None:
    """The record at ``path``; ``None`` if there is none yet.

    Raises:
        InputError: The file cannot be read, or is no record.
    """
    try:
        document = SweepPointDocument.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValidationError:
        raise InputError(f"{path} is not a record of a sweep: remove it, or give another --out") from None
    return _POINT.validate_python(document.model_dump())


def _document(point: SweepPoint) -> SweepPointDocument:
    return SweepPointDocument.model_validate(point, from_attributes=True)
