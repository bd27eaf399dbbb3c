"""The page shows what the command computes from the data that is bundled now."""

import importlib.util
from pathlib import Path

import pytest

TOOL = Path(__file__).parents[2] / "tools" / "accuracy_page.py"


@pytest.fixture
def accuracy_page():
    spec = importlib.util.spec_from_file_location("accuracy_page", TOOL)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_was_made_from_the_bundled_rows_and_refits(accuracy_page):
    page = accuracy_page.PAGE.read_text(encoding="utf-8")

    assert f"{accuracy_page.BEGIN} {accuracy_page.made_from()} -->" in page, "run tools/accuracy_page.py"
