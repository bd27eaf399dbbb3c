"""Write docs/reference/scenario.md, plan.md and market.md from the schemas of the documents.

Run as ``python tools/document_reference.py`` after a change to the models; a test keeps the pages in step.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

from seedcorn.wire import schema
from seedcorn.wire.scenario import NOT_USED_YET

PAGES = Path(__file__).parents[1] / "docs" / "reference"

SCENARIO_HEAD = """\
# The scenario document

<!-- Written by tools/document_reference.py from the models in seedcorn.wire: change those. -->

What you have, what it must serve and train, and how to plan it: YAML or JSON, UTF-8. `seedcorn schema
scenario` prints its JSON Schema, for editors that complete and check while you type. The least that plans:

```yaml
seedcorn: 1
name: small
fleet:
  pools:
    - {name: h800, chip: H800, chips: 64, chips_per_node: 8}
    - {name: h20, chip: H20, chips: 128, chips_per_node: 8}
services:
  - name: chat
    model: Qwen/Qwen3-32B
    traffic: {trace: azure-conv}
    slo: {ttft_p99: "3 s", tpot_p99: "80 ms"}
    today: {pool: h800}
```

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

PLAN_HEAD = """\
# The plan document

<!-- Written by tools/document_reference.py from the models in seedcorn.wire: change those. -->

`seedcorn plan SCENARIO --out plan.json` writes it; `explain` and `replay` read it. `seedcorn schema plan`
prints its JSON Schema.

- **It stands alone.** The scenario is inside, as it was written, with a hash over all that its names led to.
  Files that the scenario names are looked up from `inputs.scenario_path`, which is relative to the plan's
  folder, so plan and scenario can move together.
- **The same plan is the same bytes.** Keys and lists have a fixed order, numbers have nine significant digits
  (far finer than a replay resolves, far coarser than the noise of summation order), one value stands on a
  line: `diff` shows what changed. `null` stands for a bound or gap that is unknown, and for a latency that no
  request had.
- **It is whole or not there.** It is written under another name, synced, then renamed.
- **It is checked when read**: a plan that was edited into contradicting itself (chips that are not replicas
  × tp × pp, an offer that does not exist) is refused at its line.
- Every offer is written once per service, under a name such as `h20/fp8/tp2`; deployments and alternatives
  refer to it.

`seedcorn replay plan.json --json` prints an *outcome* document (`seedcorn schema outcome`): `slos_held`, and
for each service its objectives and the same `outcome` as below.
"""

MARKET_HEAD = """\
# The market document

<!-- Written by tools/document_reference.py from the models in seedcorn.wire: change those. -->

Chips, services with capacities that you measured yourself, jobs, and what may be sold: JSON or YAML. `seedcorn
solve MARKET` clears it; [the fleet is a market](../explanation/market.md) explains how. `seedcorn schema market`
prints its JSON Schema. The least that clears:

```yaml
seedcorn: 1
kind: market
pools:
  - {name: h800, chips: 16, price: 1.0}
  - {name: h20, chips: 40, price: 0.2}
services:
  - name: chat
    demand: {short: 80.0, long: 12.5}
    offers:
      - {name: h20-tp1, pool: h20, chips: 1, capacity: {short: 6.1, long: 0.9}}
      - {name: h800-tp2, pool: h800, chips: 2, capacity: {short: 40.0, long: 6.0}}
```

Prices, values, costs, and weight · progress are in one unit of your choice, per hour. The least document has one
slot and moves that cost nothing; the rest of this page is what you may add. A day of three slots, with some of everything:

```yaml
seedcorn: 1
kind: market
slots: 3
max_moves: 40
pools:
  - {name: h800, chips: 16, price: 1.0}
  - {name: h20, chips: 40, price: 0.2}
services:
  - name: chat
    demand: {short: [20.0, 80.0, 50.0], long: 12.5}   # a number is the load of every slot
    offers:
      - {name: h20-tp1, pool: h20, chips: 1, capacity: {short: 6.1, long: 0.9}, today: 12, move_cost: 0.05}
jobs:
  - name: next-gen          # a gang: the same chips in every slot
    required: true
    work: 900               # hours of progress 1
    deadline_hours: 110     # so progress below 8.2 is no option
    options: [{pool: h800, chips: 8, progress: 7.5}, {pool: h800, chips: 16, progress: 14.0}]
  - name: batch             # breathes with the load
    elastic: true
    options: [{pool: h20, chips: 8, progress: 3.0}, {pool: h20, chips: 16, progress: 6.0}]
resale:
  - {name: cloud, pool: h20, chips: 6, value: 0.3}               # as many in every slot
  - {name: spot, pool: h20, chips: 16, value: 0.25, kind: spot}  # slot by slot
```

- **The objective is per hour, the mean of the slots.** A one-off cost has no place in it as it stands: `move_cost` is
  what a start costs, divided by the hours that the answer is to stand.
- **Moves are counted against `today` in every slot by itself**: a replica started for two slots is paid in two, and
  `max_moves` bounds each slot. Switching from one slot to the next costs nothing.
- **Resale displaces nothing unless it pays more.** Services are always served, required jobs run; a chip is sold where
  its value is above its price and above what any other job or product makes of it.
- **An elastic job chooses anew in every slot**; with `required` it must run in each. It cannot have a deadline.
- **A required job with no option in time** makes the market infeasible: the answer says when it would finish, and what
  would save it. One that is not required waits.
- **`objective: max-min`** is a market of its own, of `pools` and `jobs` alone: each job may split its time among its
  options, and the least progress/weight of any job is maximised. `weight` is then what the job is
  entitled to. It is one level: what the other jobs get beyond it is not shared out further.

## The answer

`seedcorn solve MARKET --json` prints it: `status`, `objective`, `bound`, `gap`, then `deployments`, `jobs`, `pools`
and `shortages`. Where a market has more than one slot, each entry has its `slot`, counted from 0, `null` for
what is the same in all of them. `started` stands at deployments where `today`, `move_cost` or `max_moves` is given,
`resale` where something may be sold, and `share` (of the time) at jobs under `max-min`.

`shadow_price` is what one more chip in that slot would add per hour of the slot; one more chip all day adds the
mean over the pool's slots.
"""


