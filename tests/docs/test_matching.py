"""The checker of the docs' blocks must be able to fail."""

import importlib.util
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "console_blocks.py"
_spec = importlib.util.spec_from_file_location("console_blocks", TOOL)
assert _spec is not None and _spec.loader is not None
console_blocks = importlib.util.module_from_spec(_spec)
sys.modules["console_blocks"] = console_blocks
_spec.loader.exec_module(console_blocks)


@pytest.mark.parametrize(
    ("shown", "got", "expected"),
    [
        ("freed 771 of 979", "freed 771 of 979", True),
        ("freed 771 of 979", "freed  790 of 979", True),
        ("freed 771 of 979", "freed 900 of 979", False),
        ("freed 771 of 979", "freed 771 from 979", False),
        ("every SLO held\n…", "every SLO held\nand 3\nmore lines", True),
        ("…\n12 chips\n…", "a\n12 chips\nb", True),
        ("…\n12 chips\n…", "a\n44 chips\nb", False),
        ("[exit 1]", "[exit 2]", False),
        ("h20/fp8/tp1", "h20/fp8/tp2", False),
        ("on 2022-11-15", "on 2023-11-15", False),
        ("price 0.05", "price 0.95", False),
        ("gap 0.089 %", "gap 0.091 %", True),
        ("", "something", False),
        ("something", "", False),
    ],
)
def test_words_must_match_and_numbers_be_near(shown, got, expected):
    assert console_blocks.matches(shown, got) is expected
