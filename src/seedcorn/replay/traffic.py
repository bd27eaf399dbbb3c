"""Traces: read them, and set their rate without losing their bursts. Every random draw of the replay is here."""

import difflib
import gzip
import io
import json
import tomllib
from dataclasses import replace
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedcorn.domain.workload import Trace
from seedcorn.errors import InputError, UnknownName

_AZURE = ("TIMESTAMP", "ContextTokens", "GeneratedTokens")
_PLAIN = ("arrival_s", "input_tokens", "output_tokens")
_MOONCAKE = ("timestamp", "input_length", "output_length")
_FORMS = (
    f"a CSV with the columns {','.join(_AZURE)} (Azure) or {','.join(_PLAIN)}, "
    f"or JSON lines with {', '.join(_MOONCAKE)} in ms (Mooncake)"
)
_GZIP_MAGIC = b"\x1f\x8b"
_MOST_TOKENS = 2**31 - 1  # int32


def bundled_traces() -> tuple[str, ...]:
    """Names of the traces that come with seedcorn."""
    return tuple(_bundled_index())


def read_trace(source: str | Path) -> Trace:
    """The trace called ``source``: a bundled name, or a file, plain or gzipped; its content tells its form.

    Three forms are known: Azure's CSV ``TIMESTAMP,ContextTokens,GeneratedTokens``, Mooncake's JSON
    lines (``timestamp`` in ms, ``input_length``, ``output_length``) and a plain CSV
    ``arrival_s,input_tokens,output_tokens``. Arrivals of the first two are counted from the first.

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
    data = data.removeprefix(b"\xef\xbb\xbf").rstrip()
    if not data:
        raise InputError(f"the file is empty; expected {_FORMS}", where=where)
    if data.lstrip()[:1] == b"{":
        table, columns, first_line = _from_json_lines(data, where), _MOONCAKE, 1
        arrival_s = table["timestamp"].to_numpy() / 1e3
    else:
        table, first_line = _from_csv(data, where), 2
        columns = _AZURE if _AZURE[0] in table.columns else _PLAIN
        arrival_s = _azure_arrival_s(table, where) if columns is _AZURE else _seconds(table, where)
    counts = [_token_counts(table[column], where, first_line) for column in columns[1:]]
    _check_sorted(arrival_s, where, first_line)
    return Trace(
        name=name,
        arrival_s=arrival_s if columns is _PLAIN else arrival_s - arrival_s[0],
        input_tokens=counts[0],
        output_tokens=counts[1],
        source=source,
    )


def _from_csv(data: bytes, where: str) -> pl.DataFrame:
    """The file's cells as text, one row a line."""
    header = data.split(b"\n", 1)[0].decode("utf-8", "replace").strip().split(",")
    if not any(set(columns) <= set(header) for columns in (_AZURE, _PLAIN)):
        raise InputError(f"the columns are {','.join(header)!r}; expected {_FORMS}", where=f"{where}:1")
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
    if table.height == 0:
        raise InputError("the file has a header and no request", where=where)
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
    return table


def _json_lines_error(data: bytes, where: str) -> InputError:
    """The first line that is not an object with three numbers, found slowly."""
    for number, line in enumerate(data.split(b"\n"), start=1):
        place = f"{where}:{number}"
        try:
            request = json.loads(line)
        except ValueError as error:
            return InputError(f"not a JSON object: {error}", where=place)
        for key in _MOONCAKE:
            got = request.get(key) if isinstance(request, dict) else None
            if isinstance(got, bool) or not isinstance(got, int if key != "timestamp" else (int, float)):
                return InputError(f"{key} is {got!r}; expected a number, {_FORMS}", where=place)
    return InputError(f"cannot be read as JSON lines; expected {_FORMS}", where=where)


def _azure_arrival_s(table: pl.DataFrame, where: str) -> NDArray[np.float64]:
    """(num_requests,) seconds since the first timestamp."""
    stamps = table["TIMESTAMP"].str.strip_chars().str.strip_suffix("+00:00")
    times = stamps.str.to_datetime("%Y-%m-%d %H:%M:%S%.f", time_unit="ns", strict=False)
    _check_no_null(times, table["TIMESTAMP"], where, "a time such as 2023-11-16 18:15:46.68")
    since_ns = times.to_physical().to_numpy()
    return np.asarray((since_ns - since_ns[0]) / 1e9, dtype=np.float64)


def _seconds(table: pl.DataFrame, where: str) -> NDArray[np.float64]:
    """(num_requests,) the ``arrival_s`` column."""
    column = table["arrival_s"]
    values = column.str.strip_chars().cast(pl.Float64, strict=False)
    _check_no_null(values, column, where, "seconds since the trace's start, 0 or more")
    arrival_s = values.to_numpy().copy()
    wrong = ~np.isfinite(arrival_s) | (arrival_s < 0)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InputError(
            f"arrival_s is {column[row]!r}; expected seconds since the trace's start, 0 or more",
            where=f"{where}:{row + 2}",
        )
    return arrival_s


def _check_no_null(values: pl.Series, text: pl.Series, where: str, expected: str) -> None:
    """Refuse the first cell of a CSV that could not be read."""
    if values.null_count() > 0:
        row = int(values.is_null().arg_max() or 0)
        raise InputError(
            f"{text.name} is {text[row] or ''!r}; expected {expected}", where=f"{where}:{row + 2}"
        )


