from datetime import date
from pathlib import Path

import pytest

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.workload import EngineSettings, Metric, Objective, Slo, Statistic
from seedcorn.errors import InputError, InvalidDocument
from seedcorn.wire import read_scenario
from tests.wire.documents import SCENARIO, changed, place, read, refusal, written

EXAMPLE = Path(__file__).parents[2] / ".." / "shared" / "examples" / "scenario.yaml"


@pytest.mark.skipif(not EXAMPLE.exists(), reason="the contract's example is not beside this checkout")
def test_the_example_that_fixes_the_keys_is_valid():
    scenario = read_scenario(EXAMPLE).document

    assert [pool.chips for pool in scenario.fleet.pools] == [1752, 2048, 2494, 1600]
    assert scenario.warnings() == []


def test_quantities_are_held_in_base_units(tmp_path):
    scenario = read(tmp_path).document

    assert scenario.fleet.pools[0].network == 50e9
    assert scenario.services[0].slo == {"ttft_p99": 3.0, "tpot_p99": pytest.approx(0.08)}
    assert scenario.training[0].tokens == 7e12
    assert scenario.training[0].params == 389e9
    assert scenario.training[0].deadline == 120 * 86400
    assert scenario.resale[0].price == (3.10, "USD")
    assert scenario.rules is not None and scenario.rules.on == date(2026, 11, 24)
    assert scenario.services[0].dtypes == (Dtype.FP8, Dtype.BF16)


def test_a_service_gives_its_slo_in_the_order_written(tmp_path):
    assert read(tmp_path).document.services[0].objectives == Slo(
        objectives=(
            Objective(metric=Metric.TTFT, statistic=Statistic.P99, bound_s=3.0),
            Objective(metric=Metric.TPOT, statistic=Statistic.P99, bound_s=0.08),
        )
    )


def test_engine_limits_that_are_left_out_are_the_replays_own(tmp_path):
    change = ("    today: {pool: h800}\n", "    today: {pool: h800}\n    engine: {max_num_seqs: 64}\n")

    chat, code = read(tmp_path, change).document.services

    assert chat.engine.settings == EngineSettings(max_num_seqs=64)
    assert code.engine.settings == EngineSettings()


