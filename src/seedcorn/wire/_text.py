"""YAML and JSON text to plain data that remembers where each part stands.

YAML is read by its 1.2 core schema: ``7e12`` is a number, ``yes``, ``on``, ``2026-11-24`` and
``12:30`` are text. JSON is read by the standard library, which is far faster; its places are looked up
only when somebody asks.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeAlias

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, StreamMark, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
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

    ``place(steps, at_key)`` gives a scalar's own place, and for a mapping or list, or if ``at_key``, the
    place of its key (in YAML a block starts a line later). A path that ends early gives its deepest part
    that exists.
    """

    data: Json
    place: Callable[[Sequence[Step], bool], Place]


def parse(text: str, *, is_json: bool = False) -> Parsed:
    """The data in ``text``, which is JSON if ``is_json``, else YAML (which JSON nearly is).

    Raises:
        Unreadable: Broken syntax, a key given twice, or a part of YAML that documents do not use.
    """
    try:
        if is_json or text.lstrip()[:1] in ("{", "["):
            return Parsed(data=json.loads(text, object_pairs_hook=_unique), place=partial(_json_place, text))
    except json.JSONDecodeError as error:
        if is_json:
            raise Unreadable(f"not JSON: {error.msg}", (error.lineno, error.colno)) from None
    except _Duplicate:
        text = text.replace("\t", " ")  # a raw tab in JSON is only ever between tokens
    except (ValueError, RecursionError) as error:
        raise Unreadable(_too_much(error), (1, 1)) from None
    return _parse_yaml(text)


def _too_much(error: Exception) -> str:
    return "nested too deeply" if isinstance(error, RecursionError) else f"cannot be read: {error}"


# -- JSON ---------------------------------------------------------------------------------------------


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
        shown = key_at if at_key or text[at] in "{[" else at
    line = text.count("\n", 0, shown) + 1
    return line, shown - text.rfind("\n", 0, shown)


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


def _parse_yaml(text: str) -> Parsed:
    yaml = YAML(typ="rt", pure=True)
    yaml.composer.warn_double_anchors = False
    try:
        root = yaml.compose(text)
        data = None if root is None else _Values().of(root)
    except RecursionError as error:
        raise Unreadable(_too_much(error), (1, 1)) from None
    except MarkedYAMLError as error:
        raise Unreadable(f"not YAML: {_explained(error)}", _mark_place(error.problem_mark)) from None
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        place = (line, error.position - text.rfind("\n", 0, error.position))
        raise Unreadable(f"character {chr(ord(text[error.position]))!r} is not text", place) from None
    except (YAMLError, ValueError, OverflowError) as error:
        raise Unreadable(_too_much(error), (1, 1)) from None
    return Parsed(data=data, place=partial(_yaml_place, root))


_HINTS = {
    "mapping values are not allowed here": "a text that holds ': ' needs quotes, and keys of one mapping the same indent",
    "found character '\\t' that cannot start any token": "indent with spaces, not tabs",
    "found undefined alias": "write &name where the value stands first",
    "expected <block end>": "the line is indented differently from its neighbours, or a quote or bracket is open above",
    "could not find expected ':'": "a key needs ': ' and its value after it",
    "but found another document": "a file holds one document: remove '---'",
    "found unexpected end of stream": "a quote is open",
    "but got '<stream end>'": "a bracket is open",
}


def _explained(error: MarkedYAMLError) -> str:
    problem = str(error.problem)
    hint = next((hint for found, hint in _HINTS.items() if found in problem), None)
    return problem if hint is None else f"{problem} ({hint})"


def _mark_place(mark: StreamMark | None) -> Place:
    return (1, 1) if mark is None else (mark.line + 1, mark.column + 1)


