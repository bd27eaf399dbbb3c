"""A grid of what-ifs: each scenario planned and replayed, none of them twice."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from seedcorn.domain.market import Status
from seedcorn.domain.plan import Plan
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.sweep import PoolLeft, SweepPoint
from seedcorn.errors import Infeasible
from seedcorn.study.offers import Progress, silent
from seedcorn.study.planning import plan_scenario
from seedcorn.workers import InTurn, Workers


@dataclass(frozen=True, slots=True, kw_only=True)
class WhatIf:
    """A changed scenario, and what was changed: path → the value put there, as text."""

    changes: Mapping[str, str]
    scenario: Scenario


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of a what-if; no ``plan`` where there is none."""

    point: SweepPoint
    plan: Plan | None


def sweep(what_ifs: Sequence[WhatIf], progress: Progress, workers: Workers | None = None) -> Iterator[Tried]:
    """Plan and replay each, in order; a result is given out as soon as it and all before it are there.

    Args:
        workers: Who plans whole what-ifs; none: this machine plans one after the other, with all cores.
    """
    progress("what-ifs planned", 0, len(what_ifs))
    tried = (workers or InTurn()).map(_tried, None, what_ifs)
    for done, result in enumerate(tried, start=1):
        yield result
        progress("what-ifs planned", done, len(what_ifs))


def _tried(_: None, what_if: WhatIf) -> Tried:
    try:
        plan = plan_scenario(what_if.scenario, silent)
    except Infeasible as error:
        reason = "; ".join([error.message, *getattr(error, "__notes__", ())])
        no_plan = SweepPoint(
            changes=what_if.changes,
            inputs_hash=what_if.scenario.inputs_hash,
            status=Status.INFEASIBLE,
            reason=reason,
        )
        return Tried(point=no_plan, plan=None)
    return Tried(point=_planned(what_if, plan), plan=plan)


def _planned(what_if: WhatIf, plan: Plan) -> SweepPoint:
    return SweepPoint(
        changes=what_if.changes,
        inputs_hash=plan.inputs_hash,
        status=plan.status,
        training_chips_freed=plan.training_chips_freed,
        today_chips=plan.today_chips,
        objective=plan.objective,
        gap=plan.gap,
        slos_held=plan.slos_held,
        pools={p.pool: PoolLeft(free=p.free, price=p.price + p.shadow_price) for p in plan.pools},
    )
