"""What one more node of a pool would be good for."""

from dataclasses import dataclass

from seedcorn.domain.hardware import PoolName


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Replicas of one kind of a service, or chips of a training job in one pool, with the node and without."""

    claimant: str
    what: str
    without: int
    with_node: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeWorth:
    """The best plan with one more node of ``pool`` against the best without: both are cleared anew.

    Attributes:
        chips: Of the node.
        gain: Reference-chip hours an hour between the two plans found, chips that nobody uses counted in.
        gain_least, gain_most: What the proofs leave: the true gain is between them.
        unused: What of it the node is worth if nobody uses it.
        freed: Chips of the reference pool that services use less, the mean of the day.
        changes: What is different, claimant by claimant.
    """

    pool: PoolName
    chips: int
    gain: float
    gain_least: float
    gain_most: float
    unused: float
    freed: float
    changes: tuple[Change, ...]
