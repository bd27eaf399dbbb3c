"""Replay a trace on what serves it: replicas behind one router, or groups of them that share the traffic."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import EngineSettings, Router, Slo, Trace
from seedcorn.errors import InputError
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.disaggregation import UnitGroup, disaggregated_times
from seedcorn.replay.kernels import gaps
from seedcorn.replay.metrics import outcome
from seedcorn.replay.serving import Operations, ReplicaGroup, serve
from seedcorn.replay.simulation import RequestTimes, dealt, replay_requests
from seedcorn.replay.traffic import part


def replay(
    replicas: Sequence[StepModel],
    engine: EngineSettings,
    trace: Trace,
    *,
    router: Router = Router.ROUND_ROBIN,
    slo: Slo | None = None,
    seed: int = 0,
) -> Outcome:
    """Outcome of ``trace`` on ``replicas`` behind one router; see ``replay_requests`` for the arguments."""
    return outcome(replay_requests(replicas, engine, trace, router=router, seed=seed), trace, slo=slo)


def replay_groups(
    groups: Sequence[ReplicaGroup | UnitGroup],
    trace: Trace,
    *,
    router: Router = Router.ROUND_ROBIN,
    operations: Operations | None = None,
    slo: Slo | None = None,
) -> Outcome:
    """Outcome of ``trace`` on ``groups``: requests are dealt to groups by share, then routed within the group.

    A request goes to groups of its class, and which class it is of depends on its lengths alone. The
    dealing is smooth weighted round-robin, class by class: no randomness, and every stretch of the trace
    is split as the shares say. A group that could never hold a request is passed over for it; a request
    of a class that no group takes is refused.

    Args:
        groups: Shares of 0 get no traffic; the others' are relative to their sum.
        trace: What arrives.
        router: Within each group; a unit's sides are dealt to in turn.
        operations: What befalls requests and replicas besides; ``None``: nothing does. Groups that it names
            are those of ``groups``, all of which must have a share and replicas then.
        slo: For ``slo_attainment_share``.
    """
    serving = [group for group in groups if group.share > 0 and group.replicas > 0]
    if not serving:
        raise InputError("no group of replicas has a share of the traffic; give one a share above 0")
    group_of = _dealt_by_class(serving, trace)
    if operations is not None:
        assert len(serving) == len(groups), "operations name groups by number"
        replicas = [group for group in serving if isinstance(group, ReplicaGroup)]
        if len(replicas) < len(serving):
            raise InputError(
                "faults, limits and spilling are not replayed where prompts are computed apart: take 'disaggregate' away"
            )
        times = serve(replicas, trace, group_of, router=router, operations=operations)
        return outcome(times, trace, slo=slo, sizes=[group.replicas for group in replicas])
    n = trace.num_requests
    first_token_s, finish_s = np.full(n, np.nan), np.full(n, np.nan)
    preemptions, replica = np.zeros(n, dtype=np.int32), np.full(n, -1, dtype=np.int32)
    gap_counts = np.zeros(gaps.NUM_BINS, dtype=np.int64)
    busy_s, steps, first_replica = [], 0, 0
    for g, group in enumerate(serving):
        mine = group_of == g
        times = _group_times(group, part(trace, mine), router)
        first_token_s[mine], finish_s[mine] = times.first_token_s, times.finish_s
        preemptions[mine] = times.preemptions
        replica[mine] = np.where(times.replica >= 0, times.replica + first_replica, -1)
        gap_counts += times.gap_counts
        busy_s.append(times.busy_s)
        steps += times.steps
        first_replica += times.busy_s.shape[0]
    together = RequestTimes(
        first_token_s=first_token_s,
        finish_s=finish_s,
        preemptions=preemptions,
        replica=replica,
        gap_counts=gap_counts,
        busy_s=np.concatenate(busy_s),
        steps=steps,
    )
    return outcome(together, trace, slo=slo, sizes=[part_s.shape[0] for part_s in busy_s])


def _group_times(group: ReplicaGroup | UnitGroup, trace: Trace, router: Router) -> RequestTimes:
    if isinstance(group, UnitGroup):
        return disaggregated_times(group.unit.copied(group.replicas), trace)
    return replay_requests([group.step_model] * group.replicas, group.engine, trace, router=router)


def _dealt_by_class(groups: Sequence[ReplicaGroup | UnitGroup], trace: Trace) -> NDArray[np.int32]:
    """(num_requests,) which of ``groups`` each request goes to; −1 where none takes or holds it."""
    group_of = np.full(trace.num_requests, -1, dtype=np.int32)
    taken = np.zeros(trace.num_requests, dtype=np.bool_)
    for request_class in dict.fromkeys(group.request_class for group in groups):
        members = [g for g, group in enumerate(groups) if group.request_class == request_class]
        mine = request_class.holds(trace)
        if (taken & mine).any():
            raise InputError(f"request class {request_class.name!r} shares requests with another class")
        taken |= mine
        capacity_tokens = np.array([groups[g].held_tokens for g in members])
        member_of = dealt(part(trace, mine), capacity_tokens, np.array([groups[g].share for g in members]))
        group_of[mine] = np.append(members, -1)[member_of]
    return group_of
