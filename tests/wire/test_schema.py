import json
import re
import runpy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer import Typer
from typer.testing import CliRunner

from seedcorn import units
from seedcorn.cli import schema as schema_command
from seedcorn.errors import InputError, UnknownName
from seedcorn.wire import read_scenario, schema
from tests.wire.documents import SCENARIO, written

REPOSITORY = Path(__file__).parents[2]
KINDS = ("scenario", "plan", "market", "outcome")


def a_schema(kind: str) -> Any:
    return schema(kind)


def properties(node: Any, path: str = "$") -> Iterator[tuple[str, Any]]:
    """(path, schema) of every property anywhere in a schema."""
    if isinstance(node, dict):
        for name, inner in node.get("properties", {}).items():
            yield f"{path}.{name}", inner
        for key, inner in node.items():
            yield from properties(inner, f"{path}.{key}")


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_of_every_document_is_described_and_no_other_is_allowed(kind):
    body = a_schema(kind)

    assert [path for path, field in properties(body) if not field.get("description")] == []
    for document in [body, *body["$defs"].values()]:
        assert document["type"] == "string" or document["additionalProperties"] is False


def test_an_unknown_kind_lists_the_known_ones():
    with pytest.raises(UnknownName, match="unknown kind of document 'plam'; did you mean scenario, plan"):
        schema("plam")


def test_the_command_prints_the_schema_and_nothing_else():
    app = Typer()
    schema_command.register(app)

    result = CliRunner().invoke(app, ["scenario"])

    assert result.exit_code == 0
    assert json.loads(result.stdout) == schema("scenario")


@pytest.mark.parametrize(
    ("field", "read"),
    [
        (("PlanningDocument", "time_limit"), units.seconds),
        (("PoolDocument", "network"), units.bytes_per_s),
        (("ResaleDocument", "price"), units.money_per_chip_hour),
    ],
)
def test_the_pattern_of_a_quantity_takes_exactly_what_is_read(field, read):
    document, name = field
    found = a_schema("scenario")["$defs"][document]["properties"][name]
    pattern = (found["anyOf"][0] if "anyOf" in found else found)["pattern"]
    prefixes = ("", "k", "K", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "m", "µ", "u", "n")
    stems = ("s", "min", "h", "d", "w", "B/s", "b/s", "bit/s", "B", "USD/chip-hour", "usd/chip-hour", "")
    numbers = ("3", "3.", "3.10", ".5", "1e3", "-2E-1", "e5", "3,1", "")

    for text in (f"{n}{gap}{p}{u}" for n in numbers for gap in ("", " ") for p in prefixes for u in stems):
        try:
            read(text)
            is_read = True
        except InputError:
            is_read = False
        assert (re.search(pattern, text) is not None) == is_read, text


@pytest.mark.parametrize("name", ["slo", "deadline", "network", "price", "time_limit", "notice"])
def test_quantities_are_text_in_the_schema_as_in_the_file(name):
    fields = [field for path, field in properties(schema("scenario")) if path.endswith(f".{name}")]
    texts = [json.dumps(field) for field in fields]

    assert any('"examples"' in text and '"pattern"' in text for text in texts)


def test_the_defaults_in_the_schema_are_valid_in_a_file(tmp_path):
    planning = a_schema("scenario")["$defs"]["PlanningDocument"]["properties"]
    defaults = {
        name: field["default"] for name, field in planning.items() if field.get("default") is not None
    }

    text = SCENARIO[: SCENARIO.index("planning:")] + f"planning: {json.dumps(defaults)}\n"

    assert (
        read_scenario(written(tmp_path, text))
        .document.defaults_used()
        .keys()
        .isdisjoint(f"planning.{name}" for name in defaults)
    )


def the_pages() -> dict[str, str]:
    tool = runpy.run_path(str(REPOSITORY / "tools" / "document_reference.py"))
    found: dict[str, str] = tool["pages"]()
    return found


def test_the_reference_pages_are_in_step_with_the_models():
    for name, text in the_pages().items():
        assert (REPOSITORY / "docs" / "reference" / name).read_text(encoding="utf-8") == text


def test_the_least_scenario_of_the_reference_page_is_valid(tmp_path):
    _, text, *_ = the_pages()["scenario.md"].replace("```yaml", "```").split("```")

    assert read_scenario(written(tmp_path, text)).document.services[0].name == "chat"
