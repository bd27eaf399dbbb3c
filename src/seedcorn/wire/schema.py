"""The JSON Schema of every document."""

from enum import StrEnum

from pydantic import BaseModel

from seedcorn.wire._text import Json
from seedcorn.wire.outcome import OutcomeDocument
from seedcorn.wire.plan import PlanDocument
from seedcorn.wire.scenario import ScenarioDocument


class Kind(StrEnum):
    """Kinds of document that have a schema."""

    SCENARIO = "scenario"
    PLAN = "plan"
    OUTCOME = "outcome"


_MODELS: dict[Kind, type[BaseModel]] = {
    Kind.SCENARIO: ScenarioDocument,
    Kind.PLAN: PlanDocument,
    Kind.OUTCOME: OutcomeDocument,
}


def schema(kind: Kind) -> dict[str, Json]:
    """The JSON Schema (draft 2020-12) of a document as it stands in a file, where quantities are text."""
    body = _MODELS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}
