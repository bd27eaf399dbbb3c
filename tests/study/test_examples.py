"""The bundled scenarios are read and resolved without a warning that they do not mean."""

import math
from importlib.resources import files
from pathlib import Path

import pytest

from seedcorn.study import resolve
from seedcorn.wire import read_scenario

EXAMPLES = Path(str(files("seedcorn") / "data" / "examples"))


@pytest.mark.parametrize("name", ["mixed-fleet", "after-the-october-rule"])
def test_a_bundled_scenario_resolves(name):
    located = read_scenario(EXAMPLES / name / "scenario.yaml")

    scenario = resolve(located)

    assert scenario.name == name
    assert all(pool.chips % pool.chips_per_node == 0 for pool in scenario.pools)


def test_the_domestic_offer_costs_what_the_public_order_did():
    """About CNY 450 million for 1,600 Ascend 910B (Reuters, 7 November 2023)."""
    located = read_scenario(EXAMPLES / "after-the-october-rule" / "scenario.yaml")
    (offer,) = (supply for supply in located.document.supply if supply.name == "ascend")

    amount, currency = offer.price_per_chip or (0.0, "")
    assert sum(delivery.chips for delivery in offer.deliveries) == 1600
    assert math.isclose(1600 * amount, 450e6) and currency == "CNY"
