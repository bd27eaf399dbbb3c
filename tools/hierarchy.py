"""The hierarchical model of efficiency curves, and its fit.

Every coefficient is a global mean plus deviations of the chip's vendor (its software) and family, in
logarithms, all held by Gaussian priors, so that a family without data is its vendor's mean, and a vendor
without data the mean of all. An engine multiplies arithmetic, host work, attention and request work by
factors of its own, and every version of it by smaller ones, shrunk to 1 where nothing speaks for them. The
loss is Huber's on ln(predicted / observed), by Levenberg–Marquardt.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from closed_loop import predicted
from operators import Probe
from seedcorn.domain.hardware import Chip
from seedcorn.domain.offer import Evidence
from seedcorn.domain.workload import EngineSettings
from seedcorn.errors import DoesNotFit
from seedcorn.perf import StepModel
from seedcorn.perf.efficiency import ENGINE_FACTORS, Efficiency, slowed
from seedcorn.perf.memory import kv_tokens
from seedcorn.perf.roofline import Roofline
from seedcorn.study.accuracy.serving_rows import Case

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Prior:
    """What a coefficient is before any data.

    Attributes:
        mean: Its global value.
        sigma: Of the global value's logarithm.
        family_sigma: Of a family's deviation from its vendor.
    """

    mean: float
    sigma: float
    family_sigma: float


COEFFICIENTS = {
    "memory_share": Prior(0.8, 0.05, 0.06),
    "compute_share": Prior(0.8, 0.1, 0.1),
    "power_exponent": Prior(0.35, 0.3, 0.02),
    "eight_bit_share": Prior(0.75, 0.1, 0.12),
    "four_bit_share": Prior(0.65, 0.15, 0.12),
    "expert_share": Prior(0.5, 0.2, 0.15),
    "context_share": Prior(0.75, 0.06, 0.08),
    "pair_share": Prior(0.5, 0.12, 0.12),
    "link_share": Prior(0.6, 0.3, 0.3),
    "link_latency_s": Prior(8e-6, 0.5, 0.4),
    "kernel_s": Prior(4e-6, 0.5, 0.4),
    "eager_kernel_s": Prior(25e-6, 0.6, 0.2),
    "step_s": Prior(1.5e-3, 0.6, 0.8),
    "sequence_s": Prior(8e-6, 0.7, 0.4),
    "request_s": Prior(20e-3, 0.5, 0.1),
    "first_steps": Prior(3.0, 0.5, 0.1),
}
"""Means from practice: streaming kernels reach 80-90 % of the published bandwidth, large matrix
multiplications 60-70 % of the peak, a captured kernel follows its predecessor after 1-2 µs and a layer
has about ten."""

VENDOR_SIGMA = 1.5
"""A vendor's deviation over a family's: kernels and drivers are the vendor's, for all its families."""

ANCHORED: dict[str, set[str]] = {
    "arithmetic": {"vllm"},
    "attention": {"vllm"},
    "request": {"vllm"},
    "stream": {"vllm"},
}
"""Engines that have no factor of their own: a family's kernels are vLLM's by definition, or its shares of the
data sheet would mean nothing. Its host work is fitted like any engine's, as old releases' rows would bend it."""

ENGINE_SIGMA = {"arithmetic": 0.25, "host": 0.6, "attention": 0.25, "request": 1.0, "stream": 1.0}
VERSION_SIGMA = {"arithmetic": 0.12, "host": 0.3, "attention": 0.25, "request": 0.5, "stream": 0.7}

NOISE = {"ttft": 0.2, "tpot": 0.1, "tokens_per_s": 0.1}
"""Scatter of ln(observed) that no step model explains: TTFT also holds the harness's own queues."""

ROWS_PER_GROUP = 10
"""Rows of one (chip, model, format, version) that are fitted on, drawn with a fixed seed."""

GROUP_COUNTS_AS = 4.0
"""Independent rows that a whole group counts as at most: its rows share the errors of one set-up."""

DIFFERENCE = 1e-3
"""Step of the logarithms in forward differences."""

STEPS_PER_JACOBIAN = 6
"""Steps tried, taken or not, before the derivatives are computed anew."""

HUBER = 2.0
"""Residual, in units of the noise, from which it counts linearly."""


