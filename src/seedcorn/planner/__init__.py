"""The market: prices, best responses, a proven gap."""
