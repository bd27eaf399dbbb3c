"""Quantities with units: read once at the edge, written once on the way out.

Inside seedcorn a number's unit is in its name (``_s``, ``_bytes``, ``_flop_per_s``). People write
``"80 GB"``; a bare number is refused, since nothing says what it counts. GB is 10⁹ bytes, GiB is
2³⁰; ``Gb/s`` is bits, ``GB/s`` bytes.
"""

import math
import re
from collections.abc import Mapping
from decimal import Decimal

from seedcorn.errors import InputError

KB, MB, GB, TB = 10**3, 10**6, 10**9, 10**12
GIB = 2**30

_DECIMAL = {"": 1.0, "k": 1e3, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15, "E": 1e18}
_BINARY = {"Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "Ti": 2.0**40}
_PREFIXES = {**_DECIMAL, **_BINARY}

_SECONDS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "w": 604800.0,
}
_BYTES = {f"{p}B": f for p, f in _PREFIXES.items()}
_BYTES_PER_S = (
    {f"{p}B/s": f for p, f in _PREFIXES.items()}
    | {f"{p}b/s": f / 8 for p, f in _DECIMAL.items()}
    | {f"{p}bit/s": f / 8 for p, f in _DECIMAL.items()}
)
_WATTS = {f"{p}W": f for p, f in _DECIMAL.items()}
_FLOP_PER_S = {f"{p}{unit}": f for p, f in _DECIMAL.items() for unit in ("FLOP/s", "OP/s")}

_QUANTITY = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(\S.*?)?\s*$")


def _read(value: object, scales: Mapping[str, float], what: str, example: str) -> float:
    """The number ``value`` stands for in the base unit of ``scales``."""
    if not isinstance(value, str):
        raise InputError(f"expected {what} with its unit, such as {example!r}, got {value!r}")
    match = _QUANTITY.match(value)
    if match is None:
        raise InputError(f"expected {what} with its unit, such as {example!r}, got {value!r}")
    number, unit = match.groups()
    if unit is None:
        raise InputError(f"{value!r} has no unit: expected {what}, such as {example!r}")
    if unit not in scales:
        alike = [known for known in scales if known.lower() == unit.lower()]
        known = f"did you mean {' or '.join(alike)}?" if alike else f"known units: {', '.join(scales)}"
        raise InputError(f"unknown unit {unit!r} in {value!r}: expected {what}, such as {example!r}; {known}")
    try:
        scaled = float(Decimal(number) * Decimal(scales[unit]))  # rounds once: 66.9 TFLOP/s is 66.9e12
    except ArithmeticError:  # an exponent that decimals do not have
        scaled = math.inf
    if math.isinf(scaled):
        raise InputError(f"{value!r} is more than a number can hold: expected {what}, such as {example!r}")
    return scaled


def seconds(value: object) -> float:
    """Seconds in a duration such as ``"80 ms"`` or ``"120 d"``.

    >>> seconds("80 ms")
    0.08
    """
    return _read(value, _SECONDS, "a duration", "2 s")


def num_bytes(value: object) -> int:
    """Bytes in a size such as ``"80 GB"``.

    >>> num_bytes("80 GB")
    80000000000
    """
    return round(_read(value, _BYTES, "a size", "80 GB"))


def bytes_per_s(value: object) -> float:
    """Bytes per second in a bandwidth such as ``"3.35 TB/s"`` or ``"400 Gb/s"`` (bits).

    >>> bytes_per_s("400 Gb/s")
    50000000000.0
    """
    return _read(value, _BYTES_PER_S, "a bandwidth", "400 Gb/s")


def flop_per_s(value: object) -> float:
    """Floating-point (or integer) operations per second in a rate such as ``"989 TFLOP/s"``.

    >>> flop_per_s("989 TFLOP/s")
    989000000000000.0
    """
    return _read(value, _FLOP_PER_S, "a rate of work", "989 TFLOP/s")


def watts(value: object) -> float:
    """Watts in a power such as ``"700 W"``.

    >>> watts("1.2 kW")
    1200.0
    """
    return _read(value, _WATTS, "a power", "700 W")


