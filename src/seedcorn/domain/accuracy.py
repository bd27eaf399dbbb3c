"""How wrong predictions are: one residual per row and quantity, scores of groups of them, targets."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from seedcorn.domain.offer import Evidence


class Quantity(StrEnum):
    """What was measured and is predicted."""

    TTFT = "ttft"
    TPOT = "tpot"
    E2E = "e2e"
    TOKENS_PER_S = "output_tokens_per_s"
    MFU = "training_mfu"


class Group(StrEnum):
    """What residuals are gathered by: a field of theirs."""

    CHIP = "chip"
    MODEL = "model"
    GRADE = "grade"
    SOURCE = "source"


@dataclass(frozen=True, slots=True, kw_only=True)
class Residual:
    """One measured number against its prediction.

    Attributes:
        grade: Evidence that the prediction rests on.
        log_error: ln(predicted / measured).
        is_covered: Whether the 90 % interval holds the measured value.
        constant_log_error: The same of the baseline, a constant efficiency of every chip.
    """

    quantity: Quantity
    chip: str
    model: str
    grade: Evidence
    source: str
    log_error: float
    is_covered: bool
    constant_log_error: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """Errors of a group of rows, relative to the measured value.

    Attributes:
        mape: Mean of |predicted / measured − 1|.
        median, p90: Of the same.
        bias: Median of predicted / measured − 1.
        covered_share: Of rows that lie in their 90 % interval.
        constant_mape, constant_median: Of the baseline.
    """

    group: str
    quantity: Quantity
    rows: int
    mape: float
    median: float
    p90: float
    bias: float
    covered_share: float
    constant_mape: float
    constant_median: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One line of what seedcorn wants to reach.

    Attributes:
        peers: What other tools print, in words.
        reached: ``None``: no row at hand speaks of it.
        least, most: Between which it shall lie.
        rows: That were scored.
    """

    name: str
    peers: str
    reached: float | None
    least: float
    most: float
    rows: int

    @property
    def is_met(self) -> bool:
        """Whether the target is reached, and there is something to judge it by."""
        return self.reached is not None and self.least <= self.reached <= self.most


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Published rows at hand and those that stay out.

    Attributes:
        used: Rows that are evidence.
        refused: Reason → rows that are none.
        not_bundled: Source → rows whose licence does not allow to pass them on.
    """

    used: int
    refused: Mapping[str, int]
    not_bundled: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Accuracy:
    """Everything ``seedcorn accuracy`` says.

    Attributes:
        by: What the scores are grouped by.
        held_out: Of serving and of training: what the predictions' fits had not seen.
        scores: By group, then quantity.
        bundles: ``serving`` and ``training`` → rows.
        targets: Empty for the user's own rows.
        unscored: Why usable rows have no score → how many.
    """

    by: Group
    held_out: Mapping[str, str]
    scores: tuple[Score, ...]
    bundles: Mapping[str, Bundle]
    targets: tuple[Target, ...]
    unscored: Mapping[str, int]
