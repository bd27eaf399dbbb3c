"""The market: prices, best responses, a proven gap."""

from seedcorn.planner.solve import Progress, solve
from seedcorn.planner.verify import verify

__all__ = ["Progress", "solve", "verify"]