def pages() -> dict[str, str]:
    """Each page by its file name: its head, then a table per part of the document, in the order of its keys."""
    not_used = [f"- `{key}`: {why}" for key, why in NOT_USED_YET.items()]
    return {
        "scenario.md": "\n".join(
            [SCENARIO_HEAD, *_document("scenario"), "## Checked, and not used yet\n", *not_used, ""]
        ),
        "plan.md": "\n".join([PLAN_HEAD, *_document("plan")]),
        "market.md": "\n".join([MARKET_HEAD, *_document("market")]),
    }


Schema: TypeAlias = dict[str, Any]


def _document(kind: str) -> Iterator[str]:
    """A table for each part; a part that stands in several places has one table that names them all."""
    body: Schema = schema(kind)
    places: dict[str, list[str]] = {}
    _find_parts(body, "", body["$defs"], places)
    yield from _table(body, "The document", body["$defs"])
    for name, paths in places.items():
        yield from _table(body["$defs"][name], ", ".join(f"`{path}`" for path in paths), body["$defs"])


def _find_parts(part: Schema, path: str, parts: Schema, places: dict[str, list[str]]) -> None:
    """Add to ``places`` (part → paths) the parts inside ``part``, in document order."""
    for key, field in part["properties"].items():
        name, brackets = _part_of(field)
        if name in parts and "properties" in parts[name] and name != "ScenarioDocument":
            at = f"{path}.{key}{brackets}".removeprefix(".")
            places.setdefault(name, []).append(at)
            _find_parts(parts[name], at, parts, places)


def _table(part: Schema, title: str, parts: Schema) -> Iterator[str]:
    required = part.get("required", ())
    with_defaults = set(part["properties"]) > set(required)
    yield f"## {title}\n"
    yield f"{part['description']}\n"
    yield "| key | | default | |\n|---|---|---|---|" if with_defaults else "| key | | |\n|---|---|---|"
    for key, field in part["properties"].items():
        default = "**required**" if key in required else _default(field)
        cells = [f"`{key}`", _form(field, parts), *([default] if with_defaults else []), field["description"]]
        yield f"| {' | '.join(cells)} |"
    yield ""


def _given(field: Schema) -> Schema:
    """The field where it is not null."""
    return _given(field["anyOf"][0]) if "anyOf" in field else field


def _part_of(field: Schema) -> tuple[str, str]:
    """The name of the part that a field refers to (empty if none), and ``[]`` if it holds a list of them."""
    given = _given(field)
    reference: str = given.get("$ref") or given.get("items", {}).get("$ref", "")
    return reference.split("/")[-1], "[]" if "items" in given else ""


def _form(field: Schema, parts: Schema) -> str:
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


def _form_of_type(given: Schema, parts: Schema) -> str:
    if given["type"] == "array":
        return f"list of {_form(given['items'], parts)}"
    if "patternProperties" in given:
        (value,) = given["patternProperties"].values()
        return f"mapping to {_form(value, parts)}"
    if given.get("format") == "date":
        return "`2026-11-24`"
    bounds = [f"{s} {given[k]:g}" for k, s in _SIGNS.items() if given.get(k, _BEYOND_REASON) < _BEYOND_REASON]
    return " ".join([_WORDS[given["type"]], ", ".join(bounds)]).strip()


def _default(field: Schema) -> str:
    if "x-absent" in field:
        return str(field["x-absent"])
    if "default" not in field:
        return "its own defaults"
    default = field.get("default")
    if default is None or default == []:
        return "none"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


if __name__ == "__main__":
    for name, text in pages().items():
        (PAGES / name).write_text(text, encoding="utf-8")
