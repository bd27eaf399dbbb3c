"""``services[].router``: how a service's requests find a replica, as scenarios write it."""

from collections.abc import Iterator
from typing import Annotated

from pydantic import Field

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.workload import Router, Routing, Spill
from seedcorn.wire._fields import Absent, Count, Document
from seedcorn.wire._reading import Problem
from seedcorn.wire._text import Step

_ROUTING = Routing()


class SpillDocument(Document):
    """Where requests go when a queue is long."""

    to: str = Field(description="A pool of the fleet. Its own requests stay there.")
    waiting: Count = Field(description="Waiting requests of a replica from which on others go there.")


class RouterDocument(Document):
    """How requests find a replica, among those that the plan deals them to."""

    policy: Annotated[Router, Field(strict=False)] = Field(
        default=_ROUTING.router,
        description="Among the replicas of one deployment: in turn, the fewest outstanding tokens of all, or of "
        "two drawn at random.",
    )
    max_waiting: Annotated[Count | None, Absent("any number")] = Field(
        default=None, description="Most waiting requests of a replica; it refuses more."
    )
    spill: Annotated[SpillDocument | None, Absent("no request leaves its deployment")] = Field(
        default=None, description="Where requests go when the queue they would join is long."
    )

    @property
    def routing(self) -> Routing:
        """As the replay takes it."""
        spill = self.spill
        return Routing(
            router=self.policy,
            max_waiting=self.max_waiting,
            spill=None if spill is None else Spill(to=PoolName(spill.to), waiting=spill.waiting),
        )

    def problems(self, steps: tuple[Step, ...]) -> Iterator[Problem]:
        """Limits that shut each other out."""
        if self.spill is not None and self.max_waiting is not None and self.max_waiting < self.spill.waiting:
            yield Problem(
                (*steps, "max_waiting"),
                f"a queue of {self.max_waiting} refuses before it spills, at {self.spill.waiting}; "
                "give a max_waiting of at least spill.waiting",
            )
