"""Efficiency curves: how far an architecture family gets towards its data sheet."""

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from seedcorn.domain.offer import Evidence


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """The coefficients of the roofline for one architecture family.

    Attributes:
        memory_share: Of the published memory bandwidth, while weights stream.
        compute_share: Of the published dense peak, in large matrix multiplications.
        eight_bit_share: Of ``compute_share``, where weights and activations are 8-bit or less.
        context_share: Of the published memory bandwidth, while decode attention reads the KV cache.
        pair_share: Of the published 16-bit peak, in attention.
        link_share: Of the published link, one direction.
        link_latency_s: One hop of an empty message.
        layer_s: Launches and gaps of one layer.
        eager_layer_s: The same where no captured graph covers the step, which then takes at least that.
        eager_moe_layer_s: The same for a layer with routed experts.
        step_s: Host's work per step, not hidden behind the chip's.
        sequence_s: Host's work per sequence in a step.
        log_sigma: Standard deviation of ln(measured / predicted).
    """

    memory_share: float
    compute_share: float
    eight_bit_share: float
    context_share: float
    pair_share: float
    link_share: float
    link_latency_s: float
    layer_s: float
    eager_layer_s: float
    eager_moe_layer_s: float
    step_s: float
    sequence_s: float
    log_sigma: float
    evidence: Evidence


@cache
def efficiency(family: str) -> Efficiency:
    """The family's own curve, or the default with its wider uncertainty where none was fitted."""
    document = tomllib.loads((files("seedcorn.perf") / "efficiency.toml").read_text(encoding="utf-8"))
    fitted = document.get("family", {}).get(family)
    evidence = Evidence.DATASHEET if fitted is None else Evidence.CALIBRATED
    return Efficiency(**{**document["default"], **(fitted or {})}, evidence=evidence)
