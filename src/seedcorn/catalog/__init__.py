"""Chips and models with provenance: look up, never compute."""

from seedcorn.catalog.chip import CatalogChip, chips, find_chip
from seedcorn.catalog.facts import Fact, Kind, Source, number
from seedcorn.catalog.model import CatalogModel, Origin, find_model, models
from seedcorn.catalog.sourcing import SourcingFact, nearest_fact, sourcing_facts

__all__ = [
    "CatalogChip",
    "CatalogModel",
    "Fact",
    "Kind",
    "Origin",
    "Source",
    "SourcingFact",
    "chips",
    "find_chip",
    "find_model",
    "models",
    "nearest_fact",
    "number",
    "sourcing_facts",
]
