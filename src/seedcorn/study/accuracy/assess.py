"""``seedcorn accuracy``: every bundled row predicted by a refit that never saw it, or the user's own rows as shipped."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from math import log
from pathlib import Path

from seedcorn.domain.accuracy import Accuracy, Group, Quantity, Residual
from seedcorn.domain.prediction import Interval
from seedcorn.domain.workload import EngineName
from seedcorn.errors import Infeasible
from seedcorn.evidence import Given, read_measurement
from seedcorn.perf.efficiency import Efficiency, efficiency
from seedcorn.perf.training.coefficients import bundled_coefficients
from seedcorn.study.accuracy.folds import (
    MEASUREMENTS,
    ServingFold,
    Split,
    curve_key,
    serving_folds,
    serving_key,
    training_folds,
    training_key,
)
from seedcorn.study.accuracy.own_points import after_own_points, servers
from seedcorn.study.accuracy.real_runs import second_half_errors
from seedcorn.study.accuracy.rows import bundle, bundled, not_bundled, own_rows
from seedcorn.study.accuracy.score import scores
from seedcorn.study.accuracy.serving import CONSTANT, measured, predicted
from seedcorn.study.accuracy.serving_rows import Case, read_cases, vllm_runs
from seedcorn.study.accuracy.targets import targets
from seedcorn.study.accuracy.training import constant_mfu, training_residual
from seedcorn.study.accuracy.training_rows import read_rows

Progress = Callable[[str, int, int], None]
ReasonCounts = Counter[str]

RUNS = Path(str(MEASUREMENTS)) / "vllm_runs"

SPLITS = {
    Group.CHIP: (Split.CHIP, Split.FAMILY),
    Group.MODEL: (Split.MODEL_AND_ENGINE, Split.SOURCE),
    Group.GRADE: (Split.CHIP, Split.SOURCE),
    Group.SOURCE: (Split.SOURCE, Split.SOURCE),
}
"""What is left out of serving's and of training's refits, by what the scores are grouped by."""

SHIPPED = "nothing: the coefficients are those shipped, fitted on published rows"


def bundled_accuracy(by: Group, progress: Progress) -> Accuracy:
    """Errors on the bundled rows, each predicted by a refit that was made without it."""
    cases, refused = read_cases(bundled("inference.csv"))
    cases += vllm_runs(RUNS).values()
    split, training_split = SPLITS[by]
    serving, unscored = _held_out_serving(cases, {Split.MODEL_AND_ENGINE, Split.CHIP, split}, progress)
    trained, training_refused = _held_out_training(Split.SOURCE)
    shown = trained if training_split is Split.SOURCE else _held_out_training(training_split)[0]
    return Accuracy(
        by=by,
        held_out={"serving": f"their {split}", "training": f"their {training_split}"},
        scores=scores([*serving[split], *shown], by),
        bundles={
            "serving": bundle(len(cases), refused, not_bundled("inference")),
            "training": bundle(len(trained), training_refused, not_bundled("training")),
        },
        targets=targets(serving, trained, _after_own_points(cases, progress), dict(_real_runs())),
        unscored=unscored,
    )


def own_accuracy(by: Group, serving: Path | None, training: Path | None, progress: Progress) -> Accuracy:
    """Errors of the shipped coefficients on the user's own rows.

    Raises:
        InputError: A file cannot be read, or lacks columns.
    """
    found: list[Residual] = []
    bundles, unscored = {}, ReasonCounts()
    if serving is not None:
        cases, refused = read_cases(own_rows(serving, "inference.csv"), any_source=True)
        scored, unscored = _scored(cases, lambda case: {SHIPPED: _shipped_curve(case)}, progress)
        found += scored.get(SHIPPED, [])
        bundles["serving"] = bundle(len(cases), refused, {})
    if training is not None:
        runs, refused = read_rows(own_rows(training, "training.csv"), any_chip=True)
        constant = constant_mfu(read_rows(bundled("training.csv"))[0])
        found += [training_residual(run, bundled_coefficients(), constant) for run in runs]
        bundles["training"] = bundle(len(runs), refused, {})
    return Accuracy(
        by=by,
        held_out=dict.fromkeys(bundles, SHIPPED),
        scores=scores(found, by),
        bundles=bundles,
        targets=(),
        unscored=unscored,
    )


def _shipped_curve(case: Case) -> Efficiency:
    """The bundled curve, under the row's engine where that is one with factors of its own."""
    known = next((engine for engine in EngineName if case.engine.startswith(engine)), EngineName.VLLM)
    return efficiency(case.chip, known)


