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


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Replicas of one kind that serve today.

    Attributes:
        kind: As offers are called: ``h800/fp8/tp4``; ``?`` stands for what nobody said.
        chips: Chips of all of them.
        capacity_req_per_s: What one of them carries within the SLO; where it is no offer, its part of the
            service's mean rate: that is what it carries today.
        derived: What of ``dtype``, ``tp`` and ``replicas`` the scenario left out.
    """

    kind: str
    pool: PoolName
    replicas: int
    chips: int
    capacity_req_per_s: float
    derived: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Replicas of one kind that are started, or stopped; ``chips`` are those of all of them."""

    service: str
    kind: str
    pool: PoolName
    replicas: int
    chips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Lacking:
    """The share of a service's planned rate that nothing carries until the next wave's replicas serve."""

    service: str
    share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """Replicas that start on free chips; when they serve, those that drain and stop.

    Attributes:
        start_s: Until the last of the starts serves.
        drain_s: Until the last of the stops is empty.
        lacking: Empty unless chips are too few to move every service at work.
    """

    starts: tuple[Move, ...]
    stops: tuple[Move, ...]
    start_s: float
    drain_s: float
    lacking: tuple[Lacking, ...] = ()

    @property
    def seconds(self) -> float:
        """From its first start to its last stop."""
        return self.start_s + self.drain_s
