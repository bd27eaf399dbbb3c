"""The ledger of chips: append-only events, and the stock they add up to on any date."""

from seedcorn.stock.event import OWNED, Correction, Entry, Event, Kind, Place, State, entry_of
from seedcorn.stock.journal import Draft, Row
from seedcorn.stock.ledger import DEFAULT, Holding, Ledger, StockPool, open_ledger, pools_on, stock_on

__all__ = [
    "DEFAULT",
    "OWNED",
    "Correction",
    "Draft",
    "Entry",
    "Event",
    "Holding",
    "Kind",
    "Ledger",
    "Place",
    "Row",
    "State",
    "StockPool",
    "entry_of",
    "open_ledger",
    "pools_on",
    "stock_on",
]
