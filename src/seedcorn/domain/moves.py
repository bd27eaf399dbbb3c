"""What runs today, what it takes to start a replica, and the waves that lead from today to the plan."""

from dataclasses import dataclass

from seedcorn.domain.hardware import Dtype, PoolName


@dataclass(frozen=True, slots=True, kw_only=True)
class Starting:
    """What starting and stopping a replica takes.

    Attributes:
        load_bytes_per_s: At which one node brings weights from storage into its chips.
        engine_s: From weights in place to the first request.
        drain_s: From the last request sent to a replica until it is empty; ``None``: the service's
            longest request, as slow as its SLO allows.
    """

    load_bytes_per_s: float = 1.6e9
    engine_s: float = 60.0
    drain_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """Where a service runs now. ``None`` was left out: it is derived as what the service needs there."""

    pool: PoolName
    dtype: Dtype | None = None
    tp: int | None = None
    replicas: int | None = None
