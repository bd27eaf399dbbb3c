"""A plan's day: services and pools slot by slot, and chips sold."""

from typing import Annotated

from pydantic import Field

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import ResaleKind
from seedcorn.domain.plan import PoolSlot, SalePlan, SlotPlan
from seedcorn.wire._fields import Document, Many
from seedcorn.wire.outcome import Number, OutcomeFields, outcome_fields, outcome_from


class SlotPlanDocument(Document):
    """One service in one slot of the day."""

    slot: int = Field(ge=0, description="Which: 0 begins at midnight.")
    demand_req_per_s: Number = Field(
        description="Rate that is planned for: of the slot's busiest hour, margin included."
    )
    load_factor: Number = Field(description="What it was multiplied by after replays that missed.")
    outcome: OutcomeFields | None = Field(
        description="Replay of the slot; `null`: not replayed, or nothing comes."
    )

    @classmethod
    def of(cls, slot: SlotPlan) -> "SlotPlanDocument":
        """The slot as documents hold it."""
        return cls(
            slot=slot.slot,
            demand_req_per_s=slot.demand_req_per_s,
            load_factor=slot.load_factor,
            outcome=None if slot.outcome is None else outcome_fields(slot.outcome),
        )

    @property
    def slot_plan(self) -> SlotPlan:
        """The slot as plans hold it."""
        return SlotPlan(
            slot=self.slot,
            demand_req_per_s=self.demand_req_per_s,
            load_factor=self.load_factor,
            outcome=None if self.outcome is None else outcome_from(self.outcome),
        )


class PoolSlotDocument(Document):
    """Who uses one pool in one slot of the day."""

    slot: int = Field(ge=0, description="Which: 0 begins at midnight.")
    used_by_services: int = Field(ge=0, description="Chips that services use.")
    used_by_jobs: int = Field(ge=0, description="Chips that training jobs use.")
    sold: int = Field(ge=0, description="Chips that are sold.")
    free: int = Field(description="Chips left: neither used, sold nor spare.")
    shadow_price: Number = Field(
        description="What one more chip in this slot would add, per hour of the slot."
    )

    @classmethod
    def of(cls, slot: PoolSlot, *, usable: int) -> "PoolSlotDocument":
        """The slot as documents hold it; ``usable`` chips are owned and not spare."""
        return cls(
            slot=slot.slot,
            used_by_services=slot.used_by_services,
            used_by_jobs=slot.used_by_jobs,
            sold=slot.sold,
            free=usable - slot.used,
            shadow_price=slot.shadow_price,
        )

    @property
    def pool_slot(self) -> PoolSlot:
        """The slot as plans hold it."""
        return PoolSlot(**self.model_dump(exclude={"free"}))


class SalePlanDocument(Document):
    """What is sold of one resale product."""

    product: str = Field(description="Its name in the scenario.")
    pool: str = Field(description="The pool whose chips are sold.")
    kind: Annotated[ResaleKind, Field(strict=False)] = Field(
        description="`reserved`: as many chips in every slot; `spot`: slot by slot."
    )
    chips: Many[int] = Field(min_length=1, description="Chips sold in each slot of the day.")
    price: Number = Field(ge=0, description="Of a chip-hour.")
    currency: str = Field(description="Of the price.")
    income_a_day: Number = Field(description="Chip-hours of a day at that price.")

    @classmethod
    def of(cls, sale: SalePlan) -> "SalePlanDocument":
        """The sale as documents hold it."""
        amount, currency = sale.price
        return cls(
            product=sale.product,
            pool=sale.pool,
            kind=sale.kind,
            chips=sale.chips,
            price=amount,
            currency=currency,
            income_a_day=sale.income_a_day,
        )

    @property
    def sale_plan(self) -> SalePlan:
        """The sale as plans hold it."""
        return SalePlan(
            product=self.product,
            pool=PoolName(self.pool),
            kind=self.kind,
            chips=self.chips,
            price=(self.price, self.currency),
        )
