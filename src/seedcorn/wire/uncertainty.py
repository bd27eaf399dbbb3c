"""What a plan does not know of a deployment, as ``plan.json`` holds it."""

from pydantic import Field

from seedcorn.domain.plan import Uncertainty
from seedcorn.domain.prediction import Interval
from seedcorn.wire._fields import Document
from seedcorn.wire.outcome import Number


class CapacityDocument(Document):
    """Requests per second of one replica, by replay."""

    likely: Number = Field(description="Where steps take as long as predicted.")
    low: Number = Field(
        description="Where steps take as long as 95 % of true ones stay below; 0: an objective is missed at any rate."
    )
    high: Number = Field(description="Where steps take as long as 5 % of true ones stay below.")


class UncertaintyDocument(Document):
    """How far a deployment's capacity may be off, and what it would take without doubt."""

    capacity_req_per_s: CapacityDocument = Field(description="Of one replica.")
    replicas: int = Field(ge=0, description="How many would do if steps took as long as predicted.")
    chips: int = Field(description="Chips that stand by because steps may take longer than predicted.")

    @classmethod
    def of(cls, uncertainty: Uncertainty, chips: int) -> "UncertaintyDocument":
        """The document of a value."""
        capacity = uncertainty.capacity_req_per_s
        return cls(
            capacity_req_per_s=CapacityDocument(likely=capacity.value, low=capacity.low, high=capacity.high),
            replicas=uncertainty.replicas,
            chips=chips,
        )

    def value(self) -> Uncertainty:
        """What the document says."""
        capacity = self.capacity_req_per_s
        return Uncertainty(
            capacity_req_per_s=Interval(value=capacity.likely, low=capacity.low, high=capacity.high),
            replicas=self.replicas,
        )
