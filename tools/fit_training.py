"""Fit the training coefficients to published runs, and say how well they predict sources left out.

    python tools/fit_training.py            # print the error tables
    python tools/fit_training.py --write    # also write coefficients.toml, training-folds.json and the tables in the docs

Reads ``../shared/data/measurements/training.csv``. Rows of sources without a licence stay outside the package
(``tools/bundle_measurements.py``); what is fitted on all of them is bundled.

The model is ``ln(observed) = ln(predicted(θ)) + family + source + noise``. Family and source effects
are shrunk towards 0, and θ towards priors, so that no source with many rows decides alone; a source
left out is predicted with no effect of its own.
"""

import argparse
import csv
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.hardware import Dtype
from seedcorn.perf.training.coefficients import Coefficients
from seedcorn.perf.training.layout import layouts_of
from seedcorn.perf.training.rate import Question, batch_tokens
from seedcorn.perf.training.search import best_layout
from seedcorn.study.accuracy.folds import Split, TrainingFold, training_folds_json, training_key
from seedcorn.study.accuracy.training import constant_mfu
from seedcorn.study.accuracy.training_rows import Row, published_mfu, question_under, read_rows

ROOT = Path(__file__).parents[1]
MEASUREMENTS = ROOT.parent / "shared" / "data" / "measurements" / "training.csv"
COEFFICIENTS = ROOT / "src" / "seedcorn" / "perf" / "training" / "coefficients.toml"
FOLDS = ROOT / "src" / "seedcorn" / "data" / "measurements" / "training-folds.json"
DOCUMENT = ROOT / "docs" / "explanation" / "training.md"

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
HALF_WIDTH = NormalDist().inv_cdf(0.95)  # of a 90 % interval, in standard deviations


@dataclass(frozen=True, slots=True)
class Prior:
    """Where a coefficient is expected, and how far off it may be in its transformed scale."""

    value: float
    spread: float = 0.5


PRIORS = {
    "gemm_share": Prior(0.75, 0.5),
    "power_exponent": Prior(0.2, 0.7),
    "attention_share": Prior(0.4, 0.5),
    "low_precision_share": Prior(0.8, 0.5),
    "expert_share": Prior(0.5, 0.3),  # grouped kernels timed alone: docs/explanation/step-model.md
    "elementwise_bytes": Prior(150.0, 0.5),
    "routed_traffic": Prior(0.2, 0.5),
    "layer_launch_s": Prior(3e-4, 0.7),
    "tp_exposed_share": Prior(0.6, 0.7),
    "ep_exposed_share": Prior(0.6, 0.7),
    "dp_overlap": Prior(2.0, 0.7),
    "bubble_factor": Prior(1.0, 0.7),
    "scale_loss": Prior(0.01, 0.7),
}
FITTED = tuple(PRIORS)
FAMILY_SPREAD = 0.12
SOURCE_SPREAD = 0.12
NOISE = 0.12
HUBER = 1.5
STEP = 1e-3


def to_free(name: str, value: float) -> float:
    """A coefficient in the unbounded scale it is fitted in: logit of a share, logarithm of the rest."""
    if name.endswith("_share"):
        return float(np.log(value / (1 - value)))
    return float(np.log(value - 1 if name == "dp_overlap" else value))


def from_free(name: str, free: float) -> float:
    """Inverse of ``to_free``."""
    if name.endswith("_share"):
        return float(1 / (1 + np.exp(-free)))
    return float(np.exp(free) + (1 if name == "dp_overlap" else 0))


def coefficients(free: Floats, families: dict[str, float]) -> Coefficients:
    """Coefficients from their free values, in the order of ``FITTED``; the rest are not known yet."""
    values = {name: from_free(name, x) for name, x in zip(FITTED, free, strict=True)}
    unknown = dict.fromkeys(
        ("untuned_loss", "log_sigma", "moe_log_sigma", "search_log_sigma", "unseen_log_sigma"), 0.0
    )
    return Coefficients(**values, **unknown, family_log_offsets=families)


