"""What a scenario says of moves: what runs today, and what starting a replica takes."""

from typing import Annotated

from pydantic import Field

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.moves import Starting, Today
from seedcorn.wire._fields import Absent, BytesPerS, Count, Document, DtypeName, Seconds

_STARTING = Starting()


class TodayDocument(Document):
    """Where the service runs now: what is left out is derived as the least that carries it there."""

    pool: str = Field(description="A pool of the fleet. The plan counts the chips that leave it.")
    dtype: Annotated[DtypeName | None, Absent("what carries it on the fewest chips there")] = Field(
        default=None, description="Number format it runs in."
    )
    tp: Annotated[Count | None, Absent("what carries it on the fewest chips there")] = Field(
        default=None, description="Tensor-parallel size of a replica."
    )
    replicas: Annotated[Count | None, Absent("as few as carry the planned rate there")] = Field(
        default=None, description="Replicas that run."
    )

    @property
    def today(self) -> Today:
        """As the study takes it."""
        return Today(pool=PoolName(self.pool), dtype=self.dtype, tp=self.tp, replicas=self.replicas)


class StartingDocument(Document):
    """How long a replica takes to start and to empty."""

    load: Annotated[BytesPerS, Field(gt=0)] = Field(
        default=_STARTING.load_bytes_per_s,
        description="Bandwidth at which one node brings weights from storage into its chips. 1.6 GB/s: what PyTorch "
        "took for LLaMA-2-70B (84 s) and OPT-30B (34 s) in ServerlessLLM, arXiv:2401.14351.",
        json_schema_extra={"default": "1.6 GB/s"},
    )
    engine: Annotated[Seconds, Field(ge=0)] = Field(
        default=_STARTING.engine_s,
        description="From weights in place to the first request. 60 s: vLLM V1 logs 50 to 70 s for profiling, "
        "compilation and graph capture of a 7 B model.",
        json_schema_extra={"default": "60 s"},
    )
    drain: Annotated[
        Annotated[Seconds, Field(ge=0)] | None,
        Absent("the service's longest request, as slow as its SLO allows"),
    ] = Field(default=None, description="From the last request sent to a replica until it is empty.")

    @property
    def starting(self) -> Starting:
        """As the study takes it."""
        return Starting(load_bytes_per_s=self.load, engine_s=self.engine, drain_s=self.drain)