def _token_counts(column: pl.Series, where: str, first_line: int) -> NDArray[np.int32]:
    """(num_requests,) whole numbers ≥ 1."""
    values = column.str.strip_chars().cast(pl.Int64, strict=False) if column.dtype == pl.String else column
    wrong = values.is_null() | (values < 1) | (values > _MOST_TOKENS)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        got = column[row] if column[row] is not None else ""
        raise InputError(
            f"{column.name} is {got!r}; expected a whole number of tokens, at least 1",
            where=f"{where}:{row + first_line}",
        )
    return values.to_numpy().astype(np.int32)


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


_WINDOW_REQUESTS = 200  # per window of the rate curve: its counts are then known to about 7 % (1/√200)
_BLOCK_REQUESTS = 64  # in a row that stay together when a trace is reshuffled


def compressed(trace: Trace, rate_per_s: float) -> Trace:
    """``trace`` with its clock sped up or slowed down to a mean of ``rate_per_s``, nothing else changed.

    Keeps the requests, their order, the gaps' distribution relative to their mean (so their CV and
    autocorrelation, exactly) and the rate curve relative to the trace's length. Does not keep time
    scales: at half the rate a burst lasts twice as long.
    """
    speed = rate_per_s / _mean_rate_per_s(trace)
    return replace(trace, arrival_s=(trace.arrival_s - trace.arrival_s[0]) / speed)


def part(trace: Trace, picked: NDArray[np.int64] | NDArray[np.bool_]) -> Trace:
    """The ``picked`` requests of ``trace``, in that order, on the same clock."""
    return replace(
        trace,
        arrival_s=trace.arrival_s[picked],
        input_tokens=trace.input_tokens[picked],
        output_tokens=trace.output_tokens[picked],
    )


def scaled(trace: Trace, *, rate_per_s: float, seed: int, num_requests: int | None = None) -> Trace:
    """A trace like ``trace`` at a mean of ``rate_per_s``, as bursty and with the same rate curve.

    In operational time (arrivals counted along the smoothed cumulative rate curve) the mean gap is 1
    and what is left is burstiness. Runs of 64 requests, each with the gap before it and its lengths,
    are shuffled and repeated until there are enough, held to the mean over every 200 requests, and
    mapped back along the curve, raised or lowered to the new rate.

    Kept: the mean rate (exactly ``rate_per_s``), the rate curve over windows of about 200 requests of
    ``trace``, the distribution of gaps relative to the rate of the moment and their order within
    runs, the joint distribution of lengths. Not kept: which lengths come at which time of the trace,
    and correlation of gaps over more than 64 requests that the rate curve does not show.

    Args:
        trace: Two requests or more, over some time.
        rate_per_s: Mean from the first arrival to the last.
        seed: Same seed, same trace.
        num_requests: ``None``: as many as keep the trace's duration. Otherwise the rate curve is
            stretched or squeezed to the duration that so many requests take.
    """
    assert rate_per_s > 0
    span_s = (trace.num_requests - 1) / _mean_rate_per_s(trace)
    count = max(num_requests if num_requests is not None else round(rate_per_s * span_s) + 1, 2)
    curve_s, curve = _rate_curve(trace)
    operational = np.interp(trace.arrival_s, curve_s, curve)
    around = trace.num_requests - operational[-1] + operational[0]  # from the last request to the first
    gap_before = np.diff(operational, prepend=operational[0] - around)
    order = _shuffled_runs(trace.num_requests, count, np.random.default_rng(seed))
    position = np.cumsum(gap_before[order])
    anchors = np.unique(np.append(np.arange(0, count, _WINDOW_REQUESTS), count - 1))
    position = np.interp(position, position[anchors], anchors / (count - 1))  # no drift from the curve
    along = np.interp(position, curve / curve[-1], (curve_s - curve_s[0]) / (curve_s[-1] - curve_s[0]))
    return replace(part(trace, order), arrival_s=along * ((count - 1) / rate_per_s))


def _mean_rate_per_s(trace: Trace) -> float:
    """The trace's mean rate, if it has one."""
    if trace.mean_rate_per_s <= 0:
        raise InputError(
            f"trace {trace.name!r} has no rate to scale: it needs two requests or more that arrive at different times"
        )
    return trace.mean_rate_per_s


def _rate_curve(trace: Trace) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Edges of equal windows from the first arrival to the last, and requests up to each, strictly rising."""
    num_windows = max(trace.num_requests // _WINDOW_REQUESTS, 1)
    counts, edges_s = np.histogram(trace.arrival_s, bins=num_windows)
    quiet = 1e-6  # requests in an empty window, so that the curve can be inverted
    curve = np.concatenate(([0.0], np.cumsum(np.maximum(counts, quiet))))
    return edges_s, curve * (trace.num_requests / curve[-1])


def _shuffled_runs(num_requests: int, count: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(count,) indices of requests: whole passes over the trace's runs, each in its own random order."""
    starts = np.arange(0, num_requests, _BLOCK_REQUESTS)
    passes = -(-count // num_requests)
    shuffled = np.concatenate([rng.permutation(starts) for _ in range(passes)])
    order = (shuffled[:, None] + np.arange(_BLOCK_REQUESTS)).reshape(-1)
    inside = np.repeat(num_requests - shuffled, _BLOCK_REQUESTS) > np.tile(
        np.arange(_BLOCK_REQUESTS), shuffled.shape[0]
    )
    return order[inside][:count]
