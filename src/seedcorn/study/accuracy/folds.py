"""Coefficients of refits that never saw some rows: what an honest error is computed with.

A fold is one refit. It says what it was fitted without, so that a row is predicted only by a fold that
left it out. The fitting tools write the files; here they are read.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

from seedcorn.domain.offer import Evidence
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.training.coefficients import Coefficients
from seedcorn.study.accuracy.serving_rows import Case
from seedcorn.study.accuracy.training_rows import Row

MEASUREMENTS: Traversable = files("seedcorn") / "data" / "measurements"
"""The bundled rows and folds."""

SERVING, TRAINING = "serving-folds.json", "training-folds.json"


class Split(StrEnum):
    """What rows of one fold have in common."""

    MODEL_AND_ENGINE = "model and engine"
    CHIP = "chip"
    SOURCE = "source"
    FAMILY = "chip family"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingFold:
    """A refit of the efficiency curves.

    Attributes:
        left_out: Keys (:func:`serving_key`) of the rows that it was fitted without.
        fitted_rows: Rows that it was fitted on, at the most.
        curves: (chip, engine, version) of the rows left out → what the refit takes for them.
    """

    split: Split
    left_out: frozenset[str]
    fitted_rows: int
    curves: Mapping[tuple[str, str, str], Efficiency]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingFold:
    """A refit of the training coefficients.

    Attributes:
        left_out: Keys (:func:`training_key`) of the rows that it was fitted without.
        fitted_rows: Rows that it was fitted on.
        constant_mfu: Chip → median MFU of the rows it was fitted on, full-square attention counted; under
            "" that of all chips.
    """

    split: Split
    left_out: frozenset[str]
    fitted_rows: int
    coefficients: Coefficients
    constant_mfu: Mapping[str, float]


def serving_key(case: Case, split: Split) -> str:
    """What a serving row is left out under."""
    match split:
        case Split.CHIP:
            return case.chip.name
        case Split.FAMILY:
            return case.chip.family
        case Split.SOURCE:
            return case.source
        case Split.MODEL_AND_ENGINE:
            return f"{case.model.name}, {case.engine}"


def training_key(row: Row, split: Split) -> str:
    """What a training row is left out under."""
    match split:
        case Split.CHIP:
            return row.chip
        case Split.FAMILY:
            return row.question.facts.family
        case Split.SOURCE:
            return row.source
        case Split.MODEL_AND_ENGINE:
            return row.model


def curve_key(case: Case) -> tuple[str, str, str]:
    """Under which of a fold's curves a row is predicted."""
    return case.chip.name, case.engine, case.version


@cache
def serving_folds() -> tuple[ServingFold, ...]:
    """Every bundled refit of the efficiency curves."""
    document = json.loads((MEASUREMENTS / SERVING).read_text(encoding="utf-8"))
    return tuple(
        ServingFold(
            split=Split(fold["split"]),
            left_out=frozenset(fold["left_out"]),
            fitted_rows=fold["fitted_rows"],
            curves={
                (curve.pop("chip"), curve.pop("engine"), curve.pop("version")): Efficiency(
                    **curve | {"evidence": Evidence(curve["evidence"])}
                )
                for curve in fold["curves"]
            },
        )
        for fold in document
    )


@cache
def training_folds() -> tuple[TrainingFold, ...]:
    """Every bundled refit of the training coefficients."""
    document = json.loads((MEASUREMENTS / TRAINING).read_text(encoding="utf-8"))
    return tuple(
        TrainingFold(
            split=Split(fold["split"]),
            left_out=frozenset(fold["left_out"]),
            fitted_rows=fold["fitted_rows"],
            coefficients=Coefficients(**fold["coefficients"]),
            constant_mfu=fold["constant_mfu"],
        )
        for fold in document
    )


def serving_folds_json(folds: Iterable[ServingFold]) -> str:
    """The text of ``serving-folds.json``: a line per curve."""
    return _lines(
        {
            "split": fold.split,
            "left_out": sorted(fold.left_out),
            "fitted_rows": fold.fitted_rows,
            "curves": [
                {"chip": chip, "engine": engine, "version": version, **_rounded(asdict(curve))}
                for (chip, engine, version), curve in sorted(fold.curves.items())
            ],
        }
        for fold in folds
    )


def training_folds_json(folds: Iterable[TrainingFold]) -> str:
    """The text of ``training-folds.json``."""
    return _lines(
        {
            "split": fold.split,
            "left_out": sorted(fold.left_out),
            "fitted_rows": fold.fitted_rows,
            "coefficients": _rounded(asdict(fold.coefficients)),
            "constant_mfu": _rounded(dict(sorted(fold.constant_mfu.items()))),
        }
        for fold in folds
    )


def _lines(folds: Iterable[Mapping[str, object]]) -> str:
    """JSON with a fold's fields, and every element of their lists, on lines of their own."""
    return "[\n" + ",\n".join("{\n" + ",\n".join(map(_field, f.items())) + "\n}" for f in folds) + "\n]\n"


def _field(item: tuple[str, object]) -> str:
    name, value = item
    if not isinstance(value, list):
        return f" {json.dumps(name)}: {json.dumps(value)}"
    elements = ",\n  ".join(json.dumps(element) for element in value)
    return f" {json.dumps(name)}: [\n  {elements}\n ]"


def _rounded(values: Mapping[str, object]) -> dict[str, object]:
    """Numbers to five digits: a fit is not better than that."""
    return {
        name: float(f"{value:.5g}")
        if isinstance(value, float)
        else _rounded(value)
        if isinstance(value, Mapping)
        else value
        for name, value in values.items()
    }
