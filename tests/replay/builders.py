"""Builders of small step models and traces."""

import numpy as np

from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import Trace
from seedcorn.perf.step_model import StepModel

TICK_S = 2.0**-20  # dyadic, so that sums of steps are exact and even ties must agree


def a_step_model(
    *, fixed_s=8e-3, token_s=3e-5, context_s=2e-8, pair_s=1e-10, kv_tokens=400_000, evidence=Evidence.MEASURED
):
    """A step that takes ``fixed_s`` and then so much per token, per context token and per pair."""
    tokens = np.array([0.0, 1.0, 64.0, 1 << 20])
    return StepModel(
        tokens=tokens,
        dense_s=fixed_s + token_s * tokens,
        context_s=context_s,
        pair_s=pair_s,
        kv_tokens=kv_tokens,
        evidence=evidence,
    )


def a_trace(arrival_s, input_tokens, output_tokens, name="test"):
    return Trace(
        name=name,
        arrival_s=np.asarray(arrival_s, dtype=np.float64),
        input_tokens=np.asarray(input_tokens, dtype=np.int32),
        output_tokens=np.asarray(output_tokens, dtype=np.int32),
    )
