"""How the demand for a service runs over a day, and how far it may be above that."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.sale import HOURS
from seedcorn.domain.workload import Service
from seedcorn.replay import day_of_trace

HIGH = 0.9
"""Quantile of demand that counts as high: nine days in ten stay below it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Forecast:
    """Demand by hour of the day, over the service's mean rate.

    Attributes:
        middle, high: (24,) P50 and P90 over days of the busiest part of each hour.
        is_in_trace: Whether the trace itself runs through the day, so that a replay of it meets every hour.
        basis: What it rests on, in words.
    """

    middle: NDArray[np.float64]
    high: NDArray[np.float64]
    is_in_trace: bool = False
    basis: str


def day_forecast(service: Service) -> Forecast:
    """The forecast of the service's own curve, else of its trace if that is a day or longer; else all hours are alike.

    Quantiles are over the days that were measured, hour by hour; within an hour the busiest window
    counts. They are of the rate as it varies from day to day: ``planning.load_margin`` comes on top.
    """
    curve = service.day or day_of_trace(service.trace)
    if curve is None:
        alike = np.ones(len(HOURS))
        return Forecast(middle=alike, high=alike, basis="the same rate all day (no traffic.day given)")
    days = _hourly(curve.rate_per_s[None] if curve.days_per_s is None else curve.days_per_s)
    middle, high = np.nanquantile(days, (0.5, HIGH), axis=0) / curve.mean_rate_per_s
    measured = f"P50 and P90 over {len(days)} days" if len(days) > 1 else "one day only, so P90 = P50"
    is_in_trace = service.day is None
    return Forecast(
        middle=middle, high=high, is_in_trace=is_in_trace, basis=f"rate curve {curve.name}, {measured}"
    )


def _hourly(days: NDArray[np.float64]) -> NDArray[np.float64]:
    """(days, 24) the busiest of the windows that each hour touches; NaN where none was measured."""
    windows = days.shape[1]
    hours = []
    for hour in HOURS:
        first, last = hour * windows // 24, -(-(hour + 1) * windows // 24)
        touched = days[:, first:last]
        known = np.isfinite(touched).any(axis=1)
        busiest = np.where(np.isfinite(touched), touched, -np.inf).max(axis=1)
        hours.append(np.where(known, busiest, np.nan))
    return np.stack(hours, axis=1)
