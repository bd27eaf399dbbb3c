"""Pieces of work done here."""

import sys

import pytest

from seedcorn.errors import InputError
from seedcorn.workers import HERE
from seedcorn.workers.ray import ray_workers


def _quotient(dividend: float, divisor: float) -> float:
    return dividend / divisor


def test_results_keep_the_order_of_the_items():
    assert list(HERE.map(_quotient, 12.0, [1.0, 2.0, 3.0])) == [12.0, 6.0, 4.0]


def test_an_error_is_raised_at_its_turn():
    results = HERE.map(_quotient, 1.0, [1.0, 0.0])
    assert next(results) == 1.0
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"seedcorn\[ray\]"), ray_workers("127.0.0.2:6379"):
        pass
