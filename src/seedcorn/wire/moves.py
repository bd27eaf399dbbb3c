"""What a scenario says of moves: what runs today, and what starting a replica takes."""

from typing import Annotated

from pydantic import Field

from seedcorn.domain.moves import Starting
from seedcorn.wire._fields import Absent, BytesPerS, Document, Seconds

_STARTING = Starting()


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
