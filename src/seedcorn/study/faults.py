"""Which replicas go when a node goes: where a plan's replicas stand, and their spells of service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from seedcorn.domain.fault import FaultRates, Outage
from seedcorn.domain.hardware import PoolName
from seedcorn.domain.plan import Deployment
from seedcorn.domain.scenario import Scenario
from seedcorn.replay import Spell, drawn_outages, interrupted


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where the replicas of one deployment stand: on nodes of their own, filled one after the other.

    Attributes:
        first_node: Of those, in the pool.
        chips: Of one replica.
    """

    pool: PoolName
    first_node: int
    replicas: int
    chips: int
    chips_per_node: int

    @property
    def num_nodes(self) -> int:
        """Nodes that the replicas take."""
        return -(-self.replicas // self._per_node) * self._nodes_each

    def replicas_on(self, node: int) -> range:
        """Replicas of which the deployment's node number ``node`` (0 its first) holds a part."""
        first = node // self._nodes_each * self._per_node
        return range(first, min(first + self._per_node, self.replicas))

    @property
    def _per_node(self) -> int:
        return max(self.chips_per_node // self.chips, 1)

    @property
    def _nodes_each(self) -> int:
        return -(-self.chips // self.chips_per_node)


def standings(
    deployments: Mapping[str, Sequence[Deployment]], scenario: Scenario
) -> dict[str, tuple[Standing, ...]]:
    """Where each service's deployments stand: in the order of the plan, none sharing a node with another."""
    next_node = {pool.name: 0 for pool in scenario.pools}
    found: dict[str, tuple[Standing, ...]] = {}
    for service, parts in deployments.items():
        stand = []
        for deployment in parts:
            pool = scenario.pool(deployment.offer.candidate.pool)
            standing = Standing(
                pool=pool.name,
                first_node=next_node[pool.name],
                replicas=deployment.replicas,
                chips=deployment.offer.candidate.parallelism.chips,
                chips_per_node=pool.chips_per_node,
            )
            next_node[pool.name] += standing.num_nodes
            stand.append(standing)
        found[service] = tuple(stand)
    return found


def fault_spells(
    stand: Sequence[Standing], faults: FaultRates | Sequence[Outage], *, until_s: float
) -> tuple[Spell, ...]:
    """Spells of the replicas that faults hit; group g of the replay is ``stand[g]``.

    Args:
        stand: Of one service's deployments.
        faults: Drawn node by node, the same for a node whatever else the plan holds; or given.
        until_s: No drawn failure at or after this.
    """
    outages: dict[tuple[int, int], list[tuple[float, float]]] = {}
    for g, standing in enumerate(stand):
        for node, lost_s, back_s in _outages(standing, faults, until_s):
            for replica in standing.replicas_on(node):
                outages.setdefault((g, replica), []).append((lost_s, back_s))
    return tuple(
        spell
        for (g, replica), found in outages.items()
        for spell in interrupted([Spell(group=g, replica=replica)], found)
    )


def _outages(
    standing: Standing, faults: FaultRates | Sequence[Outage], until_s: float
) -> list[tuple[int, float, float]]:
    """(node of the standing, lost at, back at)"""
    if not isinstance(faults, FaultRates):
        return [
            (outage.node - standing.first_node, outage.lost_s, outage.back_s)
            for outage in faults
            if outage.pool == standing.pool and 0 <= outage.node - standing.first_node < standing.num_nodes
        ]
    found = []
    for node in range(standing.num_nodes):
        seeds = [faults.seed, standing.first_node + node, *standing.pool.encode()]
        drawn = drawn_outages(
            mtbf_s=faults.mtbf_s, mttr_s=faults.mttr_s, until_s=until_s, rng=np.random.default_rng(seeds)
        )
        found += [(node, lost_s, back_s) for lost_s, back_s in drawn]
    return found


def idle_outages(stand: Mapping[str, Sequence[Standing]], outages: Sequence[Outage]) -> tuple[Outage, ...]:
    """Those that hit a node on which no replica stands."""

    def hits(outage: Outage, standing: Standing) -> bool:
        nodes = range(standing.first_node, standing.first_node + standing.num_nodes)
        return outage.pool == standing.pool and outage.node in nodes

    each = [standing for parts in stand.values() for standing in parts]
    return tuple(outage for outage in outages if not any(hits(outage, standing) for standing in each))
