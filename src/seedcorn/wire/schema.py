"""The JSON Schema of every document."""

from pydantic import BaseModel

from seedcorn.errors import UnknownName
from seedcorn.wire._text import Json
from seedcorn.wire.evidence import EvidenceDocument
from seedcorn.wire.market import MarketDocument
from seedcorn.wire.outcome import OutcomeDocument
from seedcorn.wire.plan import PlanDocument
from seedcorn.wire.prediction import ServingDocument, TrainingDocument
from seedcorn.wire.scenario import ScenarioDocument
from seedcorn.wire.sweep import SweepDocument
from seedcorn.wire.worth import NodeWorthDocument

_MODELS: dict[str, type[BaseModel]] = {
    "scenario": ScenarioDocument,
    "plan": PlanDocument,
    "market": MarketDocument,
    "outcome": OutcomeDocument,
    "pool-explanation": NodeWorthDocument,
    "evidence": EvidenceDocument,
    "prediction-serving": ServingDocument,
    "prediction-training": TrainingDocument,
    "sweep": SweepDocument,
}


def schema(kind: str) -> dict[str, Json]:
    """The JSON Schema (draft 2020-12) of a kind of document as it stands in a file: quantities are text.

    Raises:
        UnknownName: No such kind; the error suggests all there are.
    """
    if kind not in _MODELS:
        raise UnknownName("kind of document", kind, _MODELS)
    body = _MODELS[kind].model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **body}
