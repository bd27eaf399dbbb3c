"""Every bound of the rules: at it, just under and just over; and the classes against the text, written out again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seedcorn.rules import Buyer
from tests.rules.builders import IN_CHINA, a_chip, judged

UNDER, OVER = 1 - 1e-6, 1 + 1e-6


def control_class_of_2023(tpp, density, *, for_datacenters):
    """88 FR 73458, paragraphs and Note 2 as they read."""
    if not for_datacenters and tpp < 4800:
        return "none"
    if tpp >= 4800:
        return "3A090.a.1"
    if tpp >= 1600 and density >= 5.92:
        return "3A090.a.2"
    b1 = 2400 <= tpp < 4800 and 1.6 <= density < 5.92
    b2 = tpp >= 1600 and 3.2 <= density < 5.92
    if b1 and b2:
        return "3A090.b.1/b.2"
    return "3A090.b.1" if b1 else "3A090.b.2" if b2 else "none"


near_a_bound = st.builds(
    lambda bound, factor: bound * factor,
    st.sampled_from([1600.0, 2400.0, 4800.0]),
    st.sampled_from([UNDER, 1.0, OVER]),
)
tpps = st.one_of(near_a_bound, st.floats(100, 60_000))
densities = st.one_of(
    st.builds(lambda b, f: b * f, st.sampled_from([1.6, 3.2, 5.92]), st.sampled_from([UNDER, 1.0, OVER])),
    st.floats(0.1, 40),
)


@given(tpp=tpps, density=densities, for_datacenters=st.booleans())
def test_the_class_is_what_the_text_of_2023_says(tpp, density, for_datacenters):
    chip = a_chip(tpp=tpp, die_area_mm2=tpp / density, for_datacenters=for_datacenters)

    judgement = judged(chip, "2023-12-01")

    # The figures as the product has them: a density comes back from an area with a rounding error.
    expected = control_class_of_2023(
        judgement.tpp, judgement.performance_density, for_datacenters=for_datacenters
    )
    assert judgement.control_class == expected


@pytest.mark.parametrize(
    ("tpp", "die_area_mm2", "control_class"),
    [
        (4800, 5000, "3A090.a.1"),
        (4799.99, 5000, "none"),
        (1600, 270.27, "3A090.a.2"),
        (1599.99, 100, "none"),
        (2368, 400, "3A090.a.2"),  # a density of exactly 5.92
        (2368, 400.01, "3A090.b.2"),
        (2400, 1500, "3A090.b.1"),  # exactly 1.6
        (2400, 1500.01, "none"),
        (2399.99, 1499.9, "none"),
        (2400, 750, "3A090.b.1/b.2"),  # exactly 3.2
        (2400, 750.01, "3A090.b.1"),
        (1600, 500, "3A090.b.2"),
        (1600, 500.01, "none"),
        (1599.99, 499, "none"),
    ],
)
def test_classes_of_2023_at_and_beside_each_bound(tpp, die_area_mm2, control_class):
    assert judged(a_chip(tpp=tpp, die_area_mm2=die_area_mm2), "2023-12-01").control_class == control_class


@pytest.mark.parametrize(
    ("tpp", "outcome"), [(4799.99, "no_licence"), (4800, "exception"), (4800.01, "exception")]
)
def test_note_2_ends_at_4800_and_leaves_the_exception(tpp, outcome):
    assert judged(a_chip(tpp=tpp, for_datacenters=False), "2023-12-01").outcome == outcome


@pytest.mark.parametrize(
    ("tpp", "io", "outcome"),
    [
        (4800, 600, "presumption_of_denial"),
        (4799.99, 600, "no_licence"),
        (4800, 599.99, "no_licence"),
        (4800.01, 600.01, "presumption_of_denial"),
    ],
)
def test_the_rule_of_2022_asks_for_both(tpp, io, outcome):
    assert judged(a_chip(tpp=tpp, io=io), "2022-11-15").outcome == outcome


@pytest.mark.parametrize(
    ("dram", "io", "outcome"),
    [
        (1399.99, 0, "no_licence"),
        (1400, 0, "licence"),
        (0, 1099.99, "no_licence"),
        (0, 1100, "licence"),
        (900, 799.99, "no_licence"),
        (900, 800, "licence"),
    ],
)
@pytest.mark.parametrize("vendor", ["NVIDIA", "AMD", "Intel"])
def test_letters_of_2025_at_and_beside_each_bound(vendor, dram, io, outcome):
    assert judged(a_chip(vendor=vendor, dram=dram, io=io), "2025-05-01").outcome == outcome


def test_a_chip_that_a_letter_names_needs_no_figures():
    chip = a_chip(vendor="NVIDIA", name="nvidia-h20-141gb", dram=None, io=1028)

    assert judged(chip, "2025-04-08").outcome == "no_licence"
    assert judged(chip, "2025-04-09").outcome == "licence"


def test_letters_bind_only_their_addressees():
    assert judged(a_chip(vendor="Google", dram=3000, io=3000), "2025-05-01").outcome == "no_licence"


@pytest.mark.parametrize(
    ("tpp", "dram", "outcome"),
    [
        (20_999.99, 6499.99, "case_by_case"),
        (21_000, 6499.99, "presumption_of_denial"),
        (20_999.99, 6500, "presumption_of_denial"),
        (21_000.01, 6500.01, "presumption_of_denial"),
    ],
)
def test_the_review_policy_of_2026_at_and_beside_each_bound(tpp, dram, outcome):
    assert judged(a_chip(tpp=tpp, dram=dram), "2026-03-01").outcome == outcome


@pytest.mark.parametrize(
    ("on", "version", "outcome"),
    [
        ("2022-10-20", "R0", "no_licence"),
        ("2022-10-21", "R1", "no_licence"),
        ("2023-11-16", "R1", "no_licence"),
        ("2023-11-17", "R2", "presumption_of_denial"),
        ("2026-01-14", "R10", "presumption_of_denial"),
        ("2026-01-15", "R11", "case_by_case"),
    ],
)
def test_a_rule_begins_on_its_day(on, version, outcome):
    judgement = judged(a_chip(tpp=6000, io=400), on)

    assert (judgement.version, judgement.outcome) == (version, outcome)


@pytest.mark.parametrize(
    ("on", "destination", "headquarters", "outcome", "exception", "notice_days"),
    [
        ("2023-12-01", "SA", "SA", "exception", "NAC", 0),  # D:4 before ACA existed
        ("2024-04-03", "SA", "SA", "exception", "NAC", 0),
        ("2024-04-04", "SA", "SA", "exception", "ACA", 0),
        ("2024-06-01", "VN", "CN", "exception", "NAC", 25),  # by headquarters
        ("2024-06-01", "DE", "CN", "exception", "NAC", 25),  # anywhere
        ("2024-06-01", "DE", "DE", "no_licence", None, None),
        ("2024-06-01", "IL", "IL", "no_licence", None, None),  # A:6 takes it out of D:4
        ("2024-06-01", "TW", "MO", "exception", "NAC", 25),
        ("2024-06-01", "HK", "HK", "exception", "NAC", 25),
        ("2024-06-01", "RU", "RU", "licence", None, None),  # 740.8(b): part 746
        ("2026-07-09", "AE", "AE", "exception", "ACA", 0),
        ("2026-07-10", "AE", "AE", "exception", "ACA", 0),  # A:5, and still in scope for .b
    ],
)
def test_destination_and_headquarters_decide_for_an_item_of_b(
    on, destination, headquarters, outcome, exception, notice_days
):
    buyer = Buyer(destination=destination, headquarters=headquarters)

    judgement = judged(a_chip(tpp=2896, die_area_mm2=609), on, buyer)

    assert judgement.control_class == "3A090.b.1/b.2"
    assert (judgement.outcome, judgement.exception, judgement.notice_days) == (
        outcome,
        exception,
        notice_days,
    )


@pytest.mark.parametrize(
    ("on", "destination", "headquarters", "outcome"),
    [
        ("2024-06-01", "VN", "US", "presumption_of_approval"),
        ("2024-06-01", "VN", "DE", "presumption_of_approval"),
        ("2024-06-01", "VN", "SG", "presumption_of_approval"),
        ("2024-06-01", "VN", "VN", "case_by_case"),
        ("2024-06-01", "VN", "CN", "presumption_of_denial"),
        ("2024-06-01", "CN", "US", "presumption_of_denial"),
        ("2024-06-01", "MY", "MY", "no_licence"),
        ("2026-03-01", "MY", "CN", "presumption_of_denial"),
        ("2026-03-01", "HK", "HK", "case_by_case"),
        ("2026-07-09", "AE", "AE", "case_by_case"),
        ("2026-07-10", "AE", "AE", "unknown"),  # texts contradict each other
    ],
)
def test_destination_and_headquarters_decide_the_review_of_an_item_of_a(
    on, destination, headquarters, outcome
):
    buyer = Buyer(destination=destination, headquarters=headquarters)

    assert judged(a_chip(tpp=15_832), on, buyer).outcome == outcome


@pytest.mark.parametrize(
    ("tpp", "end_use", "outcome"),
    [
        (1000, "entity-list", "licence"),
        (2896, "entity-list", "licence"),  # NAC is barred
        (15_832, "entity-list", "presumption_of_denial"),
        (1000, "supercomputer", "licence"),
        (1000, None, "no_licence"),
    ],
)
def test_an_end_use_that_needs_a_licence_bars_the_exception(tpp, end_use, outcome):
    buyer = Buyer(destination="CN", headquarters="CN", end_use=end_use)

    assert judged(a_chip(tpp=tpp, die_area_mm2=609), "2024-06-01", buyer).outcome == outcome


def test_ai_diffusion_counts_only_when_asked():
    buyer = Buyer(destination="DE", headquarters="DE")
    chip = a_chip(tpp=15_832)

    assert judged(chip, "2025-06-01", buyer).outcome == "no_licence"
    assert [signal.kind for signal in judged(chip, "2025-06-01", buyer).signals] == ["not_enforced"]
    assert judged(chip, "2025-06-01", buyer, with_unenforced=True).outcome == "licence"
    assert judged(chip, "2025-05-14", buyer, with_unenforced=True).outcome == "no_licence"


def test_china_side_measures_are_signals_and_leave_the_outcome_alone():
    judgement = judged(a_chip(name="nvidia-h20-96gb", vendor="NVIDIA", dram=4000), "2025-12-01", IN_CHINA)

    assert judgement.outcome == "licence"
    assert {signal.id for signal in judgement.signals} >= {"C1", "C3"}
    assert all(signal.kind == "policy" for signal in judgement.signals if signal.id.startswith("C"))
