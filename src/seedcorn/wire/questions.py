"""Tables of questions: a CSV row each, columns named as the options, read strictly and written back with answers."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seedcorn.errors import InputError

ERROR = "error"
"""Column that says why a row has no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Questions:
    """A table of questions: of each row the cells by column, as written."""

    columns: tuple[str, ...]
    rows: tuple[Mapping[str, str], ...]


def options_of(row: Mapping[str, str]) -> dict[str, str]:
    """A row by the options its columns stand for, less empty cells: ``max_num_seqs`` is ``max-num-seqs``."""
    return {option_of(column): cell for column, cell in row.items() if cell}


def option_of(column: str) -> str:
    """The option a column stands for."""
    return column.removeprefix("--").replace("_", "-")


def read_questions(path: Path) -> Questions:
    """The table at ``path``.

    Raises:
        InputError: Unreadable, not UTF-8, without a header, a column twice, or a row with more cells
            than columns.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8: save the table as UTF-8 text") from None
    reader = csv.reader(io.StringIO(text), strict=True)
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise InputError(f"not a CSV table: {error}", where=f"{path}:{reader.line_num}") from None
    if not lines:
        raise InputError(f"{path} is empty: the first line names the columns, as the options do")
    columns = tuple(cell.strip() for cell in lines[0][1])
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise InputError(f"column {twice!r} is given twice", where=f"{path}:1")
    rows = tuple(_row(f"{path}:{line}", columns, cells) for line, cells in lines[1:])
    return Questions(columns=columns, rows=rows)


def _row(where: str, columns: Sequence[str], cells: Sequence[str]) -> dict[str, str]:
    if len(cells) > len(columns):
        raise InputError(f"{len(cells)} cells in a table of {len(columns)} columns", where=where)
    return {c: cell.strip() for c, cell in zip(columns, cells, strict=False)}


def answered_csv(questions: Questions, answers: Sequence[Mapping[str, str]], columns: Sequence[str]) -> str:
    """The table with answers appended.

    Args:
        questions: As read; columns of theirs that are answers' are written anew.
        answers: One per row, by column; of :data:`ERROR` alone where there is none.
        columns: Of the answers, in order, without :data:`ERROR`.
    """
    appended = (*columns, ERROR)
    kept = [column for column in questions.columns if column not in appended]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow([*kept, *appended])
    for row, answer in zip(questions.rows, answers, strict=True):
        writer.writerow([*(row.get(c, "") for c in kept), *(answer.get(c, "") for c in appended)])
    return out.getvalue()
