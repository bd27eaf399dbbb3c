"""Trials for people: what the plan withstands, and what it does not."""

from rich.table import Table

from seedcorn.domain.plan import Plan, ServicePlan
from seedcorn.domain.robustness import Trial
from seedcorn.report.outcome import slo_found
from seedcorn.report.tables import plain_table


def trials_table(plan: Plan) -> Table | None:
    """One row for each service and case; ``None`` where nothing was tried."""
    rows = [(service, trial) for service in plan.services for trial in service.trials]
    if not rows:
        return None
    table = plain_table(
        "case", "service", "replicas lost", "SLO in replay", right=("replicas lost",), title="Withstands"
    )
    order = {case: i for i, case in enumerate(dict.fromkeys(trial.case for _, trial in rows))}
    for service, trial in sorted(rows, key=lambda row: order[row[1].case]):
        table.add_row(trial.case, service.service, f"{trial.lost:,}", _found(service, trial))
    return table


def _found(service: ServicePlan, trial: Trial) -> str:
    if trial.outcome is None:
        return "LOST: no replica left for some of the traffic"
    return slo_found(service.deployments[0].offer, trial.outcome)
