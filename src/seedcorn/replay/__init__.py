"""Exact replay of real traffic through a model of continuous batching."""

from seedcorn.replay.availability import Spell, drawn_outages, interrupted, slot_spells
from seedcorn.replay.capacity import Capacity, CapacitySearch, Replica, Server, capacity
from seedcorn.replay.closed_loop import closed_loop
from seedcorn.replay.day import DAY_S, day_curve, day_curves, day_of_trace, generated_day, read_day
from seedcorn.replay.disaggregation import DecodeSide, Disaggregated, Link, Side, UnitGroup
from seedcorn.replay.fleet import replay, replay_groups
from seedcorn.replay.metrics import outcome
from seedcorn.replay.serving import Operations, ReplicaGroup, serve
from seedcorn.replay.simulation import RequestTimes, kernels_are_compiled, replay_requests
from seedcorn.replay.stream import StreamSums, replay_stream
from seedcorn.replay.traces import bundled_traces, read_trace
from seedcorn.replay.traffic import compressed, part, scaled

__all__ = [
    "DAY_S",
    "Capacity",
    "CapacitySearch",
    "DecodeSide",
    "Disaggregated",
    "Link",
    "Operations",
    "Replica",
    "ReplicaGroup",
    "RequestTimes",
    "Server",
    "Side",
    "Spell",
    "StreamSums",
    "UnitGroup",
    "bundled_traces",
    "capacity",
    "closed_loop",
    "compressed",
    "day_curve",
    "day_curves",
    "day_of_trace",
    "drawn_outages",
    "generated_day",
    "interrupted",
    "kernels_are_compiled",
    "outcome",
    "part",
    "read_day",
    "read_trace",
    "replay",
    "replay_groups",
    "replay_requests",
    "replay_stream",
    "scaled",
    "serve",
    "slot_spells",
]
