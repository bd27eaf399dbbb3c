"""What seedcorn wants to reach, beside what other tools print of themselves."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from seedcorn.domain.accuracy import Quantity, Residual, Target
from seedcorn.study.accuracy.folds import Split
from seedcorn.study.accuracy.score import mean_over_chips

BLIS, AICONFIGURATOR = "BLIS", "aiconfigurator"

ASCEND_910B = "huawei-ascend-910b"
"""How the names of this chip's bins start."""

COVERAGE = (0.85, 0.95)
"""Share of rows that an honest 90 % interval covers; more would be too wide."""

LATENCIES = (Quantity.TTFT, Quantity.TPOT, Quantity.E2E, Quantity.TOKENS_PER_S)


def targets(
    serving: Mapping[str, Sequence[Residual]],
    training: Sequence[Residual],
    after_own_points: Sequence[Residual],
    real_runs: Mapping[str, Sequence[float]],
) -> tuple[Target, ...]:
    """Every target with what is reached, scored per chip and then averaged over chips.

    Args:
        serving: Per split.
        training: With their source left out.
        after_own_points: End to end, once ten rows of a server corrected the prediction of the others.
        real_runs: Run → relative errors of its second half.
    """
    known, unseen = serving[Split.MODEL_AND_ENGINE], serving[Split.CHIP]
    of_910b = [row for row in unseen if _is_910b(row)]
    trained_910b = [row for row in training if _is_910b(row)]
    return (
        _median(
            "known chips, unseen (model, engine): TPOT",
            known,
            Quantity.TPOT,
            0.06,
            f"{BLIS} 7.1 %, {AICONFIGURATOR} 16.6 %",
        ),
        _median(
            "known chips, unseen (model, engine): TTFT",
            known,
            Quantity.TTFT,
            0.15,
            f"{BLIS} 17.6 %, {AICONFIGURATOR} 48.8 %",
        ),
        _median(
            "known chips, unseen (model, engine): end to end",
            known,
            Quantity.E2E,
            0.06,
            f"{BLIS} 6.7 %, {AICONFIGURATOR} 16.4 %",
        ),
        _median(
            "chip left out: end to end",
            unseen,
            Quantity.E2E,
            0.13,
            f"{BLIS} zero-shot A100 15.7 %, L40S 13.3 %",
        ),
        _median("chip left out, Ascend 910B: end to end", of_910b, Quantity.E2E, 0.25, "–"),
        _median("chip left out, then ten own rows: end to end", after_own_points, Quantity.E2E, 0.08, "–"),
        _median("chip left out: output tokens/s", unseen, Quantity.TOKENS_PER_S, 0.20, "–"),
        _mape("training, source left out: MFU, MAPE", training, 0.12, "constant MFU 22.5 %"),
        _mape("training, source left out, Ascend 910B: MFU, MAPE", trained_910b, 0.20, "constant MFU 39.9 %"),
        _covered("90 % intervals cover: known chips", known),
        _covered("90 % intervals cover: chip left out", unseen),
        _covered("90 % intervals cover: training, source left out", training),
        *(
            _worst(f"second half of a real vLLM run, {run}: worst of TTFT and TPOT, mean and p99", errors)
            for run, errors in real_runs.items()
        ),
    )


def _is_910b(row: Residual) -> bool:
    return row.chip.startswith(ASCEND_910B)


def _median(name: str, rows: Sequence[Residual], quantity: Quantity, most: float, peers: str) -> Target:
    return Target(
        name=name,
        peers=peers,
        reached=mean_over_chips(rows, quantity, lambda score: score.median),
        least=0.0,
        most=most,
        rows=_count(rows, quantity),
    )


def _mape(name: str, rows: Sequence[Residual], most: float, peers: str) -> Target:
    return Target(
        name=name,
        peers=peers,
        reached=mean_over_chips(rows, Quantity.MFU, lambda score: score.mape),
        least=0.0,
        most=most,
        rows=_count(rows, Quantity.MFU),
    )


def _covered(name: str, rows: Sequence[Residual]) -> Target:
    """Of every number of every row, whatever it is of; chips count alike."""
    chips = sorted({row.chip for row in rows})
    shares = [np.mean([row.is_covered for row in rows if row.chip == chip]) for chip in chips]
    least, most = COVERAGE
    return Target(
        name=name,
        peers="none printed",
        reached=float(np.mean(shares)) if shares else None,
        least=least,
        most=most,
        rows=len(rows),
    )


def _worst(name: str, errors: Iterable[float]) -> Target:
    found = [abs(error) for error in errors]
    return Target(
        name=name,
        peers="LLMServingSim, profiled: TTFT 0.3–13.6 %, TPOT 0.2–1.7 %",
        reached=max(found, default=None),
        least=0.0,
        most=0.02,
        rows=len(found),
    )


def _count(rows: Iterable[Residual], quantity: Quantity) -> int:
    return sum(row.quantity is quantity for row in rows)
