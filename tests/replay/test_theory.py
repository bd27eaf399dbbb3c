"""Queueing theory as the oracle: one sequence at a time makes the replica a single-server queue."""

import numpy as np
import pytest

from seedcorn.domain.workload import EngineSettings
from seedcorn.replay import replay_requests
from tests.replay.builders import a_step_model, a_trace

STEP_S = 1e-3
ONE_AT_A_TIME = EngineSettings(max_num_seqs=1)
NUM_REQUESTS = 1_000_000


def mean_wait_s(rate_per_s, output_tokens, rng):
    """Poisson arrivals; a prompt of one token, so that service takes ``output_tokens`` steps."""
    arrival_s = np.cumsum(rng.exponential(1 / rate_per_s, output_tokens.shape[0]))
    trace = a_trace(arrival_s, np.ones_like(output_tokens), output_tokens)
    model = a_step_model(fixed_s=STEP_S, token_s=0.0, context_s=0.0, pair_s=0.0)
    times = replay_requests([model], ONE_AT_A_TIME, trace)
    return float((times.first_token_s - arrival_s).mean()) - STEP_S


def pollaczek_khinchine_s(load, mean_s, second_moment):
    """Mean wait of M/G/1."""
    return load / mean_s * second_moment / (2 * (1 - load))


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_requests_of_one_length_wait_as_long_as_md1_theory_says(load):
    service_s = 10 * STEP_S
    output_tokens = np.full(NUM_REQUESTS, 10)

    wait_s = mean_wait_s(load / service_s, output_tokens, np.random.default_rng(1))

    assert wait_s == pytest.approx(pollaczek_khinchine_s(load, service_s, service_s**2), rel=0.03)


@pytest.mark.parametrize("load", [0.3, 0.6, 0.9])
def test_geometric_lengths_wait_as_long_as_mm1_theory_says(load):
    """A geometric number of steps is the discrete exponential; its own second moment is used, not its limit's."""
    rng, mean_tokens = np.random.default_rng(2), 100
    output_tokens = rng.geometric(1 / mean_tokens, NUM_REQUESTS)
    service_s = mean_tokens * STEP_S
    second_moment = (2 * mean_tokens**2 - mean_tokens) * STEP_S**2

    wait_s = mean_wait_s(load / service_s, output_tokens, rng)

    assert wait_s == pytest.approx(pollaczek_khinchine_s(load, service_s, second_moment), rel=0.04)
    assert wait_s == pytest.approx(service_s * load / (1 - load), rel=0.05)
