"""seedcorn: keep the best chips for training."""

from importlib.metadata import version

__version__ = version("seedcorn")
