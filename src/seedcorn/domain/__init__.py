"""Frozen values that every layer above speaks in: no I/O, no look-ups, no defaults from files."""
