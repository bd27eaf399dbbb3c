"""Documents people write and read, to and from domain values, versioned."""

from seedcorn.wire._reading import Located, read_document
from seedcorn.wire._writing import check_writable, json_bytes, write_text_atomically
from seedcorn.wire.evidence import evidence_from, evidence_json
from seedcorn.wire.faults import read_faults
from seedcorn.wire.outcome import outcome_json
from seedcorn.wire.plan import PlanFile, plan_json, read_plan, service_json, write_plan
from seedcorn.wire.prediction import prediction_json
from seedcorn.wire.scenario import ScenarioDocument, example_folder, examples, read_scenario
from seedcorn.wire.schema import schema
from seedcorn.wire.worth import node_worth_json

__all__ = [
    "Located",
    "PlanFile",
    "ScenarioDocument",
    "check_writable",
    "evidence_from",
    "evidence_json",
    "example_folder",
    "examples",
    "json_bytes",
    "node_worth_json",
    "outcome_json",
    "plan_json",
    "prediction_json",
    "read_document",
    "read_faults",
    "read_plan",
    "read_scenario",
    "schema",
    "service_json",
    "write_plan",
    "write_text_atomically",
]
