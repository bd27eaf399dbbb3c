from dataclasses import replace

import pytest

from seedcorn.catalog import find_chip
from seedcorn.domain.hardware import Pool, PoolName
from seedcorn.domain.scenario import Planning, Scenario
from seedcorn.errors import Infeasible
from seedcorn.study.numeraire import FEWER_CHIPS, numeraire


def a_pool(chip: str, network_bytes_per_s: float | None = 50e9, price: float | None = None) -> Pool:
    return Pool(
        name=PoolName(chip.lower()),
        chip=find_chip(chip).chip,
        chips=512,
        chips_per_node=8,
        network_bytes_per_s=network_bytes_per_s,
        price=price,
    )


def a_fleet(*pools: Pool) -> Scenario:
    return Scenario(name="fleet", pools=pools, planning=Planning(idle_value=0.5))


def test_the_chip_that_trains_fastest_is_the_reference_and_a_free_one_is_worth_half_of_it():
    worth = numeraire(a_fleet(a_pool("H20"), a_pool("H800")))
    assert worth.reference.name == "h800"
    assert worth.prices["h800"] == pytest.approx(0.5 + FEWER_CHIPS)
    assert 0 < worth.prices["h20"] < worth.prices["h800"] / 2
    assert worth.warnings == ()


def test_a_price_of_the_owner_goes_before():
    worth = numeraire(a_fleet(a_pool("H800"), a_pool("H20", price=0.7)))
    assert worth.prices["h20"] == 0.7


def test_a_chip_that_cannot_train_is_worth_next_to_nothing():
    worth = numeraire(a_fleet(a_pool("H800"), a_pool("T4")))
    assert worth.speeds["t4"] == 0
    assert worth.prices["t4"] < FEWER_CHIPS


def test_an_unknown_speed_is_said_and_the_peak_stands_in():
    worth = numeraire(a_fleet(a_pool("H800"), a_pool("H20", network_bytes_per_s=None)))
    assert worth.speeds["h20"] == pytest.approx(148 / 989.5, rel=0.01)  # data-sheet peaks
    (warning,) = worth.warnings
    assert "'h20'" in warning and "network" in warning and "'price'" in warning


def test_a_fleet_of_which_nothing_is_known_still_has_a_yardstick():
    worth = numeraire(a_fleet(a_pool("L20", None), a_pool("H20", None)))
    assert worth.reference.name == "h20"
    assert len(worth.warnings) == 2


def test_a_reference_that_does_not_train_is_refused_with_those_that_do():
    fleet = replace(a_fleet(a_pool("H800"), a_pool("T4")), reference=PoolName("t4"))
    with pytest.raises(Infeasible, match=r"'t4' does not train .*h800"):
        numeraire(fleet)
