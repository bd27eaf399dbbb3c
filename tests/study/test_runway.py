"""``runway`` and ``source`` on a small fleet, checked from their own definitions."""

import json
from dataclasses import replace
from datetime import date

import pytest
from typer.testing import CliRunner

from seedcorn.cli.app import app
from seedcorn.domain.horizon import Horizon, Limits, Money
from seedcorn.domain.runway import Lacking
from seedcorn.domain.scenario import Scenario
from seedcorn.errors import InputError
from seedcorn.study import resolve
from seedcorn.study.horizon import resolve_horizon
from seedcorn.study.outlook import month_starts
from seedcorn.study.runway import runway_of
from seedcorn.study.sourcing import sourcing_of
from seedcorn.wire import read_scenario
from seedcorn.wire.runway import runway_json
from tests.study.scenarios import CHAT, a_scenario_file

SECTIONS = {
    "runway": {"start": "2023-09-01", "months": 24, "draws": 20},
    "services": [CHAT | {"traffic": {"trace": "azure-conv", "rate_per_s": 150}, "growth": [1.5, 2.0, 3.0]}],
    "generations": [
        {"name": "gen", "flop": 2e22, "count": 3, "growth": 4, "pools": ["h800"]},
        {"name": "big", "flop": 1e25, "by": "2025-01-15", "pools": ["h800"]},
    ],
    "supply": [
        {
            "name": "more",
            "chip": "nvidia-h800-sxm",
            "pool": "h800",
            "deliveries": [{"on": "2023-10-01", "chips": 32}, {"on": "2023-12-01", "chips": 64}],
            "price_per_chip": "250000 CNY",
        },
        {
            "name": "ascend",
            "chip": "huawei-ascend-910b3",
            "chips": 128,
            "porting": [{"family": "*", "time": "30 d", "cost": "1e6 CNY"}],
        },
        {
            "name": "b200",
            "chip": "nvidia-b200-sxm",
            "chips": 64,
            "lead_time": "90 d",
            "price_per_chip": "1 CNY",
        },
    ],
    "attrition": [{"mtbf": "2000 d"}, {"pool": "l20", "retire": "2024-06-15"}],
    "levers": [
        {"name": "half the demand", "demand": 0.5},
        {"name": "mfu", "mfu": 0.6},
        {"name": "twice the serving", "serving_speedup": 2.0},
    ],
    "rules": {"destination": "CN"},
}


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


def resolved(folder, **changes: object) -> tuple[Scenario, Horizon]:
    located = read_scenario(a_scenario_file(folder, **(SECTIONS | changes)))
    scenario = resolve(located)
    return scenario, resolve_horizon(located, scenario)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ahead")


@pytest.fixture(scope="module")
def runway(folder):
    return runway_of(*resolved(folder), silent)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"rules": {"destination": "ZZ"}}, r"scenario\.yaml:\d+:\d+: unknown destination 'ZZ'"),
        (
            {"rules": {"destination": "CN", "on": "1990-01-01"}, "runway": {"months": 12}},
            "before the first rule",
        ),
    ],
)
def test_rules_that_cannot_be_kept_to_are_refused_before_any_work(tmp_path, changes, why):
    with pytest.raises(InputError, match=why):
        resolved(tmp_path, **changes)


# -- runway -------------------------------------------------------------------------------------------


def test_moving_inference_off_the_training_chips_trains_more(runway):
    assert runway.moved.generations > runway.stayed.generations
    assert runway.moved.quantiles.p10 <= runway.moved.quantiles.p50 <= runway.moved.quantiles.p90


def test_generations_count_until_the_first_that_is_late_and_a_part_of_that(runway):
    *trained, big = runway.moved.runs
    assert [run.name for run in runway.moved.runs] == ["gen-1", "gen-2", "gen-3", "big"]
    assert [run.flop for run in trained] == pytest.approx([2e22, 8e22, 32e22])
    assert all(run.is_in_time for run in trained) and not big.is_in_time
    assert runway.moved.generations == pytest.approx(3 + big.done_share)
    for before, after in zip(runway.moved.runs, runway.moved.runs[1:], strict=False):
        assert after.starts >= before.finishes


