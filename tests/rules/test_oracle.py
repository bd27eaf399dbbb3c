"""The worked cases of ``oracle.csv``, each as the catalogue's facts and the bundled rules decide it."""

import csv
from datetime import date
from pathlib import Path

import pytest

from seedcorn.catalog import find_chip
from seedcorn.rules import Buyer, judge, rulebook
from seedcorn.study.admission import ruled_chip

ORACLE = Path(__file__).with_name("oracle.csv")
SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "rules" / "oracle.csv"
CASES = list(csv.DictReader(ORACLE.read_text(encoding="utf-8").splitlines()))
OUTCOMES = {
    "NLR": ("no_licence", None),
    "NAC": ("exception", "NAC"),
    "ACA": ("exception", "ACA"),
    "LIC_CBC": ("case_by_case", None),
    "LIC_DENIAL": ("presumption_of_denial", None),
    "LIC_LETTER": ("licence", None),
    "UNKNOWN": ("unknown", None),
    # A chip designed and used in China is no export; whether US rules reach it turns on how it was made.
    "DOMESTIC": ("unknown", None),
}


def name(case):
    return f"{case['chip_id']}-{case['dest']}-{case['hq']}-{case['date']}"


@pytest.fixture(params=CASES, ids=name)
def case(request):
    return request.param


@pytest.fixture
def judgement(case):
    buyer = Buyer(destination=case["dest"], headquarters=case["hq"])
    on = date.fromisoformat(case["date"])
    return judge(ruled_chip(find_chip(case["chip_id"])), rulebook(), buyer, on=on)


def test_the_outcome_is_the_oracles(case, judgement):
    assert (judgement.outcome, judgement.exception) == OUTCOMES[case["expected"]]
    assert (judgement.notice_days == 25) == ("25-day notification" in case["reason"])


def test_the_figures_are_the_oracles(case, judgement):
    tpp, density = (float(case[key]) if case[key] else None for key in ("tpp", "pd"))

    assert judgement.tpp == tpp
    assert judgement.performance_density == (density if density is None else pytest.approx(density, abs=5e-4))


def test_the_class_is_the_oracles(case, judgement):
    assert judgement.control_class == expected_class(case)


def test_the_version_is_the_oracles(case, judgement):
    if case["rule"]:
        assert judgement.version == case["rule"].split()[0]


def test_every_answer_cites_a_text(judgement):
    assert all(source.cite and source.status for source in judgement.sources)
    assert judgement.sources


def test_there_are_148_cases_and_domestic_chips_carry_the_warning():
    domestic = [case for case in CASES if case["expected"] == "DOMESTIC"]

    assert len(CASES) == 148
    assert [case["chip_id"] for case in domestic] == ["huawei-ascend-910b3"]
    buyer = Buyer(destination="CN", headquarters="CN")
    judgement = judge(ruled_chip(find_chip("910b3")), rulebook(), buyer, on=date(2026, 3, 1))
    assert judgement.is_domestic
    assert "General Prohibition 10" in next(s.text for s in judgement.signals if s.id == "R8")


def test_the_copy_is_the_shared_file():
    if not SHARED.exists():
        pytest.skip("the shared data folder is not beside the repository")

    assert ORACLE.read_bytes() == SHARED.read_bytes()


def expected_class(case):
    """The oracle's class of the case's date; its two columns say the class under two rules, not on the date."""
    on = date.fromisoformat(case["date"])
    if on < date(2022, 10, 21):
        return "none"  # 3A090 did not exist
    is_early = case["reason"] == "early effect for named chips"
    text = case["class_2023" if on >= date(2023, 11, 17) or is_early else "class_2022"]
    if text.startswith("unknown") or " if " in text:
        return "unknown"
    return text.split()[0]
