"""The plan as a sequence of waves from what runs today, and what can be said of it where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass

from seedcorn.domain.moves import Lacking, Move, Running, Wave
from seedcorn.domain.plan import Deployment
from seedcorn.domain.scenario import Scenario
from seedcorn.planner.waves import Shift, Step, waves
from seedcorn.study.offers import demand_req_per_s
from seedcorn.study.starting import drain_s, start_s
from seedcorn.units import format_share


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """The waves, or why there are none, and what the reader should know of them."""

    waves: tuple[Wave, ...]
    warnings: tuple[str, ...] = ()


def way_to(
    scenario: Scenario,
    running: Mapping[str, tuple[Running, ...]],
    deployments: Mapping[str, tuple[Deployment, ...]],
    load_factors: Mapping[str, float],
) -> Way:
    """The fewest waves from ``running`` to ``deployments``, both by service.

    Through every wave each service keeps what it is planned for, or what today or the plan carries where
    that is less. Training jobs take their chips when the last wave is done; what trains today is not
    known, so chips that no service holds today count as free.
    """
    spanning = [n for n, those in deployments.items() if any(d.offer.candidate.prefill for d in those)]
    if spanning:
        names = ", ".join(map(repr, spanning))
        return Way(waves=(), warnings=(f"no waves are planned: units of {names} take chips of two pools",))
    found = [shift for s in scenario.services for shift in _shifts(s.name, running, deployments)]
    held = {pool.name: sum(f.now * f.chips for f in found if f.pool == pool.name) for pool in scenario.pools}
    over = [pool for pool in scenario.pools if held[pool.name] > pool.chips]
    if over:
        return Way(
            waves=(),
            warnings=tuple(
                f"today's services need {held[pool.name]:,} chips of pool {pool.name!r}, which has {pool.chips:,}: no waves "
                "lead from there; say what runs under 'today'"
                for pool in over
            ),
        )
    free = {pool.name: max(pool.usable_chips, held[pool.name]) - held[pool.name] for pool in scenario.pools}
    steps = waves(found, free, _needs(found, scenario, load_factors))
    if steps is None:
        return Way(waves=(), warnings=("no sequence of waves from today to the plan was found in time",))
    drains_s = {service.name: drain_s(service, scenario) for service in scenario.services}
    starts_s = {
        (name, d.offer.candidate.name): start_s(d.offer.candidate, scenario)
        for name, those in deployments.items()
        for d in those
    }
    made = tuple(_wave(found, step, starts_s, drains_s) for step in steps)
    return Way(waves=made, warnings=_losses(made))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind(Shift):
    """A shift that remembers what offers call it."""

    kind: str


def _shifts(
    service: str,
    running: Mapping[str, tuple[Running, ...]],
    deployments: Mapping[str, tuple[Deployment, ...]],
) -> list[_Kind]:
    """One for each kind of replica that runs today or will; whichever class it serves, it is one kind."""
    now = {r.kind: r for r in running.get(service, ())}
    then: dict[str, list[Deployment]] = {}
    for deployment in deployments[service]:
        then.setdefault(deployment.offer.candidate.name, []).append(deployment)
    return [_shift(service, kind, now.get(kind), then.get(kind, [])) for kind in dict.fromkeys([*now, *then])]


def _shift(service: str, kind: str, now: Running | None, then: list[Deployment]) -> _Kind:
    """Replicas of ``kind`` carry what the plan has them carry, else what they carry today."""
    replicas = sum(d.replicas for d in then)
    if then:
        candidate = then[0].offer.candidate
        pool, chips = candidate.pool, candidate.parallelism.chips
        capacity = sum(d.replicas * d.offer.capacity_req_per_s for d in then) / replicas
    else:
        assert now is not None  # one of the two has it
        pool, chips, capacity = now.pool, now.chips // now.replicas, now.capacity_req_per_s
    return _Kind(
        service=service,
        kind=kind,
        pool=pool,
        chips=chips,
        capacity=capacity,
        now=0 if now is None else now.replicas,
        then=replicas,
    )


def _needs(shifts: list[_Kind], scenario: Scenario, load_factors: Mapping[str, float]) -> dict[str, float]:
    needs = {}
    for service in scenario.services:
        mine = [shift for shift in shifts if shift.service == service.name]
        needs[service.name] = min(
            demand_req_per_s(service, scenario, load_factors[service.name], slot=0),
            sum(shift.capacity * shift.now for shift in mine),
            sum(shift.capacity * shift.then for shift in mine),
        )
    return needs


def _wave(
    shifts: list[_Kind],
    step: Step,
    starts_s: Mapping[tuple[str, str], float],
    drains_s: Mapping[str, float],
) -> Wave:
    starts, stops = _moves(shifts, step.starts), _moves(shifts, step.stops)
    return Wave(
        starts=starts,
        stops=stops,
        start_s=max((starts_s[move.service, move.kind] for move in starts), default=0.0),
        drain_s=max((drains_s[move.service] for move in stops), default=0.0),
        lacking=tuple(Lacking(service=name, share=share) for name, share in step.lacking.items()),
    )


def _moves(shifts: list[_Kind], replicas: tuple[int, ...]) -> tuple[Move, ...]:
    return tuple(
        Move(service=s.service, kind=s.kind, pool=s.pool, replicas=count, chips=count * s.chips)
        for s, count in zip(shifts, replicas, strict=True)
        if count
    )


def _losses(made: tuple[Wave, ...]) -> tuple[str, ...]:
    """Each service that has to lose some of its rate on the way, once, at its worst."""
    worst: dict[str, tuple[float, int]] = {}
    for number, wave in enumerate(made, start=1):
        for lacking in wave.lacking:
            worst[lacking.service] = max(worst.get(lacking.service, (0.0, 0)), (lacking.share, number))
    return tuple(
        f"service {name!r} cannot move at work: free chips are too few, and after wave {number} nothing carries "
        f"{format_share(share)} of its rate until the next wave serves"
        for name, (share, number) in worst.items()
    )