# -- one mistake, one message with its place ---------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "at", "message"),
    [
        ("slo: {ttft", "slos: {ttft", "slos:", "services[0].slos: unknown key; did you mean 'slo'?"),
        ("seed: 0", "sede: 0", "sede", "planning.sede: unknown key; did you mean 'seed'?"),
        (
            "planning:", "qq: 1\nplanning:", "qq",
            "qq: unknown key; known: seedcorn, kind, name, fleet, services, training, resale, rules, planning",
        ),
        (
            '"80 ms"', "80", "80}",
            "services[0].slo.tpot_p99: expected a duration with its unit, such as '2 s', got 80",
        ),
        (
            ' "2 s"', ' "2"', '"2"',
            "services[1].slo.ttft_p99: '2' has no unit: expected a duration, such as '2 s'",
        ),
        (
            '"400 Gb/s"', '"400 Gb"', '"400 Gb"',
            "fleet.pools[0].network: unknown unit 'Gb' in '400 Gb': expected a bandwidth, such as '400 Gb/s'; known units: ",
        ),
        (
            "chips: 2048", "chips: 0", "0, chips_per",
            "fleet.pools[1].chips: pool 'h20' has 0 chips: give at least 1, or leave the pool out",
        ),
        ("chips: 2048", "chips: 2e3", "2e3", "fleet.pools[1].chips: expected a whole number, got 2000.0"),
        ("chips: 2048", "chips: true", "true", "fleet.pools[1].chips: expected a whole number, got true"),
        ("chips: 2048", "chips: 99999999999", "999", "fleet.pools[1].chips: expected at most 1e+09, got 99999999999"),
        (
            "spare: 16", "spare: 1752", "1752\n    - {",
            "fleet.pools[0].spare: 1752 spare of 1752 chips leaves none to plan with: at most 1751",
        ),
        ("name: code", "name: chat", "chat\n    model: Qwen/Qwen3-32B\n    traffic: {trace: azure-code",
         "services[1].name: 'chat' is given twice: first as services[0]"),
        ("today: {pool: h800}", "today: {pool: h80}", "h80}", "services[0].today.pool: no pool 'h80' in the fleet; did you mean 'h800'?"),
        ("[h800, h20]", "[h800, tpu]", "tpu", "services[0].pools[1]: no pool 'tpu' in the fleet; known: h800, h20"),
        ("[h800, h20]", "[h20, h20]", "h20]", "services[0].pools[1]: 'h20' is given twice: first as services[0].pools[0]"),
        ("pool: h800, max", "pool: a10, max", "a10", "resale[0].pool: no pool 'a10' in the fleet; known: h800, h20"),
        (
            "tpot_p99:", "tpot_p98:", "tpot_p98",
            "services[0].slo.tpot_p98: unknown objective 'tpot_p98'; did you mean 'tpot_p99'? (a latency of ",
        ),
        ('"80 ms"', '"0 ms"', '"0 ms"', "services[0].slo.tpot_p99: expected more than 0, got '0 ms'"),
        (
            "[fp8, bf16]", "[fp8, int9]", "int9",
            "services[0].dtypes[1]: expected 'fp32', 'bf16', 'fp16', 'fp8', 'int8' or 'fp4', got 'int9'",
        ),
        ("rate_per_s: 240", "rate_per_s: '240'", "'240'", "services[0].traffic.rate_per_s: expected a number, got '240'"),
        ("rate_per_s: 240", "rate_per_s: .inf", ".inf", "services[0].traffic.rate_per_s: expected a finite number, got inf"),
        ("name: two-pools", "name:", "name:", "name: expected text, got nothing (null)"),
        ("name: two-pools", "name: ' x'", "' x'", "name: expected a name without brackets, and without blanks around it, got ' x'"),
        ("    tokens: 7e12\n", "", '"120 d"', "training[0].deadline: a deadline of 120 d needs 'tokens': how many "),
        ("max: 1736", "max: 100", "chips: {min", "training[0].chips: min 512 is more than max 100"),
        (
            "params: 389e9", "model: x/y", "52e9",
            "training[0].active_params: 5.2e+10 active parameters without 'params'",
        ),
        (
            "active_params: 52e9", "active_params: 52e10", "52e10",
            "training[0].active_params: 5.2e+11 active parameters more than params, 3.89e+11",
        ),
        (
            "    params: 389e9\n    active_params: 52e9\n", "", "name: next-gen",
            "training[0]: job 'next-generation' needs one of 'model' and 'params'",
        ),
        (', notice: "10 min"', "", "{name: spot", "resale[0]: a spot product needs 'notice': the time its buyer "),
        ("kind: spot,", "kind: reserved,", '"10 min"', "resale[0].notice: a reserved product is kept: it has no "),
        ("kind: spot,", "kind: sopt,", "sopt", "resale[0].kind: expected 'reserved' or 'spot', got 'sopt'"),
        (
            "3.10 USD/chip-hour", "3.10", '"3.10"',
            "resale[0].price: expected a price, such as '3.10 USD/chip-hour', got '3.10'",
        ),
        (
            "{destination: CN", "{destination: China", "China",
            "rules.destination: expected an ISO 3166 country code of two capitals, such as CN, got 'China'",
        ),
        ("2026-11-24", "2026-11-31", "2026-11-31", "rules.on: expected a date, such as 2026-11-24, got '2026-11-31'"),
        ("seedcorn: 1", "seedcorn: 2", "2\n", "seedcorn: expected 1, got 2"),
        ("kind: scenario", "kind: market", "market", "kind: expected 'scenario', got 'market'"),
    ],
)  # fmt: skip
def test_one_mistake_is_one_message_with_its_place_and_what_would_work(tmp_path, old, new, at, message):
    text = changed((old, new))

    assert refusal(tmp_path, text).startswith(f"scenario.yaml:{place(text, at)}: {message}")


