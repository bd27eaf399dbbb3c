"""Share of wall-clock time in which a gang makes progress: checkpoints, failures, restarts."""

import math

from seedcorn.domain.workload import Interruptions

USUAL = Interruptions()


def checkpoint_interval_s(chips: int, told: Interruptions = USUAL) -> float:
    """Seconds between checkpoints: as told, or those that lose the least time, √(2 · stall · MTBF of the gang).

    Young 1974 (doi:10.1145/361147.361115); Daly's higher orders matter only when the stall is not
    small against the MTBF.
    """
    if told.checkpoint_every_s is not None:
        return told.checkpoint_every_s
    return math.sqrt(2 * told.checkpoint_s * told.chip_mtbf_s / chips)


def effectiveness_share(chips: int, told: Interruptions = USUAL) -> float:
    """Share of wall-clock time in which ``chips`` make progress.

    A failure costs the restart and, on average, half an interval of lost work; first order in
    time lost over time between failures, which 1 / (1 + x) keeps positive.
    """
    interval_s = checkpoint_interval_s(chips, told)
    failures_per_s = chips / told.chip_mtbf_s
    lost = told.checkpoint_s / interval_s + failures_per_s * (interval_s / 2 + told.restart_s)
    return 1 / (1 + lost)
