"""The answers of ``runway`` and ``source`` as documents."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date

from seedcorn.domain.horizon import Quantiles
from seedcorn.domain.runway import Runway
from seedcorn.domain.sourcing import Sourcing
from seedcorn.wire._text import Json
from seedcorn.wire._writing import json_bytes

SCHEMA_VERSION = 1


def runway_json(runway: Runway) -> bytes:
    """Everything that the answer holds, under the names that `seedcorn.domain.runway` explains; dates are ISO 8601."""
    return _answer_json("runway", runway)


def sourcing_json(sourcing: Sourcing) -> bytes:
    """The same of `seedcorn.domain.sourcing`."""
    return _answer_json("sourcing", sourcing)


def _answer_json(kind: str, answer: Runway | Sourcing) -> bytes:
    body = _plain(answer)
    assert isinstance(body, dict)
    return json_bytes({"seedcorn": SCHEMA_VERSION, "kind": kind, **body})


def _plain(value: object) -> Json:
    """Dataclasses as mappings, in the order of their fields; P10, P50, P90 as a list."""
    if isinstance(value, Quantiles):
        return [round_off(value.p10), round_off(value.p50), round_off(value.p90)]
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return round_off(value)
    assert value is None or isinstance(value, str | int)
    return value


def round_off(value: float) -> float:
    """Nine significant digits: far coarser than the noise of summation order."""
    return float(f"{value:.9g}")
