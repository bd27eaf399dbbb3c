"""A scenario with every name resolved: what the study works on."""

from dataclasses import dataclass, field

from seedcorn.domain.hardware import Pool, PoolName
from seedcorn.domain.measurement import Measurement
from seedcorn.domain.moves import Starting
from seedcorn.domain.robustness import LoadCase
from seedcorn.domain.sale import Product
from seedcorn.domain.workload import Service, TrainingJob


@dataclass(frozen=True, slots=True, kw_only=True)
class Planning:
    """How to plan.

    Attributes:
        gap: Stop when the plan is proven within this relative gap of the best one.
        confidence: Offers are sized at this quantile of the step model's uncertainty.
        load_margin: Traffic above the mean rate that the plan must carry, as a share of it.
        idle_value: What a free chip is worth, as a share of what it could train.
        classes: Most request classes that a service's traffic may be split into.
        output_known: Whether a router knows how long an answer will be, and may split by it.
        slots: Parts of the day, equally long, each with its own replicas.
        rounds: How often the plan may be tightened after a replay that missed an objective.
        reference_price: What a reference-chip hour is worth in money: amount and currency.
        spare: Nodes of each pool whose loss at once the plan withstands.
        cases: Loads that it withstands, beside the mean rates with their margin.
        max_moves: Most replicas that may be started where none of their kind runs today.
        stickiness: What starting one must gain, in reference-chip hours an hour, beyond what it costs.
        stands_for_s: How long the plan is to stand: what a move costs once is spread over it.
        starting: What starting and stopping a replica takes.
    """

    gap: float = 0.001
    time_limit_s: float = 60.0
    confidence: float = 0.9
    load_margin: float = 0.1
    idle_value: float = 0.5
    slots: int = 1
    rounds: int = 3
    classes: int = 2
    output_known: bool = False
    spare: int = 0
    cases: tuple[LoadCase, ...] = ()
    max_moves: int | None = None
    stickiness: float = 0.0
    stands_for_s: float = 86_400.0
    starting: Starting = field(default_factory=Starting)
    seed: int = 0
    reference_price: tuple[float, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Fleet, claimants and how to plan. Names are unique within pools, services and jobs.

    Attributes:
        reference: Pool whose chip-hour is the numéraire; ``None``: the study picks the pool whose
            chip trains fastest.
        measurements: Evidence of these models on these chips; it replaces predictions.
        products: What may be sold of free chips.
        notes: What the reader should know of where the fleet is from.
        inputs_hash: SHA-256 over the document and everything that its names resolved to.
    """

    name: str
    pools: tuple[Pool, ...]
    services: tuple[Service, ...] = ()
    jobs: tuple[TrainingJob, ...] = ()
    planning: Planning = field(default_factory=Planning)
    reference: PoolName | None = None
    measurements: tuple[Measurement, ...] = ()
    products: tuple[Product, ...] = ()
    notes: tuple[str, ...] = ()
    inputs_hash: str = ""

    def pool(self, name: PoolName) -> Pool:
        """The pool called ``name``."""
        return next(pool for pool in self.pools if pool.name == name)

    def service(self, name: str) -> Service:
        """The service called ``name``."""
        return next(service for service in self.services if service.name == name)
