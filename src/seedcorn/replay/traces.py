"""Read traces: the bundled ones, and files in the forms that others publish, known by their content."""

import difflib
import gzip
import io
import json
import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedcorn.domain.workload import Prompts, Trace
from seedcorn.errors import InputError, UnknownName


@dataclass(frozen=True, slots=True, kw_only=True)
class _Form:
    """A table of requests, and what its clock counts.

    Attributes:
        columns: Of arrival, prompt tokens and output tokens.
        clock: ``s``, ``ms``, or ``stamp`` for dates such as 2023-11-16 18:15:46.68.
        starts_anywhere: Whether arrivals are counted from the first.
    """

    columns: tuple[str, str, str]
    clock: str
    starts_anywhere: bool = True


_AZURE = _Form(columns=("TIMESTAMP", "ContextTokens", "GeneratedTokens"), clock="stamp")
_BURSTGPT = _Form(columns=("Timestamp", "Request tokens", "Response tokens"), clock="s")
_PLAIN = _Form(columns=("arrival_s", "input_tokens", "output_tokens"), clock="s", starts_anywhere=False)
_MOONCAKE = _Form(columns=("timestamp", "input_length", "output_length"), clock="ms")
_MOONCAKE_BLOCK_TOKENS = 512
"""Tokens that one of a request's ``hash_ids`` stands for (arXiv:2407.00079, section 4.1)."""
_VLLM = _Form(columns=("start_times", "input_lens", "output_lens"), clock="s")
_PRIORITY = "priority"  # a column that a plain table may have
_SECONDS = {"s": 1.0, "ms": 1e-3}
_TABLES = (_PLAIN, _AZURE, _BURSTGPT)
_FORMS = (
    f"a CSV or Parquet file with the columns {', '.join(_PLAIN.columns)}, {', '.join(_AZURE.columns)} (Azure) or "
    f"{', '.join(_BURSTGPT.columns)} in seconds (BurstGPT), JSON lines with {', '.join(_MOONCAKE.columns)} in ms "
    "(Mooncake), or the result of `vllm bench serve --save-result --save-detailed`"
)
_GZIP_MAGIC, _PARQUET_MAGIC = b"\x1f\x8b", b"PAR1"
_MOST_TOKENS = 2**31 - 1  # int32


def bundled_traces() -> tuple[str, ...]:
    """Names of the traces that come with seedcorn."""
    return tuple(_bundled_index())


def read_trace(source: str | Path) -> Trace:
    """The trace called ``source``: a bundled name, or a file, plain or gzipped; its content tells its form.

    Known are a plain table ``arrival_s,input_tokens,output_tokens`` (and ``priority``), Azure's
    ``TIMESTAMP,ContextTokens,GeneratedTokens`` and BurstGPT's ``Timestamp,Request tokens,Response tokens``
    (seconds), each as CSV or Parquet; Mooncake's JSON lines (``timestamp`` in ms, ``input_length``,
    ``output_length``); and the detailed result of ``vllm bench serve`` (``start_times`` in s,
    ``input_lens``, ``output_lens``). Arrivals of all but the first are counted from the first.

    Raises:
        UnknownName: Neither a bundled trace nor a file.
        InputError: Not a trace; says file, line, what was got and what would work.
    """
    entry = _bundled_index().get(str(source))
    if entry is not None:
        file = _bundled_folder() / entry["file"]
        about = f"{entry['title']}; {entry['attribution']}; {entry['licence']}; {entry['source']}"
        return _parsed(file.read_bytes(), name=str(source), where=entry["file"], source=about)
    path = Path(source)
    if not path.is_file():
        near = difflib.get_close_matches(str(source), bundled_traces(), n=3, cutoff=0.4)
        raise UnknownName("trace (neither a file nor bundled)", str(source), near or bundled_traces())
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the trace: {error.strerror}", where=str(path)) from error
    return _parsed(data, name=path.name.split(".")[0], where=str(path), source=str(path))


def _bundled_folder() -> Traversable:
    return files("seedcorn") / "data" / "traces"


def _bundled_index() -> dict[str, dict[str, str]]:
    """Name → file, title, source, attribution and licence."""
    return tomllib.loads((_bundled_folder() / "traces.toml").read_text(encoding="utf-8"))


