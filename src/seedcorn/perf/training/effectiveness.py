"""Share of wall-clock time in which a gang makes progress: checkpoints, failures, restarts."""

import math

# Llama 3 405B: 419 unexpected interruptions in 54 days on 16,384 H100 (arXiv:2407.21783, section 3.3.4).
CHIP_MTBF_S = 54 * 86400 * 16384 / 419
# MegaScale: failures detected and diagnosed, and the run caught up, within 15 min of the last
# checkpoint; saving stalls training for seconds, since it is written in the background
# (arXiv:2402.15627, sections 4.4 and 6.3).
RESTART_S = 900.0
CHECKPOINT_STALL_S = 10.0


def checkpoint_interval_s(chips: int) -> float:
    """Seconds between checkpoints that lose the least time: √(2 · stall · MTBF of the gang).

    Young 1974 (doi:10.1145/361147.361115); Daly's higher orders matter only when the stall is not
    small against the MTBF.
    """
    return math.sqrt(2 * CHECKPOINT_STALL_S * CHIP_MTBF_S / chips)


def effectiveness_share(chips: int) -> float:
    """Share of wall-clock time in which ``chips`` make progress, at the best checkpoint interval.

    A failure costs the restart and, on average, half an interval of lost work; first order in
    time lost over time between failures, which 1 / (1 + x) keeps positive.
    """
    interval_s = checkpoint_interval_s(chips)
    failures_per_s = chips / CHIP_MTBF_S
    lost = CHECKPOINT_STALL_S / interval_s + failures_per_s * (interval_s / 2 + RESTART_S)
    return 1 / (1 + lost)
