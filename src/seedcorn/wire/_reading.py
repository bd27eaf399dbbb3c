"""Read any document: text to a validated model, and every mistake to its line and column."""

import difflib
import hashlib
import json
import reprlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from seedcorn.errors import InputError, InvalidDocument
from seedcorn.wire._text import Json, Parsed, Step, Unreadable, parse

M = TypeVar("M", bound=BaseModel)
N = TypeVar("N", bound=BaseModel)
Where: TypeAlias = Callable[[Sequence[Step], bool], str]
"""``file:line:column`` of a part of a document; of its key, if so asked."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a document: where (keys and indices), and what would work.

    Attributes:
        at_key: The key itself is wrong, not its value.
    """

    steps: tuple[Step, ...]
    message: str
    at_key: bool = False

    def __str__(self) -> str:
        path = dotted(self.steps)
        return f"{path}: {self.message}" if path else self.message


@dataclass(frozen=True, slots=True)
class Located(Generic[M]):
    """A document, and where each part of it stands in its file.

    Attributes:
        path: The file that names in the document are relative to.
        data: The document as written, no defaults filled in.
    """

    document: M
    path: Path
    data: Json
    _where: Where

    def where(self, *steps: Step) -> str:
        """``file:line:column`` of a part, or of its deepest ancestor that was written."""
        return self._where(steps, False)

    def part(self, document: N, path: Path, *steps: Step) -> "Located[N]":
        """The part of this document at ``steps``, as one of its own that names files relative to ``path``."""
        data = self.data
        for step in steps:
            data = data[step]  # type: ignore[index]  # the document holds it, so the data does
        return Located(
            document=document,
            path=path,
            data=data,
            _where=lambda further, at_key: self._where((*steps, *further), at_key),
        )

    def changed(self, document: M, data: Json) -> "Located[M]":
        """This document with other values; what stands in the file is still where it was."""
        return Located(document=document, path=self.path, data=data, _where=self._where)

    def reference(self, name: str) -> str:
        """``name`` as a path, if it is a file beside the document; else unchanged, a catalogue's name."""
        beside = self.path.parent / name
        try:
            return str(beside) if beside.is_file() else name
        except OSError:  # no possible file name, or a folder closed to us
            return name

    @property
    def sha256(self) -> str:
        """Hash of what the document says: layout, comments and key order do not count."""
        canonical = json.dumps(self.data, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(canonical.encode()).hexdigest()


def _nothing_more(_: BaseModel) -> Iterable[Problem]:
    return ()


def read_document(
    path: Path, model: type[M], *, kind: str, check: Callable[[M], Iterable[Problem]] = _nothing_more
) -> Located[M]:
    """The ``kind`` of document at ``path``, in YAML or JSON, validated as ``model``.

    Args:
        check: What the model alone cannot see, such as names that must exist elsewhere in the document.

    Raises:
        InputError: The file cannot be read, or is not YAML or JSON.
        InvalidDocument: It breaks its schema or ``check``; every problem is in the one error.
    """
    parsed = _parsed(path, kind)

    def where(steps: Sequence[Step], at_key: bool) -> str:
        line, column = parsed.place(steps, at_key)
        return f"{path}:{line}:{column}"

    try:
        document = model.model_validate(parsed.data)
    except ValidationError as error:
        # one value that stands for several fields is wrong once
        problems = list(dict.fromkeys(model_problems(error, parsed.data, model)))
    else:
        problems = list(check(document))
    if problems:
        raise InvalidDocument(str(path), [(where(p.steps, p.at_key), str(p)) for p in problems])
    return Located(document=document, path=path, data=parsed.data, _where=where)


def _parsed(path: Path, kind: str) -> Parsed:
    text = _text(path, kind)
    try:
        parsed = parse(text, is_json=path.suffix == ".json") if text.strip() else None
    except Unreadable as error:
        line, column = error.place
        raise InputError(error.message, where=f"{path}:{line}:{column}") from None
    if parsed is None or parsed.data is None:
        message = f"the file is empty: a {kind} document starts with 'seedcorn: 1'"
        raise InputError(message, where=f"{path}:1:1")
    return parsed


def _text(path: Path, kind: str) -> str:
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {kind} {str(path)!r}: {reason}") from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"byte {content[error.start]:#04x} is not UTF-8: save the {kind} as UTF-8 text"
        raise InputError(message, where=f"{path}:{line}") from None


def dotted(steps: Iterable[Step]) -> str:
    """A path as people write it: ``services[2].slo.ttft_p99``."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps]
    return "".join(parts).removeprefix(".")


def _nearest(name: str, known: Sequence[str]) -> str | None:
    """The one of ``known`` that ``name`` is most likely a misspelling of, if any is near."""
    folded = {other.lower(): other for other in known}
    near = difflib.get_close_matches(name.lower(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """The end of a sentence: the name probably meant, or all there are."""
    near = _nearest(name, known)
    if near is not None:
        return f"; did you mean {near!r}?"
    return f"; known: {', '.join(known)}" if known else ""


# -- pydantic's errors in our words -------------------------------------------------------------------


def model_problems(error: ValidationError, data: Json, model: type[BaseModel]) -> Iterator[Problem]:
    """Why ``data`` is no ``model``, each mistake once: a key that is missing because it was misspelt is only misspelt."""
    details = error.errors(include_url=False)
    misspelt = set()
    for detail in details:
        if detail["type"] == "extra_forbidden":
            *parent, key = detail["loc"]
            misspelt.add((*parent, _nearest(str(key), _known_keys(parent, model))))
    for detail in details:
        kind, loc = detail["type"], detail["loc"]
        if kind == "missing" and loc in misspelt:
            continue
        steps = tuple(_written(loc, data, keep_last=kind == "missing"))
        if kind == "extra_forbidden":
            message = f"unknown key{did_you_mean(str(loc[-1]), _known_keys(loc[:-1], model))}"
            yield Problem(steps, message, at_key=True)
        else:
            yield Problem(steps, _message(detail), at_key=loc[-1:] == ("[key]",))


def _written(loc: Sequence[Step], data: Json, *, keep_last: bool) -> Iterator[Step]:
    """``loc`` less pydantic's own labels (of union members, of keys), which are not in the document."""
    for i, step in enumerate(loc):
        if isinstance(data, dict) and step in data:
            data = data[str(step)]
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
        elif not (keep_last and i == len(loc) - 1):
            continue
        yield step


def _known_keys(loc: Sequence[Step], model: type[BaseModel]) -> list[str]:
    """Keys of the document at ``loc`` below ``model``."""
    inner: type[BaseModel] | None = model
    for step in loc:
        if inner is not None and step in inner.model_fields:
            inner = _model_in(inner.model_fields[str(step)].annotation)
    return [] if inner is None else list(inner.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The document inside ``tuple[Document, ...]``, ``Document | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model_in, get_args(annotation)) if found is not None), None)


_EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "string_type": "text",
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "string_too_short": "text, not nothing",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length} of them",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def _message(detail: ErrorDetails) -> str:
    """What was expected and what was got."""
    context: dict[str, Any] = detail.get("ctx", {})
    if detail["type"] == "missing":
        return "this key is required"
    if detail["type"] == "value_error":
        return str(context["error"])
    template = _EXPECTED.get(detail["type"])
    expected = detail["msg"] if template is None else f"expected {template.format(**context)}"
    return f"{expected}, got {_shown(detail['input'])}"


def _shown(value: object) -> str:
    """``value`` as a message quotes it: short, and as YAML writes it."""
    if value is None:
        return "nothing (null)"
    return str(value).lower() if isinstance(value, bool) else reprlib.repr(value)