def _parsed(data: bytes, *, name: str, where: str, source: str) -> Trace:
    """The trace in ``data``; ``where`` is what errors call the file."""
    if data[:2] == _GZIP_MAGIC:
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError) as error:
            raise InputError(f"damaged gzip file: {error}", where=where) from error
    if data.startswith(_PARQUET_MAGIC):
        return _trace(_from_parquet(data, where), name, where, source, first_line=1)
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not data:
        raise InputError(f"the file is empty; expected {_FORMS}", where=where)
    if data.lstrip()[:1] not in b"{[":
        return _trace(_from_csv(data, where), name, where, source, first_line=2)
    if f'"{_VLLM.columns[1]}"'.encode() in data:
        return _trace(_from_vllm(data, where), name, where, source, first_line=1)
    trace = _trace(_from_json_lines(data, where), name, where, source, first_line=1)
    return replace(trace, prompts=_prompts(data, trace, where))


def _trace(table: pl.DataFrame, name: str, where: str, source: str, *, first_line: int) -> Trace:
    """The requests of ``table``; errors name the line, the first row being ``first_line``."""
    form = next(form for form in (*_TABLES, _MOONCAKE, _VLLM) if set(form.columns) <= set(table.columns))
    if table.height == 0:
        raise InputError("the file has a header and no request", where=where)
    arrival, inputs, outputs = (table[column] for column in form.columns)
    if form.clock == "stamp":
        arrival_s = _stamps_s(arrival, where, first_line)
    else:
        arrival_s = _times(arrival, where, first_line, form.clock) * _SECONDS[form.clock]
    input_tokens, output_tokens = (_token_counts(column, where, first_line) for column in (inputs, outputs))
    priority = None
    if form is _PLAIN and _PRIORITY in table.columns:
        priority = _priorities(table[_PRIORITY], where, first_line)
    _check_sorted(arrival_s, where, first_line)
    return Trace(
        name=name,
        arrival_s=arrival_s - arrival_s[0] if form.starts_anywhere else arrival_s,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        priority=priority,
        source=source,
    )


def _from_parquet(data: bytes, where: str) -> pl.DataFrame:
    """The columns of one of the tables, as text."""
    try:
        table = pl.read_parquet(io.BytesIO(data))
    except pl.exceptions.PolarsError as error:
        raise InputError(f"damaged Parquet file: {error}", where=where) from error
    _check_columns(table.columns, where)
    columns = [_PRIORITY, *(column for form in _TABLES for column in form.columns)]
    return table.cast({column: pl.String for column in columns if column in table.columns})


def _check_columns(columns: list[str], where: str) -> None:
    if not any(set(form.columns) <= set(columns) for form in _TABLES):
        raise InputError(f"the columns are {','.join(columns)!r}; expected {_FORMS}", where=where)


def _from_vllm(data: bytes, where: str) -> pl.DataFrame:
    """One row a request, from the lists of a benchmark's result; its requests are listed as they were sent."""
    try:
        result = json.loads(data)
    except ValueError as error:
        raise InputError(f"not one JSON object: {error}", where=where) from error
    lists = [result.get(column) for column in _VLLM.columns]
    lengths = {len(each) if isinstance(each, list) else None for each in lists}
    if len(lengths) != 1 or None in lengths:
        raise InputError(
            f"expected {', '.join(_VLLM.columns)} to be lists of one length, as `vllm bench serve --save-result "
            "--save-detailed` writes them; without the start times there is no arrival to replay",
            where=where,
        )
    text = {column: list(map(str, each)) for column, each in zip(_VLLM.columns, lists, strict=True)}
    return pl.DataFrame(text, schema=dict.fromkeys(_VLLM.columns, pl.String))


def _from_csv(data: bytes, where: str) -> pl.DataFrame:
    """The file's cells as text, one row a line."""
    header = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    _check_columns(header, f"{where}:1")
    try:
        table = pl.read_csv(io.BytesIO(data), infer_schema=False)
    except pl.exceptions.PolarsError as error:
        for number, line in enumerate(data.split(b"\n"), start=1):
            if line.count(b",") >= len(header):
                got = line.decode("utf-8", "replace").strip()
                raise InputError(
                    f"{got!r} has more than the {len(header)} cells of the header", where=f"{where}:{number}"
                ) from error
        raise InputError(f"not a CSV file: {error}", where=where) from error
    return table


def _from_json_lines(data: bytes, where: str) -> pl.DataFrame:
    """Mooncake's three numeric columns."""
    schema = {"timestamp": pl.Float64, "input_length": pl.Int64, "output_length": pl.Int64}
    try:
        table = pl.read_ndjson(io.BytesIO(data), schema=schema)
    except pl.exceptions.PolarsError:
        table = None
    if table is None or table.height != data.count(b"\n") + 1 or sum(table.null_count().row(0)) > 0:
        raise _json_lines_error(data, where)
    return table.cast(pl.String)


