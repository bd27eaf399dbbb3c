"""``kind: pool-explanation``: what one more node of a pool would be good for (``seedcorn explain --pool --json``)."""

from typing import Literal

from pydantic import Field

from seedcorn.domain.worth import NodeWorth
from seedcorn.wire._fields import Document, Many
from seedcorn.wire._writing import json_bytes
from seedcorn.wire.outcome import Number, NumberOrInf


class ChangeDocument(Document):
    """What is different with the node."""

    claimant: str = Field(description="A service or a training job.")
    what: str = Field(description="Replicas of a kind, or chips of a pool.")
    without: int = Field(ge=0, description="How many without the node.")
    with_node: int = Field(ge=0, description="How many with it.")


class NodeWorthDocument(Document):
    """The best plan with one more node against the best without."""

    seedcorn: Literal[1] = Field(description="Version of the document's form.")
    kind: Literal["pool-explanation"] = Field(description="What this document is.")
    pool: str = Field(description="The pool that gains a node.")
    chips: int = Field(ge=1, description="Chips of the node.")
    gain: Number = Field(
        description="Reference-chip hours an hour between the two plans found, unused chips counted in."
    )
    gain_least: NumberOrInf = Field(description="The true gain is no less.")
    gain_most: NumberOrInf = Field(description="Nor more.")
    unused: Number = Field(description="What of it the node is worth if nobody uses it.")
    freed: Number = Field(
        description="Chips of the reference pool that services use less, the mean of the day."
    )
    changes: Many[ChangeDocument] = Field(description="What is different, claimant by claimant.")


def node_worth_json(worth: NodeWorth) -> bytes:
    """The document."""
    fields = {
        name: getattr(worth, name)
        for name in ("pool", "chips", "gain", "gain_least", "gain_most", "unused", "freed")
    }
    document = NodeWorthDocument(
        seedcorn=1,
        kind="pool-explanation",
        **fields,
        changes=tuple(ChangeDocument.model_validate(c, from_attributes=True) for c in worth.changes),
    )
    return json_bytes(document.model_dump(mode="json"))
