"""A plan for people: the answer first, then who goes where, what each pool is worth, what trains."""

from collections.abc import Iterable, Mapping, Sequence

from rich.table import Table
from rich.text import Text

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.outcome import PoolOutcome
from seedcorn.domain.plan import Alternative, JobPlan, Plan, ServicePlan
from seedcorn.domain.workload import RequestClass
from seedcorn.report.day import by_offer, day_part, elastic_jobs, replays, resale_table, spread
from seedcorn.report.outcome import slo_found
from seedcorn.report.tables import Page, plain_table
from seedcorn.report.trials import trials_table
from seedcorn.report.waves import moves_of, today_sentence, waves_part
from seedcorn.units import format_seconds, format_share


def headline(plan: Plan) -> str:
    """The answer a reader wants first, in one sentence."""
    slos = {True: "every SLO held in replay", False: "NOT every SLO held in replay", None: "not replayed"}
    return (
        f"{plan.training_chips_freed:,} of {plan.today_chips:,} {plan.reference_pool} chips freed for training, "
        f"{slos[plan.slos_held]}, gap {_gap(plan.gap)}"
    )


def plan_page(plan: Plan) -> Page:
    """Headline and tables."""
    page: list[Table | Text | str] = [
        headline(plan),
        "",
        _services(plan),
        *_standing_by(plan),
        "",
        _pools(plan),
    ]
    if plan.num_slots > 1:
        page += ["", *day_part(plan)]
    if plan.jobs:
        page += ["", _jobs(plan)]
    if plan.resale:
        page += ["", resale_table(plan)]
    if (trials := trials_table(plan)) is not None:
        page += ["", trials]
    if plan.waves:
        page += ["", *waves_part(plan)]
    if plan.defaults:
        page += [
            "",
            "Defaults used: " + "; ".join(f"{key} = {value}" for key, value in plan.defaults.items()),
        ]
    return page


def replayed_page(plan: Plan, pools: Sequence[PoolOutcome]) -> Page:
    """What a replay of the whole plan found, service by service and pool by pool."""
    table = plain_table(
        "service",
        "requests",
        "refused",
        "retried",
        "preempted",
        "output tokens/s",
        "busy",
        "attainment",
        "SLO in replay",
        right=("requests", "refused", "retried", "preempted", "output tokens/s", "busy", "attainment"),
    )
    for service, name, outcome in replays(plan):
        table.add_row(
            name,
            f"{outcome.arrived:,}",
            f"{outcome.refused:,}",
            f"{outcome.retried:,}",
            f"{outcome.preemptions:,}",
            f"{outcome.output_tokens_per_s:,.0f}",
            format_share(outcome.busy_share),
            "-" if outcome.slo_attainment_share is None else format_share(outcome.slo_attainment_share),
            slo_found(service.deployments[0].offer, outcome),
        )
    page: list[Table | Text | str] = [
        "Every SLO held in replay." if plan.slos_held else "NOT every SLO held in replay.",
        "",
        table,
    ]
    if pools:
        page += ["", _pools_replayed(pools)]
    if (trials := trials_table(plan)) is not None:
        page += ["", trials]
    return page


def _pools_replayed(pools: Sequence[PoolOutcome]) -> Table:
    columns = ("replicas", "chips", "requests served", "busy")
    table = plain_table("pool", *columns, right=columns)
    for pool in pools:
        table.add_row(
            pool.pool,
            f"{pool.replicas:,}",
            f"{pool.chips:,}",
            f"{pool.finished:,}",
            format_share(pool.busy_share),
        )
    return table


