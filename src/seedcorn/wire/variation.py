"""What-ifs of a scenario: ``PATH=V1,V2``, and the scenario with other values put there.

A path is written as errors write it, and may name an item of a list instead of counting it:
``planning.load_margin``, ``services.chat.traffic.rate_per_s``, ``fleet.pools[0].chips``. ``[]`` is every item:
``services[].slo.tpot_p99``.
"""

import copy
import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import ValidationError

from seedcorn.errors import InputError
from seedcorn.wire._reading import Located, did_you_mean, model_problems
from seedcorn.wire._text import Json, Unreadable, parse
from seedcorn.wire.scenario import ScenarioDocument, scenario_problems


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """The values to try at one path."""

    path: str
    values: tuple[Json, ...]


def read_variation(text: str) -> Variation:
    """The variation that ``PATH=V1,V2`` asks for; values are written as in the scenario, lists in brackets.

    Raises:
        InputError: It has no path or no values, or they cannot be read.
    """
    path, equals, values = text.partition("=")
    if not path.strip() or not equals or not values.strip():
        message = f"{text!r} is not PATH=V1,V2: such as planning.load_margin=0,0.1,0.2"
        raise InputError(message, where="--vary")
    try:
        found = parse(f"[{values}]").data
    except Unreadable as error:
        raise InputError(f"the values of {text!r} cannot be read: {error.message}", where="--vary") from None
    assert isinstance(found, list)
    shown = [shown_value(value) for value in found]
    twice = next((value for i, value in enumerate(shown) if value in shown[:i]), None)
    if twice is not None:
        raise InputError(f"{path} is to be {twice} twice", where="--vary")
    return Variation(path=path.strip(), values=tuple(found))


def shown_value(value: Json) -> str:
    """A value as people read it: text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def grid(variations: Sequence[Variation]) -> Iterator[Mapping[str, Json]]:
    """Every combination, path → value; the last path changes fastest.

    Raises:
        InputError: A path is given twice.
    """
    paths = [variation.path for variation in variations]
    for i, path in enumerate(paths):
        if path in paths[:i]:
            raise InputError(f"{path} is varied twice: give all its values at once", where="--vary")
    for values in itertools.product(*(variation.values for variation in variations)):
        yield dict(zip(paths, values, strict=True))


def varied(located: Located[ScenarioDocument], changes: Mapping[str, Json]) -> Located[ScenarioDocument]:
    """The scenario with the values of ``changes`` put at their paths.

    Raises:
        InputError: A path leads nowhere, or the scenario is none with these values; says which.
    """
    data = copy.deepcopy(located.data)
    for path, value in changes.items():
        _put(data, path, value, path)
    said = ", ".join(f"{path}={shown_value(value)}" for path, value in changes.items())
    try:
        document = ScenarioDocument.model_validate(data)
    except ValidationError as error:
        problems = list(model_problems(error, data, ScenarioDocument))
    else:
        problems = list(scenario_problems(document))
        if not problems:
            return located.changed(document, data)
    refusal = InputError(f"with {said} {located.path} is no scenario", where="--vary")
    for problem in problems:
        refusal.add_note(str(problem))
    raise refusal


_STEP = re.compile(r"\.?([^.\[\]]+)")
_ITEM = re.compile(r"\[(\d*)\]")


def _put(part: Json, rest: str, value: Json, path: str) -> None:
    """Put ``value`` at ``rest`` below ``part``; ``path`` is the whole, for messages."""
    for key, further in _steps(part, rest, path):
        if not further:
            part[key] = value  # type: ignore[index]  # the step found it in there
            continue
        if isinstance(part, dict):
            part.setdefault(str(key), {})
        _put(part[key], further, value, path)  # type: ignore[index]


def _steps(part: Json, rest: str, path: str) -> Iterator[tuple[str | int, str]]:
    """The members of ``part`` that ``rest`` starts with, each with what is left of ``rest``."""
    if isinstance(part, list):
        yield from _items(part, rest, path)
        return
    step = _STEP.match(rest)
    if not isinstance(part, dict) or step is None:
        raise InputError(
            f"{path!r} leads nowhere: nothing is below {path.removesuffix(rest)!r}", where="--vary"
        )
    yield step[1], rest[step.end() :]


def _items(part: list[Json], rest: str, path: str) -> Iterator[tuple[int, str]]:
    item = _ITEM.match(rest)
    if item is not None:
        wanted = range(len(part)) if not item[1] else [int(item[1])]
        if wanted and wanted[-1] >= len(part):
            message = f"{path!r} leads nowhere: {path.removesuffix(rest)} has {len(part)} items"
            raise InputError(message, where="--vary")
        yield from ((i, rest[item.end() :]) for i in wanted)
        return
    rest = rest.removeprefix(".")
    names = [str(entry["name"]) for entry in part if isinstance(entry, dict) and "name" in entry]
    named = [i for i, name in enumerate(names) if re.match(re.escape(name) + r"(?=[.\[]|$)", rest)]
    if not named:
        first = rest.partition(".")[0]
        raise InputError(
            f"{path!r} leads nowhere: no item {first!r}{did_you_mean(first, names)}", where="--vary"
        )
    longest = max(named, key=lambda i: len(names[i]))
    yield longest, rest[len(names[longest]) :]