def test_the_shortfall_is_what_the_late_generation_lacks(runway):
    short, big = runway.moved.shortfall, runway.moved.runs[-1]
    assert (short.lacking, short.claimant, short.pool) == (Lacking.TRAINING, "big", "h800")
    assert short.missing == pytest.approx(big.flop * (1 - big.done_share))
    assert short.on == date(2025, 1, 15) and short.month == 16
    assert short.chips > 0


def test_chips_come_and_go_on_their_dates(runway):
    chips = {(use.pool, use.month): use.chips for use in runway.moved.uses}
    months = list(dict.fromkeys(use.month for use in runway.moved.uses))
    assert chips["h800", months[0]] == 62  # 64 less 2 spare
    assert 62 + 32 - 6 < chips["h800", months[1]] < 62 + 32  # the first delivery, a few failed
    assert chips["h800", months[4]] < chips["h800", months[1]]  # the second is not counted on
    assert chips["l20", date(2024, 5, 1)] > 0 == chips["l20", date(2024, 6, 1)]


def test_a_delivery_counts_if_the_rules_of_its_date_let_it_through(runway):
    more, ascend, b200 = runway.supplies
    assert (more.offered, more.chips) == (96, 32)  # the October 2023 rule came between the two
    assert more.standing == "no licence needed / needs a licence"
    assert more.lost > 0
    assert ascend.standing == "domestic: no export"
    assert "how it was made" in ascend.why[0]  # what stays unknown is said
    assert (b200.chips, b200.lost) == (0, None)
    assert "legal advice" in runway.disclaimer


def test_levers_are_ranked_by_what_they_gain(runway):
    gains = [lever.gained for lever in runway.levers]
    assert gains == sorted(gains, reverse=True)
    gained = {lever.name: lever.gained for lever in runway.levers}
    assert gained["mfu"] > 0
    # twice the load on each replica frees what half the load does
    assert gained["twice the serving"] == pytest.approx(gained["half the demand"], abs=1e-9)


def test_the_command_prints_the_same_document_and_says_no_with_its_exit_code(runway, folder):
    result = CliRunner().invoke(app, ["runway", str(a_scenario_file(folder, **SECTIONS)), "--json"])
    assert result.exit_code == 1  # big is late
    document = json.loads(result.stdout)
    assert document.pop("defaults")["supply[].delay"] == "on time"
    assert document == {k: v for k, v in json.loads(runway_json(runway)).items() if k != "defaults"}
    assert document["moved"]["runs"][-1]["due"] == "2025-01-15"


def test_months_keep_their_day_where_they_have_it():
    starts = month_starts(Horizon(start=date(2023, 10, 31), months=5))
    assert [start.isoformat()[5:] for start in starts] == [
        "10-31",
        "11-30",
        "12-31",
        "01-31",
        "02-29",
        "03-31",
    ]


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"runway": {"months": 12}, "rules": None}, "a future needs a first day: give 'runway:"),
        (
            {"supply": [{"name": "x", "chip": "nvidia-h20-96gb", "chips": 8}], "generations": []},
            "supply 'x' does not say when it comes, and no public fact does",
        ),
        (
            {"supply": [SECTIONS["supply"][0] | {"pool": "h20"}]},
            "supply 'more' is of nvidia-h800-sxm, but pool 'h20' is of nvidia-h20-96gb",
        ),
        (
            {"generations": [{"name": "g", "model": "Qwen/Qwen9", "tokens": 1e12}]},
            "unknown model 'Qwen/Qwen9'",
        ),
    ],
)
def test_what_a_horizon_lacks_is_named_at_its_line(tmp_path, changes, match):
    sections = {key: value for key, value in (SECTIONS | changes).items() if value is not None}
    located = read_scenario(a_scenario_file(tmp_path, **sections))
    with pytest.raises(InputError, match=r"scenario.yaml:\d+:\d+: " + match):
        resolve_horizon(located, resolve(located))


def test_nothing_to_train_is_refused(folder):
    scenario, horizon = resolved(folder)
    with pytest.raises(InputError, match="list model generations"):
        runway_of(scenario, replace(horizon, generations=()), silent)