def explain_page(plan: Plan, service: ServicePlan) -> Page:
    """Why a service goes where it goes: what each alternative would cost, and why the rest is none."""
    chosen = {d.offer.name for d in service.deployments}
    usable = {pool.pool: pool.chips - pool.spare for pool in plan.pools}
    cheapest: dict[RequestClass, float] = {}
    for alternative in service.alternatives:
        request_class = alternative.offer.request_class
        cheapest[request_class] = min(alternative.cost, cheapest.get(request_class, alternative.cost))
    carried = f"all of {service.service}" + (" or all of its class" if len(cheapest) > 1 else "")
    alternatives = plain_table(
        "",
        "offer",
        "prefill chunk",
        "req/s a replica",
        "bound by",
        "replicas",
        "chips",
        "cost",
        "against the cheapest",
        "evidence",
        right=("prefill chunk", "req/s a replica", "replicas", "chips", "cost", "against the cheapest"),
        title=f"Offers, each as if it carried {carried} (cost in {plan.reference_pool} chip-hours an hour, at this plan's prices)",
    )
    for alternative in service.alternatives:
        offer = alternative.offer
        alternatives.add_row(
            "*" if offer.name in chosen else "",
            offer.name,
            f"{offer.candidate.engine.max_num_batched_tokens:,}",
            f"{offer.capacity_req_per_s:,.3g}",
            offer.binds.name,
            f"{alternative.replicas:,}",
            _chips_needed(alternative, usable),
            f"{alternative.cost:,.2f}",
            _dearer(alternative, cheapest[offer.request_class]),
            offer.evidence,
        )
    page: list[Table | str] = [_why(plan, service)]
    if (today := today_sentence(service)) is not None:
        page.append(today)
    page += [*_doubts(plan, service), "", alternatives]
    if (moves := moves_of(service.service, plan.waves)) is not None:
        page += ["", moves]
    if service.refusals:
        refusals = plain_table("candidate", "why not", title="No offer")
        for refusal in service.refusals:
            refusals.add_row(refusal.candidate.name, f"{refusal.kind.replace('_', ' ')}: {refusal.reason}")
        page += ["", refusals]
    return page


def _services(plan: Plan) -> Table:
    table = plain_table(
        "service",
        "today",
        "goes to",
        "replicas",
        "chips",
        "share",
        "evidence",
        "SLO in replay",
        right=("replicas", "chips", "share"),
        title="Move: which services leave, to where",
    )
    slots = plan.num_slots
    for service in plan.services:
        today = "-" if service.today is None else f"{service.today} ({service.today_chips or '?'} chips)"
        for i, (deployment, replicas) in enumerate(by_offer(service.deployments, slots)):
            size = deployment.offer.candidate.num_chips
            table.add_row(
                service.service if i == 0 else "",
                today if i == 0 else "",
                deployment.offer.name,
                spread(replicas),
                spread(size * n for n in replicas),
                "" if slots > 1 else format_share(deployment.share),
                deployment.offer.evidence,
                slo_found(deployment.offer, service.outcome) if i == 0 else "",
            )
    return table


def _pools(plan: Plan) -> Table:
    sold = ("sold",) if plan.resale else ()
    fullest = " in their fullest slot" if plan.num_slots > 1 else ""
    table = plain_table(
        "pool",
        "chip",
        "owned",
        "spare",
        "services",
        "training",
        *sold,
        "free",
        "price",
        "one more is worth",
        right=("owned", "spare", "services", "training", *sold, "free", "price", "one more is worth"),
        title=f"Pools{fullest} (prices in {plan.reference_pool} chip-hours an hour)",
    )
    for pool in plan.pools:
        table.add_row(
            pool.pool,
            pool.chip,
            *(
                f"{n:,}"
                for n in (
                    pool.chips,
                    pool.spare,
                    pool.used_by_services,
                    pool.used_by_jobs,
                    *((pool.sold,) if plan.resale else ()),
                    pool.free,
                )
            ),
            f"{pool.price:.3f}",
            f"{pool.price + pool.shadow_price:.3f}",
        )
    return table


def _jobs(plan: Plan) -> Table:
    table = plain_table(
        "job",
        "pool",
        "chips",
        "layout",
        "tokens/s",
        "nine times in ten",
        "finishes in",
        "evidence",
        right=("chips", "tokens/s", "nine times in ten", "finishes in"),
        title="Training",
    )
    for slot_plans in elastic_jobs(plan):
        table.add_row(*_elastic(slot_plans))
    for job in plan.jobs:
        if job.slot is not None:
            continue
        if job.pool is None:
            table.add_row(job.job, "waits", "", "", "", "")
            continue
        finishes = "-" if job.finishes_in_s is None else format_seconds(job.finishes_in_s)
        pools = " + ".join(job.chips_by_pool)
        chips = " + ".join(f"{count:,}" for count in job.chips_by_pool.values())
        pace = (f"{job.tokens_per_s:,.0f}", _bounds([job]))
        table.add_row(job.job, pools, chips, job.parallelism, *pace, finishes, job.evidence or "-")
    return table


