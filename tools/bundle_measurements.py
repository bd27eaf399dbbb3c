"""Bundle the published measurements whose licence allows it, each row with its source and licence.

    python tools/bundle_measurements.py

Reads ``../shared/data/measurements``, writes ``src/seedcorn/data/measurements``.
"""

import csv
import gzip
import io
import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from published import MEASUREMENTS
from seedcorn.study.accuracy.training_rows import source_of

BUNDLE = Path(__file__).parents[1] / "src" / "seedcorn" / "data" / "measurements"

OPEN = re.compile(r"(Apache-2\.0|BSD-3-Clause|MIT)\b")
"""Licences that allow redistribution; "facts only" and "none stated" are none."""

TRAINING_LICENCES = {
    "FlagOpen/FlagPerf": "Apache-2.0",
    "InternLM/InternEvo": "Apache-2.0",
    "NVIDIA-NeMo/Megatron-Bridge": "Apache-2.0",
    "NVIDIA/Megatron-LM": "BSD-3-Clause",
    "mlcommons/training_results": "Apache-2.0 (MLCommons)",
    "mosaicml/llm-foundry": "Apache-2.0",
}
"""Licence of the repositories that ``training.csv`` quotes; it has no such column. Papers and mirrors have none."""


def serving() -> tuple[list[dict[str, str]], Counter[str]]:
    """Rows of ``inference.csv`` to bundle, and how many of which source stay out."""
    return _split(_rows("inference.csv"))


def training() -> tuple[list[dict[str, str]], Counter[str]]:
    """Rows of ``training.csv`` to bundle, with a column ``licence``, and how many of which source stay out."""
    rows = _rows("training.csv")
    return _split(
        [row | {"licence": TRAINING_LICENCES.get(source_of(row["source"]), "none stated")} for row in rows]
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (MEASUREMENTS / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _split(rows: Iterable[dict[str, str]]) -> tuple[list[dict[str, str]], Counter[str]]:
    kept, left_out = [], Counter[str]()
    for row in rows:
        if OPEN.match(row["licence"]):
            kept.append(row)
        else:
            left_out[_origin(row["source"])] += 1
    return kept, left_out


def _origin(source: str) -> str:
    """A repository, a package or a paper, without its release and file."""
    repository = re.match(r"(?:github |https://github\.com/)?([\w.-]+/[\w.-]+)", source)
    if repository:
        return repository[1]
    return re.split(r" \d+\.\d+\.\d| \(| Fig | Table | README | abstract", source)[0]


def write_csv(name: str, rows: Sequence[Mapping[str, str]]) -> None:
    """Rows as a compressed table; the same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, rows[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    (BUNDLE / name).write_bytes(gzip.compress(text.getvalue().encode(), 9, mtime=0))


def write_runs() -> None:
    """The vLLM runs, a line per request."""
    for folder in sorted((MEASUREMENTS / "vllm_runs").iterdir()):
        (BUNDLE / "vllm_runs" / folder.name).mkdir(parents=True, exist_ok=True)
        for name in ("meta.json", "requests.jsonl"):
            (BUNDLE / "vllm_runs" / folder.name / name).write_bytes((folder / name).read_bytes())


def main() -> None:
    """Write the bundle; print what stays out."""
    kept: Counter[tuple[str, str, str]] = Counter()
    left: list[dict[str, object]] = []
    for name, (rows, left_out) in {"inference": serving(), "training": training()}.items():
        write_csv(f"{name}.csv.gz", rows)
        kept.update((name, _origin(row["source"]), row["licence"]) for row in rows)
        left += [{"of": name, "source": source, "rows": count} for source, count in sorted(left_out.items())]
    write_runs()
    sources = [
        {"of": of, "source": source, "licence": licence, "rows": count}
        for (of, source, licence), count in sorted(kept.items())
    ]
    text = json.dumps({"bundled": sources, "not_bundled": left}, indent=1)
    (BUNDLE / "sources.json").write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
