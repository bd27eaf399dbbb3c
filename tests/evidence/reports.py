"""Reports as the tools write them, one load told five times: 8 clients, 1,000 tokens in, 101 out, TTFT 0.2 s,
TPOT 10 ms, so 1.2 s a request and 8 × 101 / 1.2 s = 673 output tokens/s."""

import json

TTFT_S, TPOT_S, RATE = 0.2, 0.01, 673.3


def vllm_bench(**changes):
    return {
        "date": "20260101-120000",
        "endpoint_type": "vllm",
        "model_id": "meta-llama/Llama-3.1-8B-Instruct",
        "tokenizer_id": "meta-llama/Llama-3.1-8B-Instruct",
        "num_prompts": 80,
        "request_rate": "inf",
        "burstiness": 1.0,
        "max_concurrency": 8,
        "duration": 12.0,
        "completed": 80,
        "total_input_tokens": 80_000,
        "total_output_tokens": 8_080,
        "request_throughput": 6.67,
        "output_throughput": RATE,
        "total_token_throughput": 7340.0,
        "mean_ttft_ms": 200.0,
        "median_ttft_ms": 190.0,
        "p99_ttft_ms": 300.0,
        "mean_tpot_ms": 10.0,
        "median_tpot_ms": 9.9,
        "p99_tpot_ms": 12.0,
        "mean_itl_ms": 10.0,
        **changes,
    }


def aiperf(*, unit="ms", times=1.0, loadgen=None, **changes):
    def latency(mean, p50, p99):
        return {"unit": unit, "avg": mean * times, "p50": p50 * times, "p99": p99 * times, "count": 80}

    return {
        "schema_version": "1.5",
        "aiperf_version": "0.13.0",
        "input_config": {
            "endpoint": {"model_names": ["meta-llama/Llama-3.1-8B-Instruct"]},
            "loadgen": {"concurrency": 8} if loadgen is None else loadgen,
        },
        "request_latency": latency(1200.0, 1190.0, 1500.0),
        "time_to_first_token": latency(200.0, 190.0, 300.0),
        "inter_token_latency": latency(10.0, 9.9, 12.0),
        "input_sequence_length": {"unit": "tokens", "avg": 1000.0},
        "output_sequence_length": {"unit": "tokens", "avg": 101.0},
        "output_token_throughput": {"unit": "tokens/sec", "avg": RATE},
        "request_count": {"unit": "requests", "avg": 80.0},
        **changes,
    }


def _successful(mean, median=None, p99=None):
    percentiles = {} if p99 is None else {"percentiles": {"p50": median, "p99": p99}}
    return {"successful": {"mean": mean, "median": median, **percentiles}}


def guidellm_benchmark(strategy, **changes):
    return {
        "config": {"strategy": strategy},
        "metrics": {
            "request_totals": {"successful": 80, "incomplete": 3, "errored": 0, "total": 83},
            "prompt_token_count": _successful(1000.0),
            "output_token_count": _successful(101.0),
            "time_to_first_token_ms": _successful(200.0, 190.0, 300.0),
            "time_per_output_token_ms": _successful(11.9, 11.8, 14.0),
            "inter_token_latency_ms": _successful(10.0, 9.9, 12.0),
            "output_tokens_per_second": _successful(RATE),
            **changes,
        },
    }


def guidellm(*strategies):
    strategies = strategies or ({"type_": "concurrent", "streams": 8},)
    return {"args": {}, "benchmarks": [guidellm_benchmark(strategy) for strategy in strategies]}


def inference_perf(**changes):
    def stats(mean, median, p99):
        return {"mean": mean, "min": mean / 2, "max": p99, "median": median, "p90": p99, "p99": p99}

    return {
        "load_summary": {"count": 80, "send_duration": 12.0, "requested_rate": 6.67, "concurrency": 8},
        "successes": {
            "count": 80,
            "latency": {
                "request_latency": stats(1.2, 1.19, 1.5),
                "time_to_first_token": stats(0.2, 0.19, 0.3),
                "time_per_output_token": stats(0.01, 0.0099, 0.012),
            },
            "throughput": {"output_tokens_per_sec": RATE, "requests_per_sec": 6.67},
            "prompt_tokens": {"total": 80_000, "mean": 1000.0},
            "output_tokens": {"total": 8_080, "mean": 101.0},
        },
        "failures": {"count": 0},
        **changes,
    }


def a_file(folder, report, name="report.json"):
    path = folder / name
    path.write_text(report if isinstance(report, str) else json.dumps(report))
    return path
