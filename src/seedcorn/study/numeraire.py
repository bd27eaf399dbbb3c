"""What a chip-hour is worth: the reference pool, and the price of a chip that nobody uses."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import Infeasible, UnknownFact
from seedcorn.perf.training import speed_per_chip

REFERENCE_JOB = TrainingJob(name="a dense 70 B model", params=70e9, active_params=70e9)
"""What free chips are valued by where the scenario trains nothing: the usual size of a dense flagship
(Llama-2-70B, Qwen2.5-72B)."""

FEWER_CHIPS = 0.01
"""Price of any chip per unit of its arithmetic peak against the reference chip's: small beside what
training pays, so that it only decides between plans that free the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numeraire:
    """Values in hours of the reference pool's chip.

    Attributes:
        speeds: Training speed of one chip of each pool against one of the reference pool; 0 where
            training does not run; a ratio of peaks where it is unknown.
        prices: What one free chip-hour of each pool is worth.
        warnings: What could not be valued, and what was done instead.
    """

    reference: Pool
    speeds: Mapping[PoolName, float]
    prices: Mapping[PoolName, float]
    warnings: tuple[str, ...]


def numeraire(scenario: Scenario) -> Numeraire:
    """The reference pool (the scenario's, else the one whose chip trains fastest) and every pool's price.

    A free chip is worth ``idle_value`` of what it could train, plus :data:`FEWER_CHIPS` of its peak; a
    pool's own ``price`` goes before. Where nobody can say how fast a chip trains, its arithmetic peak
    stands in, and a warning says so.

    Raises:
        Infeasible: The scenario's own reference does not train its first job.
    """
    job = scenario.jobs[0] if scenario.jobs else REFERENCE_JOB
    known, unknown = _speeds(scenario.pools, job)
    reference = _reference(scenario, known)
    on_reference = known.get(reference.name, 0.0)
    if scenario.reference is not None and known and on_reference == 0:
        raise Infeasible(
            f"fleet.reference {reference.name!r} does not train {job.name!r}: name one of "
            f"{', '.join(name for name, speed in known.items() if speed > 0)}, or none"
        )
    speeds = {
        pool.name: known[pool.name] / on_reference
        if on_reference > 0 and pool.name in known
        else _peak_ratio(pool, reference)
        for pool in scenario.pools
    }
    prices = {pool.name: _price(pool, speeds[pool.name], reference, scenario) for pool in scenario.pools}
    warnings = tuple(
        f"pool {pool.name!r}: how fast its chips train is unknown ({unknown[pool.name]}); free ones are valued by their "
        "arithmetic peak instead; set the pool's 'price' to say otherwise"
        for pool in scenario.pools
        if pool.name in unknown and pool.price is None
    )
    return Numeraire(reference=reference, speeds=speeds, prices=prices, warnings=warnings)


def _speeds(pools: Iterable[Pool], job: TrainingJob) -> tuple[dict[PoolName, float], dict[PoolName, str]]:
    """Tokens/s of one chip of each pool (0: does not train), and why that is unknown of the others."""
    known: dict[PoolName, float] = {}
    unknown: dict[PoolName, str] = {}
    for pool in pools:
        try:
            known[pool.name] = speed_per_chip(job, pool)
        except UnknownFact as error:
            unknown[pool.name] = error.message
    return known, unknown


def _reference(scenario: Scenario, known: Mapping[PoolName, float]) -> Pool:
    """The scenario's own; else the pool whose chip trains fastest; else the one of the highest peak."""
    if scenario.reference is not None:
        return scenario.pool(scenario.reference)
    fastest = max(scenario.pools, key=lambda pool: known.get(pool.name, 0.0))
    if known.get(fastest.name, 0.0) > 0:
        return fastest
    return max(scenario.pools, key=lambda pool: _peak_flop_per_s(pool) or 0.0)


def _price(pool: Pool, speed: float, reference: Pool, scenario: Scenario) -> float:
    if pool.price is not None:
        return pool.price
    return scenario.planning.idle_value * speed + FEWER_CHIPS * _peak_ratio(pool, reference)


def _peak_ratio(pool: Pool, reference: Pool) -> float:
    """Sixteen-bit peak against the reference's; 1 where either is unpublished."""
    ours, theirs = _peak_flop_per_s(pool), _peak_flop_per_s(reference)
    return ours / theirs if ours and theirs else 1.0


def _peak_flop_per_s(pool: Pool) -> float | None:
    return pool.chip.peak_flop_per_s(Dtype.BF16) or pool.chip.peak_flop_per_s(Dtype.FP16)
