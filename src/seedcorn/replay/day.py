"""A day of traffic at any scale: a measured rate curve, lengths drawn from a trace, gamma gaps; in chunks."""

import gzip
import io
from collections.abc import Iterator
from functools import cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedcorn.domain.workload import DayCurve, Trace
from seedcorn.errors import InputError, UnknownName

DAY_S = 86_400.0
_TABLE = (
    "expected a CSV with the columns start_s,rate_per_s: equal windows from midnight on, such as every 3600 s, "
    "for one whole day or several"
)
_CHUNK = 1 << 18  # requests: some 10 MB with all that the replay notes about them


def day_curves() -> tuple[str, ...]:
    """Names of the rate curves that come with seedcorn."""
    return tuple(sorted(_rates()["model"].unique()))


def day_curve(name: str) -> DayCurve:
    """The bundled curve called ``name``: for each ten minutes of the day, the mean over the days measured.

    Windows with a rate of 0 are missing data (ServeGen publishes them so) and are left out of the mean.

    Raises:
        UnknownName: No such curve; names those there are.
    """
    mine = _rates().filter(pl.col("model") == name)
    if mine.height == 0:
        raise UnknownName("rate curve", name, day_curves())
    rates = mine.sort("start_s")["total_rate_rps"].to_numpy()
    return _curve(
        name,
        np.where(rates > 0, rates, np.nan),
        "request rates of production services, derived from alibaba/ServeGen; Apache-2.0; "
        "https://github.com/alibaba/ServeGen",
    )


def read_day(source: str) -> DayCurve:
    """The rate curve called ``source``: a bundled name, or a CSV with ``start_s,rate_per_s``.

    A row is a window, from midnight of the first day on; windows are equally long and fill whole days. An
    empty rate is missing: it is in no mean.

    Raises:
        UnknownName: No such curve or file.
        InputError: The file is no such table; with its row where one is to blame.
    """
    path = Path(source)
    if not path.is_file():
        return day_curve(source)
    try:
        table = pl.read_csv(path, infer_schema=False)
    except (OSError, pl.exceptions.PolarsError):
        raise InputError(f"cannot be read as CSV; {_TABLE}", where=source) from None
    if not {"start_s", "rate_per_s"} <= set(table.columns):
        raise InputError(f"got the columns {', '.join(table.columns)}; {_TABLE}", where=source)
    starts_s, rates = (_numbers(table[column], source) for column in ("start_s", "rate_per_s"))
    windows = DAY_S / starts_s[1] if len(starts_s) > 1 and starts_s[1] > 0 else 0.0
    is_even = windows >= 2 and windows == int(windows) and len(starts_s) % windows == 0
    if not is_even or not np.array_equal(starts_s, np.arange(len(starts_s)) * starts_s[1]):
        raise InputError(
            f"its {len(starts_s)} windows are not equal parts of whole days; {_TABLE}", where=source
        )
    curve = _curve(path.stem, rates, source, windows=int(windows))
    if not curve.mean_rate_per_s > 0:
        raise InputError("a window has no rate on any day, or all rates are 0", where=source)
    return curve


def day_of_trace(trace: Trace) -> DayCurve | None:
    """Requests by hour over the whole days of ``trace``, which are counted from its start; ``None`` if it has none."""
    days = int(trace.arrival_s[-1] // DAY_S) if trace.num_requests else 0
    if days == 0:
        return None
    hour_s = DAY_S / 24
    counts = np.bincount((trace.arrival_s // hour_s).astype(np.int64), minlength=24 * days)[: 24 * days]
    return _curve(trace.name, counts / hour_s, trace.source, windows=24)


def _curve(name: str, rates: NDArray[np.float64], source: str, windows: int = 144) -> DayCurve:
    """The curve of whole days of ``rates``, NaN where missing."""
    days = rates.reshape(-1, windows)
    counts = np.isfinite(days).sum(axis=0)
    mean = np.nansum(days, axis=0) / np.where(counts > 0, counts, np.nan)
    return DayCurve(name=name, rate_per_s=mean, days_per_s=days if len(days) > 1 else None, source=source)


def _numbers(column: pl.Series, where: str) -> NDArray[np.float64]:
    """(rows,) numbers ≥ 0; NaN where the cell is empty."""
    text = column.str.strip_chars().replace("", None)
    values = text.cast(pl.Float64, strict=False)
    wrong = text.is_not_null() & ~(values.is_finite() & (values >= 0)).fill_null(value=False)
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise InputError(
            f"{column.name} is {column[row]!r}; expected a number, 0 or more", where=f"{where}:{row + 2}"
        )
    return values.fill_null(np.nan).to_numpy()


def generated_day(
    curve: DayCurve, lengths: Trace, *, rate_per_s: float, cv: float = 1.0, seed: int
) -> Iterator[Trace]:
    """A day of requests at a mean of ``rate_per_s``, in chunks of a quarter of a million.

    In operational time (requests counted along the curve) gaps are gamma with mean 1; mapped back
    along the curve they follow the rate of the moment, with the same CV. Prompt and output lengths
    are drawn together from ``lengths``, each request on its own.

    Args:
        curve: Its shape; its own level does not matter.
        lengths: Whose pairs of lengths are drawn.
        rate_per_s: Mean over the day. The number of requests is random, ``86400 · rate_per_s`` on average.
        cv: Standard deviation of the gaps over their mean: 1 Poisson, more is bursty, near 0 even.
        seed: Same seed, same requests, whatever the chunks.

    Raises:
        InputError: Lengths of no request, or a rate or CV that is not above 0.
    """
    if lengths.num_requests == 0 or not rate_per_s > 0 or not cv > 0:
        raise InputError(
            f"a day needs lengths to draw from, a rate above 0 and a CV above 0; got {lengths.num_requests} "
            f"requests, {rate_per_s:g} requests/s and a CV of {cv:g}"
        )
    return _chunks(curve, lengths, rate_per_s, cv, np.random.default_rng(seed))


def _chunks(
    curve: DayCurve, lengths: Trace, rate_per_s: float, cv: float, rng: np.random.Generator
) -> Iterator[Trace]:
    edges_s = np.linspace(0.0, DAY_S, curve.rate_per_s.shape[0] + 1)
    upto = np.append(0.0, np.cumsum(curve.rate_per_s))
    upto *= rate_per_s * DAY_S / upto[-1]
    shape = cv**-2  # a gamma variable of shape k has a CV of 1/√k
    at = 0.0
    while at < upto[-1]:
        gaps = rng.standard_gamma(shape, _CHUNK)
        position = at + np.cumsum(gaps) / shape
        pick = rng.integers(0, lengths.num_requests, _CHUNK)
        at = float(position[-1])
        today = int(np.searchsorted(position, upto[-1]))
        yield Trace(
            name=f"{curve.name} at {rate_per_s:g}/s",
            arrival_s=np.interp(position[:today], upto, edges_s),
            input_tokens=lengths.input_tokens[pick[:today]],
            output_tokens=lengths.output_tokens[pick[:today]],
            source=f"{curve.source}; lengths: {lengths.source}",
        )


@cache
def _rates() -> pl.DataFrame:
    """Columns model, start_s, total_rate_rps."""
    file = files("seedcorn") / "data" / "traces" / "servegen-rates.csv.gz"
    return pl.read_csv(io.BytesIO(gzip.decompress(file.read_bytes())))