class Hierarchy:
    """Names, priors and positions of the logarithms being fitted."""

    def __init__(self, chips: Iterable[Chip], cases: Sequence[Case]) -> None:
        self.at: dict[tuple[str, str, str], int] = {}
        sigmas: list[float] = []
        fitted = list(chips)

        def add(level: str, owner: str, coefficient: str, sigma: float) -> None:
            self.at[level, owner, coefficient] = len(sigmas)
            sigmas.append(sigma)

        for coefficient, prior in COEFFICIENTS.items():
            add("mean", "", coefficient, prior.sigma)
            for vendor in sorted({chip.vendor for chip in fitted}):
                add("vendor", vendor, coefficient, VENDOR_SIGMA * prior.family_sigma)
            for family in sorted({chip.family for chip in fitted}):
                add("family", family, coefficient, prior.family_sigma)
        for offset in ENGINE_FACTORS:
            for engine in sorted({case.engine for case in cases} - ANCHORED.get(offset, set())):
                add("engine", engine, offset, ENGINE_SIGMA[offset])
            for version in sorted({case.version for case in cases}):
                add("version", version, offset, VERSION_SIGMA[offset])
        self.sigmas = np.array(sigmas)

    def get(self, x: Vector, level: str, owner: str, name: str) -> float:
        """One logarithm; 0, its prior mean, for an owner that was not fitted."""
        index = self.at.get((level, owner, name))
        return 0.0 if index is None else float(x[index])

    def curve(
        self, x: Vector, vendor: str, family: str, *, engine: str = "", version: str = ""
    ) -> Efficiency:
        """The curve of a family (or of none: its vendor's), under an engine and a version (or their mean)."""
        values = {
            name: prior.mean
            * np.exp(
                self.get(x, "mean", "", name)
                + self.get(x, "vendor", vendor, name)
                + self.get(x, "family", family, name)
            )
            for name, prior in COEFFICIENTS.items()
        }
        own = Efficiency(
            **{name: float(value) for name, value in values.items()},
            log_sigma=0.0,
            ttft_log_sigma=0.0,
            evidence=Evidence.CALIBRATED,
        )
        factors = {
            offset: float(
                np.exp(self.get(x, "engine", engine, offset) + self.get(x, "version", version, offset))
            )
            for offset in ENGINE_FACTORS
        }
        return slowed(own, factors)


def _engine(case: Case) -> EngineSettings:
    return EngineSettings(
        max_num_seqs=case.max_num_seqs, max_num_batched_tokens=min(case.max_num_batched_tokens, 8192)
    )


def _cache_tokens(case: Case) -> int:
    """KV capacity; where the catalogue's memory says that a run cannot have happened, it did with little."""
    try:
        return kv_tokens(
            case.model, case.chip, dtype=case.dtype, parallelism=case.parallelism, engine=_engine(case)
        )
    except DoesNotFit:
        return 32_768


def _replica(case: Case) -> tuple[object, ...]:
    """What decides a case's step model, its curve apart."""
    return case.group, case.parallelism, case.max_num_seqs, case.max_num_batched_tokens


def _step_model(case: Case, curve: Efficiency, cache_tokens: int) -> StepModel:
    roofline = Roofline(
        model=case.model,
        chip=case.chip,
        dtype=case.dtype,
        parallelism=case.parallelism,
        engine=_engine(case),
        curve=curve,
    )
    return roofline.step_model(kv_tokens=cache_tokens)


