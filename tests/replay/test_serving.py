"""Groups that spill, refuse, lose and regain replicas: laws, and the kernels against the twin."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.domain.workload import EngineSettings, Router, SchedulingPolicy
from seedcorn.errors import InputError
from seedcorn.replay import (
    Operations,
    ReplicaGroup,
    Spell,
    interrupted,
    outcome,
    replay_groups,
    serve,
    slot_spells,
)
from seedcorn.replay.kernels import gaps, routing
from seedcorn.replay.reference import Service
from seedcorn.replay.simulation import dealt, drawn_pairs, held_tokens
from tests.replay.builders import a_step_model, a_trace
from tests.replay.test_kernels_match_reference import engines, step_models, traces

WHY = {"too long": routing.TOO_LONG, "full": routing.FULL, "none up": routing.NONE_UP}
times_s = st.integers(0, 40).map(lambda n: n * 2.0**-5)


@st.composite
def spells(draw, groups):
    """Any replica, lost and regained or drained and started, often at the same moments."""
    found: list[Spell] = []
    for g, group in enumerate(groups):
        for replica in range(group.replicas):
            if draw(st.booleans()):
                outages = draw(st.lists(st.tuples(times_s, times_s), max_size=3))
                outages = [(start, start + length) for start, length in outages if length > 0]
                spell = Spell(group=g, replica=replica)
                if draw(st.booleans()):
                    spell = replace(spell, from_s=draw(times_s), to_s=2.0)
                found += interrupted([spell], outages)
    return tuple(found)


@st.composite
def services(draw):
    policy = draw(st.sampled_from(SchedulingPolicy))
    groups = [
        ReplicaGroup(
            step_model=draw(step_models()),
            engine=replace(draw(engines()), scheduling_policy=policy),
            replicas=draw(st.integers(1, 3)),
            share=draw(st.sampled_from([1.0, 2.0])),
        )
        for _ in range(draw(st.integers(1, 3)))
    ]
    operations = Operations(
        max_waiting=draw(st.sampled_from([None, None, 1, 3])),
        spill_to=draw(st.sampled_from([None, *range(len(groups))])),
        spill_waiting=draw(st.integers(0, 3)),
        spells=draw(spells(groups)),
    )
    trace = draw(traces())
    if draw(st.booleans()):
        priority = draw(
            st.lists(st.integers(-1, 2), min_size=trace.num_requests, max_size=trace.num_requests)
        )
        trace = replace(trace, priority=np.array(priority, dtype=np.int32))
    return groups, trace, operations


def groups_dealt(groups, trace):
    held = np.array([held_tokens(group.step_model, group.engine) for group in groups])
    return dealt(trace, held, np.array([group.share for group in groups]))


def assert_same(groups, trace, router, operations):
    group_of = groups_dealt(groups, trace)
    times = serve(groups, trace, group_of, router=router, operations=operations)
    pairs = [
        drawn_pairs(np.random.default_rng(0), 20 * trace.num_requests + 20, max(group.replicas, 2)).tolist()
        for group in groups
    ]
    twin = Service(groups, trace, group_of.tolist(), router=router, operations=operations, pairs=pairs)

    refused = {r: int(code) for r, code in enumerate(times.replica) if code < 0}
    assert refused == {r: WHY[why] for r, why in twin.refused.items()}
    served = [r for r in range(trace.num_requests) if r not in refused]
    ends = [twin.ends[r] for r in served]
    np.testing.assert_allclose(
        times.first_token_s[served], [end.token_s[0] for end in ends], rtol=1e-12, atol=1e-9
    )
    np.testing.assert_allclose(
        times.finish_s[served], [end.token_s[-1] for end in ends], rtol=1e-12, atol=1e-9
    )
    assert times.preemptions[served].tolist() == [end.preemptions for end in ends]
    replicas = [replica for group in twin.groups for replica in group]
    np.testing.assert_allclose(times.busy_s, [replica.busy_s for replica in replicas], rtol=1e-12)
    assert times.steps == sum(replica.steps for replica in replicas)
    assert times.retried == len(twin.lost)
    emitted = [np.diff(request.token_s) for request in [*ends, *twin.lost]]
    bins = [gaps.bin_of(gap_s) for gaps_s in emitted for gap_s in gaps_s]
    assert times.gap_counts.tolist() == np.bincount(bins, minlength=gaps.NUM_BINS).tolist()
    assert times.lost_gaps_s == pytest.approx(
        sum(request.token_s[-1] - request.token_s[0] for request in twin.lost if request.token_s)
    )
    return times


@settings(max_examples=250, deadline=None)
@given(service=services(), router=st.sampled_from(Router))
def test_the_kernels_and_the_twin_agree(service, router):
    groups, trace, operations = service
    assert_same(groups, trace, router, operations)


@settings(max_examples=150, deadline=None)
@given(service=services(), router=st.sampled_from(Router))
def test_nothing_is_lost_silently_and_time_only_goes_on(service, router):
    groups, trace, operations = service
    times = serve(groups, trace, groups_dealt(groups, trace), router=router, operations=operations)
    found = outcome(times, trace)

    assert found.arrived == found.finished + found.refused == trace.num_requests
    served = times.replica >= 0
    too_long = int((times.replica == routing.TOO_LONG).sum())
    assert found.refused == too_long + found.turned_away + found.unserved
    assert (np.isfinite(times.finish_s) == served).all()
    assert (np.isfinite(times.first_token_s) == served).all()
    assert (times.first_token_s > trace.arrival_s)[served].all()
    assert (times.finish_s >= times.first_token_s)[served].all()
    assert times.gap_counts.sum() >= (trace.output_tokens - 1)[served].sum()
    assert (times.busy_s <= times.service_s * (1 + 1e-9) + 1e-9).all()


@settings(max_examples=40, deadline=None)
@given(service=services(), router=st.sampled_from(Router))
def test_operations_that_do_nothing_change_nothing(service, router):
    groups, trace, _ = service
    groups = [replace(group, engine=EngineSettings(max_num_seqs=4)) for group in groups]

    plain = replay_groups(groups, trace, router=router)

    assert replay_groups(groups, trace, router=router, operations=Operations()) == plain


def to_first(num_requests):
    """All requests are dealt to the first group."""
    return np.zeros(num_requests, dtype=np.int32)


def a_group(replicas=1, *, kv_tokens=20_000, policy=SchedulingPolicy.FCFS, **engine):
    return ReplicaGroup(
        step_model=a_step_model(kv_tokens=kv_tokens),
        engine=EngineSettings(scheduling_policy=policy, **engine),
        replicas=replicas,
    )


def test_a_lost_replicas_requests_start_anew_on_the_other():
    trace = a_trace([0.0, 0.0], [100, 100], [200, 200])
    alone = serve([a_group()], a_trace([0.0], [100], [200]), to_first(1), operations=Operations())
    lost = Operations(spells=(Spell(group=0, replica=0, to_s=1.0, lost=True),))

    times = serve([a_group(2)], trace, to_first(2), operations=lost)

    assert times.retried == 1
    assert times.replica.tolist() == [1, 1]
    assert times.first_token_s[0] > 1.0
    assert times.finish_s[0] > 1.0 + alone.finish_s[0]


def test_a_draining_replica_finishes_what_it_has_and_gets_nothing_more():
    trace = a_trace([0.0, 1.0, 1.0], [100, 100, 100], [400, 5, 5])
    drains = Operations(spells=(Spell(group=0, replica=0, to_s=0.5),))

    times = serve([a_group(2)], trace, to_first(3), operations=drains)

    assert times.replica.tolist() == [0, 1, 1]
    assert times.retried == 0
    assert times.service_s[0] == pytest.approx(times.finish_s[0])


def test_requests_wait_for_a_replica_and_are_refused_if_none_returns():
    trace = a_trace([0.0, 1.0, 9.0], [10, 10, 10], [2, 2, 2])
    spells = interrupted([Spell(group=0, replica=0)], [(0.5, 4.0), (8.0, np.inf)])

    times = serve([a_group()], trace, to_first(3), operations=Operations(spells=spells))
    found = outcome(times, trace)

    assert times.replica.tolist() == [0, 0, routing.NONE_UP]
    assert times.first_token_s[1] > 4.0
    assert (found.unserved, found.refused, found.finished) == (1, 1, 2)


def test_a_group_that_is_down_hands_its_traffic_to_the_next():
    trace = a_trace(np.arange(10.0), np.full(10, 10), np.full(10, 2))
    down = Operations(spells=(Spell(group=0, replica=0, from_s=np.inf),))

    times = serve([a_group(), a_group()], trace, to_first(10), operations=down)

    assert times.replica.tolist() == [1] * 10


def test_a_full_queue_spills_first_and_then_refuses():
    trace = a_trace(np.zeros(10), np.full(10, 10), np.full(10, 50))
    groups = [a_group(max_num_seqs=1), a_group(max_num_seqs=1)]
    limited = Operations(max_waiting=3, spill_to=1, spill_waiting=2)

    times = serve(groups, trace, to_first(10), operations=limited)

    # Nothing has run yet when all arrive, so all wait: two here, then three there, then no more anywhere.
    assert times.replica.tolist() == [0, 0, 1, 1, 1] + [routing.FULL] * 5


def test_the_urgent_are_admitted_first_and_preempted_last():
    """One sequence at a time: the queue is served by priority, and by arrival among equals."""
    trace = replace(
        a_trace(np.arange(6) * 1e-3, np.full(6, 10), np.full(6, 20)),
        priority=np.array([5, 5, 0, 5, 0, -3], dtype=np.int32),
    )
    group = a_group(max_num_seqs=1, policy=SchedulingPolicy.PRIORITY)

    times = serve([group], trace, to_first(6), operations=Operations())

    assert np.argsort(times.finish_s).tolist() == [0, 5, 2, 4, 1, 3]


def test_priority_keeps_the_urgent_running_when_memory_is_short():
    rng = np.random.default_rng(3)
    urgent = rng.random(200) < 0.2
    trace = replace(
        a_trace(
            np.cumsum(rng.exponential(0.05, 200)), rng.integers(50, 300, 200), rng.integers(50, 200, 200)
        ),
        priority=np.where(urgent, 0, 1).astype(np.int32),
    )
    group = a_group(
        kv_tokens=1200, policy=SchedulingPolicy.PRIORITY, max_num_seqs=8, max_num_batched_tokens=128
    )

    times = assert_same([group], trace, Router.ROUND_ROBIN, Operations())

    waits_s = times.first_token_s - trace.arrival_s
    assert times.preemptions[~urgent].sum() > 20 > times.preemptions[urgent].sum()
    assert waits_s[urgent].mean() < 0.2 * waits_s[~urgent].mean()


def test_many_replicas_come_and_go_under_every_router():
    rng = np.random.default_rng(7)
    trace = a_trace(
        np.cumsum(rng.integers(0, 3, 600)) * 2.0**-9, rng.integers(1, 200, 600), rng.integers(1, 60, 600)
    )
    groups = [
        replace(
            a_group(40, max_num_seqs=8, max_num_batched_tokens=128),
            step_model=a_step_model(
                fixed_s=2.0**-7, token_s=2.0**-20, context_s=2.0**-20, pair_s=2.0**-20, kv_tokens=900
            ),
        )
    ] * 2
    spells: tuple[Spell, ...] = ()
    for at in rng.permutation(80)[:60].tolist():
        lost_s = rng.integers(0, 600) * 2.0**-9
        spells += interrupted([Spell(group=at // 40, replica=at % 40)], [(lost_s, lost_s + 0.25)])

    for router in Router:
        operations = Operations(spells=spells, spill_to=1, spill_waiting=2, max_waiting=30)
        times = assert_same(groups, trace, router, operations)
        assert times.retried > 20


@settings(max_examples=100, deadline=None)
@given(
    spell=st.tuples(times_s, times_s),
    outages=st.lists(st.tuples(times_s, times_s), max_size=4),
    at_s=times_s,
)
def test_a_replica_is_in_service_in_its_spell_but_for_its_outages(spell, outages, at_s):
    mine = Spell(group=0, replica=0, from_s=min(spell), to_s=max(spell))
    outages = [(min(outage), max(outage)) for outage in outages]

    found = interrupted([mine], outages)

    expected = mine.from_s <= at_s < mine.to_s and not any(a <= at_s < b for a, b in outages)
    assert any(spell.from_s <= at_s < spell.to_s for spell in found) == expected


def test_slots_start_late_drain_at_the_end_and_go_round():
    found = slot_spells(0, [2, 3, 1], slot_s=10.0, start_s=2.0, until_s=60.0)

    assert sorted(found) == [
        Spell(group=0, replica=0),
        Spell(group=0, replica=1, from_s=0.0, to_s=20.0),
        Spell(group=0, replica=1, from_s=32.0, to_s=50.0),
        Spell(group=0, replica=2, from_s=12.0, to_s=20.0),
        Spell(group=0, replica=2, from_s=42.0, to_s=50.0),
    ]


def test_groups_of_one_service_have_one_scheduling_policy():
    groups = [a_group(), a_group(policy=SchedulingPolicy.PRIORITY)]

    with pytest.raises(InputError, match=r"fcfs, priority"):
        serve(groups, a_trace([0.0], [1], [1]), to_first(1), operations=Operations())