def test_two_pools_of_one_name_are_refused_at_the_second(tmp_path):
    text = a_fleet(f"{{pools: [{A_POOL}, {A_POOL.replace('chips: 1', 'chips: 2')}]}}")

    assert refusal(tmp_path, text) == (
        f"scenario.yaml:{place(text, 'a, chip: x, chips: 2')}: "
        "fleet.pools[1].name: 'a' is given twice: first as fleet.pools[0]"
    )


def test_every_mistake_is_listed_in_one_error(tmp_path):
    text = changed(("chips: 2048", "chips: many"), ('"80 ms"', "80"), ("gap: 0.001", "gap: 2"))
    path = written(tmp_path, text)

    with pytest.raises(InvalidDocument) as caught:
        read_scenario(path)

    places = [f"{path}:{place(text, part)}" for part in ("many", "80}", "2\n  time")]
    assert [where for where, _ in caught.value.problems] == places
    assert str(caught.value).startswith(
        f"{path}: 3 problems\n  {places[0]}: fleet.pools[1].chips: expected a "
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: the file is empty: a scenario document starts with 'seedcorn: 1'"),
        ("# nothing yet\n", "1:1: the file is empty: a scenario document starts with 'seedcorn: 1'"),
        ("seedcorn: 1\nname: a: b\n", "2:8: not YAML: mapping values are not allowed here (a text that holds "),
        ("seedcorn: 1\nfleet:\n\tpools: []\n", "3:1: not YAML: found character '\\t' that cannot start any token (indent with"),
        ("seedcorn: 1\nname: 'x\n", "3:1: not YAML: found unexpected end of stream (a quote is open)"),
        ("seedcorn: 1\nname: x\nname: y\n", "3:1: key 'name' is given twice: first at 2:1"),
        ("seedcorn: 1\n---\nname: x\n", "3:1: a second document starts here: a file holds one"),
        ("name: *other\n", "1:7: alias *other names nothing: write &other before a value above"),
        ("name: &n [*n]\n", "1:11: alias *n stands inside the value it names"),
        ("name: !!python/object x\n", "1:7: tag tag:yaml.org,2002:python/object is not used in documents: remove it"),
        ("a: &a {name: x}\nb:\n  <<: *a\n", "3:3: merge keys ('<<') are not part of YAML 1.2: "),
        ("? [a]\n: 1\n", "1:3: a key must be plain text, not a list, mapping or alias"),
        ("name: a\x00b\n", "1:8: character '\\x00' is not text"),
        ("name: " + "[" * 2000, "1:56: nested deeper than 50 levels"),
        ('name: "\\ud800"\n', "1:8: half of a surrogate pair is no character"),
        ("- seedcorn: 1\n", "1:1: expected a mapping (key: value), got [{'seedcorn': 1}]"),
    ],
)  # fmt: skip
def test_text_that_is_no_scenario_is_refused_at_its_line(tmp_path, text, message):
    assert refusal(tmp_path, text).startswith(f"scenario.yaml:{message}")


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    latin = tmp_path / "latin.yaml"
    latin.write_bytes(b"seedcorn: 1\nname: caf\xe9\n")

    for path, message in [
        (tmp_path / "none.yaml", f"cannot read scenario '{tmp_path}/none.yaml': No such file or directory"),
        (tmp_path, f"cannot read scenario '{tmp_path}': Is a directory"),
        (latin, f"{latin}:2: byte 0xe9 is not UTF-8: save the scenario as UTF-8 text"),
    ]:
        with pytest.raises(InputError) as caught:
            read_scenario(path)
        assert str(caught.value) == message


A_POOL = "{name: a, chip: x, chips: 1, chips_per_node: 1}"


def a_fleet(fleet: str) -> str:
    return f"seedcorn: 1\nname: x\nfleet: {fleet}\ntraining: [{{name: t, params: 1e9}}]\n"


