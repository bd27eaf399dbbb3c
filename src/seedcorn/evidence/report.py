"""Strict reading of other tools' JSON: every number is checked where it stands, and named if it is wrong."""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from seedcorn.errors import InputError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"

SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}
"""Units of time that reports name."""


@dataclass(frozen=True, slots=True)
class Report:
    """A mapping inside a report, and where it stands: ``file: a.b``."""

    data: Mapping[str, Json]
    where: str

    def part(self, *names: str) -> "Report":
        """The mapping at ``names``; an empty one where there is none.

        Raises:
            InputError: Something else stands there.
        """
        found, where = self.data, self.where
        for name in names:
            where = f"{where}.{name}"
            inner = found.get(name)
            if inner is None:
                return Report({}, where)
            if not isinstance(inner, dict):
                raise InputError(f"{where}: expected a mapping, got {inner!r:.60}")
            found = inner
        return Report(found, where)

    def parts(self, name: str) -> Iterator["Report"]:
        """The mappings of a list."""
        found = self.data.get(name)
        if not isinstance(found, list):
            raise InputError(f"{self.where}.{name}: expected a list, got {found!r:.60}")
        for i, inner in enumerate(found):
            if not isinstance(inner, dict):
                raise InputError(f"{self.where}.{name}[{i}]: expected a mapping, got {inner!r:.60}")
            yield Report(inner, f"{self.where}.{name}[{i}]")

    def number(self, *names: str) -> float | None:
        """The first of ``names`` that is there, not negative and finite; ``None`` where none is.

        Raises:
            InputError: It is something else.
        """
        name = next((name for name in names if self.data.get(name) is not None), None)
        if name is None:
            return None
        value = self.data[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise InputError(f"{self.where}.{name}: expected a number, got {value!r:.60}")
        if value < 0:
            raise InputError(f"{self.where}.{name}: expected a number of at least 0, got {value:g}")
        return float(value)

    def count(self, *names: str) -> int | None:
        """As :meth:`number`, a whole one."""
        value = self.number(*names)
        if value is not None and value != int(value):
            raise InputError(f"{self.where}: expected a whole number for {names[0]!r}, got {value:g}")
        return None if value is None else int(value)

    def text(self, *names: str) -> str | None:
        """The first of ``names`` that is text."""
        return next((str(self.data[name]) for name in names if isinstance(self.data.get(name), str)), None)

    def time_s(self, unit: str, *names: str) -> float | None:
        """A duration that stands in ``unit``, in seconds."""
        value = self.number(*names)
        if value is None:
            return None
        if unit not in SECONDS:
            raise InputError(
                f"{self.where}: {unit!r} is no unit of time; expected one of {', '.join(SECONDS)}"
            )
        return value * SECONDS[unit]


def read_text(path: Path) -> str:
    """The file's text.

    Raises:
        InputError: It cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8 text") from None


def read_report(path: Path) -> Report:
    """The JSON mapping at ``path``.

    Raises:
        InputError: Unreadable, not JSON, or something else than a mapping.
    """
    return parsed_report(read_text(path), str(path))


def parsed_report(text: str, where: str) -> Report:
    """The JSON mapping that ``text`` is."""
    try:
        data = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        line = getattr(error, "lineno", 1)
        raise InputError(f"not JSON: {error}", where=f"{where}:{line}") from None
    if not isinstance(data, dict):
        raise InputError(f"{where}: expected a JSON object, got {type(data).__name__}")
    return Report(data, where)
