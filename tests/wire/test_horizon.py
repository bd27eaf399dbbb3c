"""The sections that look ahead: what is read, and what is refused where."""

import datetime
import re

import pytest

from seedcorn.wire import read_scenario
from tests.wire.documents import SCENARIO, refusal, written

HORIZON = """
runway: {start: 2026-11-24, months: 24}
generations:
  - {name: gen, flop: 5e24, count: 3, growth: 2.5, every: "180 d", by: 2027-06-01, pools: [h800]}
supply:
  - name: ascend
    chip: huawei-ascend-910b3
    deliveries: [{on: 2027-01-01, chips: 1000}, {on: 2027-03-01, chips: 600}]
    delivered: [0.3, 0.6, 0.9]
    delay: ["0 d", "30 d", "90 d"]
    price_per_chip: "281250 CNY"
    porting: [{family: qwen3, time: "90 d", cost: "2e6 CNY"}]
attrition: [{pool: h800, mtbf: "3650 d", retire: 2029-01-01}]
levers: [{name: faster serving, serving_speedup: 2.0}]
sourcing: {candidates: [H20], budget: "450e6 CNY", power: "2 MW", exchange: {USD: 7.2}}
"""


def test_what_may_be_uncertain_is_one_value_or_three(tmp_path):
    scenario = read_scenario(written(tmp_path, SCENARIO + HORIZON)).document

    (supply,) = scenario.supply
    assert supply.delivered == (0.3, 0.6, 0.9)
    assert supply.delay == (0.0, 30 * 86400.0, 90 * 86400.0)
    assert scenario.services[0].growth == (1.0, 1.0, 1.0)
    assert scenario.sourcing.budget == (450e6, "CNY")
    assert supply.deliveries[1].on == datetime.date(2027, 3, 1)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("[0.3, 0.6, 0.9]", "[0.3, 0.6]", r"one value, or three: \[P10, P50, P90\], got 2"),
        ("[0.3, 0.6, 0.9]", "[0.6, 0.3, 0.9]", "expected P10 ≤ P50 ≤ P90, got 0.6, 0.3, 0.9"),
        ("[0.3, 0.6, 0.9]", "1.2", "at most 1, got 1.2"),
        ("flop: 5e24, count", "tokens: 5e12, count", "tokens of what"),
        ("flop: 5e24, count", "flop: 5e24, tokens: 5e12, count", "one of 'flop' and 'tokens'"),
        ("by: 2027-06-01", "earliest: 2027-07-01, by: 2027-06-01", "not after the earliest start"),
        ("pools: [h800]", "pools: [h80]", "no pool 'h80' in the fleet; did you mean 'h800'"),
        ("name: ascend\n", "name: h20\n", "'h20' is a pool already: give 'pool: h20'"),
        ("chip: huawei-ascend-910b3", "chip: H20\n    pool: h20", "software runs on pool 'h20' already"),
        ("delivered: [", 'lead_time: "60 d"\n    delivered: [', "a delivery schedule, or an order"),
        ("price_per_chip", "chips: 1000\n    price_per_chip", "1,000 chips, but 1,600 are scheduled"),
        ("281250 CNY", "281,250 yuan", "expected a sum of money, such as '450e6 CNY'"),
        (', mtbf: "3650 d", retire: 2029-01-01', "", "nothing goes: give 'mtbf' or 'retire'"),
        ("serving_speedup: 2.0", "services: [chat]", "changes nothing"),
        ('budget: "450e6 CNY", ', "", "rates are into the currency of the budget"),
    ],
)
def test_one_mistake_is_one_message(tmp_path, old, new, message):
    text = SCENARIO + HORIZON
    assert old in text

    said = refusal(tmp_path, text.replace(old, new))

    assert re.search(message, said)
    assert said.count("scenario.yaml") == 1
