"""Evidence: what benchmarks of real servers found, read from any common tool's report and kept."""

from seedcorn.evidence.importing import Given, read_measurement
from seedcorn.evidence.store import keep, kept

__all__ = ["Given", "keep", "kept", "read_measurement"]