@pytest.mark.parametrize(
    ("fleet", "at", "message"),
    [
        ("{pools: []}", "fleet", "fleet: no pools: list at least one under 'pools', or name a 'stock' ledger"),
        (f"{{pools: [{A_POOL}], stock: b, on: 2026-11-24}}", "1, chips_per", "fleet.pools[0].chips: the stock ledger says how"),
        ("{stock: b}", "fleet", "fleet: a stock ledger needs 'on', the date of the stock, such as 2026-11-24"),
        (f"{{pools: [{A_POOL}], on: 2026-11-24}}", "2026", "fleet.on: a date needs a 'stock' ledger; pools are as "),
    ],
)  # fmt: skip
def test_a_fleet_is_either_pools_or_stock(tmp_path, fleet, at, message):
    text = a_fleet(fleet)

    assert refusal(tmp_path, text).startswith(f"scenario.yaml:{place(text, at)}: {message}")


def test_a_scenario_that_asks_for_nothing_is_refused(tmp_path):
    text = a_fleet(f"{{pools: [{A_POOL}]}}").split("training")[0]

    assert refusal(tmp_path, text).endswith(": nothing to plan: give at least one of services and training")


# -- nothing is passed over in silence ---------------------------------------------------------------


def test_what_is_not_used_yet_is_said(tmp_path):
    scenario = read(tmp_path, ("spare: 16", "site: Gui'an")).document

    assert [path for path, _ in scenario.not_used_yet()] == ["fleet.pools[0].site"]


def test_a_value_that_asks_for_no_more_than_is_done_anyway_is_not_reported(tmp_path):
    scenario = read(tmp_path, ("  seed: 0", "  stickiness: 0.0")).document

    assert [path for path, _ in scenario.not_used_yet()] == []


def test_a_stock_fleet_may_name_pools_that_only_the_ledger_knows(tmp_path):
    path = written(tmp_path, a_fleet("{stock: default, on: 2026-11-24}"))

    assert read_scenario(path).document.fleet.stock == "default"


def test_a_partial_node_is_pointed_out(tmp_path):
    scenario = read(tmp_path, ("chips: 2048", "chips: 2050")).document

    assert scenario.warnings() == [
        ("fleet.pools[1].chips", "2050 chips are not whole nodes of 8: the last has 2")
    ]


def test_defaults_are_listed_with_their_units_or_meaning(tmp_path):
    defaults = read(tmp_path, ('  time_limit: "60 s"\n', "")).document.defaults_used()

    assert defaults["planning.time_limit"] == "1 min"
    assert defaults["services[].traffic.rate_per_s"] == "the trace's own"
    assert defaults["services[].engine.max_num_seqs"] == str(EngineSettings().max_num_seqs)
    assert "planning.gap" not in defaults


# -- names relative to the file, places, hash --------------------------------------------------------


def test_a_file_beside_the_scenario_is_a_path_and_anything_else_a_name(tmp_path):
    located = read(tmp_path)
    (tmp_path / "mine.csv").touch()

    assert located.reference("mine.csv") == str(tmp_path / "mine.csv")
    assert located.reference("azure-conv") == "azure-conv"
    assert located.reference("x" * 5000) == "x" * 5000


def test_later_layers_can_place_an_error(tmp_path):
    located = read(tmp_path)

    def at(part: str) -> str:
        return f"{located.path}:{place(SCENARIO, part)}"

    assert located.where("services", 0, "traffic", "trace") == at("azure-conv")
    assert located.where("services", 1, "slo") == at("slo:\n")
    assert located.where("services", 1, "slo", "ttft_p99") == at('"2 s"')
    assert located.where("services", 1, "today", "pool") == at("name: code")


def test_the_hash_follows_the_content_and_not_the_layout(tmp_path):
    plain = read(tmp_path).sha256

    assert read(tmp_path, ("name: two-pools\n", "name:   two-pools  # a comment\n")).sha256 == plain
    assert read(tmp_path, ("gap: 0.001", "gap: 0.002")).sha256 != plain
