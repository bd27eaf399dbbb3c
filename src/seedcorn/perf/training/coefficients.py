"""The fitted coefficients of the training model: read from ``coefficients.toml``, written by ``tools/fit_training.py``."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import hypot


@dataclass(frozen=True, slots=True, kw_only=True)
class Coefficients:
    """What the datasheet does not say: how much of it training gets.

    Attributes:
        gemm_share: Share of peak that large matrix multiplications reach.
        power_exponent: How fast ``gemm_share`` grows with the watts a chip has for its peak.
        attention_share: Share of the 16-bit peak that causal attention kernels reach.
        low_precision_share: The same for formats below 16 bits, as a factor on ``gemm_share``.
        expert_share: The same for grouped expert matrices, as a factor on ``gemm_share``.
        elementwise_bytes: Memory traffic of norms, activations and residuals, per layer and unit of
            ``hidden_size``, forward and backward.
        routed_traffic: The same of permutation and activation, per routed expert of a token, over that of a layer:
            kernels of one kind, so that a publisher of dense models says how well experts' run too.
        layer_launch_s: Host time to launch one layer of one microbatch, forward and backward.
        tp_exposed_share / ep_exposed_share: Communication time that computation does not hide.
        dp_overlap: Order of the norm that joins computation and data-parallel reduction: 1 adds
            them, infinity hides the shorter.
        bubble_factor: Pipeline bubble over that of a perfectly interleaved schedule.
        scale_loss: Time added by each doubling of the nodes: stragglers, congestion, jitter.
        family_log_offsets: ln(efficiency of a chip family against all), shrunk towards 0.
        untuned_loss: Time that published runs take beyond the best layout the search finds, as a
            share of it: the search takes the best of many estimates, and people do not run the best.
        log_sigma: Standard deviation of ln(true rate / predicted) of a dense model in a given layout
            on a measured chip family, for a source never seen.
        moe_log_sigma / search_log_sigma / unseen_log_sigma: What experts, a searched layout, and a
            family that was not measured add to it in quadrature.
    """

    gemm_share: float
    power_exponent: float
    attention_share: float
    low_precision_share: float
    expert_share: float
    elementwise_bytes: float
    routed_traffic: float
    layer_launch_s: float
    tp_exposed_share: float
    ep_exposed_share: float
    dp_overlap: float
    bubble_factor: float
    scale_loss: float
    untuned_loss: float
    log_sigma: float
    moe_log_sigma: float
    search_log_sigma: float
    unseen_log_sigma: float
    family_log_offsets: Mapping[str, float]

    def spread(self, *, family: str, is_moe: bool, is_searched: bool) -> float:
        """Standard deviation of ln(true rate / predicted)."""
        return hypot(
            self.log_sigma,
            self.moe_log_sigma if is_moe else 0.0,
            self.search_log_sigma if is_searched else 0.0,
            0.0 if family in self.family_log_offsets else self.unseen_log_sigma,
        )


@cache
def bundled_coefficients() -> Coefficients:
    """The coefficients shipped with the package."""
    document = tomllib.loads(resources.files(__package__).joinpath("coefficients.toml").read_text("utf-8"))
    return Coefficients(**document["coefficients"], family_log_offsets=document["family_log_offsets"])