def _prompts(data: bytes, trace: Trace, where: str) -> Prompts | None:
    """The block ids of every prompt, those of whole blocks; ``None`` where no request gives any."""
    table = pl.read_ndjson(io.BytesIO(data), schema={"hash_ids": pl.List(pl.Int64)})
    rows = table["hash_ids"]
    if rows.null_count() == rows.len():
        return None
    blocks = -(-trace.input_tokens // _MOONCAKE_BLOCK_TOKENS)
    given = rows.list.len().fill_null(0).to_numpy()
    blocks = np.where(rows.is_null().to_numpy(), 0, blocks)  # of a request that gives none, nothing is known
    wrong = given != blocks
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"{given[row]} hash_ids for {trace.input_tokens[row]:,} prompt tokens; expected {blocks[row]}, one for every "
            f"{_MOONCAKE_BLOCK_TOKENS} tokens",
            where=f"{where}:{row + 1}",
        )
    whole = np.minimum(trace.input_tokens // _MOONCAKE_BLOCK_TOKENS, blocks).astype(np.int64)
    place = np.arange(blocks.sum()) - np.repeat(np.cumsum(blocks) - blocks, blocks)
    ids = rows.explode().drop_nulls().to_numpy()[place < np.repeat(whole, blocks)]
    return Prompts(
        block_tokens=_MOONCAKE_BLOCK_TOKENS, first=np.concatenate(([0], np.cumsum(whole))), ids=ids
    )


def _json_lines_error(data: bytes, where: str) -> InputError:
    """The first line that is not an object with three numbers, found slowly."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        place = f"{where}:{number}"
        try:
            request = json.loads(line)
        except ValueError as error:
            return InputError(f"not a JSON object: {error}", where=place)
        if not isinstance(request, dict) or {"prompt", "conversations", "messages"} & request.keys():
            return InputError(
                f"prompts without arrivals or token counts are not a trace; expected {_FORMS}", where=place
            )
        for key in _MOONCAKE.columns:
            got = request.get(key)
            if isinstance(got, bool) or not isinstance(got, int if key != "timestamp" else (int, float)):
                return InputError(f"{key} is {got!r}; expected a number, {_FORMS}", where=place)
    return InputError(f"cannot be read as JSON lines; expected {_FORMS}", where=where)


def _stamps_s(column: pl.Series, where: str, first_line: int) -> NDArray[np.float64]:
    """(num_requests,) seconds since the first timestamp."""
    stamps = column.str.strip_chars().str.strip_suffix("+00:00")
    times = stamps.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False)
    _check_no_null(times, column, where, first_line, "a time such as 2023-11-16 18:15:46.68")
    since_ns = times.to_physical().to_numpy()
    return np.asarray((since_ns - since_ns[0]) / 1e9, dtype=np.float64)


def _times(column: pl.Series, where: str, first_line: int, unit: str) -> NDArray[np.float64]:
    """(num_requests,) numbers, 0 or more."""
    values = column.str.strip_chars().cast(pl.Float64, strict=False)
    values = values.set(~values.is_finite() | (values < 0), None)
    _check_no_null(values, column, where, first_line, f"a time in {unit} since the trace's start, 0 or more")
    return values.to_numpy().copy()


def _check_no_null(values: pl.Series, text: pl.Series, where: str, first_line: int, expected: str) -> None:
    """Refuse the first cell that could not be read."""
    if values.null_count() > 0:
        row = int(values.is_null().arg_max() or 0)
        raise InputError(
            f"{text.name} is {text[row] or ''!r}; expected {expected}", where=f"{where}:{row + first_line}"
        )


def _token_counts(column: pl.Series, where: str, first_line: int) -> NDArray[np.int32]:
    """(num_requests,) whole numbers ≥ 1."""
    values = column.str.strip_chars().cast(pl.Int64, strict=False)
    wrong = values.is_null() | (values < 1) | (values > _MOST_TOKENS)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        got = column[row] or ""
        raise InputError(
            f"{column.name} is {got!r}; expected a whole number of tokens, at least 1",
            where=f"{where}:{row + first_line}",
        )
    return values.to_numpy().astype(np.int32)


def _priorities(column: pl.Series, where: str, first_line: int) -> NDArray[np.int32]:
    """(num_requests,) whole numbers, least first."""
    values = column.str.strip_chars().cast(pl.Int32, strict=False)
    _check_no_null(values, column, where, first_line, "a whole number, the least served first")
    return values.to_numpy().copy()


def _check_sorted(arrival_s: NDArray[np.float64], where: str, first_line: int) -> None:
    """Refuse the first request that arrives before the one above it."""
    back = np.diff(arrival_s) < 0
    if back.any():
        row = int(np.argmax(back)) + 1
        raise InputError(
            f"the request arrives {arrival_s[row - 1] - arrival_s[row]:g} s before the one above it; "
            "sort the trace by time",
            where=f"{where}:{row + first_line}",
        )
