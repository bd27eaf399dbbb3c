"""Traffic dealt to groups of replicas: by share, and by the class of each request."""

import numpy as np
import pytest

from seedcorn.domain.workload import EngineSettings, RequestClass
from seedcorn.errors import InputError
from seedcorn.replay import ReplicaGroup, part, replay, replay_groups
from tests.replay.builders import a_step_model, a_trace

SHORT, LONG = RequestClass(input_upto=500), RequestClass(input_above=500)


def a_mixed_trace(num=600, seed=3):
    rng = np.random.default_rng(seed)
    return a_trace(
        np.cumsum(rng.exponential(0.05, num)),
        rng.choice([100, 500, 501, 4000], num),
        rng.integers(1, 60, num),
    )


def a_group(request_class, share=1.0, replicas=1):
    return ReplicaGroup(
        step_model=a_step_model(),
        engine=EngineSettings(),
        replicas=replicas,
        share=share,
        request_class=request_class,
    )


def test_groups_of_one_class_each_are_separate_replays():
    trace = a_mixed_trace()
    together = replay_groups([a_group(SHORT, replicas=2), a_group(LONG, share=0.2)], trace)

    apart = [
        replay([a_step_model()] * replicas, EngineSettings(), part(trace, request_class.holds(trace)))
        for request_class, replicas in ((SHORT, 2), (LONG, 1))
    ]
    assert together.finished == sum(outcome.finished for outcome in apart) == trace.num_requests
    assert together.steps == sum(outcome.steps for outcome in apart)
    weights = [outcome.finished / trace.num_requests for outcome in apart]
    mean_s = sum(w * outcome.ttft.mean_s for w, outcome in zip(weights, apart, strict=True))
    assert together.ttft.mean_s == pytest.approx(mean_s)


def test_shares_of_two_groups_are_shares_of_their_class():
    trace = a_mixed_trace()
    once = replay_groups([a_group(SHORT), a_group(LONG, share=0.75), a_group(LONG, share=0.25)], trace)
    again = replay_groups([a_group(SHORT, share=0.5), a_group(LONG, share=3), a_group(LONG, share=1)], trace)
    assert once == again


def test_a_request_of_a_class_that_no_group_takes_is_refused():
    trace = a_mixed_trace()
    outcome = replay_groups([a_group(SHORT)], trace)
    assert outcome.refused == int(LONG.holds(trace).sum()) > 0
    assert outcome.arrived == outcome.finished + outcome.refused


def test_classes_that_share_requests_are_refused():
    with pytest.raises(InputError, match=r"'input>500' shares requests"):
        replay_groups([a_group(RequestClass(input_upto=501)), a_group(LONG)], a_mixed_trace())


@pytest.mark.parametrize(
    ("request_class", "name"),
    [
        (RequestClass(), "all"),
        (SHORT, "input<=500"),
        (RequestClass(input_above=500, input_upto=900, output_above=7), "500<input<=900,output>7"),
    ],
)
def test_a_class_is_named_by_its_bounds(request_class, name):
    assert request_class.name == name
