"""How wrong predictions are, for people."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict

from rich.table import Table

from seedcorn.domain.accuracy import Accuracy, Bundle, Quantity, Score, Target
from seedcorn.report.tables import Page, plain_table

QUANTITIES = {
    Quantity.TTFT: "TTFT",
    Quantity.TPOT: "TPOT",
    Quantity.E2E: "end to end",
    Quantity.TOKENS_PER_S: "output tokens/s",
    Quantity.MFU: "training MFU",
}

SCORE_COLUMNS = (
    "quantity",
    "rows",
    "MAPE",
    "median",
    "p90",
    "bias",
    "90 % interval covers",
    "constant: MAPE",
    "constant: median",
)
TARGET_COLUMNS = ("target", "other tools", "rows", "reached", "asked", "")


def accuracy_page(accuracy: Accuracy) -> Page:
    """What was held out, errors by group, targets, rows that are not in it."""
    held_out = "; ".join(f"{what}: fitted without {split}" for what, split in accuracy.held_out.items())
    page: list[Table | str] = [
        held_out,
        "",
        _table((accuracy.by, *SCORE_COLUMNS), score_rows(accuracy.scores), 2),
    ]
    if accuracy.targets:
        page += ["", _table(TARGET_COLUMNS, target_rows(accuracy.targets), 2)]
    return [*page, "", *notes(accuracy)]


def accuracy_document(accuracy: Accuracy) -> dict[str, object]:
    """The same for programs: every share as a fraction, ``is_met`` beside each target."""
    return {
        "seedcorn": 1,
        "kind": "accuracy",
        **asdict(accuracy),
        "targets": [asdict(target) | {"is_met": target.is_met} for target in accuracy.targets],
    }


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], texts: int) -> Table:
    """A table whose columns behind the first ``texts`` are numbers."""
    table = plain_table(*columns, right=[name for name in columns[texts:] if name])
    for row in rows:
        table.add_row(*row)
    return table


def score_rows(scores: Iterable[Score]) -> Iterable[tuple[str, ...]]:
    """A line per group and quantity."""
    for one in scores:
        yield (
            one.group,
            QUANTITIES[one.quantity],
            f"{one.rows:,}",
            *(f"{value:.1%}" for value in (one.mape, one.median, one.p90)),
            f"{one.bias:+.1%}",
            f"{one.covered_share:.0%}",
            *(f"{value:.1%}" for value in (one.constant_mape, one.constant_median)),
        )


def target_rows(targets: Iterable[Target]) -> Iterable[tuple[str, ...]]:
    """A line per target."""
    for target in targets:
        asked = f"{target.least:.0%} – {target.most:.0%}" if target.least else f"≤ {target.most:.0%}"
        reached = "no row at hand" if target.reached is None else f"{target.reached:.1%}"
        verdict = "" if target.reached is None else "met" if target.is_met else "missed"
        yield target.name, target.peers, f"{target.rows:,}", reached, asked, verdict


def notes(accuracy: Accuracy) -> list[str]:
    """What a reader must know of the rows."""
    lines = []
    if accuracy.targets:
        lines.append(
            "Targets: errors per chip, then the mean over chips. The refits were made from all published rows known; "
            "they are scored on those whose licence allows to bundle them."
        )
    for what, bundle in accuracy.bundles.items():
        lines += _bundle_notes(what, bundle)
    if accuracy.unscored:
        lines.append(f"Used, but not scored: {_counts(accuracy.unscored)}.")
    return lines


def _bundle_notes(what: str, bundle: Bundle) -> list[str]:
    lines = [f"{what}: {bundle.used:,} rows used"]
    if bundle.refused:
        lines[0] += f"; {sum(bundle.refused.values()):,} are no evidence: {_counts(bundle.refused)}"
    if bundle.not_bundled:
        lines.append(
            f"{what}: {sum(bundle.not_bundled.values()):,} rows not bundled, no licence stated: "
            f"{_counts(bundle.not_bundled)}"
        )
    return lines


def _counts(counts: Mapping[str, int]) -> str:
    return "; ".join(f"{reason} ({count:,})" for reason, count in counts.items())
