"""When each replica is in service: lost with its node and back, or there for some slots of the day.

One value says both. A replica that no spell names is in service throughout; of one that is named,
its spells are all there is.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Spell:
    """A replica in service.

    Attributes:
        group: Which group of replicas,
        replica: and which of it.
        from_s: From here on requests are sent to it.
        to_s: Until here. Then it drains, finishing what it has,
        lost: or what it has not finished is lost, and sent again elsewhere.
    """

    group: int
    replica: int
    from_s: float = 0.0
    to_s: float = float("inf")
    lost: bool = False


def slot_spells(
    group: int, replicas: Sequence[int], *, slot_s: float, start_s: float, until_s: float
) -> tuple[Spell, ...]:
    """Spells of a group that has so many replicas in each slot, slot after slot and round again.

    A replica is started when its slot begins and takes requests ``start_s`` later (those of the first
    slot are up from the start); when a slot with fewer begins, the last ones drain.

    Args:
        group: Which.
        replicas: (slots,)
        slot_s: Seconds of a slot.
        start_s: From a replica's start to its first request: shorter than a slot.
        until_s: No slot begins at or after this.
    """
    assert 0 <= start_s < slot_s
    begins = np.arange(0.0, until_s, slot_s)
    counts = np.array(replicas)[np.arange(begins.shape[0]) % len(replicas)]
    found: list[Spell] = []
    for replica in range(max(replicas)):
        slot = 0
        for there, run in groupby(counts > replica):
            length = len(list(run))
            if there:
                from_s = begins[slot] + start_s if slot > 0 else 0.0
                ends = slot + length == begins.shape[0]
                to_s = float("inf") if ends else float(begins[slot + length])
                found.append(Spell(group=group, replica=replica, from_s=float(from_s), to_s=to_s))
            slot += length
    never = [r for r in range(max(replicas)) if not (counts > r).any()]
    found += [Spell(group=group, replica=replica, from_s=float("inf")) for replica in never]
    return tuple(found)


def interrupted(spells: Sequence[Spell], outages: Iterable[tuple[float, float]]) -> tuple[Spell, ...]:
    """One replica's ``spells``, cut by ``outages``: (lost at, back at), overlapping or not.

    What an outage leaves nothing of is a spell that never begins.
    """
    left = list(spells)
    for lost_s, back_s in outages:
        cut: list[Spell] = []
        for spell in left:
            if spell.to_s <= lost_s or spell.from_s >= back_s:
                cut.append(spell)
                continue
            if spell.from_s < lost_s:
                cut.append(replace(spell, to_s=lost_s, lost=True))
            if spell.to_s > back_s:
                cut.append(replace(spell, from_s=back_s))
        left = cut
    return tuple(left) or (replace(spells[0], from_s=float("inf"), to_s=float("inf")),)


def drawn_outages(
    *, mtbf_s: float, mttr_s: float, until_s: float, rng: np.random.Generator
) -> tuple[tuple[float, float], ...]:
    """(lost at, back at) of a node that fails and is repaired without memory.

    Times to failure and to repair are exponential; the node is up at 0, which is where such a process
    starts, not its long run.

    Args:
        mtbf_s: Mean time from repair to failure.
        mttr_s: Mean time from failure until the node serves again, its start included.
        until_s: No failure at or after this.
        rng: Where draws come from.
    """
    found: list[tuple[float, float]] = []
    lost_s = rng.exponential(mtbf_s)
    while lost_s < until_s:
        back_s = lost_s + rng.exponential(mttr_s)
        found.append((lost_s, back_s))
        lost_s = back_s + rng.exponential(mtbf_s)
    return tuple(found)
