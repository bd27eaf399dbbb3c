"""A step model corrected by measurements: few factors on a prior, as far as the measurements speak.

Five terms of a step have a factor each: its fixed part, what each token adds where decode steps live
and beyond (prompts), a context token, a prefill pair. The logarithms of the factors are Gaussian
under the prior step model's own uncertainty, half of which all terms share; the measurements are log-normal
about the replay. What maximises the posterior is searched for, its spread is Laplace's approximation
there. One point thus moves what it speaks of and leaves the rest near the prior; many override it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.offer import Evidence
from seedcorn.perf.step_model import StepModel

Floats = NDArray[np.float64]

KNEE_TOKENS = 256.0
"""Tokens that divide decode steps from prompts: vLLM's default ``max_num_seqs``."""

SHARED = 0.5
"""Share of the prior's variance that moves all terms together (a slow clock, a poor engine)."""

LEAST_LOG_SIGMA = 0.15
"""Prior spread of a factor at the least: a term of a model taken as exact may still be corrected."""

MEASURED_LOG_SIGMA = 0.03
"""What remains uncertain of a step time however much was measured: runs of one server differ by
as much from day to day (clocks, temperature, placement)."""

_TERMS = 5
_REACH = 0.3  # of the first simplex, in log factors: a family's prior is about so wide
_SETTLED = 1e-3  # spread of the costs over the simplex, in squared standard deviations
_STEP = 0.05  # of a log factor, for numeric derivatives: above what a replay's discrete events jitter
_TRUSTED = 3.0  # standard deviations
_ROUNDS = 200


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Correction:
    """Factors on a prior's terms, and how sure they are.

    Attributes:
        log_factors: (5,) ln of the factors: fixed, per token up to the knee, per token beyond, context, pair.
        covariance: (5, 5) of these.
        misfit: Root mean square of ln(replayed / measured) that is left, relative to what was allowed for.
    """

    log_factors: Floats
    covariance: Floats
    misfit: float


def fitted_correction(prior: StepModel, residuals: Callable[[StepModel], Floats]) -> Correction:
    """The correction of ``prior`` that explains measurements best.

    Args:
        prior: As predicted without them.
        residuals: Of a step model, (R,) ln(replayed / measured), each divided by the standard deviation
            that noise is allowed.
    """
    precision = np.linalg.inv(_prior_covariance(prior))

    def residuals_at(log_factors: Floats) -> Floats:
        return residuals(corrected_terms(prior, log_factors))

    def cost(log_factors: Floats) -> float:
        found = residuals_at(log_factors)
        return float(found @ found + log_factors @ precision @ log_factors)

    best = _least(cost)
    misfit = float(np.sqrt(np.mean(residuals_at(best) ** 2)))
    noise = max(misfit, 1.0) ** 2  # what the factors cannot explain makes them less sure
    jacobian = _jacobian(residuals_at, best)
    return Correction(
        log_factors=best,
        covariance=np.linalg.inv(jacobian.T @ jacobian / noise + precision),
        misfit=misfit,
    )


def _least(cost: Callable[[Floats], float]) -> Floats:
    """(5,) where ``cost`` is least near 0, by Nelder and Mead's simplex (doi:10.1093/comjnl/7.4.308).

    A replay with preemptions is rough as a function of its step times: slopes mislead, a simplex as wide
    as the roughness does not.
    """
    corners = np.vstack([np.zeros(_TERMS), _REACH * np.eye(_TERMS)])
    costs = np.array([cost(corner) for corner in corners])
    for _ in range(_ROUNDS):
        order = np.argsort(costs, kind="stable")
        corners, costs = corners[order], costs[order]
        if costs[-1] - costs[0] < _SETTLED:
            break
        centre = corners[:-1].mean(axis=0)
        away = centre - corners[-1]
        tried, tried_cost = centre + away, cost(centre + away)
        if tried_cost < costs[0]:
            further_cost = cost(centre + 2 * away)
            if further_cost < tried_cost:
                tried, tried_cost = centre + 2 * away, further_cost
        elif tried_cost >= costs[-2]:
            tried, tried_cost = centre - 0.5 * away, cost(centre - 0.5 * away)
        if tried_cost < costs[-1]:
            corners[-1], costs[-1] = tried, tried_cost
        else:
            corners[1:] = 0.5 * (corners[1:] + corners[0])
            costs[1:] = [cost(corner) for corner in corners[1:]]
    best: Floats = corners[np.argmin(costs)]
    return best


