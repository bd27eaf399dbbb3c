import csv
import gzip
from pathlib import Path

import numpy as np
import pytest

from seedcorn.domain.workload import DayCurve
from seedcorn.errors import InputError, UnknownName
from seedcorn.replay import day_curve, day_curves, generated_day, read_day, read_trace
from seedcorn.replay.day import DAY_S

RATES = Path(__file__).parents[2] / "src" / "seedcorn" / "data" / "traces" / "servegen-rates.csv.gz"
SHARED_RATES = (
    Path(__file__).parents[2] / ".." / "shared" / "data" / "traces" / "servegen_rate_timeseries.csv"
)


def whole(chunks):
    chunks = list(chunks)
    return (
        np.concatenate([chunk.arrival_s for chunk in chunks]),
        np.concatenate([chunk.input_tokens for chunk in chunks]),
        np.concatenate([chunk.output_tokens for chunk in chunks]),
    )


@pytest.mark.skipif(not SHARED_RATES.is_file(), reason="the shared data folder is not here")
def test_the_bundled_rates_are_the_published_ones_unchanged():
    assert gzip.decompress(RATES.read_bytes()) == SHARED_RATES.read_bytes()


@pytest.mark.parametrize("name", day_curves())
def test_a_curve_is_the_mean_over_days_without_missing_windows(name):
    rows = csv.DictReader(gzip.decompress(RATES.read_bytes()).decode().splitlines())
    noon = [
        float(row["total_rate_rps"])
        for row in rows
        if row["model"] == name and float(row["start_s"]) % DAY_S == DAY_S / 2
    ]

    curve = day_curve(name)

    assert curve.rate_per_s.shape == (144,)
    assert (curve.rate_per_s > 0).all()
    assert curve.rate_per_s[72] == pytest.approx(np.mean([rate for rate in noon if rate > 0]))
    assert "Apache-2.0" in curve.source


def test_an_unknown_curve_names_those_there_are():
    with pytest.raises(UnknownName, match="m-large"):
        day_curve("m-huge")


def test_a_poisson_day_follows_its_curve():
    """Counts per window are Poisson: their squared deviations, over their means, sum to a chi-square."""
    curve, rate_per_s = day_curve("m-mid"), 5.0

    arrival_s, _, _ = whole(generated_day(curve, read_trace("azure-conv"), rate_per_s=rate_per_s, seed=1))

    counts, _ = np.histogram(arrival_s, bins=144, range=(0, DAY_S))
    expected = curve.rate_per_s / curve.rate_per_s.sum() * rate_per_s * DAY_S
    chi_square = ((counts - expected) ** 2 / expected).sum()
    assert (np.diff(arrival_s) >= 0).all()
    assert arrival_s[0] >= 0 and arrival_s[-1] < DAY_S
    assert abs(chi_square - 144) < 4 * np.sqrt(2 * 144)


@pytest.mark.parametrize("cv", [0.3, 1.0, 3.0])
def test_gaps_have_the_cv_that_was_asked_for(cv):
    flat = DayCurve(name="flat", rate_per_s=np.ones(144))

    arrival_s, _, _ = whole(generated_day(flat, read_trace("azure-conv"), rate_per_s=4.0, cv=cv, seed=2))

    gaps_s = np.diff(arrival_s)
    assert gaps_s.mean() == pytest.approx(0.25, rel=0.02)
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(cv, rel=0.02)


def test_lengths_are_drawn_in_pairs_from_the_trace():
    trace = read_trace("azure-code")

    _, inputs, outputs = whole(generated_day(day_curve("m-large"), trace, rate_per_s=3.0, seed=3))

    pairs = set(zip(trace.input_tokens.tolist(), trace.output_tokens.tolist(), strict=True))
    assert set(zip(inputs.tolist(), outputs.tolist(), strict=True)) <= pairs
    assert inputs.mean() == pytest.approx(trace.input_tokens.mean(), rel=0.02)
    assert outputs.mean() == pytest.approx(trace.output_tokens.mean(), rel=0.03)


def test_a_day_is_decided_by_its_seed():
    one, same, other = (
        whole(generated_day(day_curve("m-large"), read_trace("azure-code"), rate_per_s=1.0, seed=seed))
        for seed in (1, 1, 2)
    )

    assert [column.tobytes() for column in one] == [column.tobytes() for column in same]
    assert one[0].tobytes() != other[0].tobytes()


@pytest.mark.parametrize(("rate_per_s", "cv"), [(0.0, 1.0), (float("nan"), 1.0), (1.0, 0.0)])
def test_a_day_without_rate_or_spread_is_refused(rate_per_s, cv):
    with pytest.raises(InputError, match="above 0"):
        generated_day(day_curve("m-large"), read_trace("azure-code"), rate_per_s=rate_per_s, cv=cv, seed=0)


def a_curve_file(folder, *rates, start_s=range(0, 10**9, 43_200)):
    path = folder / "day.csv"
    rows = [f"{start},{rate}" for start, rate in zip(start_s, rates, strict=False)]
    path.write_text("\n".join(["start_s,rate_per_s", *rows]))
    return str(path)


def test_a_curve_of_ones_own_is_the_mean_over_its_days(tmp_path):
    curve = read_day(a_curve_file(tmp_path, 1, 4, 3, "", 5, 0))

    assert curve.rate_per_s.tolist() == [3.0, 2.0]
    np.testing.assert_array_equal(curve.days_per_s, [[1, 4], [3, np.nan], [5, 0]])


@pytest.mark.parametrize(
    ("rates", "start_s", "message"),
    [
        ((1, 2, 3), range(0, 10**9, 43_200), "3 windows are not equal parts of whole days"),
        ((1, 2), (0, 40_000), "2 windows are not equal parts"),
        ((1, 2, 3, 4), (0, 43_200, 86_400, 100_000), "4 windows are not equal parts"),
        ((1,), (0,), "1 windows are not equal parts"),
        ((0, 0), (0, 43_200), "all rates are 0"),
        ((1, ""), (0, 43_200), "a window has no rate on any day"),
        ((1, -2), (0, 43_200), ":3: rate_per_s is '-2'; expected a number, 0 or more"),
        ((1, "nan"), (0, 43_200), ":3: rate_per_s is 'nan'"),
    ],
)
def test_a_curve_that_is_no_day_is_refused(tmp_path, rates, start_s, message):
    with pytest.raises(InputError) as caught:
        read_day(a_curve_file(tmp_path, *rates, start_s=start_s))

    assert message in str(caught.value)