def log_predicted(rows: Sequence[Row], fitted: Coefficients) -> Floats:
    """ln tokens/s per chip of each row. Shape: (num_rows,)."""
    return np.array([_log_predicted(row, fitted) for row in rows])


def _log_predicted(row: Row, fitted: Coefficients) -> float:
    terms = question_under(row, fitted).terms(layouts_of([row.parallelism]))
    return -float(np.log(terms.total_s[0]))


def fit(rows: Sequence[Row], start: Coefficients | None = None, iterations: int = 6) -> Coefficients:
    """Most probable coefficients: Gauss-Newton on ln tokens/s with Huber weights, rows of one cell sharing theirs."""
    families = sorted({row.question.facts.family for row in rows})
    sources = sorted({row.source for row in rows})
    observed = np.log([row.tokens_per_s_per_chip for row in rows])
    family_of = np.array([families.index(row.question.facts.family) for row in rows])
    source_of_row = np.array([sources.index(row.source) for row in rows])
    cells = Counter((row.source, row.chip, row.model) for row in rows)
    share = np.array([cells[row.source, row.chip, row.model] ** -0.5 for row in rows])

    prior = np.array([to_free(name, PRIORS[name].value) for name in FITTED])
    spread = np.array([PRIORS[name].spread for name in FITTED])
    free = prior if start is None else np.array([to_free(n, getattr(start, n)) for n in FITTED])
    offsets = np.array([start.family_log_offsets.get(f, 0.0) if start else 0.0 for f in families])
    effects = np.zeros(len(sources))
    num_free, num_families = len(FITTED), len(families)
    for _ in range(iterations):
        at = coefficients(free, dict(zip(families, offsets, strict=True)))
        base = log_predicted(rows, at)
        slopes = [
            (log_predicted(rows, coefficients(free + STEP * unit, dict(at.family_log_offsets))) - base) / STEP
            for unit in np.eye(num_free)
        ]
        moved = coefficients(free, {f: o + STEP for f, o in at.family_log_offsets.items()})
        family_slope = (log_predicted(rows, moved) - base) / STEP
        jacobian = np.zeros((len(rows), num_free + num_families + len(sources)))
        jacobian[:, :num_free] = np.array(slopes).T
        jacobian[np.arange(len(rows)), num_free + family_of] = family_slope
        jacobian[np.arange(len(rows)), num_free + num_families + source_of_row] = 1.0
        residual = observed - base - effects[source_of_row]
        weight = share * np.minimum(1.0, HUBER * NOISE / np.maximum(np.abs(residual), 1e-12)) / NOISE**2
        precision = np.concatenate(
            [
                spread**-2.0,
                np.full(num_families, FAMILY_SPREAD**-2.0),
                np.full(len(sources), SOURCE_SPREAD**-2.0),
            ]
        )
        away = np.concatenate([prior - free, -offsets, -effects])
        normal = jacobian.T @ (weight[:, np.newaxis] * jacobian) + np.diag(precision)
        move = np.linalg.solve(normal, jacobian.T @ (weight * residual) + precision * away)
        move[:num_free] = np.clip(move[:num_free], -1, 1)
        free, offsets, effects = (
            free + move[:num_free],
            offsets + move[num_free : num_free + num_families],
            effects + move[num_free + num_families :],
        )
    return coefficients(free, {f: float(o) for f, o in zip(families, offsets, strict=True)})


# --- left-out errors ---------------------------------------------------------------------------


def refits(rows: Sequence[Row], groups: Sequence[str], start: Coefficients) -> dict[str, Coefficients]:
    """Group → coefficients fitted without it, ``untuned_loss`` included."""
    found = {}
    for group in sorted(set(groups)):
        others = [row for row, other in zip(rows, groups, strict=True) if other != group]
        fitted = fit(others, start, iterations=3)
        found[group] = replace(fitted, untuned_loss=float(np.expm1(log_untuned(others, fitted))))
    return found


