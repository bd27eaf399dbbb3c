import pytest

from seedcorn import units
from seedcorn.errors import InputError


@pytest.mark.parametrize(
    ("read", "text", "expected"),
    [
        (units.seconds, "80 ms", 0.08),
        (units.seconds, "120 d", 120 * 86400),
        (units.seconds, "1.5min", 90),
        (units.num_bytes, "80 GB", 80 * 10**9),
        (units.num_bytes, "80 GiB", 80 * 2**30),
        (units.bytes_per_s, "400 Gb/s", 50e9),
        (units.bytes_per_s, "3.35 TB/s", 3.35e12),
        (units.flop_per_s, "989 TFLOP/s", 989e12),
    ],
)
def test_quantities_are_read_in_their_base_unit(read, text, expected):
    assert read(text) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("bare", [80, 80.0, "80", None, True, "", "fast"])
def test_a_quantity_without_a_unit_is_refused_with_an_example(bare):
    with pytest.raises(InputError, match="80 GB"):
        units.num_bytes(bare)


def test_an_unknown_unit_is_refused_with_the_known_ones():
    with pytest.raises(InputError, match=r"unknown unit 'sec'.*ms"):
        units.seconds("2 sec")


@pytest.mark.parametrize("number", ["1e400", "1e99999999999999999999"])
@pytest.mark.parametrize(("read", "unit"), [(units.seconds, "s"), (units.num_bytes, "GB")])
def test_a_quantity_beyond_what_a_number_holds_is_refused(read, unit, number):
    with pytest.raises(InputError, match=f"'{number} {unit}' is more than a number can hold"):
        read(f"{number} {unit}")


@pytest.mark.parametrize(
    ("format_value", "value", "expected"),
    [
        (units.format_seconds, 0.08, "80 ms"),
        (units.format_seconds, 90.0, "1.5 min"),
        (units.format_bytes, 141.2e9, "141 GB"),
        (units.format_bytes, 0, "0 B"),
        (units.format_share, 0.125, "12.5 %"),
    ],
)
def test_quantities_are_written_in_the_largest_unit_they_reach(format_value, value, expected):
    assert format_value(value) == expected


def test_a_price_names_its_currency():
    assert units.money_per_chip_hour("3.10 USD/chip-hour") == (3.10, "USD")
    with pytest.raises(InputError, match="USD/chip-hour"):
        units.money_per_chip_hour("3.10")
