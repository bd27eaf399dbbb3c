import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.hardware import ChipName, Dtype, PoolName
from seedcorn.domain.market import Status
from seedcorn.domain.moves import Lacking, Move, Running, Wave
from seedcorn.domain.offer import Candidate, Evidence, Offer, Parallelism, Predicted, Refusal, RefusalKind
from seedcorn.domain.outcome import Latency, Outcome
from seedcorn.domain.plan import Alternative, Deployment, JobPlan, Plan, PoolPlan, ServicePlan
from seedcorn.domain.robustness import Trial
from seedcorn.domain.workload import EngineSettings, Metric, Objective, Slo, Statistic
from seedcorn.errors import InputError
from seedcorn.wire import (
    Located,
    ScenarioDocument,
    outcome_json,
    plan_json,
    read_document,
    read_plan,
    service_json,
    write_plan,
)
from seedcorn.wire.outcome import OutcomeDocument
from tests.wire.documents import changed, read, written

# -- plans that hypothesis invents -------------------------------------------------------------------

names = st.text("abcdefgh-0123é ", min_size=1, max_size=8)
pools = st.builds(PoolName, names)
counts = st.integers(0, 10**6)
nine_digits = st.floats(-1e15, 1e15).map(lambda x: float(f"{x:.9g}"))
seconds = st.floats(0, 1e6).map(lambda x: float(f"{x:.9g}"))
objectives = st.builds(
    Objective, metric=st.sampled_from(Metric), statistic=st.sampled_from(Statistic), bound_s=seconds
)
engines = st.builds(EngineSettings, max_num_seqs=st.integers(1, 999), prefix_caching=st.booleans())
spreads = st.builds(Parallelism, tp=st.integers(1, 8), pp=st.integers(1, 2), ep=st.integers(1, 8))
predicted = st.lists(st.builds(Predicted, objective=objectives, got_s=seconds), max_size=2).map(tuple)
latencies = st.builds(Latency, mean_s=seconds, p50_s=seconds, p90_s=seconds, p95_s=seconds, p99_s=seconds)
outcomes = st.builds(
    Outcome,
    **dict.fromkeys(("arrived", "finished", "refused", "preemptions", "steps"), counts),
    **dict.fromkeys(("duration_s", "busy_share", "input_tokens_per_s", "output_tokens_per_s"), seconds),
    **dict.fromkeys(("ttft", "tpot", "itl", "e2e"), latencies),
    slo_attainment_share=st.none() | seconds,
)


def candidates(service: str) -> st.SearchStrategy[Candidate]:
    return st.builds(
        Candidate,
        service=st.just(service),
        pool=pools,
        dtype=st.sampled_from(Dtype),
        parallelism=spreads,
        engine=engines,
    )


runnings = st.builds(
    Running, kind=names, pool=pools, replicas=counts, chips=counts, capacity_req_per_s=seconds,
    derived=st.lists(st.sampled_from(["dtype", "tp", "replicas"]), max_size=2).map(tuple),
)  # fmt: skip
moves = st.lists(
    st.builds(Move, service=names, kind=names, pool=pools, replicas=counts, chips=counts), max_size=2
).map(tuple)
waves = st.builds(
    Wave, starts=moves, stops=moves, start_s=seconds, drain_s=seconds,
    lacking=st.lists(st.builds(Lacking, service=names, share=seconds), max_size=1).map(tuple),
)  # fmt: skip


trials = st.builds(Trial, case=names, lost=counts, slos_held=st.booleans(), outcome=st.none() | outcomes)


@st.composite
def service_plans(draw) -> ServicePlan:
    name = draw(names)
    offers = st.builds(
        Offer,
        candidate=candidates(name),
        capacity_req_per_s=seconds,
        predicted=predicted,
        binds=objectives,
        evidence=st.sampled_from(Evidence),
        kv_tokens=counts,
    )
    chosen = st.sampled_from(draw(st.lists(offers, min_size=1, max_size=3)))
    deployments = st.builds(Deployment, offer=chosen, replicas=counts, share=seconds)
    alternatives = st.builds(Alternative, offer=chosen, replicas=counts, chips=counts, cost=nine_digits)
    refusals = st.builds(Refusal, candidate=candidates(name), kind=st.sampled_from(RefusalKind), reason=names)
    return ServicePlan(
        service=name,
        deployments=tuple(draw(st.lists(deployments, max_size=2))),
        today=draw(st.none() | pools),
        today_chips=draw(st.none() | counts),
        alternatives=tuple(draw(st.lists(alternatives, max_size=3))),
        refusals=tuple(draw(st.lists(refusals, max_size=2))),
        running=tuple(draw(st.lists(runnings, max_size=2))),
        load_factor=draw(seconds),
        outcome=draw(st.none() | outcomes),
        trials=tuple(draw(st.lists(trials, max_size=1))),
    )