# -- source -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weighed(folder):
    scenario, horizon = resolved(folder)
    return sourcing_of(
        scenario, replace(horizon, limits=Limits(budget=Money(amount=10e6, currency="CNY"))), silent
    )


def test_offers_that_the_rules_stand_against_are_shown_apart(weighed):
    assert [refused.name for refused in weighed.refused] == ["b200"]
    assert not weighed.refused[0].is_unknown and "licence" in weighed.refused[0].standing
    assert {candidate.name for candidate in weighed.candidates} == {"more", "ascend"}


def test_a_training_chip_frees_itself_and_no_block_more_than_it_holds(weighed):
    more = next(candidate for candidate in weighed.candidates if candidate.name == "more")
    assert [block.chips for block in more.blocks] == [8, 16, 24, 32]
    for block in more.blocks:
        assert 0.8 * block.chips < block.freed <= block.chips  # some of them fail
        assert block.cost == Money(amount=250_000.0 * block.chips, currency="CNY")
    frees = [block.freed for block in more.blocks]
    assert frees == sorted(frees)
    assert more.node_frees == pytest.approx(more.node, rel=0.01)


def test_a_yield_makes_the_interval_and_a_fact_that_stood_in_is_named(weighed):
    ascend = next(candidate for candidate in weighed.candidates if candidate.name == "ascend")
    whole = ascend.blocks[-1].freed_quantiles
    assert whole.p10 < whole.p90
    assert any(prior.startswith("delivered 60 %") and "Reuters" in prior for prior in ascend.priors)
    assert any("281,250 CNY" in prior and "confidence high" in prior for prior in ascend.priors)
    assert ascend.first == date(2023, 12, 30)  # 120 days after the start, as the public order was agreed


def test_the_basket_is_the_best_within_the_budget(weighed):
    assert weighed.basket.cost.amount <= 10e6
    (bought,) = weighed.basket.purchases
    # 40 H800 cost 10 million; 32 are counted on, and 128 Ascend cost 37 million with porting
    assert (bought.name, bought.chips) == ("more", 32)


def test_best_comes_first_by_what_is_freed_for_the_money(weighed):
    paid = [candidate.blocks[-1].freed / candidate.blocks[-1].cost.amount for candidate in weighed.candidates]
    assert paid == sorted(paid, reverse=True)


def test_a_price_in_a_currency_without_a_rate_is_refused_before_any_work(folder):
    scenario, horizon = resolved(folder)
    limits = Limits(budget=Money(amount=1e6, currency="USD"))
    with pytest.raises(InputError, match=r"priced in CNY and the budget in USD: give the rate"):
        sourcing_of(scenario, replace(horizon, limits=limits), silent)


def test_a_rate_makes_prices_comparable():
    limits = Limits(budget=Money(amount=1e6, currency="USD"), exchange={"CNY": 0.14})
    assert limits.cost(Money(amount=100.0, currency="CNY")) == pytest.approx(14.0)
    assert limits.cost(Money(amount=100.0, currency="USD")) == 100.0
    assert limits.cost(Money(amount=100.0, currency="EUR")) is None


def test_a_chip_that_the_rules_cannot_judge_is_unknown_and_says_what_would_decide(tmp_path):
    nothing_served: dict[str, object] = {
        "services": [],
        "supply": [],
        "runway": {"start": "2024-06-01", "draws": 0},
    }
    located = read_scenario(a_scenario_file(tmp_path, **(SECTIONS | nothing_served)))
    scenario = resolve(located)
    found = sourcing_of(scenario, resolve_horizon(located, scenario, candidates=["tpu-v4"]), silent)
    (refused,) = found.refused
    assert refused.is_unknown and "die area is unpublished and decides" in refused.why[0]
    assert found.basket is None


def test_a_generation_that_fits_no_pool_is_late_and_named_and_the_rest_still_train(tmp_path):
    # 64 H800 are too few for "big", of 289 B parameters
    scenario, horizon = resolved(tmp_path, services=[], supply=[], levers=[])
    found = runway_of(scenario, horizon, silent)
    assert found.moved.generations == pytest.approx(3.0)
    assert any("generation 'big' trains nowhere" in warning for warning in found.warnings)
    assert found.moved.shortfall.claimant == "big" and found.moved.shortfall.chips == 0
