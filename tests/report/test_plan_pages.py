"""What a reader sees, from a plan written by hand."""

import io
from dataclasses import replace

from rich.console import Console

from seedcorn.domain.hardware import ChipName, Dtype, PoolName
from seedcorn.domain.market import Status
from seedcorn.domain.offer import Candidate, Evidence, Offer, Parallelism, Predicted, Refusal, RefusalKind
from seedcorn.domain.outcome import Latency, Outcome, PoolOutcome
from seedcorn.domain.plan import Alternative, Deployment, JobPlan, Plan, PoolPlan, ServicePlan
from seedcorn.domain.workload import EngineSettings, Metric, Objective, Statistic
from seedcorn.report.plan import explain_page, headline, plan_page, replayed_page
from seedcorn.report.tables import Page

H800, H20 = PoolName("h800"), PoolName("h20")
TTFT = Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=3.0)
FLAT = Latency(mean_s=1.0, p50_s=1.0, p90_s=1.0, p95_s=1.0, p99_s=2.5)
OUTCOME = Outcome(
    arrived=1200, finished=1200, refused=0, preemptions=7, steps=9, duration_s=60.0, busy_share=0.5,
    input_tokens_per_s=2000.0, output_tokens_per_s=1000.0, ttft=FLAT, tpot=FLAT, itl=FLAT, e2e=FLAT,
    slo_attainment_share=0.995,
)  # fmt: skip


def an_offer(pool: PoolName, tp: int, capacity: float) -> Offer:
    candidate = Candidate(
        service="chat", pool=pool, dtype=Dtype.FP8, parallelism=Parallelism(tp=tp), engine=EngineSettings()
    )
    return Offer(
        candidate=candidate,
        capacity_req_per_s=capacity,
        predicted=(Predicted(objective=TTFT, got_s=2.5),),
        binds=TTFT,
        evidence=Evidence.CALIBRATED,
        kv_tokens=100_000,
    )


CHOSEN, OTHER = an_offer(H20, 2, 5.0), an_offer(H800, 1, 10.0)
REFUSAL = Refusal(
    candidate=replace(CHOSEN.candidate, parallelism=Parallelism(tp=1)),
    kind=RefusalKind.MISSES_SLO,
    reason="ttft_p99 is 9 s, the SLO asks 3 s",
)
SERVICE = ServicePlan(
    service="chat",
    deployments=(Deployment(offer=CHOSEN, replicas=24, share=1.0),),
    today=H800,
    today_chips=12,
    alternatives=(
        Alternative(offer=CHOSEN, replicas=24, chips=48, cost=6.0),
        Alternative(offer=OTHER, replicas=12, chips=12, cost=12.0),
    ),
    refusals=(REFUSAL,),
    outcome=OUTCOME,
)


def a_pool(name: PoolName, *, chips: int, services: int, jobs: int, shadow: float) -> PoolPlan:
    return PoolPlan(
        pool=name, chip=ChipName(f"nvidia-{name}"), chips=chips, spare=0, used_by_services=services,
        used_by_jobs=jobs, price=0.5, shadow_price=shadow,
    )  # fmt: skip


PLAN = Plan(
    name="small",
    inputs_hash="0" * 64,
    seed=0,
    reference_pool=H800,
    services=(SERVICE,),
    jobs=(
        JobPlan(job="next", pool=H800, chips=8, parallelism="tp8", tokens_per_s=1e6, finishes_in_s=864000.0),
    ),
    pools=(
        a_pool(H800, chips=10, services=0, jobs=8, shadow=0.4),
        a_pool(H20, chips=64, services=48, jobs=0, shadow=0),
    ),
    status=Status.OPTIMAL,
    objective=1.0,
    bound=1.0005,
    gap=0.0005,
    today_chips=12,
    training_chips_freed=12,
    replayed=True,
    slos_held=True,
)


def text_of(page: Page) -> str:
    console = Console(file=io.StringIO(), width=200, highlight=False)
    for part in page:
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_headline_is_the_answer():
    assert headline(PLAN) == "12 of 12 h800 chips freed for training, every SLO held in replay, gap 0.05 %"


def test_the_headline_says_when_an_slo_was_missed_or_nothing_was_replayed():
    assert "NOT every SLO held" in headline(replace(PLAN, slos_held=False))
    assert "not replayed" in headline(replace(PLAN, slos_held=None, replayed=False))


def test_the_plan_shows_who_goes_where_with_each_objective_and_what_pools_are_worth():
    text = text_of(plan_page(PLAN))
    (chat,) = [line for line in text.splitlines() if line.startswith("chat")]
    assert chat.split()[:6] == ["chat", "h800", "(12", "chips)", "h20/fp8/tp2", "24"]
    assert "ttft_p99 2.5 s ≤ 3 s" in chat
    (h800,) = [line for line in text.splitlines() if line.startswith("h800")]
    assert h800.split()[-3:] == ["2", "0.500", "0.900"]  # free, price, price and scarcity
    assert "10 d" in text


def test_a_missed_objective_is_shouted():
    late = replace(OUTCOME, ttft=replace(FLAT, p99_s=3.2))
    pool = PoolOutcome(pool=PoolName("h20"), replicas=24, chips=48, finished=7_000, busy_share=0.5)
    page = replayed_page(replace(PLAN, services=(replace(SERVICE, outcome=late),), slos_held=False), [pool])
    assert "ttft_p99 3.2 s MISSES 3 s" in text_of(page)
    (h20,) = [line for line in text_of(page).splitlines() if line.startswith("h20")]
    assert h20.split() == ["h20", "24", "48", "7,000", "50", "%"]


def test_explain_stars_the_choice_and_says_when_a_pool_is_too_small():
    text = text_of(explain_page(PLAN, SERVICE))
    lines = {line.split()[0]: line for line in text.splitlines() if "fp8" in line}
    assert lines["*"].split()[1] == "h20/fp8/tp2"
    assert "12 of 10" in lines["h800/fp8/tp1"] and "2.00 x" in lines["h800/fp8/tp1"]
    assert "misses slo: ttft_p99 is 9 s, the SLO asks 3 s" in lines["h20/fp8/tp1"]
