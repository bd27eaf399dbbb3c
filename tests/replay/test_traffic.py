import gzip
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from seedcorn.errors import InputError, UnknownName
from seedcorn.replay import bundled_traces, compressed, part, read_trace, scaled
from tests.replay.builders import a_trace

BUNDLED = Path(__file__).parents[2] / "src" / "seedcorn" / "data" / "traces"
SHARED_TRACES = Path(__file__).parents[2] / ".." / "shared" / "data" / "traces"


def gap_cv(trace):
    gaps_s = np.diff(trace.arrival_s)
    return gaps_s.std() / gaps_s.mean()


def dispersion(trace, windows):
    """Variance over mean of the counts in equal windows: 1 for Poisson."""
    counts, _ = np.histogram(trace.arrival_s, bins=windows)
    return counts.var() / counts.mean()


@pytest.mark.parametrize(
    ("name", "num_requests"),
    [("azure-conv", 19_366), ("azure-code", 8_819), ("mooncake-conversation", 12_031)],
)
def test_bundled_traces_hold_what_their_files_say(name, num_requests):
    (file,) = BUNDLED.glob(f"{name}.*.gz")
    lines = gzip.decompress(file.read_bytes()).decode().splitlines()
    if file.name.endswith(".jsonl.gz"):
        rows = [json.loads(line) for line in lines]
        expected = [(row["timestamp"] / 1e3, row["input_length"], row["output_length"]) for row in rows]
    else:
        cells = [line.split(",") for line in lines[1:]]
        arrivals = [datetime.fromisoformat(stamp[:26]) for stamp, _, _ in cells]
        expected = [
            ((at - arrivals[0]).total_seconds(), int(row[1]), int(row[2]))
            for at, row in zip(arrivals, cells, strict=True)
        ]

    trace = read_trace(name)

    arrival_s, input_tokens, output_tokens = zip(*expected, strict=True)
    assert trace.num_requests == num_requests
    np.testing.assert_allclose(trace.arrival_s, arrival_s, atol=2e-6)  # datetime drops the seventh digit
    assert trace.input_tokens.tolist() == list(input_tokens)
    assert trace.output_tokens.tolist() == list(output_tokens)
    assert "CC-BY-4.0" in trace.source or "Apache-2.0" in trace.source


@pytest.mark.skipif(not SHARED_TRACES.is_dir(), reason="the shared data folder is not here")
def test_bundled_files_are_the_published_ones_unchanged():
    for bundled, published in [
        ("azure-conv.csv.gz", "AzureLLMInferenceTrace_conv.csv"),
        ("azure-code.csv.gz", "AzureLLMInferenceTrace_code.csv"),
        ("mooncake-conversation.jsonl.gz", "mooncake_conversation.jsonl"),
    ]:
        assert gzip.decompress((BUNDLED / bundled).read_bytes()) == (SHARED_TRACES / published).read_bytes()


@pytest.mark.parametrize(
    "text",
    [
        "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:00:00.5,10,3\n2023-11-16 18:00:02,20,4\n",
        "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2024-05-10 00:00:00.500000+00:00,10,3\r\n2024-05-10 00:00:02+00:00,20,4",
        "arrival_s,input_tokens,output_tokens\n0,10,3\n1.5,20,4\n\n",
        "output_tokens,user,arrival_s,input_tokens\n3,a,0,10\n4,b,1.5,20\n",
        "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,GPT-4,10,3,13,API log\n6.5,GPT-4,20,4,24,API log\n",
        '{"date": "x", "input_lens": [10, 20], "output_lens": [3, 4], "start_times": [100.5, 102.0], "errors": ["", ""]}',
        '{"timestamp": 500, "input_length": 10, "output_length": 3, "hash_ids": [1]}\n{"timestamp": 2000, "input_length": 20, "output_length": 4}\n',
    ],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress])
def test_each_form_is_known_by_its_content(tmp_path, text, compress):
    file = tmp_path / "requests.dat"
    file.write_bytes(compress(text.encode()))

    trace = read_trace(file)

    assert trace.arrival_s.tolist() == [0.0, 1.5]
    assert trace.input_tokens.tolist() == [10, 20]
    assert trace.output_tokens.tolist() == [3, 4]


