"""The commands: the only package that prints or exits."""

from seedcorn.cli.app import main

__all__ = ["main"]
