"""Rows that predictions are held against: the bundled ones, or a file of the user's own."""

import csv
import gzip
import json
from collections import Counter
from collections.abc import Collection, Mapping
from pathlib import Path

from seedcorn.domain.accuracy import Bundle
from seedcorn.errors import InputError
from seedcorn.study.accuracy.folds import MEASUREMENTS

Record = Mapping[str, str]

NEEDED = {
    "inference.csv": ("chip", "n_chips", "model", "input_len", "output_len", "concurrency_or_rate"),
    "training.csv": ("chip", "n_chips", "model", "params_total_b", "params_active_b"),
}
"""Columns without which no row can be predicted."""

MEASURED = {
    "inference.csv": ("ttft_ms", "tpot_ms", "output_tokens_per_s"),
    "training.csv": ("tok_s_per_chip", "tflops_per_chip", "mfu_pct"),
}
"""Columns of which one at least says what was measured."""

OTHERS = {
    "inference.csv": ("dtype", "engine", "source", "quality", "notes"),
    "training.csv": ("seq_len", "dtype", "mfu_peak_tflops", "parallelism", "source", "note"),
}
"""Columns that are empty where a file lacks them."""


def bundled(name: str) -> list[Record]:
    """Rows of ``inference.csv`` or ``training.csv`` whose licence allows to pass them on."""
    text = gzip.decompress((MEASUREMENTS / f"{name}.gz").read_bytes()).decode()
    return list(csv.DictReader(text.splitlines()))


def not_bundled(of: str) -> dict[str, int]:
    """Source → rows that stay out of the bundle, for want of a licence."""
    document = json.loads((MEASUREMENTS / "sources.json").read_text(encoding="utf-8"))
    return {entry["source"]: entry["rows"] for entry in document["not_bundled"] if entry["of"] == of}


def own_rows(path: Path, form: str) -> list[Record]:
    """Rows of a file of the user's own.

    Args:
        path: The file.
        form: ``inference.csv`` or ``training.csv``: whose columns it has.

    Raises:
        InputError: It cannot be read, or lacks columns.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            _check_columns(path, form, reader.fieldnames or ())
            empty = dict.fromkeys((*MEASURED[form], *OTHERS[form]), "")
            return [empty | row for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as a table: {error}") from None


def _check_columns(path: Path, form: str, columns: Collection[str]) -> None:
    missing = [column for column in NEEDED[form] if column not in columns]
    if missing:
        raise InputError(
            f"{path}: its first line names no column {', '.join(missing)}; needed are {', '.join(NEEDED[form])}, "
            f"one of {', '.join(MEASURED[form])}, and, where known, {', '.join(OTHERS[form])}"
        )
    if not any(column in columns for column in MEASURED[form]):
        raise InputError(f"{path}: nothing measured: give one column at least of {', '.join(MEASURED[form])}")


def bundle(used: int, refused: Counter[str], left_out: Mapping[str, int]) -> Bundle:
    """What became of the rows, the commonest reason first."""
    return Bundle(used=used, refused=dict(refused.most_common()), not_bundled=left_out)
