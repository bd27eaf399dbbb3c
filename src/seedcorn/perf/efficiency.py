"""Efficiency curves: how far an architecture family gets towards its data sheet."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import cache
from importlib.resources import files

from seedcorn.domain.hardware import Chip
from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import EngineName


@dataclass(frozen=True, slots=True, kw_only=True)
class Efficiency:
    """The coefficients of the roofline for one architecture family.

    Attributes:
        memory_share: Of the published memory bandwidth, while weights stream.
        compute_share: Of the published dense peak, in large matrix multiplications, on a chip with 1 W of
            TDP per TFLOP/s of 16-bit peak.
        power_exponent: Growth of that share with the watts per TFLOP/s.
        eight_bit_share: Of ``compute_share``, where weights and activations are 8-bit.
        four_bit_share: The same where they are 4-bit.
        expert_share: Of ``compute_share``, in the grouped matrix multiplications of routed experts.
        context_share: Of the published memory bandwidth, while decode attention reads the KV cache.
        pair_share: Of the published 16-bit peak, in attention.
        link_share: Of the published link, one direction.
        link_latency_s: One hop of an empty message.
        kernel_s: Start and end of one kernel in a captured graph, beside its work.
        eager_kernel_s: Host's launch of one kernel where no captured graph covers the step, which then takes
            at least that of all.
        step_s: Host's work per step, not hidden behind the chip's.
        sequence_s: Host's work per sequence in a step.
        request_s: Work on a request outside any step (HTTP, tokenisation), which a client's TTFT holds
            and the step model does not.
        first_steps: Decode steps between a prompt's last and its first token at the client: engines that send
            several tokens at a time (``stream_interval``) hold the first back.
        log_sigma: Standard deviation of ln(measured / predicted), end to end.
        ttft_log_sigma: The same of the time to first token.
    """

    memory_share: float
    compute_share: float
    power_exponent: float
    eight_bit_share: float
    four_bit_share: float
    expert_share: float
    context_share: float
    pair_share: float
    link_share: float
    link_latency_s: float
    kernel_s: float
    eager_kernel_s: float
    step_s: float
    sequence_s: float
    request_s: float
    first_steps: float
    log_sigma: float
    ttft_log_sigma: float
    evidence: Evidence


ENGINE_FACTORS = {
    "arithmetic": ("compute_share", "pair_share"),
    "host": ("kernel_s", "eager_kernel_s", "step_s", "sequence_s"),
    "attention": ("context_share",),
    "request": ("request_s",),
    "stream": ("first_steps",),
}
"""What an engine may be slower or faster at, and the coefficients that it scales."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """A fitted family: its curve, on which chips, and how sure it is of others."""

    curve: Efficiency
    fitted_on: frozenset[str]
    inherited_log_sigma: float
    inherited_ttft_log_sigma: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Curves:
    """All of ``efficiency.toml``: the curves are those under vLLM.

    Attributes:
        engines: Engine → factor on the times of each of :data:`ENGINE_FACTORS`, against vLLM's.
    """

    mean: Efficiency
    vendors: Mapping[str, Efficiency]
    families: Mapping[str, _Family]
    engines: Mapping[str, Mapping[str, float]]


def efficiency(chip: Chip, engine: EngineName = EngineName.VLLM) -> Efficiency:
    """The curve of the chip's family; where nothing of it was fitted, its vendor's mean, or that of all.

    The uncertainty is that of rows that the fit did not see: of unseen pairs of model and engine for a
    chip that it was fitted on, of chips left out for one that only inherits its family's curve, and of
    whole families left out for the rest.
    """
    return slowed(_of_chip(chip), _curves().engines.get(engine, {}))


def slowed(curve: Efficiency, factors: Mapping[str, float]) -> Efficiency:
    """The curve with the times of some of :data:`ENGINE_FACTORS` so many times as long."""
    scaled = {
        name: getattr(curve, name) * (1.0 / factor if name.endswith("_share") else factor)
        for kind, factor in factors.items()
        for name in ENGINE_FACTORS[kind]
    }
    return replace(curve, **scaled)


def _of_chip(chip: Chip) -> Efficiency:
    """The chip's curve under vLLM."""
    curves = _curves()
    family = curves.families.get(chip.family)
    if family is None:
        return curves.vendors.get(chip.vendor, curves.mean)
    if chip.name in family.fitted_on:
        return family.curve
    return replace(
        family.curve,
        log_sigma=family.inherited_log_sigma,
        ttft_log_sigma=family.inherited_ttft_log_sigma,
    )


@cache
def _curves() -> _Curves:
    document = tomllib.loads((files("seedcorn.perf") / "efficiency.toml").read_text(encoding="utf-8"))
    return _Curves(
        mean=_curve(document["default"], Evidence.DATASHEET),
        vendors={name: _curve(table, Evidence.DATASHEET) for name, table in document["vendor"].items()},
        families={
            name: _Family(
                curve=_curve(table, Evidence.CALIBRATED),
                fitted_on=frozenset(table["fitted_on"]),
                inherited_log_sigma=table["inherited_log_sigma"],
                inherited_ttft_log_sigma=table["inherited_ttft_log_sigma"],
            )
            for name, table in document["family"].items()
        },
        engines=document["engine"],
    )


def _curve(table: Mapping[str, float], evidence: Evidence) -> Efficiency:
    numbers = {field.name: table[field.name] for field in fields(Efficiency) if field.name != "evidence"}
    return Efficiency(**numbers, evidence=evidence)
