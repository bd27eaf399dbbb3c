"""One load told by four tools is one benchmark; reports that are wrong are refused and say where."""

import pytest

from seedcorn.domain.hardware import Dtype
from seedcorn.domain.workload import Statistic
from seedcorn.errors import InputError, UnknownName
from seedcorn.evidence import Given, read_measurement
from seedcorn.evidence.found import Driver
from tests.evidence.reports import (
    RATE,
    a_file,
    aiperf,
    guidellm,
    guidellm_benchmark,
    inference_perf,
    vllm_bench,
)

SETUP = {"chip": "h100-sxm", "dtype": Dtype.BF16, "engine": "vllm", "engine_version": "0.19.0", "tp": 1}


def read(folder, report, **given):
    return read_measurement(a_file(folder, report), Given(**{"model": "llama-3.1-8b", **SETUP, **given}))


@pytest.mark.parametrize("report", [vllm_bench(), aiperf(), guidellm(), inference_perf()])
def test_each_tool_tells_the_same_benchmark(tmp_path, report):
    [point] = read(tmp_path, report).points

    assert (point.concurrency, point.rate_per_s, point.num_requests) == (8, None, 80)
    assert (point.input_tokens, point.output_tokens) == (1000, 101)
    assert point.ttft_s == pytest.approx({Statistic.MEAN: 0.2, Statistic.P50: 0.19, Statistic.P99: 0.3})
    assert point.tpot_s == pytest.approx({Statistic.MEAN: 0.01, Statistic.P50: 0.0099, Statistic.P99: 0.012})
    assert point.output_tokens_per_s == RATE


def test_aiperf_times_are_read_in_the_unit_they_name(tmp_path):
    [point] = read(tmp_path, aiperf(unit="us", times=1000.0)).points

    assert point.ttft_s[Statistic.MEAN] == pytest.approx(0.2)


def test_a_sweep_of_guidellm_is_a_point_per_strategy_that_can_be_replayed(tmp_path):
    report = guidellm(
        {"type_": "synchronous"},
        {"type_": "throughput"},
        {"type_": "constant", "rate": 2.0},
        {"type_": "poisson", "rate": 4.0},
    )
    report["benchmarks"][0]["metrics"]["output_tokens_per_second"]["successful"]["mean"] = RATE / 8

    points = read(tmp_path, report).points

    assert [(p.concurrency, p.rate_per_s, p.evenly_spaced) for p in points] == [
        (1, None, False),
        (None, 2.0, True),
        (None, 4.0, False),
    ]


def test_all_prompts_at_once_are_as_many_clients(tmp_path):
    report = vllm_bench(max_concurrency=None, num_prompts=8, completed=8, total_input_tokens=8000,
                        total_output_tokens=808)  # fmt: skip

    [point] = read(tmp_path, report).points

    assert point.concurrency == 8


def test_the_report_names_the_model_and_the_user_may_name_another(tmp_path):
    assert read(tmp_path, vllm_bench(), model=None).key.model.startswith("meta-llama/Llama-3.1-8B")
    assert read(tmp_path, vllm_bench(), model="qwen3-32b").key.model == "Qwen/Qwen3-32B"


@pytest.mark.parametrize("option", ["chip", "dtype", "engine", "engine_version", "tp"])
def test_what_a_report_does_not_say_is_asked_for(tmp_path, option):
    with pytest.raises(InputError, match=f"--{option.replace('_', '-')}"):
        read(tmp_path, vllm_bench(), **{option: None})


def test_a_load_that_the_report_does_not_tell_is_given_by_option(tmp_path):
    report = inference_perf(load_summary={"count": 80, "requested_rate": 6.67})
    with pytest.raises(InputError, match="give --concurrency or --rate"):
        read(tmp_path, report)

    [point] = read(tmp_path, report, driver=Driver(rate_per_s=6.67, evenly_spaced=True)).points

    assert (point.rate_per_s, point.evenly_spaced) == (6.67, True)


def _without(report, *path):
    *parents, last = path
    inner = report
    for name in parents:
        inner = inner[name]
    del inner[last]
    return report


BAD = [
    (vllm_bench(mean_ttft_ms=-1.0), "mean_ttft_ms: expected a number of at least 0, got -1"),
    (vllm_bench(mean_tpot_ms="10 ms"), "mean_tpot_ms: expected a number, got '10 ms'"),
    (vllm_bench(mean_tpot_ms=True), "expected a number, got True"),
    (vllm_bench(mean_ttft_ms=0.2, mean_tpot_ms=0.01), "another unit"),  # seconds under the name of ms
    (vllm_bench(mean_ttft_ms=200_000, mean_tpot_ms=10_000), "another unit"),
    (vllm_bench(mean_ttft_ms=0.2), "TTFT of 200 µs in the mean and 190 ms in the median contradict each other"),
    (vllm_bench(p99_tpot_ms=0.012), "TPOT has a 99th percentile of 12 µs below its median of 9.9 ms"),
    (vllm_bench(completed=0), "no request finished"),
    (vllm_bench(completed=60), "20 of 80 requests failed"),
    (vllm_bench(completed=80.5), "whole number"),
    (vllm_bench(request_rate=5.0, max_concurrency=8), "cannot be replayed"),
    (vllm_bench(request_rate=5.0, max_concurrency=None, burstiness=0.3), "burstiness"),
    (_without(vllm_bench(), "total_input_tokens"), "how long prompts"),
    (aiperf(unit="parsecs"), "'parsecs' is no unit of time"),
    (aiperf(loadgen={"concurrency": 8, "request_rate": 3.0}), "cannot be replayed"),
    (aiperf(time_to_first_token=[1, 2]), "time_to_first_token: expected a mapping"),
    (guidellm({"type_": "throughput"}), "none of its benchmarks"),
    ({"benchmarks": [1]}, "benchmarks[0]: expected a mapping"),
    ({"benchmarks": []}, "none of its benchmarks"),
    ({"benchmarks": [guidellm_benchmark({"type_": "concurrent", "streams": 8}, request_totals={"successful": 5, "errored": 5})]}, "5 of 10 requests failed"),
    (inference_perf(failures={"count": 40}), "40 of 120 requests failed"),
    (inference_perf(successes={"count": 80}), "how long prompts"),
    ({"hello": "world"}, "no report that seedcorn reads"),
    ([1, 2], "expected a JSON object"),
    ("{\"completed\": 1, ", "not JSON"),
    ("[" * 100_000, "not JSON"),
    ("", "not JSON"),
]  # fmt: skip


@pytest.mark.parametrize(("report", "message"), BAD)
def test_a_report_that_is_wrong_is_refused_where_it_is(tmp_path, report, message):
    with pytest.raises(InputError) as caught:
        read(tmp_path, report)

    assert message in str(caught.value)


def test_a_number_that_json_does_not_have_is_refused(tmp_path):
    with pytest.raises(InputError, match="expected a number"):
        read(tmp_path, '{"completed": 80, "mean_ttft_ms": NaN}')


def test_options_that_contradict_the_report_are_refused(tmp_path):
    with pytest.raises(InputError, match="the report says 8 clients, the options say 16 clients"):
        read(tmp_path, vllm_bench(), driver=Driver(concurrency=16))


def test_limits_that_no_engine_has_are_refused(tmp_path):
    with pytest.raises(InputError, match="128 is less than max_num_seqs 256"):
        read(tmp_path, vllm_bench(), max_num_batched_tokens=128)


def test_a_model_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(UnknownName):
        read(tmp_path, vllm_bench(model_id="my-finetune"), model=None)
