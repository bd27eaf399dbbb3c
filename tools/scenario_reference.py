"""Write docs/reference/scenario.md from the schema of scenarios.

Run as ``python tools/scenario_reference.py`` after a change to the models; a test keeps the page in step.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from seedcorn.wire import schema
from seedcorn.wire.scenario import NOT_USED_YET

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "scenario.md"

HEAD = """\
# The scenario document

<!-- Written by tools/scenario_reference.py from the models in seedcorn.wire.scenario: change those. -->

What you have, what it must serve and train, and how to plan it: YAML or JSON, UTF-8. `seedcorn schema
scenario` prints its JSON Schema, for editors that complete and check while you type.

- **Unknown keys are refused**, with the nearest known one. Every mistake is reported at once, each with
  `file:line:column`, its path and what would work; then seedcorn exits 2.
- **Quantities are text with a unit** (`"80 ms"`, `"400 Gb/s"`, `"120 d"`), or plain numbers whose key names
  what they count (`rate_per_s`, `chips`, `tokens`). A quantity without a unit is refused. `Gb/s` is bits,
  `GB/s` is bytes. Time is in ns, us, ms, s, min, h, d or w.
- **YAML is read as YAML 1.2**: `7e12` is a number; `on`, `yes` and `2026-11-24` are text. Anchors and
  aliases (`&slo`, `*slo`) work; tags and merge keys (`<<`) are refused, and so is a key given twice.
- **Files are looked up from the scenario's own folder**: a `trace`, `model` or `chip` that names an existing
  file is that file; anything else is a name in the catalogue.
- **Nothing is passed over in silence.** Defaults that stood in for keys left out are written in the plan. A
  key whose capability is still to come is checked, and a warning says that it was not used.
"""


def page() -> str:
    """The whole page: a table per part of the document, in the order of its keys."""
    body: dict[str, Any] = schema("scenario")
    not_used = [f"- `{key}`: {why}" for key, why in NOT_USED_YET.items()]
    return "\n".join(
        [HEAD, *_tables(body, "", body["$defs"]), "## Checked, and not used yet\n", *not_used, ""]
    )


def _tables(part: dict[str, Any], path: str, parts: dict[str, Any]) -> Iterator[str]:
    yield f"## `{path}`\n" if path else "## The document\n"
    yield f"{part['description']}\n"
    yield "| key | what to write | default | |\n|---|---|---|---|"
    required = part.get("required", ())
    for key, field in part["properties"].items():
        default = "**required**" if key in required else _default(field, parts)
        yield f"| `{key}` | {_form(field, parts)} | {default} | {field['description']} |"
    yield ""
    for key, field in part["properties"].items():
        inner, brackets = _inner(field, parts)
        if inner is not None:
            yield from _tables(inner, f"{path}.{key}{brackets}".removeprefix("."), parts)


def _given(field: dict[str, Any]) -> dict[str, Any]:
    """The field where it is not null."""
    found: dict[str, Any] = field["anyOf"][0] if "anyOf" in field else field
    return found


def _inner(field: dict[str, Any], parts: dict[str, Any]) -> tuple[dict[str, Any] | None, str]:
    """The part that a field holds, and ``[]`` if it holds a list of them."""
    given = _given(field)
    reference = given.get("$ref") or given.get("items", {}).get("$ref")
    inner = parts[reference.split("/")[-1]] if reference else {}
    return inner if "properties" in inner else None, "[]" if "items" in given else ""


def _form(field: dict[str, Any], parts: dict[str, Any]) -> str:
    given = _given(field)
    if "$ref" in given:
        given = parts[given["$ref"].split("/")[-1]]
    if "enum" in given:
        return ", ".join(f"`{choice}`" for choice in given["enum"])
    if "const" in given:
        return f"`{given['const']}`"
    if "examples" in given:
        return f'`"{given["examples"][0]}"`'
    return _form_of_type(given, parts)


_WORDS = {
    "integer": "whole number",
    "number": "number",
    "string": "text",
    "object": "mapping",
    "boolean": "`true`, `false`",
}
_SIGNS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
_BEYOND_REASON = 10**9
"""Upper bounds from here on only keep arithmetic safe."""


def _form_of_type(given: dict[str, Any], parts: dict[str, Any]) -> str:
    if given["type"] == "array":
        return f"list of {_form(given['items'], parts)}"
    if "patternProperties" in given:
        (value,) = given["patternProperties"].values()
        return f"mapping to {_form(value, parts)}"
    if given.get("format") == "date":
        return "`2026-11-24`"
    bounds = [f"{s} {given[k]:g}" for k, s in _SIGNS.items() if given.get(k, _BEYOND_REASON) < _BEYOND_REASON]
    return " ".join([_WORDS[given["type"]], ", ".join(bounds)]).strip()


def _default(field: dict[str, Any], parts: dict[str, Any]) -> str:
    if "x-absent" in field:
        return str(field["x-absent"])
    if "default" not in field and _inner(field, parts)[0] is not None:
        return "its own defaults"
    default = field.get("default")
    if default is None or default == []:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
