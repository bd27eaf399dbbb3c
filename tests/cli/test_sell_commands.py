"""``seedcorn sell`` from the outside."""

import json

import pytest

from tests.cli.commands import run
from tests.study.scenarios import CHAT, a_scenario_file


@pytest.fixture(scope="module")
def scenario(tmp_path_factory):
    return a_scenario_file(
        tmp_path_factory.mktemp("sell"),
        services=[CHAT],
        planning={"reference_price": "20 CNY/chip-hour", "classes": 1},
    )


def test_a_sale_in_json_adds_up(scenario, capsys):
    ran = run(capsys, "sell", scenario, "--json")

    sale = json.loads(ran.out)
    assert ran.code == 0
    assert sale["kind"] == "sale" and sale["reference_price"] == {"amount": 20.0, "currency": "CNY"}
    parts = ("spare", "services", "training", "reserved", "spot", "idle")
    for pool in sale["pools"]:
        assert all(sum(hour[part] for part in parts) == pool["owned"] for hour in pool["hours"])
        floor = pool["spot_floor"]
        assert floor["money"]["amount"] == pytest.approx(20 * floor["reference_chip_hours"])


def test_a_quote_that_cannot_be_is_a_no_with_the_nearest_yes(scenario, capsys):
    ran = run(
        capsys, "sell", "quote", scenario, "--chips", 60, "--pool", "h800", "--from", "9:00", "--to", "17:30"
    )

    assert ran.code == 1
    assert "No: 60 chips of h800 from 9:00 to 17:30 every day." in ran.out
    assert "of 64 chips, services need" in ran.out
    assert "60 chips of h20" in ran.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("--pool", "h80", "--from", "9:00", "--to", "10:00"),
            "unknown pool 'h80'; did you mean h800, h20, l20",
        ),
        (("--pool", "h20", "--from", "9", "--to", "10"), "--from: expected a time such as 22:00"),
        (("--pool", "h20", "--from", "25:00", "--to", "10:00"), "--from: expected a time such as 22:00"),
        (("--pool", "h20", "--from", "10:00", "--to", "2026-12-01"), "give two times of day, or two dates"),
        (
            ("--pool", "h20", "--from", "10:00", "--to", "10:00"),
            "no time at all; all day is from 00:00 to 24:00",
        ),
        (("--pool", "h20", "--from", "2026-12-02", "--to", "2026-12-01"), "is not after"),
        (("--pool", "h20", "--from", "2026-12-99", "--to", "2026-12-01"), "--from: expected a time"),
    ],
)
def test_an_ask_that_makes_no_sense_is_refused(scenario, capsys, words, message):
    ran = run(capsys, "sell", "quote", scenario, "--chips", 8, *words)

    assert ran.code == 2
    assert message in ran.err
