"""The text layer through its one public door, `read_document`: data as YAML 1.2 means it, exact places."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict

from seedcorn.errors import InputError
from seedcorn.wire import Located, read_document, read_scenario
from tests.wire.documents import SCENARIO, written


class Anything(BaseModel):
    """A document with no rules, to look at what was read."""

    model_config = ConfigDict(extra="allow")


def read(folder: Path, text: str, name: str = "any.yaml") -> Located[Anything]:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return read_document(path, Anything, kind="any")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7e12", 7e12),
        ("389e9", 389e9),
        ("1.5E-3", 1.5e-3),
        (".5", 0.5),
        ("5.", 5.0),
        ("-0", 0),
        ("012", 12),
        ("0o17", 15),
        ("0xff", 255),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-11-24", "2026-11-24"),
        ("yes", "yes"),
        ("on", "on"),
        ("True", True),
        ("false", False),
        ("~", None),
        ("", None),
        ("-.inf", float("-inf")),
        ("'7e12'", "7e12"),
        ('"null"', "null"),
        ("1.2.3", "1.2.3"),
        ("e5", "e5"),
    ],
)
def test_plain_texts_mean_what_yaml_1_2_says(tmp_path, text, value):
    data = read(tmp_path, f"on: {text}\n").data

    assert data == {"on": value}
    assert isinstance(data, dict) and type(data["on"]) is type(value)


def test_an_alias_repeats_the_value_it_names(tmp_path):
    data = read(tmp_path, "a: &slo {ttft_p99: 3 s}\nb: *slo\n").data

    assert data == {"a": {"ttft_p99": "3 s"}, "b": {"ttft_p99": "3 s"}}


def test_aliases_of_aliases_do_not_multiply(tmp_path):
    levels = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [{', '.join(9 * [f'*a{i - 1}'])}]" for i in range(1, 40)]

    read(tmp_path, "\n".join(levels))  # 9**39 items if each were built anew


def test_a_byte_order_mark_and_windows_line_ends_are_fine(tmp_path):
    located = read(tmp_path, "\ufeffa: 1\r\nb:\r\n  - 2\r\n")

    assert located.data == {"a": 1, "b": [2]}
    assert located.where("b", 0).endswith(":3:5")


def test_json_with_tabs_has_places_and_finds_keys_given_twice(tmp_path):
    text = '{\n\t"a": {"b": [10, {"c": "x, }"}]},\n\t"d": 1\n}'

    located = read(tmp_path, text, "any.json")

    assert located.where("a", "b", 1, "c").endswith(":2:24")
    assert located.where("d").endswith(":3:7")
    with pytest.raises(InputError, match=r"any\.json:3:2: key 'a' is given twice: first at 2:2"):
        read(tmp_path, text.replace('"d"', '"a"'), "any.json")


def test_broken_json_is_refused_at_its_place(tmp_path):
    with pytest.raises(InputError, match=r"any\.json:2:1: not JSON: Expecting ',' delimiter"):
        read(tmp_path, '{"a": 1\n"b": 2}', "any.json")


texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x2FF, exclude_categories=("Cc", "Cs")), max_size=8
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**12)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
trees = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
mappings = st.dictionaries(texts, trees, max_size=4)


def paths(value: object, prefix: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield prefix
    members = (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    )
    for step, inner in members:
        yield from paths(inner, (*prefix, step))


@settings(max_examples=60, deadline=None)
@given(data=mappings, indent=st.sampled_from([None, 1, 3]))
def test_json_read_as_json_and_as_yaml_agree_on_data_and_places(tmp_path_factory, data, indent):
    """Two readers that share no code: the JSON walker, and events of the YAML parser."""
    folder = tmp_path_factory.mktemp("texts")
    text = json.dumps(data, indent=indent, ensure_ascii=False)

    as_json = read(folder, "\n" + text, "any.json")
    as_yaml = read(folder, "#\n" + text, "any.yaml")

    assert as_json.data == as_yaml.data == data
    for path in paths(data):
        assert as_json.where(*path).split(":")[1:] == as_yaml.where(*path).split(":")[1:], path


def an_outcome_of_reading(path: Path) -> None:
    """Read, and use all that a document offers: an `InputError` that names the file is the only way out."""
    try:
        located = read_scenario(path)
    except InputError as error:
        assert str(path) in str(error)
        return
    scenario = located.document
    assert scenario.defaults_used().keys().isdisjoint(dict(scenario.not_used_yet()))
    assert all(service.objectives.objectives for service in scenario.services)
    assert len(located.sha256) == 64


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_change_of_a_text_escapes_as_anything_but_an_input_error(tmp_path_factory, data):
    signs = [
        *"{}[]:,-#&*!|>'\"%@`?~\t\n \x00\u2028é",
        "<<: ",
        "- ",
        ": ",
        "\n  ",
        "1e999",
        "&a ",
        "*a",
        "---\n",
        "!!x ",
    ]
    text = SCENARIO
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(text)))
        piece = data.draw(st.sampled_from(signs) | st.text(max_size=3))
        text = text[:at] + piece + text[at + data.draw(st.integers(0, 12)) :]

    an_outcome_of_reading(written(tmp_path_factory.mktemp("texts"), text.encode("utf-8", "replace").decode()))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_no_change_of_a_value_escapes_as_anything_but_an_input_error(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("texts")
    tree = read(folder, SCENARIO).data
    for _ in range(data.draw(st.integers(1, 2))):
        *steps, last = data.draw(st.sampled_from([path for path in paths(tree) if path]))
        parent: Any = tree
        for step in steps:
            parent = parent[step]
        parent[last] = data.draw(
            trees
            | st.sampled_from(
                ["", "0 s", "1e400 s", "1e99999999999999999999 s", -1, 0, 10**400, 1e308, [], {}, None]
            )
        )

    an_outcome_of_reading(written(folder, json.dumps(tree)))
