"""Documents people write and read, to and from domain values, versioned."""

from seedcorn.wire._reading import Located, Problem, did_you_mean, read_document
from seedcorn.wire._writing import json_bytes, write_text_atomically
from seedcorn.wire.scenario import ScenarioDocument, read_scenario

__all__ = [
    "Located",
    "Problem",
    "ScenarioDocument",
    "did_you_mean",
    "json_bytes",
    "read_document",
    "read_scenario",
    "write_text_atomically",
]