class Fit:
    """A hierarchy fitted on cases and operator probes."""

    def __init__(self, cases: Sequence[Case], operators: Sequence[Probe]) -> None:
        self.cases = _thinned(cases)
        self.cache_tokens = [_cache_tokens(case) for case in self.cases]
        sizes = Counter(case.group for case in self.cases)
        self.weights = [
            (case.counts_as * min(1.0, GROUP_COUNTS_AS / sizes[case.group])) ** 0.5 for case in self.cases
        ]
        self.operators = list(operators)
        chips = [case.chip for case in self.cases] + [probe.chip for probe in self.operators]
        self.hierarchy = Hierarchy(chips, self.cases)
        self.x = np.zeros(len(self.hierarchy.sigmas))

    def starting_from(self, other: "Fit") -> "Fit":
        """The same, with every coefficient that ``other`` also has at its value."""
        for key, index in self.hierarchy.at.items():
            if key in other.hierarchy.at:
                self.x[index] = other.x[other.hierarchy.at[key]]
        return self

    def curve(self, case: Case) -> Efficiency:
        """What the fitted model takes for a case, its own or another."""
        return self._curve(self.x, case)

    def _curve(self, x: Vector, case: Case) -> Efficiency:
        return self.hierarchy.curve(
            x, case.chip.vendor, case.chip.family, engine=case.engine, version=case.version
        )

    def run(self, iterations: int = 15) -> "Fit":
        """Levenberg–Marquardt until the loss falls by less than a thousandth.

        A Jacobian costs sixteen evaluations and changes little, so that it serves for several steps.
        """
        x, damping = self.x, 1e-2
        residuals = self._residuals(x)
        loss = self._loss(x, residuals)
        precision = 1.0 / self.hierarchy.sigmas**2
        for _ in range(iterations):
            before = loss
            jacobian = self._jacobian(x, residuals)
            for _ in range(STEPS_PER_JACOBIAN):
                pull = np.sqrt(np.minimum(1.0, HUBER / np.maximum(np.abs(residuals), 1e-12)))
                weighted = jacobian * pull[:, None]
                normal = weighted.T @ weighted + np.diag(precision)
                gradient = weighted.T @ (residuals * pull) + precision * x
                step = np.linalg.solve(normal + damping * np.diag(np.diag(normal)), -gradient)
                candidate = x + np.clip(step, -0.5, 0.5)
                candidate_residuals = self._residuals(candidate)
                candidate_loss = self._loss(candidate, candidate_residuals)
                if candidate_loss >= loss:
                    damping *= 5
                    continue
                x, residuals, damping = candidate, candidate_residuals, max(damping / 5, 1e-4)
                loss, gained = candidate_loss, loss - candidate_loss
                if gained < 1e-3 * loss:
                    break
            if before - loss < 1e-3 * before:
                break
        self.x = x
        return self

    def _loss(self, x: Vector, residuals: Vector) -> float:
        size = np.abs(residuals)
        huber = np.where(size < HUBER, size**2, 2 * HUBER * size - HUBER**2)
        return float(huber.sum() + ((x / self.hierarchy.sigmas) ** 2).sum())

    def _residuals(self, x: Vector) -> Vector:
        """Noise-scaled ln(predicted / observed) of every quantity of every case, then of every operator time."""
        values: list[float] = []
        steps: dict[tuple[object, ...], StepModel] = {}
        for case, cache_tokens, weight in zip(self.cases, self.cache_tokens, self.weights, strict=True):
            key = _replica(case)
            if key not in steps:
                curve = self._curve(x, case)
                steps[key] = _step_model(case, curve, cache_tokens)
            said = predicted(case, steps[key])
            values += [
                weight / NOISE[name] * np.log(said[name] / seen) for name, seen in case.observed.items()
            ]
        for probe in self.operators:
            values += list(probe.residuals(self.hierarchy.curve(x, probe.chip.vendor, probe.chip.family)))
        return np.array(values)

    def _jacobian(self, x: Vector, residuals: Vector) -> NDArray[np.float64]:
        """(residuals, coefficients) by forward differences in the global means alone.

        A vendor's or family's deviation acts on its own rows as the mean does; an engine's or a version's factor acts
        as the coefficients that it scales do together, a share the other way round than a time.
        """
        slopes = {}
        for name in COEFFICIENTS:
            moved = x.copy()
            moved[self.hierarchy.at["mean", "", name]] += DIFFERENCE
            slopes[name] = (self._residuals(moved) - residuals) / DIFFERENCE
        for name, scaled in ENGINE_FACTORS.items():
            slopes[name] = sum(
                (-slopes[one] if one.endswith("_share") else slopes[one] for one in scaled),
                start=np.zeros_like(residuals),
            )
        owners = self._owners()
        return np.stack(
            [
                slopes[name] * (owners[level] == owner) if level != "mean" else slopes[name]
                for level, owner, name in self.hierarchy.at
            ],
            axis=1,
        )

    def _owners(self) -> dict[str, NDArray[np.str_]]:
        """Level → (residuals,) whose vendor, family, engine or version each residual is of."""
        rows = [
            (case.chip.vendor, case.chip.family, case.engine, case.version)
            for case in self.cases
            for _ in case.observed
        ] + [
            (probe.chip.vendor, probe.chip.family, "", "")
            for probe in self.operators
            for _ in probe.observed_s
        ]
        return dict(zip(("vendor", "family", "engine", "version"), np.array(rows).T, strict=True))


def _thinned(cases: Sequence[Case]) -> list[Case]:
    """At most ``ROWS_PER_GROUP`` rows of every group, drawn with a fixed seed."""
    groups: dict[tuple[str, ...], list[Case]] = defaultdict(list)
    for case in cases:
        groups[case.group].append(case)
    rng = np.random.default_rng(0)
    return [
        group[i] for group in groups.values() for i in sorted(rng.permutation(len(group))[:ROWS_PER_GROUP])
    ]


def errors(curve: Callable[[Case], Efficiency], cases: Iterable[Case]) -> list[tuple[Case, dict[str, float]]]:
    """ln(predicted / observed) per case and quantity; ``e2e`` where TTFT and TPOT are both known."""
    found = []
    for case in cases:
        taken = curve(case)
        said = predicted(case, _step_model(case, taken, _cache_tokens(case)))
        seen = dict(case.observed)
        if "ttft" in seen and "tpot" in seen:
            for latencies in (said, seen):
                latencies["e2e"] = latencies["ttft"] + (case.output_tokens - 1) * latencies["tpot"]
        found.append((case, {name: float(np.log(said[name] / seen[name])) for name in seen}))
    return found
