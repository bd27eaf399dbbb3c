"""Residuals summed up."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import NormalDist

import numpy as np

from seedcorn.domain.accuracy import Group, Quantity, Residual, Score
from seedcorn.domain.prediction import CONFIDENCE

HALF_WIDTH = NormalDist().inv_cdf(0.5 + CONFIDENCE / 2)
"""Of an interval, in standard deviations."""


def scores(residuals: Iterable[Residual], by: Group) -> tuple[Score, ...]:
    """A score per group and quantity, sorted by both."""
    groups: dict[tuple[str, Quantity], list[Residual]] = defaultdict(list)
    for residual in residuals:
        groups[str(getattr(residual, by)), residual.quantity].append(residual)
    order = list(Quantity)
    keys = sorted(groups, key=lambda key: (key[0], order.index(key[1])))
    return tuple(score(groups[key], group=key[0], quantity=key[1]) for key in keys)


def score(residuals: Sequence[Residual], *, group: str, quantity: Quantity) -> Score:
    """Errors of one group."""
    log_error = np.array([residual.log_error for residual in residuals])
    off = np.abs(np.expm1(log_error))
    constant_off = np.abs(np.expm1([residual.constant_log_error for residual in residuals]))
    return Score(
        group=group,
        quantity=quantity,
        rows=len(residuals),
        mape=float(off.mean()),
        median=float(np.median(off)),
        p90=float(np.quantile(off, 0.9)),
        bias=float(np.expm1(np.median(log_error))),
        covered_share=float(np.mean([residual.is_covered for residual in residuals])),
        constant_mape=float(constant_off.mean()),
        constant_median=float(np.median(constant_off)),
    )


def mean_over_chips(
    residuals: Iterable[Residual], quantity: Quantity, of: Callable[[Score], float]
) -> float | None:
    """A figure of every chip's rows, then the plain mean over chips; ``None`` without a row."""
    chips = [of(one) for one in scores(residuals, Group.CHIP) if one.quantity is quantity]
    return float(np.mean(chips)) if chips else None
