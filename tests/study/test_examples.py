"""The bundled scenarios are read and resolved without a warning that they do not mean."""

import math
from datetime import date
from pathlib import Path

import pytest

from seedcorn.catalog import find_chip
from seedcorn.stock import fleet_on, open_ledger, read_rows
from seedcorn.study import resolve
from seedcorn.wire import example_folder, examples, read_scenario
from tests.stock.builders import NOW


@pytest.mark.parametrize("name", examples())
def test_a_bundled_scenario_is_read_by_its_name(name):
    located = read_scenario(Path(name))

    scenario = resolve(located)

    assert scenario.name == name
    assert all(pool.chips % pool.chips_per_node == 0 for pool in scenario.pools)


def test_the_ledger_of_the_seed_scenario_holds_the_chips_that_its_pools_have(tmp_path):
    name = "after-the-october-rule"
    rows = read_rows(example_folder(name) / "stock.csv", lambda chip: find_chip(chip).chip.name)
    db = str(tmp_path / "chips.sqlite")
    with open_ledger(db, create=True) as ledger:
        ledger.record(rows, now=NOW)

    held = {(pool.name, pool.chip, pool.chips) for pool in fleet_on(db, date(2023, 11, 24)).pools}

    pools = resolve(read_scenario(Path(name))).pools
    assert held == {(pool.name, pool.chip.name, pool.chips) for pool in pools}


def test_the_domestic_offer_costs_what_the_public_order_did():
    """About CNY 450 million for 1,600 Ascend 910B (Reuters, 7 November 2023)."""
    located = read_scenario(Path("after-the-october-rule"))
    (offer,) = (supply for supply in located.document.supply if supply.name == "ascend")

    amount, currency = offer.price_per_chip or (0.0, "")
    assert sum(delivery.chips for delivery in offer.deliveries) == 1600
    assert math.isclose(1600 * amount, 450e6) and currency == "CNY"