job_plans = st.builds(
    JobPlan, job=names, pool=st.none() | pools, chips=counts, parallelism=names, tokens_per_s=seconds,
    finishes_in_s=st.none() | seconds, progress=seconds,
)  # fmt: skip
pool_plans = st.builds(
    PoolPlan, pool=pools, chip=st.builds(ChipName, names), price=seconds, shadow_price=nine_digits,
    **dict.fromkeys(("chips", "spare", "used_by_services", "used_by_jobs"), counts),
)  # fmt: skip
plans = st.builds(
    Plan, name=names, inputs_hash=names, seed=counts, reference_pool=pools,
    services=st.lists(service_plans(), max_size=2).map(tuple),
    jobs=st.lists(job_plans, max_size=2).map(tuple),
    pools=st.lists(pool_plans, max_size=2).map(tuple),
    status=st.sampled_from(Status),
    objective=nine_digits, bound=nine_digits | st.just(math.inf), gap=seconds | st.just(math.inf),
    today_chips=counts, training_chips_freed=st.integers(-99, 99),
    replayed=st.booleans(), slos_held=st.none() | st.booleans(), waves=st.lists(waves, max_size=2).map(tuple),
    warnings=st.lists(names, max_size=2).map(tuple), defaults=st.dictionaries(names, names, max_size=2),
)  # fmt: skip


@pytest.fixture(scope="module")
def scenario(tmp_path_factory) -> Located[ScenarioDocument]:
    return read(tmp_path_factory.mktemp("scenario"))


@settings(max_examples=60, deadline=None)
@given(plan=plans)
def test_a_plan_read_back_is_the_plan_written(scenario, plan):
    path = scenario.path.parent / "plan.json"

    write_plan(path, plan, scenario)

    assert read_plan(path).plan == plan


@settings(max_examples=60, deadline=None)
@given(plan=plans, noise=st.floats(-1e-12, 1e-12))
def test_the_same_plan_is_the_same_bytes_whatever_the_noise_of_summation(scenario, plan, noise):
    noisy = replace(
        plan, objective=plan.objective * (1 + noise), defaults=dict(reversed(plan.defaults.items()))
    )

    assert plan_json(noisy, scenario, folder=Path()) == plan_json(plan, scenario, folder=Path())


# -- one plan, looked at -----------------------------------------------------------------------------

TTFT = Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=3.0)


def an_offer(*, tp: int = 2, max_num_seqs: int = 256) -> Offer:
    return Offer(
        candidate=Candidate(
            service="chat",
            pool=PoolName("h20"),
            dtype=Dtype.FP8,
            parallelism=Parallelism(tp=tp),
            engine=EngineSettings(max_num_seqs=max_num_seqs),
        ),
        capacity_req_per_s=1 / 3,
        predicted=(Predicted(objective=TTFT, got_s=2.5),),
        binds=TTFT,
        evidence=Evidence.DATASHEET,
        kv_tokens=400_000,
    )


def a_plan(*deployed: Offer) -> Plan:
    return Plan(
        name="two-pools",
        inputs_hash="00",
        seed=0,
        reference_pool=PoolName("h800"),
        services=(
            ServicePlan(
                service="chat",
                deployments=tuple(Deployment(offer=offer, replicas=3, share=0.5) for offer in deployed),
                today=PoolName("h800"),
                today_chips=96,
                alternatives=(),
                refusals=(),
            ),
        ),
        jobs=(),
        pools=(),
        status=Status.OPTIMAL,
        objective=100.0,
        bound=math.inf,
        gap=math.inf,
        today_chips=96,
        training_chips_freed=96,
        replayed=False,
        slos_held=None,
    )


def test_offers_are_named_once_and_rounded_and_the_unknown_is_null(scenario):
    data = json.loads(
        plan_json(a_plan(an_offer(), an_offer(tp=4), an_offer(max_num_seqs=64)), scenario, folder=Path())
    )

    chat = data["services"][0]
    assert [d["offer"] for d in chat["deployments"]] == ["h20/fp8/tp2", "h20/fp8/tp4", "h20/fp8/tp2#2"]
    assert [d["chips"] for d in chat["deployments"]] == [6, 12, 6]
    assert chat["offers"][0]["capacity_req_per_s"] == 0.333333333
    assert data["gap"] is None and data["bound"] is None
    assert chat["offers"][0]["predicted"] == [
        {"objective": "ttft_p99", "bound_s": 3.0, "got_s": 2.5, "holds": True}
    ]


