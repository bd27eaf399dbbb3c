"""How long one step of one replica takes, and what fits its memory."""

from seedcorn.perf.candidates import Refused, Spread, candidates, spread_over
from seedcorn.perf.memory import kv_bytes_per_token, kv_tokens, weights_bytes
from seedcorn.perf.roofline import step_model
from seedcorn.perf.shapes import active_params, total_params
from seedcorn.perf.step_model import StepModel

__all__ = [
    "Refused",
    "Spread",
    "StepModel",
    "active_params",
    "candidates",
    "kv_bytes_per_token",
    "kv_tokens",
    "spread_over",
    "step_model",
    "total_params",
    "weights_bytes",
]
