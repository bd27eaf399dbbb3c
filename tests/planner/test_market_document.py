import json

import pytest

from seedcorn.errors import InputError
from seedcorn.planner import solve
from seedcorn.wire.market import allocation_json, read_market
from tests.planner.markets import a_market, a_pool, a_service

DOCUMENT = {
    "seedcorn": 1,
    "kind": "market",
    "pools": [{"name": "h800", "chips": 16, "price": 1.0}, {"name": "h20", "chips": 40, "price": 0.2}],
    "services": [
        {
            "name": "chat",
            "demand": {"short": 80.0, "long": 12.5},
            "offers": [
                {
                    "name": "h20-tp1",
                    "pool": "h20",
                    "chips": 1,
                    "capacity": {"short": 6.1, "long": 0.9},
                    "cost": 0.0,
                },
                {"name": "pd", "chips": {"h800": 1, "h20": 2}, "capacity": {"short": 20.0, "long": 3.0}},
            ],
        }
    ],
    "jobs": [
        {
            "name": "next-gen",
            "weight": 1.0,
            "required": False,
            "options": [{"pool": "h800", "chips": 8, "progress": 9.0}],
        }
    ],
}


def written(tmp_path, document):
    path = tmp_path / "market.json"
    path.write_text(json.dumps(document, indent=1))
    return path


def test_a_document_is_the_market_it_says(tmp_path):
    market = read_market(written(tmp_path, DOCUMENT))

    single, mixed = market.services[0].offers
    assert (single.chips, mixed.chips) == ({"h20": 1}, {"h800": 1, "h20": 2})
    assert (mixed.cost, market.pools[1].price, market.jobs[0].options[0].progress) == (0.0, 0.2, 9.0)


def test_the_answer_is_a_versioned_document(tmp_path):
    market = read_market(written(tmp_path, DOCUMENT))

    answer = json.loads(allocation_json(solve(market)))

    assert (answer["seedcorn"], answer["kind"], answer["status"]) == (1, "allocation", "optimal")
    assert answer["jobs"] == [{"job": "next-gen", "option": 0, "pool": "h800", "chips": 8, "progress": 9.0}]
    deployed = answer["deployments"]
    assert sum(d["share"].get("long", 0.0) for d in deployed) == pytest.approx(1.0)
    for pool in answer["pools"]:
        assert pool["used"] + pool["free"] == pool["chips"]


def test_no_allocation_is_null_in_the_answer():
    answer = json.loads(allocation_json(solve(a_market((a_pool(chips=1),), (a_service(),)))))

    assert (answer["status"], answer["objective"], answer["gap"]) == ("infeasible", None, None)
    assert answer["shortages"][0]["add_chips"] == {"h20": 2}


def changed(path, value):
    document = json.loads(json.dumps(DOCUMENT))
    *parents, last = path
    place = document
    for step in parents:
        place = place[step]
    place[last] = value
    return document


OFFER = ("services", 0, "offers", 0)


@pytest.mark.parametrize(
    ("path", "value", "says"),
    [
        (("pools",), [], "pools"),
        (("pools", 0, "chips"), 0, "at least 1, got 0"),
        (("pools", 0, "price"), -1.0, "at least 0, got -1"),
        (("pools", 0, "price"), float("inf"), "finite"),
        (("pools", 1, "name"), "h800", "given twice"),
        ((*OFFER, "pool"), "h21", "did you mean 'h20'?"),
        ((*OFFER, "capacity", "short"), -6.1, "more than 0, got -6.1"),
        ((*OFFER, "capacity", "short"), float("nan"), "finite"),
        ((*OFFER, "capacity", "shrt"), 1.0, "no class 'shrt'"),
        ((*OFFER, "name"), "pd", "given twice"),
        ((*OFFER, "chip"), 1, "unknown key"),
        (("services", 0, "offers", 1, "pool"), "h20", "not both"),
        (("services", 0, "demand", "long"), -1.0, "at least 0, got -1"),
        (("jobs", 0, "options", 0, "progress"), -1.0, "at least 0, got -1"),
        (("kind",), "markt", "'market'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, path, value, says):
    file = written(tmp_path, changed(path, value))

    with pytest.raises(InputError) as caught:
        read_market(file)

    assert says in str(caught.value)
    assert f"{file}:" in str(caught.value)
