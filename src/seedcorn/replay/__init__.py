"""Exact replay of real traffic through a model of continuous batching."""
