"""``seedcorn stock`` as a stranger meets it."""

import json

import pytest

from tests.cli.commands import run

YEAR = """date,event,chip,quantity,serials,site,pool,counterparty,document
2026-01-05,ordered,H20,16,,,,acme,PO-1
2026-02-01,delivered,H20,14,,fra,,,DN-1
2026-02-02,installed,nvidia-h20-96gb,12,,,infer,,
2026-03-02,delivered,H20,,S1 S2,fra,,,DN-2
"""


@pytest.fixture
def stock(capsys, tmp_path, monkeypatch):
    """Runs ``seedcorn stock WORDS`` on a ledger in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "year.csv").write_text(YEAR)
    return lambda *words: run(capsys, "stock", *words)


def test_import_shows_what_would_change_and_records_with_yes(stock):
    preview = json.loads(stock("import", "year.csv", "--json").out)
    assert (preview["recorded"], len(preview["events"])) == (False, 4)
    assert stock("show", "--json").out.count('"chips"') == 0

    recorded = json.loads(stock("import", "year.csv", "--yes", "--json").out)

    assert recorded["recorded"] is True
    assert (
        recorded["changes"]
        == preview["changes"]
        == [
            {
                "chip": "nvidia-h20-96gb",
                "state": "in_service",
                "pool": "infer",
                "site": "fra",
                "before": 0,
                "after": 12,
            },
            {"chip": "nvidia-h20-96gb", "state": "in_store", "site": "fra", "before": 0, "after": 4},
        ]
    )
    assert "0 events recorded, 4 were recorded before." in stock("import", "year.csv", "--yes").out


def test_show_adds_up_by_what_is_asked_on_the_date_that_is_asked(stock):
    stock("import", "year.csv", "--yes")

    today = json.loads(stock("show", "--by", "site", "--by", "chip", "--json").out)
    in_january = json.loads(stock("show", "--on", "2026-01-31", "--by", "state", "--json").out)

    assert today["totals"] == [
        {"site": "fra", "chip": "nvidia-h20-96gb", "chips": {"in_service": 12, "in_store": 4}}
    ]
    assert in_january["totals"] == [{"state": "on_order", "chips": {"on_order": 16}}]
    assert [holding["serials"] for holding in today["holdings"]] == [[], ["S1", "S2"]]


def test_add_and_correct_and_history(stock):
    added = json.loads(
        stock(
            "add",
            "ordered",
            "H20",
            "--quantity",
            4,
            "--on",
            "2026-01-05",
            "--price",
            "9e4",
            "--currency",
            "CNY",
            "--json",
        ).out
    )
    key = added["events"][0]["key"]
    corrected = stock("add", "corrected", "--corrects", key, "--document", "typed twice")

    assert corrected.code == 0
    history = json.loads(stock("history", "h20", "--json").out)["events"]
    assert [(event["event"], event["quantity"], event["corrects"]) for event in history] == [
        ("ordered", 4, None),
        ("corrected", 4, key),
    ]
    assert history[0]["price"] == "90000"
    assert f"corrected {key}" in stock("history").out


def test_an_export_is_imported_into_another_ledger_as_it_was(stock, tmp_path):
    stock("import", "year.csv", "--yes")
    (tmp_path / "all.csv").write_text(stock("export").out)

    stock("import", "all.csv", "--yes", "--db", "other.sqlite")

    assert stock("export", "--db", "other.sqlite").out == stock("export").out
    assert stock("show", "--db", "other.sqlite").out == stock("show").out


@pytest.mark.parametrize(("counted", "code"), [(12, 0), (11, 1)])
def test_check_exits_1_where_the_count_differs(stock, tmp_path, counted, code):
    stock("import", "year.csv", "--yes")
    (tmp_path / "count.json").write_text(json.dumps([{"pool": "infer", "chip": "H20", "chips": counted}]))

    checked = stock("check", "--against", "count.json", "--json")

    assert checked.code == code
    assert (
        json.loads(checked.out)["differences"]
        == [{"pool": "infer", "chip": "nvidia-h20-96gb", "recorded": 12, "counted": 11}] * code
    )
    assert stock("check", "--against", "count.json").code == code


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("show",), "there is no ledger"),
        (("add", "delivered", "H20", "--quantity", 3), "the ledger has none of them by then"),
        (("add", "failed", "H21-X", "--quantity", 3), "chip: unknown chip 'H21-X'"),
        (("add", "ordered", "H20", "--quantity", -3), "quantity: expected 1 chip"),
        (("add", "ordered", "H20"), "quantity: give a quantity or serials"),
        (("add", "ordered", "--quantity", 3), "chip: chip is missing"),
        (("add", "ordered", "H20", "--quantity", 3, "--on", "9999-01-01"), "date: 9999-01-01 is after today"),
        (("add", "corrected", "H20"), "leave chip empty"),
        (("show", "--on", "yesterday"), "--on: expected a date"),
        (("show", "--by", "colour"), "--by: expected chip, pool, site, state, got 'colour'"),
        (("import", "none.csv"), "none.csv: cannot be read"),
    ],
)
def test_wrong_input_exits_2_and_says_why(stock, words, message):
    answer = stock(*words)

    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err


def test_a_day_to_come_is_answered_with_a_warning(stock):
    stock("import", "year.csv", "--yes")

    answer = stock("show", "--on", "9999-01-01")

    assert answer.code == 0
    assert "9999-01-01 is to come" in answer.err
