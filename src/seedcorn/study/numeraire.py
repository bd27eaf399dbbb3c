"""What a chip-hour is worth: the reference pool, and the price of a chip that nobody uses."""

from collections.abc import Mapping
from dataclasses import dataclass

from seedcorn.domain.hardware import Dtype, Pool, PoolName
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import TrainingJob
from seedcorn.errors import Infeasible, UnknownFact
from seedcorn.perf.training import relative_speed

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
            training does not run.
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
    pool's own ``price`` goes before.

    Raises:
        Infeasible: No pool can train, or the named reference cannot.
    """
    job = scenario.jobs[0] if scenario.jobs else REFERENCE_JOB
    reference = _reference(scenario, job)
    speeds: dict[PoolName, float] = {}
    warnings: list[str] = []
    for pool in scenario.pools:
        try:
            speeds[pool.name] = relative_speed(job, pool, reference)
        except UnknownFact as error:
            speeds[pool.name] = 0.0
            warnings.append(
                f"pool {pool.name!r}: what its chips could train is unknown ({error.message}); free ones are taken "
                "as worth nothing to training: set the pool's 'price' to say otherwise"
            )
    prices = {pool.name: _price(pool, speeds[pool.name], reference, scenario) for pool in scenario.pools}
    return Numeraire(reference=reference, speeds=speeds, prices=prices, warnings=tuple(warnings))


def _reference(scenario: Scenario, job: TrainingJob) -> Pool:
    if scenario.reference is not None:
        return scenario.pool(scenario.reference)
    fastest: Pool | None = None
    for pool in scenario.pools:
        try:
            if relative_speed(job, pool, fastest or pool) > (fastest is not None):
                fastest = pool
        except Infeasible:  # trains nothing, or nobody knows: no yardstick
            continue
    if fastest is None:
        raise Infeasible(
            f"no pool of {scenario.name!r} can train {job.name!r}, so there is nothing to keep chips for: "
            "add a pool of chips with bf16 arithmetic and a 'network', or name one as fleet.reference"
        )
    return fastest


def _price(pool: Pool, speed: float, reference: Pool, scenario: Scenario) -> float:
    if pool.price is not None:
        return pool.price
    return scenario.planning.idle_value * speed + FEWER_CHIPS * _peak_ratio(pool, reference)


def _peak_ratio(pool: Pool, reference: Pool) -> float:
    """Sixteen-bit peak against the reference's; 1 where either is unpublished."""
    peaks = [
        chip.peak_flop_per_s(Dtype.BF16) or chip.peak_flop_per_s(Dtype.FP16)
        for chip in (pool.chip, reference.chip)
    ]
    return peaks[0] / peaks[1] if peaks[0] and peaks[1] else 1.0
