"""How long it takes until a replica serves, and until one that serves is empty."""

from seedcorn.domain.offer import Candidate
from seedcorn.domain.scenario import Scenario
from seedcorn.domain.workload import Metric, Service
from seedcorn.perf.memory import weights_bytes_per_chip

GRACE_S = 30.0
"""Time to drain where no objective bounds how long a request may take: what Kubernetes grants a pod
before it is killed (``terminationGracePeriodSeconds``)."""


def start_s(candidate: Candidate, scenario: Scenario) -> float:
    """Seconds from free chips to the first request: weights into the chips, then the engine's own start.

    A node reads the weights of all its chips through one storage; the nodes of a replica read side by
    side. Replicas that start on a node at once are taken to find the file in its page cache.
    """
    if candidate.prefill is not None:  # both sides start side by side
        return max(start_s(candidate.decode, scenario), start_s(candidate.prefill.candidate, scenario))
    starting = scenario.planning.starting
    per_chip = weights_bytes_per_chip(
        scenario.service(candidate.service).model, candidate.dtype, candidate.parallelism
    )
    chips = min(candidate.parallelism.chips, scenario.pool(candidate.pool).chips_per_node)
    return per_chip * chips / starting.load_bytes_per_s + starting.engine_s


def drain_s(service: Service, scenario: Scenario) -> float:
    """Seconds from the last request sent to a replica until it is empty.

    Unless the scenario says: the longest request of the trace, as slow as the SLO allows. Objectives
    bound a statistic, not every request, so a few may take longer.
    """
    if scenario.planning.starting.drain_s is not None:
        return scenario.planning.starting.drain_s
    bounds_s = {
        metric: min((o.bound_s for o in service.slo.objectives if o.metric is metric), default=None)
        for metric in Metric
    }
    if (whole_s := bounds_s[Metric.E2E]) is not None:
        return whole_s
    per_token_s = bounds_s[Metric.TPOT] or bounds_s[Metric.ITL]
    if per_token_s is None:
        return GRACE_S
    longest_tokens = int(service.trace.output_tokens.max())
    return (bounds_s[Metric.TTFT] or 0.0) + (longest_tokens - 1) * per_token_s
