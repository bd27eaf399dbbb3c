"""A small mixed fleet: seconds to plan, every joint real."""

from collections.abc import Mapping
from pathlib import Path

from ruamel.yaml import YAML

POOLS = [
    {"name": "h800", "chip": "H800", "chips": 64, "chips_per_node": 8, "network": "400 Gb/s", "spare": 2},
    {"name": "h20", "chip": "H20", "chips": 64, "chips_per_node": 8, "network": "400 Gb/s"},
    {"name": "l20", "chip": "L20", "chips": 32, "chips_per_node": 8, "network": "50 Gb/s"},
]
CHAT = {
    "name": "chat",
    "model": "Qwen/Qwen2.5-7B-Instruct",
    "dtypes": ["fp8", "bf16"],
    "traffic": {"trace": "azure-conv", "rate_per_s": 4},
    "slo": {"ttft_p99": "3 s", "tpot_p99": "100 ms"},
    "today": {"pool": "h800"},
}
TRAINING = {
    "name": "next",
    "params": 7e9,
    "tokens": 1e11,
    "pools": ["h800"],
    "chips": {"min": 16, "max": 64},
}


def a_scenario_file(folder: Path, **changes: object) -> Path:
    """Write a scenario into ``folder``; ``changes`` replace its top-level keys."""
    document: Mapping[str, object] = {
        "seedcorn": 1,
        "name": "small",
        "fleet": {"pools": POOLS},
        "services": [CHAT],
        "training": [TRAINING],
        **changes,
    }
    path = folder / "scenario.yaml"
    with path.open("w", encoding="utf-8") as file:
        YAML(typ="safe").dump(dict(document), file)
    return path
