"""The bundled document: consistent in itself and with the catalogue."""

from datetime import date

import pytest

from seedcorn.catalog import chips, find_chip
from seedcorn.errors import InputError, UnknownName
from seedcorn.rules import judge, rulebook
from seedcorn.rules.chip import figures
from seedcorn.rules.law import matches
from seedcorn.study.admission import ruled_chip
from tests.rules.builders import IN_CHINA

RULES = rulebook()
NAMES = [entry.chip.name for entry in chips()]


def patterns():
    named = [rule.chips for rule in RULES.requirements] + [signal.chips for signal in RULES.signals]
    early = [version.early.chips for version in RULES.versions if version.early]
    return sorted({pattern for group in named + early for pattern in group})


@pytest.mark.parametrize("pattern", patterns())
def test_a_chip_that_a_rule_names_is_in_the_catalogue(pattern):
    assert any(matches(name, (pattern,)) for name in NAMES)


def test_every_item_has_a_scope_and_every_condition_a_figure():
    measured = figures(ruled_chip(find_chip("H100-SXM")), RULES.bit_lengths)
    for version in RULES.versions:
        for paragraph in version.paragraphs or ():
            assert paragraph.item in version.scopes
    conditions = [p.when for v in RULES.versions for p in v.paragraphs or ()]
    conditions += [review.when for v in RULES.versions for review in v.reviews or ()]
    conditions += [condition for rule in RULES.requirements for condition in rule.any_of]
    conditions += [signal.when for signal in RULES.signals]

    for condition in conditions:
        for quantity, bounds in condition.items():
            assert measured.of(quantity).low >= 0
            assert bounds.low < bounds.high


def test_every_entry_says_how_well_it_is_known():
    statuses = {version.citation.status for version in RULES.versions}
    statuses |= {rule.citation.status for rule in RULES.requirements} | {
        signal.status for signal in RULES.signals
    }

    assert statuses <= {"text read", "press", "memory", "not found"}


@pytest.mark.parametrize(
    ("country", "on", "member", "no_member"),
    [
        ("CN", "2024-01-01", {"D1", "D4", "D5"}, {"A5", "A6"}),
        ("MO", "2024-01-01", {"D1", "D4"}, {"D5"}),
        ("IN", "2024-01-01", {"A5"}, {"D1", "D5"}),
        ("SG", "2024-01-01", {"A6"}, {"D1"}),
        ("NI", "2024-03-14", set(), {"D1", "D5"}),
        ("NI", "2024-03-15", {"D1", "D5"}, set()),
        ("KH", "2025-11-06", {"D1", "D5"}, set()),
        ("KH", "2025-11-07", {"D1"}, {"D5"}),
        ("AE", "2026-07-09", {"D4"}, {"A5"}),
        ("AE", "2026-07-10", {"A5"}, {"D4"}),
    ],
)
def test_membership_of_country_groups_is_dated(country, on, member, no_member):
    groups = RULES.groups_on(date.fromisoformat(on))

    assert {name for name in member | no_member if country in groups[name]} == member


# 3A090 Technical Note 2: 600 TOPS at 8 bits is 300 TFLOPS at 16 bits is 4800.
@pytest.mark.parametrize(("number_format", "rate"), [("int8", 600e12), ("fp16", 300e12), ("fp4", 1200e12)])
def test_tpp_weighs_operations_by_their_length(number_format, rate):
    chip = ruled_chip(find_chip("T4"))
    only = type(chip)(name="x", vendor="x", op_per_s={number_format: rate})

    assert figures(only, RULES.bit_lengths).tpp.value == 4800


# Sums of NVLink, BLink or RoCE and PCIe, both directions, as the letters and press of 2022 and 2023 gave them.
@pytest.mark.parametrize(
    ("chip", "io_gb_per_s"),
    [
        ("nvidia-a100-sxm4-80gb", 664),
        ("nvidia-a800-sxm4-80gb", 464),
        ("nvidia-h100-sxm", 1028),
        ("nvidia-h800-sxm", 528),
        ("biren-br100", 640),
        ("intel-gaudi2", 664),
        ("intel-gaudi2-china", 589),
        ("nvidia-l40s", 64),  # no link
    ],
)
def test_the_transfer_rate_adds_links_and_host_interface(chip, io_gb_per_s):
    measured = figures(ruled_chip(find_chip(chip)), RULES.bit_lengths)

    assert measured.io_bytes_per_s.value == io_gb_per_s * 1e9


def test_a_link_of_unpublished_rate_leaves_the_transfer_rate_open():
    measured = figures(ruled_chip(find_chip("amd-mi308x")), RULES.bit_lengths)

    assert measured.io_bytes_per_s.value is None
    assert measured.io_bytes_per_s.low == 128e9


def test_a_card_of_two_is_judged_by_one():
    # Atlas 300I Duo: 280 TOPS at 8 bits on two chips.
    assert figures(ruled_chip(find_chip("300I-Duo")), RULES.bit_lengths).tpp.value == 1120


def test_every_chip_of_the_catalogue_is_judged_on_every_version():
    for version in RULES.versions:
        for entry in chips():
            judgement = judge(ruled_chip(entry), RULES, IN_CHINA, on=version.citation.in_force)
            assert judgement.reasons
            assert judgement.version == version.citation.version


# NVIDIA's 8-K of 17 October 2023 names what the rule of that day affects.
@pytest.mark.parametrize(
    "chip",
    [
        "nvidia-a100-sxm4-80gb",
        "nvidia-a800-sxm4-80gb",
        "nvidia-h100-sxm",
        "nvidia-h800-sxm",
        "nvidia-l40",
        "nvidia-l40s",
        "nvidia-rtx-4090",
    ],
)
def test_the_chips_that_nvidia_named_are_controlled_from_november_2023(chip):
    judgement = judge(ruled_chip(find_chip(chip)), RULES, IN_CHINA, on=date(2023, 11, 17))

    assert judgement.control_class != "none"
    assert judgement.outcome != "no_licence"


def test_a_date_before_the_first_rule_is_refused():
    with pytest.raises(InputError, match=r"2022-08-25 is before the first rule.*2022-08-26"):
        RULES.law_on(date(2022, 8, 25), "a-chip")


def test_an_unknown_destination_is_refused_with_what_would_work():
    with pytest.raises(UnknownName, match="unknown destination 'UK'") as caught:
        RULES.destination("UK")

    assert "ISO 3166" in caught.value.__notes__[0]


def test_destinations_in_small_letters_are_destinations():
    assert RULES.destination("cn") == "CN"
