"""A valid scenario to break, and the ways to read one."""

from pathlib import Path

import pytest

from seedcorn.errors import InputError
from seedcorn.wire import Located, ScenarioDocument, read_scenario

SCENARIO = """\
seedcorn: 1
kind: scenario
name: two-pools

fleet:
  pools:
    - name: h800
      chip: nvidia-h800-sxm
      chips: 1752
      chips_per_node: 8
      network: "400 Gb/s"
      spare: 16
    - {name: h20, chip: nvidia-h20-96gb, chips: 2048, chips_per_node: 8}

services:
  - name: chat
    model: Qwen/Qwen3-32B
    dtypes: [fp8, bf16]
    traffic: {trace: azure-conv, rate_per_s: 240}
    slo: {ttft_p99: "3 s", tpot_p99: "80 ms"}
    today: {pool: h800}
    pools: [h800, h20]
  - name: code
    model: Qwen/Qwen3-32B
    traffic: {trace: azure-code}
    slo:
      ttft_p99: "2 s"

training:
  - name: next-generation
    params: 389e9
    active_params: 52e9
    tokens: 7e12
    chips: {min: 512, max: 1736}
    deadline: "120 d"

resale:
  - {name: spot, pool: h800, max_chips: 256, price: "3.10 USD/chip-hour", kind: spot, notice: "10 min"}

rules: {destination: CN, headquarters: CN, on: 2026-11-24}

planning:
  gap: 0.001
  time_limit: "60 s"
  seed: 0
"""


def changed(*changes: tuple[str, str]) -> str:
    """The scenario after replacing texts in it, each of which must be there."""
    text = SCENARIO
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    return text


def written(folder: Path, text: str) -> Path:
    path = folder / "scenario.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def place(text: str, part: str) -> str:
    """``line:column`` of where ``part`` first stands in ``text``."""
    before = text[: text.index(part)]
    return f"{before.count(chr(10)) + 1}:{len(before) - before.rfind(chr(10))}"


def read(folder: Path, *changes: tuple[str, str]) -> Located[ScenarioDocument]:
    return read_scenario(written(folder, changed(*changes)))


def refusal(folder: Path, text: str) -> str:
    """The whole message of the error that ``text`` gives, less the folder."""
    with pytest.raises(InputError) as caught:
        read_scenario(written(folder, text))
    assert caught.value.exit_code == 2
    return str(caught.value).replace(f"{folder}/", "")
