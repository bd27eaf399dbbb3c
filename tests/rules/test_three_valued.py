"""Unknown facts: an answer that is given in spite of them holds whatever they are."""

from dataclasses import replace
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seedcorn.rules import Buyer
from tests.rules.builders import a_chip, judged

NEEDS_LICENCE = {"case_by_case", "presumption_of_denial", "presumption_of_approval", "licence"}

chips = st.builds(
    a_chip,
    tpp=st.sampled_from([500.0, 1600.0, 2000.0, 2400.0, 4400.0, 4800.0, 12_000.0, 20_999.0, 30_000.0]),
    die_area_mm2=st.sampled_from([200.0, 400.0, 700.0, 1500.0, 3000.0]),
    io=st.sampled_from([0.0, 599.0, 600.0, 900.0, 1100.0]),
    dram=st.sampled_from([300.0, 1400.0, 4000.0, 6500.0]),
    vendor=st.sampled_from(["NVIDIA", "AMD", "Google"]),
    for_datacenters=st.booleans(),
)
hidden_facts: st.SearchStrategy[dict[str, object]] = st.fixed_dictionaries(
    {},
    optional={
        "op_per_s": st.just({}),
        "die_area_mm2": st.none(),
        "link_bytes_per_s": st.none(),
        "dram_bytes_per_s": st.none(),
        "marketed_for_datacenter": st.none(),
    },
)
dates = st.sampled_from(["2022-09-15", "2022-11-15", "2023-12-01", "2024-06-01", "2025-05-01", "2026-03-01"])
buyers = st.builds(
    Buyer,
    destination=st.sampled_from(["CN", "VN", "AE", "RU", "DE"]),
    headquarters=st.sampled_from(["CN", "US", "VN"]),
)


@settings(max_examples=400)
@given(chip=chips, hidden=hidden_facts, on=dates, buyer=buyers)
def test_a_hidden_fact_never_changes_an_answer_only_withholds_it(chip, hidden, on, buyer):
    told = judged(chip, on, buyer)
    untold = judged(replace(chip, **hidden), on, buyer)

    if untold.outcome == "licence" != told.outcome:
        assert told.outcome in NEEDS_LICENCE
    elif untold.outcome != "unknown":
        assert (untold.outcome, untold.exception) == (told.outcome, told.exception)
    if untold.control_class != "unknown":
        assert untold.control_class == told.control_class


@given(chip=chips, on=dates)
def test_the_die_areas_given_for_an_unknown_one_are_those_that_decide(chip, on):
    areas = judged(replace(chip, die_area_mm2=None), on).die_areas

    smaller_mm2 = 0.0
    for area in areas:
        for size_mm2 in (smaller_mm2 + 1e-3, area.up_to_mm2):
            if size_mm2 < inf:
                known = judged(replace(chip, die_area_mm2=size_mm2), on)
                assert known.control_class.startswith(area.item)
        smaller_mm2 = area.up_to_mm2


def test_the_reason_names_the_die_area_that_would_decide():
    # Google's TPU v4: 275 TFLOP/s at 16 bits, die area unpublished.
    judgement = judged(a_chip(tpp=4400, die_area_mm2=None), "2023-12-01")

    assert judgement.outcome == "unknown"
    assert [(area.item, round(area.up_to_mm2, 1)) for area in judgement.die_areas[:2]] == [
        ("3A090.a", 743.2),  # 4400 / 5.92
        ("3A090.b", 2750.0),  # 4400 / 1.6
    ]
    assert any("up to 743 mm² 3A090.a" in reason for reason in judgement.reasons)


@pytest.mark.parametrize("tpp", [1599.0, 4800.0])
def test_a_die_area_that_decides_nothing_is_not_asked_for(tpp):
    judgement = judged(a_chip(tpp=tpp, die_area_mm2=None), "2023-12-01")

    assert judgement.outcome != "unknown"
    assert judgement.die_areas == ()


def test_a_letter_decides_where_the_class_cannot():
    chip = a_chip(tpp=None, die_area_mm2=None, vendor="Intel", dram=3700)

    assert judged(chip, "2024-06-01").outcome == "unknown"
    assert judged(chip, "2025-05-01").outcome == "licence"


def test_an_estimate_that_decides_is_named():
    chip = replace(a_chip(tpp=3152, die_area_mm2=325), estimated=frozenset({"die_area_mm2"}))

    assert any("325 mm²" in reason for reason in judged(chip, "2023-12-01").reasons)
    assert not any("325 mm²" in reason for reason in judged(chip, "2022-11-15").reasons)


def test_the_other_reading_of_tf32_is_named_where_it_decides():
    # AWS Trainium3: 671 TFLOP/s in TF32, 2,517 in FP8; 671 × 32 = 21,472 exceeds the 21,000 of January 2026.
    chip = replace(a_chip(), op_per_s={"tf32": 671e12, "fp8": 2517e12}, dram_bytes_per_s=4.9e12)

    (reason,) = (r for r in judged(chip, "2026-03-01").reasons if "open point" in r)

    assert "21,472" in reason
    assert "presumption of denial" in reason
