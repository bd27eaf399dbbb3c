"""YAML and JSON text to plain data that remembers where each part stands.

YAML is read by its 1.2 core schema: ``7e12`` is a number, ``yes``, ``on``, ``2026-11-24`` and
``12:30`` are text. JSON is read by the standard library, which is far faster; its places are looked up
only when somebody asks.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    Event,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
    StreamStartEvent,
)
from ruamel.yaml.reader import ReaderError

Json: TypeAlias = "bool | int | float | str | list[Json] | dict[str, Json] | None"
Step: TypeAlias = str | int
Place: TypeAlias = tuple[int, int]
"""Line and column, both from 1."""


class Unreadable(Exception):
    """The text is neither YAML nor JSON that we take; ``place`` is where that shows."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.message = message
        self.place = place


@dataclass(frozen=True, slots=True)
class Parsed:
    """A document's data and, for a path of keys and indices into it, the place of that part.

    ``place(steps, at_key)`` gives a scalar's own place, and for a mapping or list, for null, or if
    ``at_key``, the place of its key (in YAML a block starts a line later, and null may be nothing at all).
    A path that ends early gives its deepest part that exists.
    """

    data: Json
    place: Callable[[Sequence[Step], bool], Place]


def parse(text: str, *, is_json: bool = False) -> Parsed:
    """The data in ``text``, which is JSON if ``is_json``, else YAML (which JSON nearly is).

    Raises:
        Unreadable: Broken syntax, a key given twice, or a part of YAML that documents do not use.
    """
    parsed = _parse_json(text, is_json) if is_json or text.lstrip()[:1] in ("{", "[") else None
    parsed = _parse_yaml(text) if parsed is None else parsed
    _refuse_half_characters(text, parsed.data)
    return parsed


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def _refuse_half_characters(text: str, data: Json) -> None:
    """Refuse an escaped half of a surrogate pair, which no file can hold when we write it back."""
    escape = _SURROGATE.search(text)
    if escape is None:
        return
    try:
        json.dumps(data, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        message = "half of a surrogate pair is no character"
        raise Unreadable(message, _place_at(text, escape.start())) from None


def _place_at(text: str, offset: int) -> Place:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


# -- JSON ---------------------------------------------------------------------------------------------


def _parse_json(text: str, is_json: bool) -> Parsed | None:
    """JSON's data; ``None`` if YAML must judge: it is not JSON and need not be, or has a key twice."""
    try:
        data = json.loads(text, object_pairs_hook=_unique)
    except _Duplicate:
        return _parse_yaml(text.replace("\t", " "))  # a raw tab in JSON is only ever between tokens
    except json.JSONDecodeError as error:
        if is_json:
            raise Unreadable(f"not JSON: {error.msg}", (error.lineno, error.colno)) from None
        return None
    except RecursionError:
        raise Unreadable(f"nested deeper than {MAX_DEPTH} levels", (1, 1)) from None
    except ValueError as error:  # a number beyond the interpreter's limit of digits
        raise Unreadable(f"cannot be read: {error}", (1, 1)) from None
    return Parsed(data=data, place=partial(_json_place, text))


class _Duplicate(Exception):
    """An object has a key twice; where, the YAML reader finds out."""


def _unique(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _Duplicate
    return found


_BLANK = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def _skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    assert match is not None
    return match.end()


def _json_place(text: str, steps: Sequence[Step], at_key: bool) -> Place:
    """The place of ``steps`` in valid JSON: walks down, passing over what is not on the way."""
    at = shown = _skip_blank(text, 0)
    for step in steps:
        member = _json_member(text, at, step)
        if member is None:
            break
        key_at, at = member
        shown = key_at if at_key or text[at] in "{[n" else at  # n: null
    return _place_at(text, shown)


def _json_member(text: str, at: int, step: Step) -> tuple[int, int] | None:
    """Offsets of the key (of the item itself, in a list) and of the value of one member."""
    in_object = text[at] == "{"
    if text[at] not in "{[" or in_object != isinstance(step, str):
        return None
    at, index = _skip_blank(text, at + 1), 0
    while text[at] not in "}]":
        key_at, key = at, index
        if in_object:
            key, at = _DECODER.raw_decode(text, at)
            at = _skip_blank(text, _skip_blank(text, at) + 1)
        if key == step:
            return key_at, at
        at = _skip_blank(text, _DECODER.raw_decode(text, at)[1])
        at = _skip_blank(text, at + 1) if text[at] == "," else at
        index += 1
    return None


# -- YAML ---------------------------------------------------------------------------------------------

MAX_DEPTH = 50
"""Levels of nesting. Documents have ten; the scanner's time grows with the square of the depth."""


def _parse_yaml(text: str) -> Parsed:
    try:
        root = _Builder(YAML(typ="safe", pure=True).parse(text)).document()
    except MarkedYAMLError as error:
        raise Unreadable(f"not YAML: {_explained(error)}", _place_of(error.problem_mark)) from None
    except ReaderError as error:
        message = f"character {text[error.position]!r} is not text"
        raise Unreadable(message, _place_at(text, error.position)) from None
    except (YAMLError, ValueError, OverflowError) as error:
        raise Unreadable(f"cannot be read: {error}", (1, 1)) from None
    return Parsed(data=root.data, place=partial(_yaml_place, root))


_HINTS = {
    "mapping values are not allowed here": "a text that holds ': ' needs quotes, and keys of one mapping the same indent",
    "found character '\\t' that cannot start any token": "indent with spaces, not tabs",
    "expected <block end>": "the line is indented differently from its neighbours, or a quote or bracket is open above",
    "could not find expected ':'": "a key needs ': ' and its value after it",
    "found unexpected end of stream": "a quote is open",
    "but got '<stream end>'": "a bracket is open",
}


def _explained(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    hint = next((hint for found, hint in _HINTS.items() if found in problem), None)
    return problem if hint is None else f"{problem} ({hint})"


def _place_of(mark: StreamMark | None) -> Place:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


@dataclass(frozen=True, slots=True)
class _Part:
    """A value, its place, and its members with the places of their keys (of the items, in a list)."""

    data: Json
    place: Place
    members: Mapping[Step, "tuple[Place, _Part]"] = field(default_factory=dict)


def _yaml_place(root: _Part, steps: Sequence[Step], at_key: bool) -> Place:
    part, shown = root, root.place
    for step in steps:
        if step not in part.members:
            break
        key_place, part = part.members[step]
        at_value = not (at_key or part.members or part.data in ([], {}, None))
        shown = part.place if at_value else key_place
    return shown


@dataclass(frozen=True, slots=True)
class _Builder:
    """Events to parts. An aliased part is built once and shared, so that aliases cannot multiply work."""

    events: Iterator[Event]
    anchors: dict[str, _Part | None] = field(default_factory=dict)

    def document(self) -> _Part:
        event = self._next()
        if isinstance(event, StreamEndEvent):
            return _Part(data=None, place=(1, 1))
        root = self._part(event, depth=1)
        after = self._next()
        if not isinstance(after, StreamEndEvent):
            raise Unreadable("a second document starts here: a file holds one", _place_of(after.start_mark))
        return root

    def _next(self) -> Event:
        """The next event that is not a frame of the stream or of a document."""
        skipped = (StreamStartEvent, DocumentStartEvent, DocumentEndEvent)
        return next(event for event in self.events if not isinstance(event, skipped))

    def _part(self, event: Event, depth: int) -> _Part:
        place = _place_of(event.start_mark)
        if depth > MAX_DEPTH:
            raise Unreadable(f"nested deeper than {MAX_DEPTH} levels", place)
        if isinstance(event, AliasEvent):
            return self._aliased(event.anchor, place)
        assert isinstance(event, ScalarEvent | SequenceStartEvent | MappingStartEvent)
        if event.tag is not None:
            raise Unreadable(f"tag {event.tag} is not used in documents: remove it", place)
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        part = self._built(event, place, depth)
        if event.anchor is not None:
            self.anchors[event.anchor] = part
        return part

    def _aliased(self, anchor: str, place: Place) -> _Part:
        if anchor not in self.anchors:
            raise Unreadable(f"alias *{anchor} names nothing: write &{anchor} before a value above", place)
        part = self.anchors[anchor]
        if part is None:
            raise Unreadable(f"alias *{anchor} stands inside the value it names", place)
        return part

    def _built(self, event: Event, place: Place, depth: int) -> _Part:
        if isinstance(event, ScalarEvent):
            return _Part(data=_scalar(event, place), place=place)
        members: dict[Step, tuple[Place, _Part]] = {}
        if isinstance(event, SequenceStartEvent):
            while not isinstance(item := self._next(), SequenceEndEvent):
                part = self._part(item, depth + 1)
                members[len(members)] = part.place, part
            return _Part(data=[part.data for _, part in members.values()], place=place, members=members)
        while not isinstance(key := self._next(), MappingEndEvent):
            name, key_place = _key(key), _place_of(key.start_mark)
            if name in members:
                line, column = members[name][0]
                raise Unreadable(f"key {name!r} is given twice: first at {line}:{column}", key_place)
            members[name] = key_place, self._part(self._next(), depth + 1)
        data = {str(name): part.data for name, (_, part) in members.items()}
        return _Part(data=data, place=place, members=members)


def _key(event: Event) -> str:
    place = _place_of(event.start_mark)
    if not isinstance(event, ScalarEvent):
        raise Unreadable("a key must be plain text, not a list, mapping or alias", place)
    if event.tag is not None:
        raise Unreadable(f"tag {event.tag} is not used in documents: remove it", place)
    if event.implicit[0] and event.value == "<<":
        message = "merge keys ('<<') are not part of YAML 1.2: write the keys out, or alias single values"
        raise Unreadable(message, place)
    return str(event.value)


_NULL = re.compile(r"(~|null|Null|NULL)?")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _scalar(event: ScalarEvent, place: Place) -> Json:
    """The value of a scalar by the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/, §10.3.2)."""
    text: str = event.value
    is_plain = event.implicit[0]
    if not is_plain:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    return _number(text, place)


def _number(text: str, place: Place) -> int | float | str:
    """The number that a plain text is, or the text."""
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _INT.fullmatch(text):
        try:
            return int(text)
        except ValueError:  # beyond the interpreter's limit of digits
            raise Unreadable(f"a number of {len(text)} digits", place) from None
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "", 1)) if _NOT_FINITE.fullmatch(text) else text