def test_one_service_is_printed_as_the_plan_holds_it(scenario):
    plan = a_plan(an_offer())

    whole = json.loads(plan_json(plan, scenario, folder=Path()))

    explanation = {"seedcorn": 1, "kind": "explanation", **whole["services"][0]}
    assert json.loads(service_json(plan.services[0])) == explanation


def test_a_plan_carries_its_scenario_and_finds_files_beside_it(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "in" / "mine.csv").touch()
    located = read(tmp_path / "in", ("trace: azure-conv", "trace: mine.csv"))

    write_plan(tmp_path / "out" / "plan.json", a_plan(), located)
    located.path.unlink()
    carried = read_plan(tmp_path / "out" / "plan.json").scenario

    assert carried.document == located.document
    assert carried.sha256 == located.sha256
    assert Path(carried.reference("mine.csv")).samefile(tmp_path / "in" / "mine.csv")
    assert carried.where("services", 0, "model").startswith(f"{tmp_path}/out/plan.json:")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('"kind": "plan"', '"kind": "plam"', "kind: expected 'plan', got 'plam'"),
        ('"chips": 6', '"chips": 7', "services[0].deployments[0].chips: expected 6 (replicas × tp × pp), got 7"),
        (
            '"offer": "h20/fp8/tp2"', '"offer": "h20/fp8/tp1"',
            "services[0].deployments[0].offer: the service has no offer 'h20/fp8/tp1'; did you mean 'h20/fp8/tp2'?",
        ),
        ('"datasheet"', '"guess"', "services[0].offers[0].evidence: expected 'measured', 'silicon', 'calibrated' or "),
        ('"tp": 2', '"tp": 0', "services[0].offers[0].tp: expected at least 1, got 0"),
        ('"got_s": 2.5', '"got_s": "2.5 s"', "services[0].offers[0].predicted[0].got_s: expected a number, got '2.5 s'"),
        ('"pool": "h800"\n', '"pool": "h8"\n', "inputs.scenario.services[0].today.pool: no pool 'h8' in the fleet; did "),
    ],
)  # fmt: skip
def test_a_plan_that_was_edited_wrongly_is_refused_at_its_place(scenario, tmp_path, old, new, message):
    text = plan_json(a_plan(an_offer()), scenario, folder=tmp_path).decode()
    assert old in text
    path = tmp_path / "plan.json"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(InputError) as caught:
        read_plan(path)

    line = text[: text.index(old)].count("\n") + 1
    assert f"{path}:{line}:" in str(caught.value)
    assert f": {message}" in str(caught.value)


def test_a_scenario_in_yaml_only_terms_survives_in_json(tmp_path):
    text = changed(
        ('slo:\n      ttft_p99: "2 s"', "slo: &slo {ttft_p99: 2 s}"), ("tokens: 7e12", "tokens: 0x10")
    )
    located_path = written(tmp_path, text)
    located = read_document(located_path, ScenarioDocument, kind="scenario")

    write_plan(tmp_path / "plan.json", a_plan(), located)

    assert read_plan(tmp_path / "plan.json").scenario.document == located.document


# -- outcomes ----------------------------------------------------------------------------------------


def an_outcome(ttft_p99_s: float, *, finished: int = 10) -> Outcome:
    none = Latency(mean_s=math.nan, p50_s=math.nan, p90_s=math.nan, p95_s=math.nan, p99_s=math.nan)
    return Outcome(
        arrived=10,
        finished=finished,
        refused=10 - finished,
        preemptions=0,
        steps=5,
        duration_s=1.0,
        busy_share=0.5,
        input_tokens_per_s=1.0,
        output_tokens_per_s=1.0,
        ttft=replace(none, p99_s=ttft_p99_s),
        tpot=none,
        itl=none,
        e2e=none,
    )


@pytest.mark.parametrize(
    ("outcome", "held"),
    [(an_outcome(2.9), True), (an_outcome(3.1), False), (an_outcome(2.9, finished=9), False)],
)
def test_an_outcome_says_which_objectives_hold_and_has_null_for_what_was_not_measured(
    tmp_path, outcome, held
):
    path = tmp_path / "outcome.json"
    path.write_bytes(outcome_json("two-pools", {"chat": (outcome, Slo(objectives=(TTFT,)))}))

    document = read_document(path, OutcomeDocument, kind="outcome").document

    assert document.slos_held is held
    assert document.replays[0].objectives[0].holds is (outcome.ttft.p99_s <= 3.0)
    assert math.isnan(document.replays[0].outcome.tpot.p99_s)
    assert '"p99_s": null' in path.read_text()


def test_a_replay_without_an_slo_holds_none():
    assert (
        json.loads(outcome_json("azure-conv", {"azure-conv": (an_outcome(2.9), None)}))["slos_held"] is None
    )