def _yaml_place(root: Node | None, steps: Sequence[Step], at_key: bool) -> Place:
    if root is None:
        return (1, 1)
    node, shown = root, root
    for step in steps:
        member = _yaml_member(node, step)
        if member is None:
            break
        key, node = member
        at_value = isinstance(node, ScalarNode) and node.value and not at_key
        shown = node if at_value else key
    return _mark_place(shown.start_mark)


def _yaml_member(node: Node, step: Step) -> tuple[Node, Node] | None:
    """The nodes of the key (of the item itself, in a list) and of the value of one member."""
    if isinstance(node, MappingNode):
        return next(((key, value) for key, value in node.value if key.value == step), None)
    if isinstance(node, SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    return None


@dataclass(frozen=True, slots=True)
class _Values:
    """Nodes to values; an aliased node is converted once, so that aliases cannot multiply work."""

    done: dict[int, Json] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)

    def of(self, node: Node) -> Json:
        if id(node) in self.open:
            raise Unreadable("an alias stands inside the value it names", _mark_place(node.start_mark))
        if id(node) not in self.done:
            self.open.add(id(node))
            self.done[id(node)] = self._converted(node)
            self.open.remove(id(node))
        return self.done[id(node)]

    def _converted(self, node: Node) -> Json:
        if isinstance(node, ScalarNode):
            return _scalar(node)
        _refuse_tag(node)
        if isinstance(node, SequenceNode):
            return [self.of(item) for item in node.value]
        assert isinstance(node, MappingNode)
        return self._mapping(node)

    def _mapping(self, node: MappingNode) -> dict[str, Json]:
        found: dict[str, Json] = {}
        first: dict[str, Node] = {}
        for key, value in node.value:
            name = _key(key)
            if name in found:
                line, column = _mark_place(first[name].start_mark)
                message = f"key {name!r} is given twice: first at {line}:{column}"
                raise Unreadable(message, _mark_place(key.start_mark))
            found[name], first[name] = self.of(value), key
        return found


def _key(node: Node) -> str:
    if not isinstance(node, ScalarNode):
        raise Unreadable("a key must be text, not a list or mapping", _mark_place(node.start_mark))
    if node.style is None and node.value == "<<":
        message = "merge keys ('<<') are not part of YAML 1.2: write the keys out, or alias single values"
        raise Unreadable(message, _mark_place(node.start_mark))
    _refuse_tag(node)
    return str(node.value)


_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null", "map", "seq")}
_PLAIN_TAGS |= {"tag:yaml.org,2002:timestamp", "tag:yaml.org,2002:merge", "tag:yaml.org,2002:value"}


def _refuse_tag(node: Node) -> None:
    """Refuse ``!foo``; what the reader's own (YAML 1.1) guesses set is not looked at."""
    if str(node.tag) not in _PLAIN_TAGS:
        raise Unreadable(f"tag {node.tag} is not used in documents: remove it", _mark_place(node.start_mark))


_NULL = re.compile(r"(~|null|Null|NULL)?")
_TRUE, _FALSE = re.compile(r"true|True|TRUE"), re.compile(r"false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")


def _scalar(node: ScalarNode) -> Json:
    """The value of a scalar by the YAML 1.2 core schema (https://yaml.org/spec/1.2.2/, §10.3.2)."""
    _refuse_tag(node)
    text: str = node.value
    if node.style is not None:
        return text
    if _NULL.fullmatch(text):
        return None
    if _TRUE.fullmatch(text) or _FALSE.fullmatch(text):
        return text.lower() == "true"
    return _number(text, node)


def _number(text: str, node: Node) -> int | float | str:
    if _BASED.fullmatch(text):
        return int(text, 0)
    if _INT.fullmatch(text):
        try:
            return int(text)
        except ValueError:  # beyond the interpreter's limit of digits
            raise Unreadable(f"a number of {len(text)} digits", _mark_place(node.start_mark)) from None
    if _FLOAT.fullmatch(text):
        return float(text)
    return float(text.replace(".", "", 1)) if _NOT_FINITE.fullmatch(text) else text