def left_out(
    rows: Sequence[Row], groups: Sequence[str], fits: Mapping[str, Coefficients]
) -> tuple[Floats, Floats]:
    """ln(predicted / observed) of each row by the coefficients fitted without its group: in the row's own
    layout, and as a user asks who knows neither layout nor batch. Shapes: (num_rows,)."""
    given, searched = np.zeros(len(rows)), np.zeros(len(rows))
    for group, fitted in fits.items():
        inside = [i for i, other in enumerate(groups) if other == group]
        left = [rows[i] for i in inside]
        given[inside] = log_errors(left, fitted)
        searched[inside] = searched_log_errors(left, fitted) - np.log1p(fitted.untuned_loss)
    return given, searched


def searched_log_errors(rows: Sequence[Row], fitted: Coefficients) -> Floats:
    """ln(predicted / observed) where the search chooses the layout and the scaling law the batch. Shape: (num_rows,)."""
    predicted = [_log_searched(row, question_under(row, fitted)) for row in rows]
    return np.array(predicted) - np.log([row.tokens_per_s_per_chip for row in rows])


def _log_searched(row: Row, question: Question) -> float:
    batch = batch_tokens(replace(question.job, batch_tokens=None))
    question = replace(question, step=replace(question.step, batch_tokens=batch))
    layout = best_layout(question, question.pool.chips)
    idle_share = layout.chips / question.pool.chips
    return float(np.log(idle_share / question.terms(layouts_of([layout])).total_s[0]))


def log_untuned(rows: Sequence[Row], fitted: Coefficients) -> float:
    """ln(the search's best / what runs reach): the mean over sources of their medians."""
    errors = searched_log_errors(rows, fitted)
    source = np.array([row.source for row in rows])
    return float(np.mean([np.median(errors[source == name]) for name in np.unique(source)]))


def log_errors(rows: Sequence[Row], fitted: Coefficients) -> Floats:
    """ln(predicted / observed). Shape: (num_rows,)."""
    return log_predicted(rows, fitted) - np.log([row.tokens_per_s_per_chip for row in rows])


def constant_mfu_errors(rows: Sequence[Row]) -> Floats:
    """The same for the baseline: the median MFU that other sources reached on that chip (on any chip if none did)."""
    errors = np.zeros(len(rows))
    for source in {row.source for row in rows}:
        constant = constant_mfu([row for row in rows if row.source != source])
        for i, row in enumerate(rows):
            if row.source == source:
                errors[i] = np.log(constant.get(row.chip, constant[""]) / published_mfu(row))
    return errors


@dataclass(frozen=True, slots=True)
class Assessment:
    """Rows with their left-out errors, all ln(predicted / observed). Arrays: (num_rows,).

    Attributes:
        fits: Split → group left out → coefficients fitted without it.
    """

    rows: Sequence[Row]
    fits: Mapping[Split, Mapping[str, Coefficients]]
    by_source: Floats
    searched: Floats
    by_family: Floats
    constant: Floats

    @property
    def source(self) -> NDArray[np.str_]:
        """Source of each row. Shape: (num_rows,)."""
        return np.array([row.source for row in self.rows])

    @property
    def chip(self) -> NDArray[np.str_]:
        """Chip of each row. Shape: (num_rows,)."""
        return np.array([row.chip for row in self.rows])

    @property
    def has_experts(self) -> Mask:
        """Whether each row's model is a mixture of experts. Shape: (num_rows,)."""
        return np.array([row.question.shape.num_experts > 0 for row in self.rows])

    @property
    def is_bf16(self) -> Mask:
        """Whether each row trained in bf16. Shape: (num_rows,)."""
        return np.array([row.question.job.dtype is Dtype.BF16 for row in self.rows])


def assess(rows: Sequence[Row], fitted: Coefficients) -> Assessment:
    """Errors of every row with its source, and with its chip family, left out."""
    groups = {split: [training_key(row, split) for row in rows] for split in (Split.SOURCE, Split.FAMILY)}
    fits = {split: refits(rows, keys, fitted) for split, keys in groups.items()}
    by_source, searched = left_out(rows, groups[Split.SOURCE], fits[Split.SOURCE])
    by_family, _ = left_out(rows, groups[Split.FAMILY], fits[Split.FAMILY])
    return Assessment(
        rows=rows,
        fits=fits,
        by_source=by_source,
        searched=searched,
        by_family=by_family,
        constant=constant_mfu_errors(rows),
    )