def money_per_chip_hour(value: object) -> tuple[float, str]:
    """Amount and ISO 4217 currency in a price such as ``"3.10 USD/chip-hour"``.

    >>> money_per_chip_hour("3.10 USD/chip-hour")
    (3.1, 'USD')
    """
    match = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Z]{3})/chip-hour\s*", value)
        if isinstance(value, str)
        else None
    )
    if match is None:
        raise InputError(f"expected a price, such as '3.10 USD/chip-hour', got {value!r}")
    return float(match[1]), match[2]


def money(value: object) -> tuple[float, str]:
    """Amount and ISO 4217 currency in a sum such as ``"450e6 CNY"``.

    >>> money("450e6 CNY")
    (450000000.0, 'CNY')
    """
    match = (
        re.fullmatch(r"\s*(\d+(?:\.\d+)?(?:[eE]\+?\d{1,2})?)\s*([A-Z]{3})\s*", value)
        if isinstance(value, str)
        else None
    )
    if match is None:
        raise InputError(f"expected a sum of money, such as '450e6 CNY', got {value!r}")
    return float(match[1]), match[2]


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    """``value`` in the largest unit of ``steps`` (descending) that it reaches."""
    factor, unit = next((step for step in steps if abs(value) >= step[0]), steps[-1])
    return f"{_significant(value / factor)} {unit}"


def _significant(number: float) -> str:
    """Three significant digits, never in scientific notation, thousands separated.

    >>> _significant(1752.0), _significant(0.0123), _significant(80.04), _significant(999.6)
    ('1,752', '0.0123', '80', '1,000')
    """
    if abs(number) >= 999.5:
        return f"{number:,.0f}"
    text = f"{number:.3g}"
    return f"{number:.6f}".rstrip("0").rstrip(".") if "e" in text else text


def format_seconds(value_s: float) -> str:
    """A duration for people: ``80 ms``, ``2.1 s``, ``3.5 h``.

    >>> format_seconds(0.08), format_seconds(7200.0)
    ('80 ms', '2 h')
    """
    return _scaled(
        value_s, ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
    )


def format_bytes(value_bytes: float) -> str:
    """A size for people, in decimal units: ``141 GB``.

    >>> format_bytes(141_200_000_000)
    '141 GB'
    """
    return _scaled(value_bytes, ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B")))


def format_bytes_per_s(value_bytes_per_s: float) -> str:
    """A bandwidth for people: ``3.35 TB/s``."""
    return format_bytes(value_bytes_per_s) + "/s"


def format_flop_per_s(value_flop_per_s: float) -> str:
    """A rate of work for people: ``989 TFLOP/s``."""
    return _scaled(
        value_flop_per_s, ((1e15, "PFLOP/s"), (1e12, "TFLOP/s"), (1e9, "GFLOP/s"), (1.0, "FLOP/s"))
    )


def format_watts(value_w: float) -> str:
    """A power for people: ``1.2 MW``."""
    return _scaled(value_w, ((1e9, "GW"), (1e6, "MW"), (1e3, "kW"), (1.0, "W")))


def format_money(amount: float, currency: str) -> str:
    """A sum for people: ``450 million CNY``.

    >>> format_money(450e6, "CNY"), format_money(281250.0, "CNY")
    ('450 million CNY', '281,250 CNY')
    """
    if amount >= 1e6:
        return f"{_scaled(amount, ((1e9, 'billion'), (1e6, 'million')))} {currency}"
    return f"{amount:,.0f} {currency}"


def format_share(share: float) -> str:
    """A fraction as a percentage: ``12.5 %``."""
    return f"{_significant(share * 100)} %"


def format_slot(slot: int, slots: int) -> str:
    """When a slot begins in a day of ``slots`` equal ones: ``08:30``; the one after the last at ``24:00``."""
    minutes = round(slot * 24 * 60 / slots)
    return f"{minutes // 60:02}:{minutes % 60:02}"
