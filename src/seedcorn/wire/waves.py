"""What a plan says of moves: what runs today, and the waves that lead from there to the plan."""

from pydantic import Field, TypeAdapter

from seedcorn.domain.moves import Running, Wave
from seedcorn.wire._fields import Document, Many
from seedcorn.wire.outcome import Number


class RunningDocument(Document):
    """Replicas of one kind that serve today."""

    kind: str = Field(description="As offers are named: `h800/fp8/tp4`; `?` stands for what nobody said.")
    pool: str = Field(description="The pool they run on.")
    replicas: int = Field(ge=0, description="How many.")
    chips: int = Field(ge=0, description="Chips of all of them.")
    capacity_req_per_s: Number = Field(
        description="What one carries within the SLO; where it cannot hold that, its part of the mean rate."
    )
    derived: Many[str] = Field(description="What of `dtype`, `tp` and `replicas` the scenario left out.")


class MoveDocument(Document):
    """Replicas of one kind that are started, or stopped."""

    service: str = Field(description="Whose they are.")
    kind: str = Field(description="As offers are named: `h20/fp8/tp4`.")
    pool: str = Field(description="The pool they run on.")
    replicas: int = Field(ge=0, description="How many.")
    chips: int = Field(ge=0, description="Chips of all of them.")


class LackingDocument(Document):
    """A service that loses some of its capacity between two waves."""

    service: str = Field(description="Its name in the scenario.")
    share: Number = Field(description="Part of its planned rate that nothing carries.")


class WaveDocument(Document):
    """Start on free chips; when the starts serve, drain and stop."""

    starts: Many[MoveDocument] = Field(description="Replicas that start, all at once.")
    stops: Many[MoveDocument] = Field(description="Replicas that stop once the starts serve.")
    start_s: Number = Field(description="Until the last of the starts serves.")
    drain_s: Number = Field(description="Until the last of the stops is empty.")
    lacking: Many[LackingDocument] = Field(
        default=(), description="Services that chips are too few to move at work."
    )


_RUNNING, _WAVE = TypeAdapter(Running), TypeAdapter(Wave)


def running_document(running: Running) -> RunningDocument:
    """As plans hold it."""
    return RunningDocument.model_validate(running, from_attributes=True)


def running_from(document: RunningDocument) -> Running:
    """As the study takes it."""
    return _RUNNING.validate_python(document.model_dump())


def wave_document(wave: Wave) -> WaveDocument:
    """As plans hold it."""
    return WaveDocument.model_validate(wave, from_attributes=True)


def wave_from(document: WaveDocument) -> Wave:
    """As the study takes it."""
    return _WAVE.validate_python(document.model_dump())
