"""Prefill on some replicas, decode on others: the KV cache of every prompt crosses a link in between.

As vLLM's KV connectors do it: a prefill replica runs the prompt and samples the first token; then the
prompt's KV cache is sent; the decode replica admits the request with that cache and computes the first
token's own KV in its first step, which gives the second token. A request of one token never leaves
the prefill replica. TTFT ends with the first token; the wait for the link and for room in the decode
replica's cache lies between the first and the second token and so counts in TPOT and ITL.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.outcome import Outcome
from seedcorn.domain.workload import ALL_REQUESTS, EngineSettings, RequestClass, Trace
from seedcorn.perf.step_model import StepModel
from seedcorn.replay.kernels import routing, transfer
from seedcorn.replay.metrics import outcome
from seedcorn.replay.simulation import (
    RequestTimes,
    dealt,
    held_tokens,
    peak_tokens,
    replay_dealt,
)
from seedcorn.replay.traffic import part


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """Like replicas of one side."""

    step_model: StepModel
    engine: EngineSettings
    replicas: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """What a KV cache crosses, from one replica to another.

    Attributes:
        kv_bytes_per_token: Of the whole model: what the chips of a replica hold together.
        bytes_per_s: Of the slower end, all chips of a replica together.
        latency_s: Of one transfer, on top.
    """

    kv_bytes_per_token: float
    bytes_per_s: float
    latency_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Disaggregated:
    """Prefill replicas and decode replicas that serve together; requests are dealt to each side in turn."""

    prefill: Side
    decode: Side
    link: Link

    @property
    def held_tokens(self) -> int:
        """KV tokens of the longest request that both sides can hold."""
        return min(_held(self.prefill), _held(self.decode))

    def replayed(self, trace: Trace, copies: int = 1) -> Outcome:
        """Outcome of ``trace`` on ``copies`` of the unit."""
        return outcome(disaggregated_times(self.copied(copies), trace), trace)

    def copied(self, copies: int) -> "Disaggregated":
        """``copies`` of the unit as one: any prefill replica may hand over to any decode replica."""
        return replace(
            self,
            prefill=replace(self.prefill, replicas=self.prefill.replicas * copies),
            decode=replace(self.decode, replicas=self.decode.replicas * copies),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class UnitGroup:
    """Like units, that get ``share`` of the traffic, as a ``ReplicaGroup`` does; ``replicas`` counts units."""

    unit: Disaggregated
    replicas: int
    share: float = 1.0
    request_class: RequestClass = ALL_REQUESTS

    @property
    def held_tokens(self) -> int:
        """KV tokens of the longest request that a unit can hold."""
        return self.unit.held_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeSide:
    """Decode replicas alone, handed every request with its prompt computed as it arrives: what that side carries.

    The first token counts as there on arrival, so TTFT is 0 and TPOT holds the wait for room.
    """

    side: Side

    @property
    def held_tokens(self) -> int:
        """KV tokens of the longest request that it can hold."""
        return _held(self.side)

    def replayed(self, trace: Trace, copies: int = 1) -> Outcome:
        """Outcome of the requests of ``trace`` that have a second token, on ``copies`` of the side."""
        trace = part(trace, trace.output_tokens > 1)
        side = replace(self.side, replicas=self.side.replicas * copies)
        receiver = (np.arange(trace.num_requests) % side.replicas).astype(np.int32)
        times = _decoded(side, trace, np.arange(trace.num_requests), trace.arrival_s, receiver)
        return outcome(replace(times, first_token_s=trace.arrival_s), trace)


def disaggregated_times(unit: Disaggregated, trace: Trace) -> RequestTimes:
    """What becomes of every request of ``trace``; replicas are numbered prefill first.

    Caches are sent in the order in which they are complete (ties: in the order of arrival). A transfer
    has the link of its prefill replica and that of its decode replica to itself. Blocks for it are taken
    when the decode replica admits the request, not while it is under way. Requests that either side could
    never hold are refused.
    """
    n = trace.num_requests
    able = (peak_tokens(trace) <= _held(unit.decode)) & (trace.input_tokens <= _held(unit.prefill))
    served = np.flatnonzero(able)
    first = _prefilled(unit, part(trace, able))
    goes_on = np.flatnonzero(part(trace, able).output_tokens > 1)
    goes_on = goes_on[np.argsort(first.first_token_s[goes_on], kind="stable")]
    moved = served[goes_on]
    receiver = (np.arange(moved.shape[0]) % unit.decode.replicas).astype(np.int32)
    arrived_s = _arrived_s(
        unit, trace.input_tokens[moved], first.first_token_s[goes_on], first.replica[goes_on], receiver
    )
    then = _decoded(unit.decode, trace, moved, arrived_s, receiver)

    first_token_s, finish_s = np.full(n, np.nan), np.full(n, np.nan)
    preemptions, replica = np.zeros(n, dtype=np.int32), np.full(n, routing.TOO_LONG, dtype=np.int32)
    first_token_s[served], finish_s[served] = first.first_token_s, first.finish_s
    preemptions[served], replica[served] = first.preemptions, first.replica
    finish_s[moved] = then.finish_s
    preemptions[moved] += then.preemptions
    replica[moved] = then.replica + unit.prefill.replicas
    gap_counts = first.gap_counts + then.gap_counts
    transfer.add_gaps(then.first_token_s - first.first_token_s[goes_on], gap_counts)
    return RequestTimes(
        first_token_s=first_token_s,
        finish_s=finish_s,
        preemptions=preemptions,
        replica=replica,
        gap_counts=gap_counts,
        busy_s=np.concatenate([first.busy_s, then.busy_s]),
        steps=first.steps + then.steps,
    )


def _held(side: Side) -> int:
    return held_tokens(side.step_model, side.engine)


def _prefilled(unit: Disaggregated, trace: Trace) -> RequestTimes:
    """Every prompt up to its first token."""
    side = unit.prefill
    prompts = replace(trace, output_tokens=np.ones_like(trace.output_tokens))
    turns = dealt(prompts, np.full(side.replicas, _held(side)), np.ones(side.replicas))
    return replay_dealt([side.step_model] * side.replicas, side.engine, prompts, turns)


def _arrived_s(
    unit: Disaggregated,
    input_tokens: NDArray[np.int32],
    ready_s: NDArray[np.float64],
    sender: NDArray[np.int32],
    receiver: NDArray[np.int32],
) -> NDArray[np.float64]:
    """When each cache is at its decode replica."""
    link = unit.link
    token_s = link.kv_bytes_per_token / link.bytes_per_s
    takes_s = link.latency_s + token_s * input_tokens.astype(np.float64)
    arrived_s = np.empty_like(ready_s)
    sends_at_s, receives_at_s = np.zeros(unit.prefill.replicas), np.zeros(unit.decode.replicas)
    transfer.transfer(ready_s, takes_s, sender, receiver, sends_at_s, receives_at_s, arrived_s)
    return arrived_s


def _decoded(
    side: Side,
    trace: Trace,
    moved: NDArray[np.int64],
    arrived_s: NDArray[np.float64],
    receiver: NDArray[np.int32],
) -> RequestTimes:
    """The other tokens of the requests ``moved``, in that order; their first one is part of the prompt by now."""
    order = np.argsort(arrived_s, kind="stable")
    prompts = trace.input_tokens[moved[order]]
    rest = replace(
        part(trace, moved[order]),
        arrival_s=arrived_s[order],
        input_tokens=prompts + 1,
        output_tokens=trace.output_tokens[moved[order]] - 1,
    )
    times = replay_dealt(
        [side.step_model] * side.replicas, side.engine, rest, receiver[order], loaded=prompts
    )
    back = np.argsort(order, kind="stable")
    return replace(
        times,
        first_token_s=times.first_token_s[back],
        finish_s=times.finish_s[back],
        preemptions=times.preemptions[back],
        replica=times.replica[back],
    )
