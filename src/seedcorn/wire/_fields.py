"""What the fields of documents are made of: a strict model, lists, quantities with units, dates, names."""

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    Strict,
)
from pydantic.annotated_handlers import GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from seedcorn import units
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.workload import Metric, Statistic
from seedcorn.errors import InputError
from seedcorn.wire._reading import did_you_mean

T = TypeVar("T")


class Document(BaseModel):
    """Part of a document: frozen, no unknown keys, no text taken for a number, no NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Many = Annotated[tuple[T, ...], Strict(False)]
"""A list in the file, a tuple here."""


Count = Annotated[int, Field(ge=1, le=10**9)]
"""A number of things: a billion is more than any fleet or engine has, and safe in 64-bit arithmetic."""


@dataclass(frozen=True, slots=True)
class Absent:
    """What leaving a field out means, where its default value does not say it."""

    meaning: str

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), "x-absent": self.meaning}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A field written as text with a unit, such as ``"2 s"``, and held in the base unit."""

    read: Callable[[object], object]
    show: Callable[[float], str]
    pattern: str
    example: str

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._validated, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {"type": "string", "pattern": self.pattern, "examples": [self.example]}

    def _validated(self, value: object) -> object:
        try:
            return self.read(value)
        except InputError as error:
            raise ValueError(error.message) from None


_NUMBER = r"^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"

Seconds = Annotated[
    float,
    Quantity(
        read=units.seconds,
        show=units.format_seconds,
        pattern=_NUMBER + r"(ns|us|µs|ms|s|min|h|d|w)\s*$",
        example="2 s",
    ),
]
BytesPerS = Annotated[
    float,
    Quantity(
        read=units.bytes_per_s,
        show=units.format_bytes_per_s,
        pattern=_NUMBER + r"(([kKMGTPE]|[KMGT]i)?B/s|[kKMGTPE]?(b|bit)/s)\s*$",
        example="400 Gb/s",
    ),
]
PricePerChipHour = Annotated[
    Annotated[tuple[float, str], Strict(False)],
    Quantity(
        read=units.money_per_chip_hour,
        show=str,
        pattern=r"^\s*\d+(\.\d+)?\s*[A-Z]{3}/chip-hour\s*$",
        example="3.10 USD/chip-hour",
    ),
]

Money = Annotated[
    Annotated[tuple[float, str], Strict(False)],
    Quantity(
        read=units.money,
        show=str,
        pattern=r"^\s*\d+(\.\d+)?([eE]\+?\d{1,2})?\s*[A-Z]{3}\s*$",
        example="450e6 CNY",
    ),
]
Watts = Annotated[
    float,
    Quantity(
        read=units.watts, show=units.format_watts, pattern=_NUMBER + r"[kKMGTPE]?W\s*$", example="400 W"
    ),
]


@dataclass(frozen=True, slots=True)
class Uncertain:
    """A field written as one value, or as the three it lies below with 10, 50 and 90 %; held as the three."""

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(self._three, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        (one, *_) = handler(schema)["prefixItems"]
        return {"anyOf": [one, {"type": "array", "items": one, "minItems": 3, "maxItems": 3}]}

    def _three(self, value: object) -> object:
        if not isinstance(value, list | tuple):
            return (value, value, value)
        if len(value) != 3:
            raise ValueError(f"expected one value, or three: [P10, P50, P90], got {len(value)} of them")
        return tuple(value)


def _in_order(three: tuple[float, float, float]) -> tuple[float, float, float]:
    if not three[0] <= three[1] <= three[2]:
        raise ValueError(f"expected P10 ≤ P50 ≤ P90, got {', '.join(f'{value:g}' for value in three)}")
    return three


_Share = Annotated[float, Field(ge=0, le=1)]
_Factor = Annotated[float, Field(gt=0, le=1000)]
_Delay = Annotated[Seconds, Field(ge=0)]
UncertainShare = Annotated[
    tuple[_Share, _Share, _Share], Strict(False), AfterValidator(_in_order), Uncertain()
]
UncertainFactor = Annotated[
    tuple[_Factor, _Factor, _Factor], Strict(False), AfterValidator(_in_order), Uncertain()
]
UncertainSeconds = Annotated[
    tuple[_Delay, _Delay, _Delay], Strict(False), AfterValidator(_in_order), Uncertain()
]


def _date(value: object) -> object:
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        try:
            return datetime.date.fromisoformat(value)
        except ValueError:
            pass  # no such day: refused below, in the same words
    if isinstance(value, datetime.date):
        return value
    raise ValueError(f"expected a date, such as 2026-11-24, got {value!r}")


Date = Annotated[datetime.date, BeforeValidator(_date)]


def _name(value: str) -> str:
    if value.strip() != value or not value or not value.isprintable() or set(value) & set("[]"):
        raise ValueError(f"expected a name without brackets, and without blanks around it, got {value!r}")
    return value


Name = Annotated[str, AfterValidator(_name), Field(min_length=1)]
"""What the reader of a plan will call it."""


def _country(value: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", value):
        raise ValueError(f"expected an ISO 3166 country code of two capitals, such as CN, got {value!r}")
    return value


Country = Annotated[str, AfterValidator(_country), Field(json_schema_extra={"pattern": "^[A-Z]{2}$"})]


_OBJECTIVES = tuple(f"{metric}_{statistic}" for metric in Metric for statistic in Statistic)


def _objective_name(value: str) -> str:
    if value not in _OBJECTIVES:
        raise ValueError(
            f"unknown objective {value!r}{did_you_mean(value, _OBJECTIVES)} "
            "(a latency of ttft, tpot, itl, e2e and a statistic of mean, p50, p90, p95, p99)"
        )
    return value


ObjectiveName = Annotated[
    str,
    AfterValidator(_objective_name),
    Field(json_schema_extra={"pattern": "^(ttft|tpot|itl|e2e)_(mean|p50|p90|p95|p99)$"}),
]
DtypeName = Annotated[Dtype, Field(strict=False)]
