"""The ledger of chips: append-only events, and the stock they add up to on any date."""