@pytest.mark.parametrize(
    "table",
    [
        pl.DataFrame(
            {"arrival_s": [0.0, 1.5], "input_tokens": [10, 20], "output_tokens": [3, 4], "user": ["a", "b"]}
        ),
        pl.DataFrame({"Timestamp": [5.0, 6.5], "Request tokens": [10, 20], "Response tokens": [3, 4]}),
        pl.DataFrame(
            {
                "TIMESTAMP": [datetime(2024, 5, 10, 0, 0, 0, 500_000), datetime(2024, 5, 10, 0, 0, 2)],
                "ContextTokens": [10, 20],
                "GeneratedTokens": [3, 4],
            }
        ),
    ],
)
def test_parquet_holds_the_same_tables(tmp_path, table):
    table.write_parquet(tmp_path / "t")

    trace = read_trace(tmp_path / "t")

    assert trace.arrival_s.tolist() == [0.0, 1.5]
    assert trace.input_tokens.tolist() == [10, 20]
    assert trace.output_tokens.tolist() == [3, 4]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pl.DataFrame({"when": [1], "in": [2]}), "the columns are 'when,in'; expected a CSV or Parquet"),
        (
            pl.DataFrame({"arrival_s": [0.0, 1.0], "input_tokens": [5, 0], "output_tokens": [1, 1]}),
            "t:2: input_tokens is '0'",
        ),
        (
            pl.DataFrame({"arrival_s": [0.0, None], "input_tokens": [5, 5], "output_tokens": [1, 1]}),
            "t:2: arrival_s is ''",
        ),
    ],
)
def test_a_wrong_parquet_file_is_refused_with_its_row(tmp_path, table, message):
    table.write_parquet(tmp_path / "t")

    with pytest.raises(InputError, match=message):
        read_trace(tmp_path / "t")


def test_a_damaged_parquet_file_is_refused(tmp_path):
    (tmp_path / "t").write_bytes(b"PAR1 and nothing else")

    with pytest.raises(InputError, match="damaged Parquet file"):
        read_trace(tmp_path / "t")


CSV = "arrival_s,input_tokens,output_tokens\n0,10,3\n"
AZURE = "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:00:00.5,10,3\n"
JSON = '{"timestamp": 0, "input_length": 10, "output_length": 3}\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"f: the file is empty; expected a CSV"),
        ("\n \n", r"f: the file is empty"),
        ("arrival_s,input_tokens,output_tokens\n", r"f: the file has a header and no request"),
        ("when,in,out\n1,2,3\n", r"f:1: the columns are 'when,in,out'; expected a CSV or Parquet file with"),
        ("arrival_s,input_tokens\n1,2\n", r"f:1: the columns are"),
        (CSV + "1,-5,3\n", r"f:3: input_tokens is '-5'; expected a whole number of tokens, at least 1"),
        (CSV + "1,5,0\n", r"f:3: output_tokens is '0'"),
        (CSV + "1,5,many\n", r"f:3: output_tokens is 'many'"),
        (CSV + "1,5.5,3\n", r"f:3: input_tokens is '5.5'"),
        (CSV + "1,5\n", r"f:3: output_tokens is ''"),
        (CSV + "1,5,3,9\n", r"f:3: '1,5,3,9' has more than the 3 cells"),
        (CSV + "\n1,5,3\n", r"f:3: arrival_s is ''; expected a time in s"),
        (CSV + "1,99999999999,3\n", r"f:3: input_tokens is '99999999999'"),
        (CSV + "soon,5,3\n", r"f:3: arrival_s is 'soon'"),
        (CSV + "nan,5,3\n", r"f:3: arrival_s is 'nan'"),
        ("arrival_s,input_tokens,output_tokens,priority\n0,10,3,high\n", r"f:2: priority is 'high'"),
        ("arrival_s,input_tokens,output_tokens\n-1,10,3\n", r"f:2: arrival_s is '-1'"),
        (CSV + "5,5,3\n4,5,3\n", r"f:4: the request arrives 1 s before the one above it; sort"),
        (AZURE + "yesterday,5,3\n", r"f:3: TIMESTAMP is 'yesterday'; expected a time such as 2023-"),
        (AZURE + "2023-11-16 17:00:00,5,3\n", r"f:3: the request arrives 3600.5 s before"),
        (JSON + '{"timestamp": 5}\n', r"f:2: input_length is None; expected a number"),
        (JSON + '{"timestamp": 5, "input_length": "x", "output_length": 3}\n', r"f:2: input_length is 'x'"),
        (JSON + "{oops\n", r"f:2: not a JSON object"),
        (JSON + "\n" + JSON, r"f:2: not a JSON object"),
        (JSON + '{"timestamp": 5, "input_length": 0, "output_length": 3}\n', r"f:2: input_length is '0'"),
        ("Timestamp,Request tokens,Response tokens\n5,300,0\n", r"f:2: Response tokens is '0'"),
        ('{"prompt": "Why?", "output_tokens": 5}\n', r"f:1: prompts without arrivals or token counts"),
        ('[{"conversations": []}]\n', r"f:1: prompts without arrivals or token counts"),
        (
            '{"input_lens": [1, 2], "output_lens": [1]}',
            r"f: expected start_times, input_lens, output_lens to be",
        ),
        ('{"input_lens": [1], "output_lens": [0], "start_times": [3.0]}', r"f:1: output_lens is '0'"),
        ('{"input_lens": [1], "output_lens": [1],\n', r"f: not one JSON object"),
        (JSON.replace("0,", "9,", 1) + JSON, r"f:2: the request arrives 0.009 s before"),
    ],
)
def test_a_wrong_trace_is_refused_with_its_line_and_what_would_work(tmp_path, monkeypatch, text, message):
    monkeypatch.chdir(tmp_path)
    Path("f").write_text(text)

    with pytest.raises(InputError, match="^" + message):
        read_trace("f")