def _bounds(jobs: Sequence[JobPlan]) -> str:
    """Between which a job's mean speed lies; one job errs alike in every slot."""
    lows = [job.tokens_per_s_low for job in jobs if job.tokens_per_s_low is not None]
    highs = [job.tokens_per_s_high for job in jobs if job.tokens_per_s_high is not None]
    return f"{sum(lows) / len(jobs):,.0f} – {sum(highs) / len(jobs):,.0f}" if lows and highs else "-"


def _elastic(slots: Sequence[JobPlan]) -> tuple[str, ...]:
    """A row for a job that takes another gang in every slot: from the least to the most, and its mean pace."""
    pools = sorted({job.pool for job in slots if job.pool is not None})
    if not pools:
        return (slots[0].job, "waits", "", "", "", "")
    tokens_per_s = sum(job.tokens_per_s for job in slots) / len(slots)
    tokens = next((j.tokens_per_s * j.finishes_in_s for j in slots if j.finishes_in_s is not None), None)
    finishes = "-" if tokens is None else format_seconds(tokens / tokens_per_s)
    return (
        slots[0].job,
        ", ".join(pools),
        spread(job.chips for job in slots),
        "by slot",
        f"{tokens_per_s:,.0f}",
        _bounds(slots),
        finishes,
        ", ".join(sorted({job.evidence for job in slots if job.evidence is not None})) or "-",
    )


def _gap(gap: float) -> str:
    return f"{gap * 100:.3g} %" if gap < float("inf") else "unknown"


def _why(plan: Plan, service: ServicePlan) -> str:
    slots = plan.num_slots
    goes = ", ".join(
        f"{spread(replicas)} x {d.offer.name}" + ("" if slots > 1 else f" ({format_share(d.share)})")
        for d, replicas in by_offer(service.deployments, slots)
    )
    return f"{service.service} goes to {goes}."


def _doubts(plan: Plan, service: ServicePlan) -> list[str]:
    """How far the capacities may be off, and what is spent for it."""
    lines = []
    for deployment, _ in by_offer(service.deployments, plan.num_slots):
        if deployment.uncertainty is not None:
            offer, capacity = deployment.offer, deployment.uncertainty.capacity_req_per_s
            lines.append(
                f"{offer.name}: {offer.capacity_req_per_s:,.3g} requests/s a replica planned; "
                f"{capacity.value:,.3g} likely, {capacity.low:,.3g} to {capacity.high:,.3g} nine times in ten; "
                f"evidence: {offer.evidence}."
            )
    if lines:
        lines.append(
            f"Uncertainty takes {_chips_for_uncertainty(plan, [service])} of its chips, "
            f"{plan.cost_of_uncertainty([service]):,.2f} {plan.reference_pool} chip-hours an hour; "
            f"{_chips_for_uncertainty(plan, plan.services)} chips and {plan.cost_of_uncertainty(plan.services):,.2f} in the whole "
            "plan. What measuring would save: seedcorn evidence wanted."
        )
    return lines


def _standing_by(plan: Plan) -> list[str]:
    """What the whole plan spends because capacities are predicted; nothing where that is not known."""
    if not any(d.uncertainty for s in plan.services for d in s.deployments):
        return []
    return [
        "",
        f"{_chips_for_uncertainty(plan, plan.services)} of these chips stand by because capacities are predictions: "
        f"{plan.cost_of_uncertainty(plan.services):,.2f} {plan.reference_pool} chip-hours an hour "
        "(explain SERVICE, evidence wanted).",
    ]


def _chips_for_uncertainty(plan: Plan, services: Iterable[ServicePlan]) -> str:
    """Chips; over a day of several slots, the mean."""
    chips = sum(d.chips_for_uncertainty for s in services for d in s.deployments)
    return f"{chips / plan.num_slots:,.0f}"


def _chips_needed(alternative: Alternative, usable: Mapping[PoolName, int]) -> str:
    """Chips that the alternative takes, and how many there are if that is fewer."""
    chips = alternative.offer.candidate.chips
    short = [usable[pool] for pool, count in chips.items() if alternative.replicas * count > usable[pool]]
    return f"{alternative.chips:,}" + (f" of {min(short):,}" if short else "")


def _dearer(alternative: Alternative, cheapest: float) -> str:
    return f"{alternative.cost / cheapest:.2f} x" if cheapest > 0 else "-"
