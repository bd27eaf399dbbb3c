"""By how much one objective of one service would have to give, for a fleet that cannot carry it: by replay."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Objective, Service, Slo
from seedcorn.errors import FleetTooSmall
from seedcorn.study.disaggregation import with_units
from seedcorn.study.offers import OfferBook, Progress, offer_book, silent
from seedcorn.units import format_seconds
from seedcorn.workers import Workers

MOST_RELAXED = 8.0
"""An objective that would have to give by more is not the one that binds."""

CLOSE = 1.1
"""Bounds are found to within this factor."""

SERVICES_ASKED = 2
"""Services, those that pay most for what is scarce first; each answer costs some searches for capacity."""

Clears = Callable[[OfferBook], bool]


def add_slo_changes(
    error: FleetTooSmall,
    scenario: Scenario,
    book: OfferBook,
    clears: Clears,
    progress: Progress,
    workers: Workers,
) -> None:
    """Add to ``error``, for each service named in it, the objective that would have to give, and by how much.

    Args:
        book: Offers as they are.
        clears: Whether the fleet carries its claimants with other offers.
    """
    services = [s for s in scenario.services if s.name in error.claimants][:SERVICES_ASKED]
    for done, service in enumerate(services):
        progress("relaxing objectives", done, len(services))
        objective = _binding(service, book)
        if objective is None:
            continue
        bound_s = _least_bound_s(service, objective, scenario, book, clears, workers)
        what = f"relax {objective.name} of service {service.name!r} from {format_seconds(objective.bound_s)}"
        if bound_s is None:
            error.add_note(
                f"not enough: {what} to {format_seconds(MOST_RELAXED * objective.bound_s)}, the others as they are"
            )
        else:
            error.add_note(f"enough by itself: {what} to {format_seconds(bound_s)}")
    progress("relaxing objectives", len(services), len(services))


def _binding(service: Service, book: OfferBook) -> Objective | None:
    """The objective that limits most of the service's offers."""
    counts = Counter(offer.binds for offer in book.offers[service.name])
    return counts.most_common(1)[0][0] if counts else None


def _least_bound_s(
    service: Service,
    objective: Objective,
    scenario: Scenario,
    book: OfferBook,
    clears: Clears,
    workers: Workers,
) -> float | None:
    """The tightest bound, to within :data:`CLOSE`, at which the fleet is enough; ``None``: not within reach."""

    def is_enough(factor: float) -> bool:
        relaxed = _relaxed(service, objective, factor * objective.bound_s)
        alone = replace(scenario, services=(relaxed,))
        found = with_units(offer_book(alone, silent, workers), alone, silent, workers)
        return clears(replace(book, offers={**book.offers, service.name: found.offers[service.name]}))

    low, high = 1.0, MOST_RELAXED
    if not is_enough(high):
        return None
    while high / low > CLOSE:
        middle = (low * high) ** 0.5
        if is_enough(middle):
            high = middle
        else:
            low = middle
    return high * objective.bound_s


def _relaxed(service: Service, objective: Objective, bound_s: float) -> Service:
    looser = replace(objective, bound_s=bound_s)
    objectives: tuple[Objective, ...] = tuple(looser if o == objective else o for o in service.slo.objectives)
    return replace(service, slo=Slo(objectives=objectives))