def outvotable(residuals: Floats) -> Floats:
    """Residuals whose squares are Huber's loss (doi:10.1214/aoms/1177703732): quadratic up to
    :data:`_TRUSTED` deviations, linear beyond, so that one wrong benchmark among several is outvoted."""
    size = np.abs(residuals)
    linear = np.sqrt(np.maximum(2 * _TRUSTED * size - _TRUSTED**2, 0.0))
    return np.where(size <= _TRUSTED, residuals, np.sign(residuals) * linear)


def corrected(prior: StepModel, correction: Correction, *, kv_tokens: int | None = None) -> StepModel:
    """``prior`` with its terms corrected, graded as measured.

    Its ``log_sigma`` is that of typical steps: the root mean square, over decode steps of 1 to 64
    sequences and a prompt of 1,024 tokens, of what the factors leave open, and
    :data:`MEASURED_LOG_SIGMA`.

    Args:
        kv_tokens: As the engine reported; ``None``: the prior's.
    """
    model = corrected_terms(prior, correction.log_factors)
    shares = [_term_shares(model, step) for step in _TYPICAL]
    variance = np.mean([share @ correction.covariance @ share for share in shares])
    log_sigma = float(np.sqrt(variance + MEASURED_LOG_SIGMA**2))
    return replace(
        model,
        kv_tokens=model.kv_tokens if kv_tokens is None else kv_tokens,
        evidence=Evidence.MEASURED,
        log_sigma=log_sigma,
        request_s=0.0,  # the steps were fitted to TTFTs that hold both
        first_steps=0.0,
        ttft_log_sigma=log_sigma,
    )


def corrected_terms(prior: StepModel, log_factors: Floats) -> StepModel:
    """``prior`` with each term multiplied; everything else as it was."""
    fixed, decode, prompt, context, pair = np.exp(log_factors).tolist()
    tokens, start_s, below_s, beyond_s = _dense_parts(prior)
    return replace(
        prior,
        tokens=tokens,
        dense_s=fixed * start_s + decode * below_s + prompt * beyond_s,
        context_s=context * prior.context_s,
        pair_s=pair * prior.pair_s,
    )


def _dense_parts(model: StepModel) -> tuple[Floats, Floats, Floats, Floats]:
    """(G,) tokens with the knee among them, and the parts of the dense seconds there: fixed, up to the
    knee, beyond. They sum to the model's own."""
    tokens = np.union1d(model.tokens, [KNEE_TOKENS])
    dense_s = np.array([_dense_s(model, x) for x in tokens])
    start_s = np.full_like(tokens, dense_s[0])
    at_knee_s = dense_s[np.searchsorted(tokens, KNEE_TOKENS)]
    below_s = np.minimum(dense_s, at_knee_s) - start_s
    return tokens, start_s, below_s, dense_s - start_s - below_s


def _dense_s(model: StepModel, tokens: float) -> float:
    return model.step_s(decode_seqs=0, prefill_tokens=round(tokens))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Step:
    decode_seqs: int = 0
    prefill_tokens: int = 0
    context_tokens: int = 0
    pairs: float = 0.0


_TYPICAL = (
    _Step(decode_seqs=1, context_tokens=1_000),
    _Step(decode_seqs=8, context_tokens=8_000),
    _Step(decode_seqs=64, context_tokens=64_000),
    _Step(prefill_tokens=1_024, pairs=1_024 * 1_025 / 2),
)


def _term_shares(model: StepModel, step: _Step) -> Floats:
    """(5,) part of each term in the step's time: how ln(time) moves with each log factor."""
    tokens, start_s, below_s, beyond_s = _dense_parts(model)
    x = step.decode_seqs + step.prefill_tokens
    terms_s = np.array(
        [
            *(np.interp(x, tokens, part_s) for part_s in (start_s, below_s, beyond_s)),
            model.context_s * step.context_tokens,
            model.pair_s * step.pairs,
        ]
    )
    shares: Floats = terms_s / terms_s.sum()
    return shares


def _prior_covariance(prior: StepModel) -> Floats:
    """(5, 5) of the log factors."""
    sigma = max(prior.log_sigma, LEAST_LOG_SIGMA)
    covariance: Floats = sigma**2 * (SHARED * np.ones((_TERMS, _TERMS)) + (1 - SHARED) * np.eye(_TERMS))
    return covariance


def _jacobian(residuals_at: Callable[[Floats], Floats], at: Floats) -> Floats:
    """(R, 5) numeric derivatives, from both sides: a replay with preemptions is rough."""
    ends = [(residuals_at(at + _STEP * axis), residuals_at(at - _STEP * axis)) for axis in np.eye(_TERMS)]
    return np.stack([(above - below) / (2 * _STEP) for above, below in ends], axis=1)
