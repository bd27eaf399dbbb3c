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

    def reference(self, name: str) -> str:
        """``name`` as a path, if it is a file beside the document; else unchanged, a catalogue's name."""
        beside = self.path.parent / name
        return str(beside) if beside.is_file() else name

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

    document = validated(parsed.data, model, where=where, name=str(path), check=check)
    return Located(document=document, path=path, data=parsed.data, _where=where)


def validated(
    data: Json,
    model: type[M],
    *,
    where: Where,
    name: str,
    check: Callable[[M], Iterable[Problem]] = _nothing_more,
) -> M:
    """``data`` as ``model``, or `InvalidDocument` with every problem placed by ``where``."""
    try:
        document = model.model_validate(data)
    except ValidationError as error:
        problems = [_problem(detail, data, model) for detail in error.errors(include_url=False)]
    else:
        problems = list(check(document))
    if problems:
        raise InvalidDocument(name, [(where(p.steps, p.at_key), str(p)) for p in problems])
    return document


def _parsed(path: Path, kind: str) -> Parsed:
    text = _text(path, kind)
    try:
        parsed = parse(text, is_json=path.suffix == ".json")
    except Unreadable as error:
        line, column = error.place
        raise InputError(error.message, where=f"{path}:{line}:{column}") from None
    if parsed.data is None:
        raise InputError(
            f"the file is empty: a {kind} document starts with 'seedcorn: 1'", where=f"{path}:1:1"
        )
    return parsed


def _text(path: Path, kind: str) -> str:
    try:
        content = path.read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a NUL in the name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"cannot read {kind} {str(path)!r}: {reason}") from None
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        message = f"byte {content[error.start]:#04x} is not UTF-8: save the {kind} as UTF-8 text"
        raise InputError(message, where=f"{path}:{line}") from None
    if not text.strip():
        raise InputError(
            f"the file is empty: a {kind} document starts with 'seedcorn: 1'", where=f"{path}:1:1"
        )
    return text


def dotted(steps: Iterable[Step]) -> str:
    """A path as people write it: ``services[2].slo.ttft_p99``."""
    parts = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps]
    return "".join(parts).removeprefix(".")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """`` — did you mean 'x'?``, or what there is, or nothing if there is nothing."""
    names = list(known)
    near = difflib.get_close_matches(name.lower(), {n.lower() for n in names}, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {next(n for n in names if n.lower() == near[0])!r}?"
    return f"; known: {', '.join(names)}" if names else ""


# -- pydantic's errors in our words -------------------------------------------------------------------


def _problem(detail: ErrorDetails, data: Json, model: type[BaseModel]) -> Problem:
    kind = detail["type"]
    at_key = detail["loc"][-1:] == ("[key]",)
    steps = tuple(_written(detail["loc"], data, keep_last=kind == "missing"))
    if kind == "extra_forbidden":
        return Problem(steps=steps, message=_unknown_key(steps, model), at_key=True)
    return Problem(steps=steps, message=_message(detail), at_key=at_key)


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


def _unknown_key(steps: Sequence[Step], model: type[BaseModel]) -> str:
    parent: type[BaseModel] | None = model
    for step in steps[:-1]:
        if parent is not None and isinstance(step, str):
            parent = _model_in(parent.model_fields[step].annotation)
    known = [] if parent is None else list(parent.model_fields)
    return f"unknown key{did_you_mean(str(steps[-1]), known)}"


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The document inside ``tuple[Document, ...]``, ``Document | None`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for found in map(_model_in, get_args(annotation)) if found is not None), None)


_EXPECTED: Mapping[str, str] = {
    "bool_type": "true or false",
    "string_type": "text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping (key: value)",
    "mapping_type": "a mapping (key: value)",
    "model_type": "a mapping (key: value)",
    "model_attributes_type": "a mapping (key: value)",
    "string_too_short": "text, not nothing",
    "greater_than": "more than {gt:g}",
    "greater_than_equal": "at least {ge:g}",
    "less_than": "less than {lt:g}",
    "less_than_equal": "at most {le:g}",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
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
    return f"{expected}, got {shown(detail['input'])}"


def shown(value: object) -> str:
    """``value`` as a message quotes it: short, ``null`` for nothing."""
    return "nothing (null)" if value is None else reprlib.repr(value)
