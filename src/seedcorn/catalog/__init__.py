"""Chips and models with provenance: look up, never compute."""
