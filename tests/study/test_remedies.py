"""What would make a fleet enough, in the scenario's words; the SLO part against its own definition."""

from dataclasses import replace

import pytest

from seedcorn.domain.hardware import PoolName
from seedcorn.domain.market import Market, Shortage
from seedcorn.domain.scenario import Scenario
from seedcorn.errors import FleetTooSmall
from seedcorn.study import resolve
from seedcorn.study.clearing import cleared, clears, market_of
from seedcorn.study.numeraire import numeraire
from seedcorn.study.offers import OfferBook, offer_book
from seedcorn.study.relaxing import CLOSE, MOST_RELAXED, add_slo_changes
from seedcorn.study.remedies import fleet_too_small
from seedcorn.wire import read_scenario
from seedcorn.workers import HERE
from tests.study.scenarios import CHAT, POOLS, TRAINING, a_scenario_file

H800 = PoolName("h800")


def silent(what: str, done: int, total: int) -> None:
    """No progress."""


@pytest.fixture(scope="module")
def scenario(tmp_path_factory) -> Scenario:
    services = [CHAT | {"traffic": {"trace": "azure-conv", "rate_per_s": 20}}]
    training = [TRAINING | {"deadline": "400 d"}]
    path = a_scenario_file(
        tmp_path_factory.mktemp("short"),
        fleet={"pools": [POOLS[0]]},
        services=services,
        training=training,
        planning={"classes": 1},
    )
    return resolve(read_scenario(path))


def notes(scenario: Scenario, *shortages: Shortage) -> list[str]:
    return list(fleet_too_small(scenario, shortages).__notes__)


def test_chips_are_counted_in_nodes_too(scenario):
    said = notes(scenario, Shortage(claimant="chat", binds="b", remedy="r", add_chips={H800: 9}))
    assert said == ["what binds: b", "enough by itself: add 9 chips (2 nodes) to pool 'h800'"]


def test_load_to_shed_is_in_the_service_s_own_units_without_the_margin(scenario):
    said = notes(scenario, Shortage(claimant="chat", binds="b", remedy="r", shed={"all": 11.0}))
    assert said[-1] == "enough by itself: shed 10 of the 20 requests/s of service 'chat' (50.0%)"


def test_a_deadline_is_given_as_scenarios_write_it(scenario):
    later = Shortage(claimant="next", binds="b", remedy="r", deadline_hours=500 * 24.0)
    assert notes(scenario, later)[-1] == "enough by itself: give training job 'next' 500 d instead of 400 d"
    waits = Shortage(claimant="next", binds="b", remedy="r", wait=True)
    assert "wait: take its deadline of 400 d away" in notes(scenario, waits)[-1]


def test_what_is_needed_is_not_said_to_be_enough(scenario):
    needed = Shortage(claimant="chat", binds="b", remedy="do this", needed=True)
    assert notes(scenario, needed)[-1] == "nothing works without: do this"


@pytest.fixture(scope="module")
def book(scenario) -> OfferBook:
    return offer_book(scenario, silent)


def best(book: OfferBook) -> float:
    return max(offer.capacity_req_per_s for offer in book.offers["chat"])


def relaxed(scenario: Scenario, book: OfferBook, factor: float) -> str:
    """The note, where the fleet is enough once some replica carries ``factor`` times the best of today."""
    error = FleetTooSmall("too small", claimants=["chat"])
    add_slo_changes(error, scenario, book, lambda other: best(other) >= factor * best(book), silent, HERE)
    (note,) = error.__notes__
    return str(note)


def test_the_objective_gives_as_much_as_is_needed_and_no_more(scenario, book):
    note = relaxed(scenario, book, 1.03)
    (bound_ms,) = [float(word) for word in note.split(" to ")[-1].split() if word[0].isdigit()]
    (objective,) = [o for o in scenario.services[0].slo.objectives if o.name in note]

    def carried(bound_s: float) -> float:
        objectives = tuple(
            replace(o, bound_s=bound_s) if o == objective else o for o in scenario.services[0].slo.objectives
        )
        service = replace(scenario.services[0], slo=replace(scenario.services[0].slo, objectives=objectives))
        return best(offer_book(replace(scenario, services=(service,)), silent))

    unit = 1e-3 if note.endswith("ms") else 1.0
    assert carried(bound_ms * unit * 1.005) >= 1.03 * best(book)  # three digits are printed
    assert carried(bound_ms * unit / CLOSE / 1.005) < 1.03 * best(book)


def test_an_objective_that_would_not_do_is_said_not_to(scenario, book):
    assert relaxed(scenario, book, 1e9).startswith("not enough: relax ")
    assert MOST_RELAXED > 1


def test_every_change_alone_makes_the_fleet_enough(scenario, book):
    flood = replace(scenario, services=(replace(scenario.services[0], rate_per_s=2000.0),), jobs=())
    worth = numeraire(flood)

    def market(changed: Scenario) -> Market:
        return market_of(changed, book, worth, {}, {"chat": (1.0,)}, {})

    with pytest.raises(FleetTooSmall, match="cannot carry its claimants") as caught:
        cleared(market(flood), flood, silent)
    enough = [note for note in caught.value.__notes__ if note.startswith("enough by itself")]

    (chips,) = [int(note.split("add ")[1].split()[0].replace(",", "")) for note in enough if "add " in note]
    (pool,) = flood.pools
    for more, is_enough in ((chips, True), (chips - 1, False)):
        larger = replace(flood, pools=(replace(pool, chips=pool.chips + more),))
        assert clears(market(larger), larger) is is_enough

    (shed,) = [
        float(note.split("shed ")[1].split()[0].replace(",", "")) for note in enough if "shed " in note
    ]
    for less, is_enough in ((shed * 1.001, True), (shed * 0.99, False)):  # four digits are printed
        lighter = replace(flood, services=(replace(flood.services[0], rate_per_s=2000.0 - less),))
        assert clears(market(lighter), lighter) is is_enough