def test_an_unknown_trace_suggests_bundled_ones():
    with pytest.raises(UnknownName, match=r"azure-conf.*did you mean azure-conv") as caught:
        read_trace("azure-conf")
    assert "azure-conv" in caught.value.suggestions


def test_a_damaged_gzip_file_is_refused(tmp_path):
    file = tmp_path / "t.csv.gz"
    file.write_bytes(gzip.compress(CSV.encode() * 100)[:40])
    with pytest.raises(InputError, match="damaged gzip"):
        read_trace(file)


@pytest.mark.parametrize("name", bundled_traces())
@pytest.mark.parametrize("factor", [0.3, 1.0, 7.0])
def test_scaling_keeps_the_rate_curve_and_the_lengths(name, factor):
    trace = read_trace(name)

    other = scaled(trace, rate_per_s=trace.mean_rate_per_s * factor, seed=3)

    assert other.mean_rate_per_s == pytest.approx(trace.mean_rate_per_s * factor, rel=1e-12)
    assert other.arrival_s[-1] == pytest.approx(trace.arrival_s[-1], rel=0.001)
    assert (np.diff(other.arrival_s) >= 0).all()
    assert other.input_tokens.mean() == pytest.approx(trace.input_tokens.mean(), rel=0.05)
    edges_s = np.linspace(0, trace.arrival_s[-1], 50)
    curve, other_curve = (
        np.searchsorted(t.arrival_s, edges_s, side="right") / t.num_requests for t in (trace, other)
    )
    window_requests = 200  # the curve's resolution, on either side
    assert np.abs(curve - other_curve).max() < window_requests * (
        1 / trace.num_requests + 1 / other.num_requests
    )


@pytest.mark.parametrize("factor", [0.5, 4.0])
def test_scaling_keeps_bursts(factor):
    """Bursts on top of a steady rate: the CV of gaps, and the dispersion over windows of as many requests."""
    rng = np.random.default_rng(0)
    gaps_s = rng.gamma(0.25, 4.0, 20_000)  # CV 2
    trace = a_trace(np.cumsum(gaps_s), rng.integers(1, 100, 20_000), rng.integers(1, 100, 20_000))

    other = scaled(trace, rate_per_s=trace.mean_rate_per_s * factor, seed=1)

    assert gap_cv(other) == pytest.approx(gap_cv(trace), rel=0.05)
    assert dispersion(other, int(1000 * factor)) == pytest.approx(dispersion(trace, 1000), rel=0.15)
    assert dispersion(other, int(1000 * factor)) > 3


def test_scaling_is_decided_by_its_seed():
    trace = read_trace("azure-code")

    one, same, other = (scaled(trace, rate_per_s=5.0, seed=seed) for seed in (1, 1, 2))

    assert one.arrival_s.tobytes() == same.arrival_s.tobytes()
    assert one.input_tokens.tobytes() == same.input_tokens.tobytes()
    assert one.input_tokens.tobytes() != other.input_tokens.tobytes()


def test_scaling_to_a_number_of_requests_stretches_the_curve():
    trace = read_trace("azure-conv")

    other = scaled(trace, rate_per_s=2.0, seed=0, num_requests=5_001)

    assert other.num_requests == 5_001
    assert other.arrival_s[-1] == pytest.approx(2_500)


def test_compressing_changes_the_clock_alone():
    trace = read_trace("azure-code")

    fast = compressed(trace, 10.0)

    assert fast.mean_rate_per_s == pytest.approx(10.0)
    assert gap_cv(fast) == pytest.approx(gap_cv(trace), rel=1e-9)
    assert fast.input_tokens is trace.input_tokens


def test_a_trace_without_a_rate_cannot_be_scaled():
    with pytest.raises(InputError, match="no rate to scale"):
        scaled(a_trace([1.0, 1.0], [1, 1], [1, 1]), rate_per_s=1.0, seed=0)


def test_priorities_of_a_plain_table_are_read_and_go_with_their_requests(tmp_path):
    path = tmp_path / "trace.csv"
    path.write_text("arrival_s,input_tokens,output_tokens,priority\n0,10,3,5\n1,20,4,-1\n2,30,4,0\n")

    trace = read_trace(path)

    assert trace.priority is not None and trace.priority.tolist() == [5, -1, 0]
    picked = part(trace, np.array([2, 0])).priority
    assert picked is not None and picked.tolist() == [0, 5]