def mape(errors: Floats) -> float:
    """Mean of |predicted / observed − 1|."""
    return float(np.mean(np.abs(np.expm1(errors))))


def sigma(errors: Floats) -> float:
    """Standard deviation of the normal whose 90 % interval holds nine errors in ten."""
    return float(np.quantile(np.abs(errors), 0.9) / HALF_WIDTH)


def spreads(assessment: Assessment, used: Mask) -> tuple[float, float, float]:
    """(log_sigma, moe_log_sigma, search_log_sigma) from the left-out errors of the ``used`` rows."""
    experts = assessment.has_experts
    dense = sigma(assessment.by_source[used & ~experts])
    moe = sigma(assessment.by_source[experts])
    searched = sigma(assessment.searched[used & ~experts])
    return dense, beyond(moe, dense), beyond(searched, dense)


def unseen_spread(assessment: Assessment, fitted: Coefficients) -> float:
    """What a family never measured adds: what leaving one out cost, and no less than families differ."""
    experts = assessment.has_experts
    seen, unseen = (sigma(errors[~experts]) for errors in (assessment.by_source, assessment.by_family))
    return max(float(np.std(list(fitted.family_log_offsets.values()))), beyond(unseen, seen))


def beyond(total: float, part: float) -> float:
    """What ``total`` holds besides ``part``, in quadrature."""
    return float(np.sqrt(max(0.0, total**2 - part**2)))


def covered(assessment: Assessment) -> tuple[Mask, Mask]:
    """Whether each row lies in the 90 % interval whose width the other sources' errors set: in its own
    layout, and in a searched one.

    Experts come from one source alone, so the width of theirs is set by their own errors.
    """
    inside, inside_searched = (np.zeros(len(assessment.rows), dtype=np.bool_) for _ in range(2))
    for source in np.unique(assessment.source):
        here = assessment.source == source
        log_sigma, moe_log_sigma, search_log_sigma = spreads(assessment, ~here)
        width = np.where(assessment.has_experts, np.hypot(log_sigma, moe_log_sigma), log_sigma)
        inside[here] = (np.abs(assessment.by_source) <= HALF_WIDTH * width)[here]
        width = np.hypot(width, search_log_sigma)
        inside_searched[here] = (np.abs(assessment.searched) <= HALF_WIDTH * width)[here]
    return inside, inside_searched


def folds(assessment: Assessment, fitted: Coefficients) -> Iterator[TrainingFold]:
    """Every refit with the widths that the other rows' errors set, and the baseline of the same rows."""
    for split, fits in assessment.fits.items():
        key = np.array([training_key(row, split) for row in assessment.rows])
        for group, refit in fits.items():
            log_sigma, moe_log_sigma, search_log_sigma = spreads(assessment, key != group)
            others = [row for row, here in zip(assessment.rows, key == group, strict=True) if not here]
            yield TrainingFold(
                split=split,
                left_out=frozenset([group]),
                fitted_rows=len(others),
                coefficients=replace(
                    refit,
                    log_sigma=log_sigma,
                    moe_log_sigma=moe_log_sigma,
                    search_log_sigma=search_log_sigma,
                    unseen_log_sigma=fitted.unseen_log_sigma,
                ),
                constant_mfu=constant_mfu(others),
            )


# --- tables ------------------------------------------------------------------------------------


def lines_of(assessment: Assessment) -> Iterator[tuple[str, Mask]]:
    """Name and rows of each line of the error table."""
    experts, bf16 = assessment.has_experts, assessment.is_bf16
    yield "all", np.ones_like(experts)
    yield "dense, bf16", ~experts & bf16
    yield "dense, fp8 and fp4", ~experts & ~bf16
    yield "mixture of experts", experts
    for source in np.unique(assessment.source):
        yield f"source: {source}", assessment.source == source
    for chip in np.unique(assessment.chip):
        yield f"chip: {chip}", assessment.chip == chip


