"""Replay a trace on what serves it: replicas behind one router, or groups of them that share the traffic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import EngineSettings, Router, Slo, Trace
from seedcorn.errors import InputError
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.kernels import gaps
from seedcorn.replay.metrics import outcome
from seedcorn.replay.simulation import RequestTimes, dealt, held_tokens, replay_requests
from seedcorn.replay.traffic import part


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplicaGroup:
    """Like replicas behind a router of their own, that get ``share`` of the traffic (relative to other groups)."""

    step_model: StepModel
    engine: EngineSettings
    replicas: int
    share: float = 1.0


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
    groups: Sequence[ReplicaGroup],
    trace: Trace,
    *,
    router: Router = Router.ROUND_ROBIN,
    slo: Slo | None = None,
) -> Outcome:
    """Outcome of ``trace`` on ``groups``: requests are dealt to groups by share, then routed within the group.

    The dealing is smooth weighted round-robin: no randomness, and every stretch of the trace is split
    as the shares say. A group that could never hold a request is passed over for it.

    Args:
        groups: Shares of 0 get no traffic; the others' are relative to their sum.
        trace: What arrives.
        router: Within each group.
        slo: For ``slo_attainment_share``.
    """
    serving = [group for group in groups if group.share > 0 and group.replicas > 0]
    if not serving:
        raise InputError("no group of replicas has a share of the traffic; give one a share above 0")
    capacity_tokens = np.array([held_tokens(group.step_model, group.engine) for group in serving])
    group_of = dealt(trace, capacity_tokens, np.array([group.share for group in serving]))
    n = trace.num_requests
    first_token_s, finish_s = np.full(n, np.nan), np.full(n, np.nan)
    preemptions, replica = np.zeros(n, dtype=np.int32), np.full(n, -1, dtype=np.int32)
    gap_counts = np.zeros(gaps.NUM_BINS, dtype=np.int64)
    busy_s, steps, first_replica = [], 0, 0
    for g, group in enumerate(serving):
        mine = group_of == g
        times = replay_requests(
            [group.step_model] * group.replicas, group.engine, part(trace, mine), router=router
        )
        first_token_s[mine], finish_s[mine] = times.first_token_s, times.finish_s
        preemptions[mine] = times.preemptions
        replica[mine] = np.where(times.replica >= 0, times.replica + first_replica, -1)
        gap_counts += times.gap_counts
        busy_s.append(times.busy_s)
        steps += times.steps
        first_replica += group.replicas
    together = RequestTimes(
        first_token_s=first_token_s,
        finish_s=finish_s,
        preemptions=preemptions,
        replica=replica,
        gap_counts=gap_counts,
        busy_s=np.concatenate(busy_s),
        steps=steps,
    )
    return outcome(together, trace, slo=slo)
