"""A step model corrected by measurements: few factors on a prior, as far as the measurements speak.

Five terms of a step have a factor each: its fixed part, what each token adds where decode steps live
and beyond (prompts), a context token, a prefill pair. The logarithms of the factors are Gaussian
under the prior step model's own uncertainty, half of which all terms share; the measurements are log-normal
about the replay. What maximises the posterior is found by Levenberg and Marquardt's method
(doi:10.1137/0111030), its spread by Laplace's approximation. One point thus moves what it speaks of
and leaves the rest near the prior; many points override it.
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
_STEP = 0.02  # of a log factor, for numeric derivatives: above what a replay's discrete events jitter
_TRUSTED = 3.0  # standard deviations
_ROUNDS = 25


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

    at = np.zeros(_TERMS)
    found = residuals_at(at)
    cost, damping = float(found @ found), 1.0
    jacobian = _jacobian(residuals_at, at)
    for _ in range(_ROUNDS):
        curvature = jacobian.T @ jacobian + precision
        slope = jacobian.T @ found + precision @ at
        step = -np.linalg.solve(curvature + damping * np.diag(np.diag(curvature)), slope)
        tried = at + step
        tried_found = residuals_at(tried)
        tried_cost = float(tried_found @ tried_found + tried @ precision @ tried)
        if tried_cost < cost:
            gain, at, found, cost, damping = cost - tried_cost, tried, tried_found, tried_cost, damping / 5
            if gain < 1e-3:
                break
            jacobian = _jacobian(residuals_at, at)
        else:
            damping *= 5
            if damping > 1e6:
                break
    misfit = float(np.sqrt(np.mean(found**2)))
    noise = max(misfit, 1.0) ** 2  # what the factors cannot explain makes them less sure
    return Correction(
        log_factors=at,
        covariance=np.linalg.inv(jacobian.T @ jacobian / noise + precision),
        misfit=misfit,
    )


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
    return replace(
        model,
        kv_tokens=model.kv_tokens if kv_tokens is None else kv_tokens,
        evidence=Evidence.MEASURED,
        log_sigma=float(np.sqrt(variance + MEASURED_LOG_SIGMA**2)),
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
