"""Catalogue files and the user's own: read, checked key by key, errors placed at file:line."""

import json
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

from seedcorn.errors import InputError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's mapping of keys to values.

    Attributes:
        path: As shown in errors.
        text: The file, where errors find their line.
        values: What the file says.
    """

    path: str
    text: str
    values: Mapping[str, object]

    def error(self, message: str, key: str | None = None) -> InputError:
        """An error at the line where ``key`` is set, or of the file as a whole."""
        return InputError(message, where=self.where(key))

    def where(self, key: str | None) -> str:
        """``file:line`` of the first line that sets ``key``; the file alone if none does."""
        if key is not None:
            setting = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*[=:]")
            for number, line in enumerate(self.text.splitlines(), start=1):
                if setting.match(line):
                    return f"{self.path}:{number}"
        return self.path

    def refuse_unknown(self, keys: Iterable[str], known: Iterable[str], *, within: str | None = None) -> None:
        """Refuse the first key (of the file, or within the value of a key) that is not known, with the nearest."""
        names = list(known)
        for key in keys:
            if key not in names:
                near = get_close_matches(key, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(names)}"
                raise self.error(f"unknown key {key!r}; {hint}", within or key)

    def read(self, key: str, read: Callable[[object], T], value: object) -> T:
        """``value``, which ``key`` has, read; its error is placed."""
        try:
            return read(value)
        except InputError as error:
            raise InputError(f"{key}: {error.message}", where=self.where(key)) from None

    def text_of(self, key: str, default: str | None = None) -> str:
        """A text; without a default it must be there."""
        value = self.values.get(key, default)
        if value is None:
            raise self.error(f"{key} is missing: every such file needs it")
        if not isinstance(value, str):
            raise self.error(f"{key}: expected a text, got {value!r}", key)
        return value

    def texts_of(self, key: str) -> tuple[str, ...]:
        """A list of texts, empty if absent."""
        value = self.values.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.error(f"{key}: expected a list of texts, got {value!r}", key)
        return tuple(value)

    def table_of(self, key: str) -> Mapping[str, object]:
        """A table, empty if absent."""
        value = self.values.get(key, {})
        if not isinstance(value, Mapping):
            raise self.error(f"{key}: expected a table of keys and values, got {value!r}", key)
        return value


def read_document(file: Traversable) -> Document:
    """A ``.toml``, ``.yaml`` or ``.json`` file.

    Raises:
        InputError: There is no such file, it is no text, or not of the format its name says.
    """
    path = str(file) if isinstance(file, Path) else file.name
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("no such file", where=path) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read as text: {error}", where=path) from None
    parse = _PARSERS.get(Path(path).suffix)
    if parse is None:
        raise InputError(f"expected a file named {', '.join(_PARSERS)}", where=path)
    values = parse(text, path)
    if not isinstance(values, Mapping):
        raise InputError("expected keys and values; the file is empty or a list", where=path)
    return Document(path=path, text=text, values=values)


def _parse_toml(text: str, path: str) -> object:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+), column (\d+)", str(error))
        where = f"{path}:{place[1]}:{place[2]}" if place else path
        raise InputError(f"not TOML: {str(error).partition(' (at')[0]}", where=where) from None


def _parse_json(text: str, path: str) -> object:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}:{error.colno}") from None


def _parse_yaml(text: str, path: str) -> object:
    from ruamel.yaml import YAML  # imported here: no bundled file needs it, and every start would pay
    from ruamel.yaml.error import MarkedYAMLError

    try:
        return YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{path}:{mark.line + 1}:{mark.column + 1}" if mark else path
        raise InputError(f"not YAML: {error.problem}", where=where) from None


_PARSERS: Mapping[str, Callable[[str, str], object]] = {
    ".toml": _parse_toml,
    ".json": _parse_json,
    ".yaml": _parse_yaml,
    ".yml": _parse_yaml,
}
