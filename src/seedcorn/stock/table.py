"""Tables that people keep: CSV, xlsx and JSON files read into lines whose every cell knows its place."""

import csv
import json
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from seedcorn.errors import InputError, InvalidDocument, UnknownName

if TYPE_CHECKING:
    from openpyxl import Workbook
    from openpyxl.worksheet.worksheet import Worksheet

Cell = str | int | float | bool | date | datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row under its header.

    Attributes:
        cells: Column → value; empty cells are left out, text is stripped.
        where: Column → ``file:row:column``; "" → ``file:row``.
    """

    cells: Mapping[str, Cell]
    where: Mapping[str, str]


def read_table(
    path: Path, *, columns: Sequence[str], needed: Sequence[str], sheet: str | None = None
) -> tuple[Line, ...]:
    """The lines of a file, blank ones left out.

    Args:
        path: ``.csv`` with commas, ``.xlsx``, or ``.json``: a list of objects.
        columns: Names that the header may have; case does not matter.
        needed: Those that it must have; a JSON file has no header.
        sheet: Which sheet of an xlsx file; ``None``: the only one.

    Raises:
        InputError: No such file or sheet, not such a table, merged cells, an unknown or missing column.
    """
    suffix = path.suffix.lower()
    if suffix != ".xlsx" and sheet is not None:
        raise InputError(f"only xlsx files have sheets, got sheet {sheet!r}", where=str(path))
    try:
        match suffix:
            case ".csv":
                grid = list(_csv_grid(path))
            case ".xlsx":
                grid = list(_xlsx_grid(path, sheet))
            case ".json":
                return _json_lines(path, columns)
            case _:
                raise InputError("expected a file .csv, .xlsx or .json", where=str(path))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    return _lines(path, grid, columns, needed)


Grid = Iterable[tuple[int, Sequence[Cell]]]
"""Row number, counted from 1, and its cells."""


def _csv_grid(path: Path) -> Iterator[tuple[int, Sequence[Cell]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, strict=True)
        first = 1
        try:
            for row in rows:
                yield first, row
                first = rows.line_num + 1  # a quoted cell may span lines
        except UnicodeDecodeError:
            raise InputError("is not UTF-8: save it as 'CSV UTF-8'", where=f"{path}:{first}") from None
        except csv.Error as error:
            raise InputError(f"is not CSV: {error}", where=f"{path}:{first}") from None


def _xlsx_grid(path: Path, sheet: str | None) -> Iterator[tuple[int, Sequence[Cell]]]:
    with_results, with_formulas = _workbooks(path)
    shown = _sheet_of(path, with_results.worksheets, sheet)
    problems = sorted(_xlsx_problems(path, shown, with_formulas[shown.title]))
    if problems:
        raise InvalidDocument(str(path), problems)
    yield from enumerate(shown.iter_rows(values_only=True), start=1)


def _workbooks(path: Path) -> tuple["Workbook", "Workbook"]:
    """The workbook with the results that its formulas were saved with, and with the formulas."""
    from openpyxl import load_workbook

    try:
        with warnings.catch_warnings(action="ignore"):  # it warns of formatting that it does not keep
            return load_workbook(path, data_only=True), load_workbook(path)
    except OSError:
        raise
    except Exception as error:  # of a damaged file it raises whatever its parsers of zip and XML do
        raise InputError(f"is no xlsx workbook, or a damaged one: {error}", where=str(path)) from error


def _xlsx_problems(path: Path, shown: "Worksheet", written: "Worksheet") -> Iterator[tuple[str, str]]:
    """What hides the value of a cell; ``shown`` has results where ``written`` has formulas."""
    for merged in shown.merged_cells.ranges:
        yield f"{path}:{merged.min_row}:{merged.min_col}", f"cells {merged.coord} are merged: unmerge them"
    for shown_row, written_row in zip(shown.iter_rows(), written.iter_rows(), strict=True):
        for cell, source in zip(shown_row, written_row, strict=True):
            where = f"{path}:{source.row}:{source.column}"
            if cell.data_type == "e":
                yield where, f"the cell is in error: {cell.value}"
            elif source.data_type == "f" and cell.value is None:
                yield where, "the formula has no saved result: open the workbook and save it"


def _sheet_of(path: Path, sheets: Sequence["Worksheet"], name: str | None) -> "Worksheet":
    titles = [sheet.title for sheet in sheets]
    if name is None and len(sheets) != 1:
        raise InputError(f"has the sheets {', '.join(titles)}: name one with --sheet", where=str(path))
    if name is not None and name not in titles:
        raise UnknownName("sheet", name, titles, where=str(path))
    return sheets[0 if name is None else titles.index(name)]


def _json_lines(path: Path, columns: Sequence[str]) -> tuple[Line, ...]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise InputError(f"is not JSON: {error.msg}", where=f"{path}:{error.lineno}:{error.colno}") from None
    except UnicodeDecodeError:
        raise InputError("is not UTF-8", where=str(path)) from None
    if not isinstance(document, list) or not all(isinstance(one, dict) for one in document):
        raise InputError("expected a list of objects", where=str(path))
    lines = []
    for number, one in enumerate(document):
        place = f"{path}:[{number}]"
        for name in one:
            _refuse_unknown(name, columns, f"{place}.{name}")
        where = {name: f"{place}.{name}" for name in columns} | {"": place}
        lines.append(Line(cells=_filled(one.items()), where=where))
    return tuple(lines)


def _lines(path: Path, grid: Grid, columns: Sequence[str], needed: Sequence[str]) -> tuple[Line, ...]:
    rows = iter(grid)
    _, first = next(rows, (1, ()))
    header = [str(name).strip().casefold() if name is not None else "" for name in first]
    _check_header(path, header, columns, needed)
    lines = []
    for number, values in rows:
        cells = _filled(zip(header, values, strict=False))
        for column, value in enumerate(values[len(header) :], start=len(header) + 1):
            if value not in (None, ""):
                raise InputError(f"{value!r} is under no column", where=f"{path}:{number}:{column}")
        if cells:
            where = {name: f"{path}:{number}:{column}" for column, name in enumerate(header, start=1)}
            lines.append(Line(cells=cells, where=where | {"": f"{path}:{number}"}))
    return tuple(lines)


def _check_header(path: Path, header: Sequence[str], columns: Sequence[str], needed: Sequence[str]) -> None:
    missing = [name for name in needed if name not in header]
    if missing:
        semicolons = "; separate columns with commas" if len(header) == 1 and ";" in header[0] else ""
        raise InputError(
            f"the first row has no column {', '.join(missing)}, it has {', '.join(filter(None, header)) or 'nothing'}: "
            f"is this the right file and sheet?{semicolons}",
            where=f"{path}:1",
        )
    for column, name in enumerate(header, start=1):
        where = f"{path}:1:{column}"
        if name:
            _refuse_unknown(name, columns, where)
        if name and name in header[: column - 1]:
            raise InputError(f"there are two columns {name!r}", where=where)


def _refuse_unknown(name: str, columns: Sequence[str], where: str) -> None:
    if name not in columns:
        near = get_close_matches(name, columns) or columns
        raise UnknownName("column", name, near, where=where)


def _filled(cells: Iterable[tuple[str, Cell]]) -> Mapping[str, Cell]:
    stripped = ((name, value.strip() if isinstance(value, str) else value) for name, value in cells)
    return {name: value for name, value in stripped if value not in (None, "")}
