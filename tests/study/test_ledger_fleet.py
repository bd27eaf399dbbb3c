"""A fleet from the stock ledger: the ledger counts the chips, the scenario says how they are joined."""

import pytest

from seedcorn.errors import InputError, InvalidDocument
from seedcorn.stock import open_ledger
from seedcorn.study import resolve
from seedcorn.wire import read_scenario
from tests.stock.builders import H800, an_entry, record
from tests.study.scenarios import CHAT, a_scenario_file

POOLS = [
    {"name": "h800", "chips_per_node": 8, "network": "400 Gb/s", "spare": 2},
    {"name": "h20", "chip": "H20", "chips_per_node": 8, "price": 0.1},
]


@pytest.fixture
def ledger(tmp_path):
    """64 H800 in service from 3 January 2026 on, 60 from the 6th; 32 H20 of which 4 are lent and 16 not there yet."""
    with open_ledger(str(tmp_path / "chips.sqlite"), create=True) as ledger:
        record(
            ledger,
            an_entry("ordered", 64, chip=H800),
            an_entry("delivered", 64, chip=H800, on=2, site="x"),
            an_entry("installed", 64, chip=H800, on=3, pool="h800"),
            an_entry("failed", 4, chip=H800, on=6, pool="h800"),
            an_entry("ordered", 48),
            an_entry("delivered", 32, on=2, site="x"),
            an_entry("installed", 32, on=3, pool="h20"),
            an_entry("lent", 4, on=3, pool="h20", counterparty="lab"),
        )
        yield ledger


def a_scenario(folder, *, on="2026-01-06", pools=POOLS, **changes):
    fleet = {"stock": "chips.sqlite", "on": on, "pools": pools}
    return read_scenario(a_scenario_file(folder, fleet=fleet, **changes))


@pytest.mark.parametrize(("on", "h800"), [("2026-01-05", 64), ("2026-01-06", 60)])
def test_chips_are_those_in_service_on_the_date(ledger, tmp_path, on, h800):
    scenario = resolve(a_scenario(tmp_path, on=on))

    assert [(pool.name, pool.chip.name, pool.chips, pool.usable_chips) for pool in scenario.pools] == [
        ("h800", "nvidia-h800-sxm", h800, h800 - 2),
        ("h20", "nvidia-h20-96gb", 28, 28),
    ]
    assert scenario.pools[1].price == 0.1


def test_what_is_left_out_is_said(ledger, tmp_path):
    (note,) = resolve(a_scenario(tmp_path)).notes

    assert "88 chips in service in 2 pools by the stock ledger on 2026-01-06" in note
    assert "nvidia-h20-96gb: 4 lent, 16 on order" in note
    assert "nvidia-h800-sxm: 4 failed" in note


def test_the_hash_of_the_inputs_covers_the_ledger(ledger, tmp_path):
    before = resolve(a_scenario(tmp_path)).inputs_hash
    assert resolve(a_scenario(tmp_path)).inputs_hash == before

    record(ledger, an_entry("failed", 1, chip=H800, on=6, pool="h800"))

    assert resolve(a_scenario(tmp_path)).inputs_hash != before


def test_a_pool_whose_node_size_nobody_gave_is_named(ledger, tmp_path):
    with pytest.raises(InputError, match=r"add to fleet.pools.*\n  - \{name: h20, chips_per_node"):
        resolve(a_scenario(tmp_path, pools=POOLS[:1]))


def test_a_pool_that_the_ledger_does_not_have_is_placed(ledger, tmp_path):
    pools = [*POOLS, {"name": "l20", "chips_per_node": 8}]

    with pytest.raises(InputError, match=r"no chips were in service in pool 'l20'.*: h20, h800") as caught:
        resolve(a_scenario(tmp_path, pools=pools))

    assert caught.value.where.startswith(str(tmp_path / "scenario.yaml:"))


def test_a_service_that_runs_in_a_pool_of_another_name_is_placed(ledger, tmp_path):
    service = {**CHAT, "today": {"pool": "h-800"}}

    with pytest.raises(InvalidDocument, match="no pool 'h-800' in the fleet; did you mean 'h800'") as caught:
        resolve(a_scenario(tmp_path, services=[service]))

    assert caught.value.where.startswith(str(tmp_path / "scenario.yaml:"))


def test_spare_chips_are_held_against_the_ledger(ledger, tmp_path):
    pools = [{**POOLS[0], "spare": 60}, POOLS[1]]

    with pytest.raises(InvalidDocument, match="60 spare of 60 chips leaves none"):
        resolve(a_scenario(tmp_path, pools=pools))


def test_a_chip_that_is_not_the_ledgers_is_refused(ledger, tmp_path):
    pools = [POOLS[0], {**POOLS[1], "chip": "L20"}]

    with pytest.raises(InputError, match="pool 'h20' holds nvidia-h20-96gb by the ledger, not nvidia-l20"):
        resolve(a_scenario(tmp_path, pools=pools))


@pytest.mark.parametrize("on", ["2025-12-31", "2026-01-02"])
def test_a_date_before_anything_was_in_service_is_refused(ledger, tmp_path, on):
    with pytest.raises(InputError, match=f"on {on}: no chips were in service"):
        resolve(a_scenario(tmp_path, on=on))


def test_an_empty_ledger_is_refused(tmp_path):
    open_ledger(str(tmp_path / "chips.sqlite"), create=True).__exit__()

    with pytest.raises(InputError, match="no chips were in service"):
        resolve(a_scenario(tmp_path))


def test_a_ledger_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(InputError, match="there is no ledger"):
        resolve(a_scenario(tmp_path))

    assert not (tmp_path / "chips.sqlite").exists()


@pytest.mark.parametrize(
    ("fleet", "message"),
    [
        ({"stock": "default"}, "a stock ledger needs 'on'"),
        ({"on": "2026-01-06", "pools": [{**POOLS[0], "chip": "H800", "chips": 8}]}, "a date needs a 'stock'"),
        ({"pools": POOLS}, "pool 'h800' needs 'chip' and 'chips'"),
        (
            {"stock": "default", "on": "2026-01-06", "pools": [{**POOLS[0], "chips": 8}]},
            "the stock ledger says how many chips pool 'h800' has",
        ),
    ],
)
def test_pools_and_ledger_that_do_not_go_together_are_refused(tmp_path, fleet, message):
    with pytest.raises(InvalidDocument, match=message):
        read_scenario(a_scenario_file(tmp_path, fleet=fleet))
