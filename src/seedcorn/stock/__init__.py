"""The ledger of chips: append-only events, and the stock they add up to on any date."""

from seedcorn.stock.event import OWNED, Correction, Entry, Event, Kind, Place, State
from seedcorn.stock.holdings import (
    By,
    Difference,
    Holding,
    StockFleet,
    StockPool,
    differences,
    stock_on,
    totals,
)
from seedcorn.stock.journal import Draft, Row
from seedcorn.stock.ledger import DEFAULT, Ledger, fleet_on, open_ledger
from seedcorn.stock.sheet import csv_of, read_counts, read_rows, row_of
from seedcorn.stock.table import Line

__all__ = [
    "DEFAULT",
    "OWNED",
    "By",
    "Correction",
    "Difference",
    "Draft",
    "Entry",
    "Event",
    "Holding",
    "Kind",
    "Ledger",
    "Line",
    "Place",
    "Row",
    "State",
    "StockFleet",
    "StockPool",
    "csv_of",
    "differences",
    "fleet_on",
    "open_ledger",
    "read_counts",
    "read_rows",
    "row_of",
    "stock_on",
    "totals",
]
