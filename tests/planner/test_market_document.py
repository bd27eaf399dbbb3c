import json
from pathlib import Path

import pytest

from seedcorn.domain.market import Status
from seedcorn.errors import InputError
from seedcorn.planner import solve
from seedcorn.wire.market import allocation_json, read_market
from tests.planner.markets import a_market, a_pool, a_service

REPOSITORY = Path(__file__).parents[2]

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


def test_an_answer_of_one_slot_has_the_keys_it_always_had(tmp_path):
    answer = json.loads(allocation_json(solve(read_market(written(tmp_path, DOCUMENT)))))

    assert list(answer) == [
        *("seedcorn", "kind", "status", "objective", "bound", "gap", "deployments", "jobs", "pools"),
        *("shortages", "seconds"),
    ]
    assert list(answer["deployments"][0]) == ["service", "offer", "pool", "chips", "replicas", "share"]
    assert list(answer["jobs"][0]) == ["job", "option", "pool", "chips", "progress"]
    assert list(answer["pools"][0]) == ["pool", "chips", "used", "free", "shadow_price"]


def reference_examples():
    """The documents shown in the reference page."""
    page = (REPOSITORY / "docs" / "reference" / "market.md").read_text(encoding="utf-8")
    return [part.split("```")[0] for part in page.split("```yaml\n")[1:]]


@pytest.mark.parametrize("text", reference_examples())
def test_documents_of_the_reference_page_clear(tmp_path, text):
    path = tmp_path / "market.yaml"
    path.write_text(text, encoding="utf-8")

    assert solve(read_market(path)).status is Status.OPTIMAL


def test_the_day_of_the_reference_page_says_when(tmp_path):
    _, text = reference_examples()
    path = tmp_path / "market.yaml"
    path.write_text(text, encoding="utf-8")

    answer = json.loads(allocation_json(solve(read_market(path))))

    assert [use["slot"] for use in answer["pools"]] == [0, 0, 1, 1, 2, 2]
    assert {d["slot"] for d in answer["deployments"]} == {0, 1, 2}
    assert all(d["started"] == max(d["replicas"] - 12, 0) for d in answer["deployments"])
    assert [(a["job"], a["slot"]) for a in answer["jobs"]] == [
        ("next-gen", None),
        *(("batch", slot) for slot in range(3)),
    ]
    assert answer["jobs"][0]["chips"] == 16  # 8 would take 120 h
    assert [(sale["product"], sale["slot"]) for sale in answer["resale"]] == [
        ("cloud", None),
        *(("spot", slot) for slot in range(3)),
    ]


def test_max_min_shares_are_in_the_answer(tmp_path):
    document = {key: DOCUMENT[key] for key in ("seedcorn", "kind", "pools", "jobs")} | {
        "objective": "max-min"
    }

    answer = json.loads(allocation_json(solve(read_market(written(tmp_path, document)))))

    assert [(award["share"], award["progress"]) for award in answer["jobs"]] == [(1.0, 9.0)]


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
        (
            ("services", 0, "demand", "long"),
            [1.0, 2.0],
            "a list of 1 (one for each of 'slots'), got a list of 2",
        ),
        (("slots",), 25, "at most 24, got 25"),
        (("max_moves",), -1, "at least 0, got -1"),
        (("jobs", 0, "deadline_hours"), 0.0, "more than 0, got 0"),
        (("jobs", 0, "deadline_hours"), 9.0, "a deadline needs 'work'"),
        (("resale",), [{"name": "r", "pool": "h21", "chips": 1, "value": 1.0}], "did you mean 'h20'?"),
        (("resale",), [{"name": "r", "pool": "h20", "chips": 1, "value": -1.0}], "at least 0, got -1"),
        (("objective",), "max-min", "leave 'services' out"),
        (("objective",), "max-max", "'value' or 'max-min'"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path, path, value, says):
    file = written(tmp_path, changed(path, value))

    with pytest.raises(InputError) as caught:
        read_market(file)

    assert says in str(caught.value)
    assert f"{file}:" in str(caught.value)
