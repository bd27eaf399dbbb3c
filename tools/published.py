"""Where the published measurements lie, and the serving results among them that are evidence."""

import csv
from collections import Counter
from pathlib import Path

from seedcorn.study.accuracy.serving_rows import Case, read_cases, vllm_runs

MEASUREMENTS = Path(__file__).parents[2] / "shared" / "data" / "measurements"


def vetted() -> tuple[list[Case], Counter[str]]:
    """Every usable row of ``inference.csv``, and how many were refused for which reason."""
    with (MEASUREMENTS / "inference.csv").open(encoding="utf-8") as file:
        return read_cases(csv.DictReader(file))


def runs() -> list[Case]:
    """The two vLLM runs that are known request by request."""
    return list(vllm_runs(MEASUREMENTS / "vllm_runs").values())
