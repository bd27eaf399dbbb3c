"""A day of traffic at any scale: a measured rate curve, lengths drawn from a trace, gamma gaps; in chunks."""

import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import numpy as np
import polars as pl
from numpy.typing import NDArray

from seedcorn.domain.workload import Trace
from seedcorn.errors import InputError, UnknownName

DAY_S = 86_400.0
_CHUNK = 1 << 18  # requests: some 10 MB with all that the replay notes about them


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DayCurve:
    """How the request rate runs over a day.

    Attributes:
        rate_per_s: (windows,) > 0, mean rate in equal windows from midnight to midnight.
        source: Where it came from and its licence, as printed.
    """

    name: str
    rate_per_s: NDArray[np.float64]
    source: str = ""

    @property
    def mean_rate_per_s(self) -> float:
        """Over the day."""
        return float(self.rate_per_s.mean())

    @property
    def peak_to_mean(self) -> float:
        """Rate of the busiest window, the mean being 1."""
        return float(self.rate_per_s.max()) / self.mean_rate_per_s


def day_curves() -> tuple[str, ...]:
    """Names of the rate curves that come with seedcorn."""
    return tuple(sorted(_rates()["model"].unique()))


def day_curve(name: str) -> DayCurve:
    """The bundled curve called ``name``: for each ten minutes of the day, the mean over the days measured.

    Windows with a rate of 0 are missing data (ServeGen publishes them so) and are left out of the mean.

    Raises:
        UnknownName: No such curve; names those there are.
    """
    mine = _rates().filter((pl.col("model") == name) & (pl.col("total_rate_rps") > 0))
    if mine.height == 0:
        raise UnknownName("rate curve", name, day_curves())
    windows = (
        mine.group_by(pl.col("start_s") % int(DAY_S)).agg(pl.col("total_rate_rps").mean()).sort("start_s")
    )
    return DayCurve(
        name=name,
        rate_per_s=windows["total_rate_rps"].to_numpy(),
        source="request rates of production services, derived from alibaba/ServeGen; Apache-2.0; "
        "https://github.com/alibaba/ServeGen",
    )


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
