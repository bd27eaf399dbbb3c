"""Other values in a scenario: paths as errors write them, values as scenarios write them."""

from pathlib import Path

import pytest

from seedcorn.errors import InputError
from seedcorn.wire import read_scenario
from seedcorn.wire.variation import grid, read_variation, varied
from tests.study.scenarios import CHAT, a_scenario_file


def test_values_are_written_as_in_the_scenario():
    assert read_variation("planning.load_margin=0,0.1").values == (0, 0.1)
    assert read_variation('services.chat.slo.ttft_p99=2 s, "300 ms"').values == ("2 s", "300 ms")
    assert read_variation("services.chat.dtypes=[fp8],[bf16, fp8]").values == (["fp8"], ["bf16", "fp8"])


@pytest.mark.parametrize(
    "text", ["planning.seed", "planning.seed=", "=1", "planning.seed=[1", "planning.seed=1,1"]
)
def test_what_is_no_variation_is_refused(text):
    with pytest.raises(InputError):
        read_variation(text)


def test_the_grid_is_every_combination_and_the_last_path_changes_fastest():
    points = list(grid([read_variation("a=1,2"), read_variation("b=x,y")]))
    assert points == [{"a": 1, "b": "x"}, {"a": 1, "b": "y"}, {"a": 2, "b": "x"}, {"a": 2, "b": "y"}]
    with pytest.raises(InputError, match="a is varied twice"):
        list(grid([read_variation("a=1"), read_variation("a=2")]))


@pytest.mark.parametrize(
    ("path", "value", "got"),
    [
        ("planning.load_margin", 0.25, lambda s: s.planning.load_margin),
        ("services.chat.traffic.rate_per_s", 7, lambda s: s.services[0].traffic.rate_per_s),
        ("services.chat.v2.traffic.rate_per_s", 8, lambda s: s.services[1].traffic.rate_per_s),
        ("fleet.pools[1].chips", 40, lambda s: s.fleet.pools[1].chips),
    ],
)
def test_a_value_is_put_at_its_path(tmp_path: Path, path, value, got):
    """A service's name may hold a dot: the longest name that fits is meant."""
    located = read_scenario(a_scenario_file(tmp_path, services=[CHAT, {**CHAT, "name": "chat.v2"}]))
    assert got(varied(located, {path: value}).document) == value
    assert got(located.document) != value


def test_every_item_of_a_list(tmp_path: Path):
    located = read_scenario(a_scenario_file(tmp_path))
    changed = varied(located, {"fleet.pools[].chips": 24}).document
    assert [pool.chips for pool in changed.fleet.pools] == [24, 24, 24]


@pytest.mark.parametrize(
    ("path", "value", "why"),
    [
        ("fleet.pools.h21.chips", 1, r"no item 'h21'; did you mean 'h20'"),
        ("fleet.pools[7].chips", 1, "has 3 items"),
        ("name.first", "x", "nothing is below 'name"),
        ("planning.load_margn", 1, "is no scenario"),
        ("fleet.pools.h20.chips", 0, "is no scenario"),
    ],
)
def test_a_path_that_leads_nowhere_and_a_value_that_cannot_be(tmp_path: Path, path, value, why):
    with pytest.raises(InputError, match=why):
        varied(read_scenario(a_scenario_file(tmp_path)), {path: value})
