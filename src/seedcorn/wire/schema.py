"""The JSON Schema of every document."""

from pydantic import BaseModel

from seedcorn.wire._text import Json
from seedcorn.wire.outcome import OutcomeDocument
from seedcorn.wire.plan import PlanDocument
from seedcorn.wire.scenario import ScenarioDocument

_MODELS: dict[str, type[BaseModel]] = {
    "scenario": ScenarioDocument,
    "plan": PlanDocument,
    "outcome": OutcomeDocument,
}
KINDS = tuple(_MODELS)
"""Kinds of document that have a schema."""


def schema(kind: str) -> dict[str, Json]:
    """The JSON Schema (draft 2020-12) of one of `KINDS`: what a file may hold, so quantities are text."""
    body = _MODELS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}
