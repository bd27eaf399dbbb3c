"""Nodes that are lost and come back."""

from dataclasses import dataclass

from seedcorn.domain.hardware import PoolName


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A node of a pool is lost at ``lost_s`` and serves again from ``back_s``, on the clock of the traces.

    Attributes:
        node: Counted from 0 over the nodes that the plan's deployments take, in the plan's order.
        back_s: Infinite: it does not return.
    """

    pool: PoolName
    node: int
    lost_s: float
    back_s: float = float("inf")


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultRates:
    """Every node fails and is repaired by itself, both without memory.

    Attributes:
        mtbf_s: Mean time between a node's repair and its next failure.
        mttr_s: Mean time from failure until it serves again.
    """

    mtbf_s: float
    mttr_s: float
    seed: int = 0
