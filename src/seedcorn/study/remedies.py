"""Why the fleet cannot carry its claimants, and what would do, in the words of the scenario."""

from collections.abc import Iterator, Mapping, Sequence

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Shortage
from seedcorn.domain.scenario import Scenario
from seedcorn.errors import FleetTooSmall
from seedcorn.units import format_seconds

_HOUR_S = 3600.0


def fleet_too_small(scenario: Scenario, shortages: Sequence[Shortage]) -> FleetTooSmall:
    """The refusal: what binds, then every change found, each of which is enough alone (or needed, and says so)."""
    error = FleetTooSmall(
        f"the fleet of {scenario.name!r} cannot carry its claimants",
        claimants=tuple(dict.fromkeys(shortage.claimant for shortage in shortages)),
    )
    for binds in dict.fromkeys(shortage.binds for shortage in shortages):
        error.add_note(f"what binds: {binds}")
    for needed, heading in ((True, "nothing works without"), (False, "enough by itself")):
        for change in dict.fromkeys(_change(s, scenario) for s in shortages if s.needed is needed):
            error.add_note(f"{heading}: {change}")
    return error


def _change(shortage: Shortage, scenario: Scenario) -> str:
    """The change as one would make it in the scenario; the market's own words where it is none of these."""
    return " and ".join(_parts(shortage, scenario)) or shortage.remedy


def _parts(shortage: Shortage, scenario: Scenario) -> Iterator[str]:
    if shortage.add_chips:
        yield _chips(shortage.add_chips, scenario)
    if shortage.add_moves:
        yield (
            f"let {shortage.add_moves:,} more replicas start (planning.max_moves is {scenario.planning.max_moves})"
        )
    if shortage.shed and any(service.name == shortage.claimant for service in scenario.services):
        rate = scenario.service(shortage.claimant).rate_per_s
        less = sum(shortage.shed.values()) / (1 + scenario.planning.load_margin)
        yield (
            f"shed {less:,.4g} of the {rate:,.4g} requests/s of service {shortage.claimant!r}"
            f" ({less / rate:.1%})"
        )
    job = next((job for job in scenario.jobs if job.name == shortage.claimant), None)
    if job is not None and job.deadline_s is not None:
        if shortage.deadline_hours is not None:
            moved = format_seconds(shortage.deadline_hours * _HOUR_S)
            yield f"give training job {job.name!r} {moved} instead of {format_seconds(job.deadline_s)}"
        elif shortage.wait:
            yield f"let training job {job.name!r} wait: take its deadline of {format_seconds(job.deadline_s)} away"


def _chips(add: Mapping[PoolName, int], scenario: Scenario) -> str:
    found = []
    for name, chips in add.items():
        nodes = -(-chips // scenario.pool(name).chips_per_node)
        found.append(f"add {chips:,} chips ({nodes:,} {'node' if nodes == 1 else 'nodes'}) to pool {name!r}")
    return " and ".join(found)