def error_table(assessment: Assessment) -> str:
    """Markdown: errors of each group of rows, its source left out."""
    inside, inside_searched = covered(assessment)
    lines = [
        "| rows | n | MAPE | median | bias | covers | searched: MAPE | bias | covers | family left out: MAPE | constant MFU: MAPE |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for name, here in lines_of(assessment):
        given, searched = assessment.by_source[here], assessment.searched[here]
        cells = [
            mape(given),
            float(np.median(np.abs(np.expm1(given)))),
            float(np.expm1(np.mean(given))),
            float(np.mean(inside[here])),
            mape(searched),
            float(np.expm1(np.mean(searched))),
            float(np.mean(inside_searched[here])),
            mape(assessment.by_family[here]),
            mape(assessment.constant[here]),
        ]
        lines.append(f"| {name} | {here.sum()} | " + " | ".join(f"{cell:.1%}" for cell in cells) + " |")
    means = [
        float(np.mean([mape(errors[assessment.chip == chip]) for chip in np.unique(assessment.chip)]))
        for errors in (assessment.by_source, assessment.searched, assessment.by_family, assessment.constant)
    ]
    given_mean, searched_mean, family_mean, constant_mean = (f"{mean:.1%}" for mean in means)
    lines.append(
        f"| mean over chips | | {given_mean} | | | | {searched_mean} | | | {family_mean} | {constant_mean} |"
    )
    return "\n".join(lines)


def coefficient_file(fitted: Coefficients, rows: Sequence[Row]) -> str:
    """The text of ``coefficients.toml``."""
    sources = ", ".join(sorted({row.source for row in rows}))
    lines = [
        "# Written by tools/fit_training.py: do not edit. Meaning of each: coefficients.py.",
        f"# Fitted on {len(rows)} published training runs of: {sources}.",
        "",
        "[coefficients]",
        *(
            f"{field.name} = {getattr(fitted, field.name):.4g}"
            for field in fields(Coefficients)
            if field.type is float
        ),
        "",
        "[family_log_offsets]",
        *(f"{family} = {offset:.3f}" for family, offset in sorted(fitted.family_log_offsets.items())),
    ]
    return "\n".join(lines) + "\n"


def with_generated(document: str, generated: str) -> str:
    """The document with the part between its two marks replaced."""
    begin, end = "<!-- generated by tools/fit_training.py -->", "<!-- end -->"
    head, rest = document.split(begin)
    return f"{head}{begin}\n\n{generated}\n\n{end}{rest.split(end)[1]}"


def main() -> None:
    """Fit, assess, print; write if asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--write", action="store_true", help="write the coefficients and the tables in the docs"
    )
    write = parser.parse_args().write

    prior = coefficients(np.array([to_free(name, PRIORS[name].value) for name in FITTED]), {})
    with MEASUREMENTS.open(newline="", encoding="utf-8") as file:
        rows, refused = read_rows(csv.DictReader(file), prior)
    fitted = fit(rows)
    assessment = assess(rows, fitted)
    log_sigma, moe_log_sigma, search_log_sigma = spreads(assessment, np.ones(len(rows), dtype=np.bool_))
    fitted = replace(
        fitted,
        untuned_loss=float(np.expm1(log_untuned(rows, fitted))),
        log_sigma=log_sigma,
        moe_log_sigma=moe_log_sigma,
        search_log_sigma=search_log_sigma,
        unseen_log_sigma=unseen_spread(assessment, fitted),
    )

    not_used = "\n".join(f"| {reason} | {count} |" for reason, count in refused.most_common())
    generated = f"{error_table(assessment)}\n\n| rows not used | n |\n|---|--:|\n{not_used}"
    print(coefficient_file(fitted, rows), generated, sep="\n")
    if write:
        COEFFICIENTS.write_text(coefficient_file(fitted, rows), encoding="utf-8")
        FOLDS.write_text(training_folds_json(folds(assessment, fitted)), encoding="utf-8")
        DOCUMENT.write_text(with_generated(DOCUMENT.read_text("utf-8"), generated), encoding="utf-8")


if __name__ == "__main__":
    main()