def _held_out_serving(
    cases: Sequence[Case], splits: Iterable[Split], progress: Progress
) -> tuple[Mapping[str, list[Residual]], ReasonCounts]:
    """Residuals per split; and how many rows a split has no refit without."""

    def curves(case: Case) -> dict[str, Efficiency]:
        found: dict[str, Efficiency | None] = {split: unseen_curve(case, split) for split in splits}
        return {split: curve for split, curve in found.items() if curve is not None}

    scored, unscored = _scored(cases, curves, progress)
    for split in splits:
        absent = sum(split not in curves(case) for case in cases)
        if absent:
            unscored[f"no refit without their {split}"] += absent
    return scored, unscored


def _scored(
    cases: Sequence[Case], curves: Callable[[Case], Mapping[str, Efficiency]], progress: Progress
) -> tuple[dict[str, list[Residual]], ReasonCounts]:
    """Residuals of every case under every curve, some cases at a time; and why some have none."""
    found: dict[str, list[Residual]] = {}
    unscored = ReasonCounts()

    def judged(case: Case) -> dict[str, list[Residual]] | str:
        try:
            constant = predicted(case, CONSTANT)
            return {key: list(_residuals(case, curve, constant)) for key, curve in curves(case).items()}
        except Infeasible as error:
            return str(error)

    with ThreadPoolExecutor() as threads:
        for done, result in enumerate(threads.map(judged, cases), start=1):
            if isinstance(result, str):
                unscored[result] += 1
            else:
                for key, residuals in result.items():
                    found.setdefault(key, []).extend(residuals)
            progress("serving rows, by replay", done, len(cases))
    return found, unscored


def _residuals(case: Case, curve: Efficiency, constant: Mapping[Quantity, Interval]) -> Iterator[Residual]:
    """One per number that a row says; a single token has no TPOT."""
    said = predicted(case, curve)
    for quantity, seen in measured(case).items():
        if said[quantity].value > 0:
            yield Residual(
                quantity=quantity,
                chip=case.chip.name,
                model=case.model.name,
                grade=curve.evidence,
                source=case.source,
                log_error=log(said[quantity].value / seen),
                is_covered=said[quantity].low <= seen <= said[quantity].high,
                constant_log_error=log(constant[quantity].value / seen),
            )


def unseen_curve(case: Case, split: Split) -> Efficiency | None:
    """What the refit that left the case out takes for it."""
    fold = _folds_by_key(split).get(serving_key(case, split))
    return None if fold is None else fold.curves.get(curve_key(case))


@cache
def _folds_by_key(split: Split) -> Mapping[str, ServingFold]:
    return {key: fold for fold in serving_folds() if fold.split is split for key in fold.left_out}


def _held_out_training(split: Split) -> tuple[list[Residual], ReasonCounts]:
    """Residuals of every run whose split's refit left it out, each row read and predicted by that refit."""
    folds = {key: fold for fold in training_folds() if fold.split is split for key in fold.left_out}
    found, refused = [], ReasonCounts()
    for record in bundled("training.csv"):
        as_shipped, reasons = read_rows([record])
        refused += reasons
        for run in as_shipped:  # one, or none
            fold = folds[training_key(run, split)]
            unseen, _ = read_rows([record], fold.coefficients)
            found += [training_residual(row, fold.coefficients, fold.constant_mfu) for row in unseen]
    return found, refused


def _after_own_points(cases: Sequence[Case], progress: Progress) -> list[Residual]:
    """End to end, every chip left out at first; then ten rows of a server correct what is said of its others."""
    found = []
    asked = [(server, unseen_curve(server[0], Split.CHIP)) for server in servers(cases)]
    known = [(server, curve) for server, curve in asked if curve is not None]
    with ThreadPoolExecutor() as threads:
        for done, residuals in enumerate(
            threads.map(lambda one: list(after_own_points(*one)), known), start=1
        ):
            found += residuals
            progress("ten own rows", done, len(known))
    return found


def _real_runs() -> Iterator[tuple[str, list[float]]]:
    """Run → errors of its second half, by a curve of the refit that saw neither run."""
    for folder, run in vllm_runs(RUNS).items():
        curve = unseen_curve(run, Split.SOURCE)
        assert curve is not None
        measurement = read_measurement(RUNS / folder, Given(chip=run.chip.name))
        yield f"{run.model.name} on {run.chip.name}", list(second_half_errors(run, measurement, curve))
