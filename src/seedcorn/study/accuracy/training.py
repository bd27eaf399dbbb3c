"""Training rows predicted by coefficients, in their own layout and in a searched one."""

from collections.abc import Mapping, Sequence

import numpy as np

from seedcorn.domain.accuracy import Quantity, Residual
from seedcorn.domain.offer import Evidence
from seedcorn.perf.training.coefficients import Coefficients
from seedcorn.perf.training.layout import layouts_of
from seedcorn.study.accuracy.score import HALF_WIDTH
from seedcorn.study.accuracy.training_rows import Row, published_mfu, question_under


def training_residual(row: Row, fitted: Coefficients, constant_mfu: Mapping[str, float]) -> Residual:
    """A run in its own layout against its prediction.

    Args:
        constant_mfu: Chip → what the baseline takes; "" for chips it has not.
    """
    question = question_under(row, fitted)
    seconds_per_token = float(question.terms(layouts_of([row.parallelism])).total_s[0])
    log_error = -float(np.log(seconds_per_token * row.tokens_per_s_per_chip))
    is_known = question.facts.family in fitted.family_log_offsets
    return Residual(
        quantity=Quantity.MFU,
        chip=question.pool.chip.name,
        model=row.model,
        grade=Evidence.CALIBRATED if is_known else Evidence.DATASHEET,
        source=row.source,
        log_error=log_error,
        is_covered=abs(log_error) <= HALF_WIDTH * question.log_sigma(is_searched=False),
        constant_log_error=float(np.log(constant_mfu.get(row.chip, constant_mfu[""]) / published_mfu(row))),
    )


def constant_mfu(rows: Sequence[Row]) -> dict[str, float]:
    """The baseline: chip → median MFU that rows publish; under "" that of all of them."""
    mfu = np.array([published_mfu(row) for row in rows])
    chips = np.array([row.chip for row in rows])
    own = {str(chip): float(np.median(mfu[chips == chip])) for chip in np.unique(chips)}
    return {"": float(np.median(mfu)), **own}
