"""Builders of measurements."""

import numpy as np

from seedcorn.domain.hardware import ChipName, Dtype
from seedcorn.domain.measurement import BenchmarkPoint, EvidenceKey, Measurement, RequestLog
from seedcorn.domain.model import ModelName
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.workload import EngineSettings, Statistic


def a_point(*, concurrency=None, rate_per_s=None, ttft_s=0.2, tpot_s=0.01, **changes):
    return BenchmarkPoint(
        **{
            "input_tokens": 1000.0,
            "output_tokens": 101.0,
            "num_requests": 80,
            "concurrency": concurrency,
            "rate_per_s": rate_per_s,
            "evenly_spaced": False,
            "ttft_s": {} if ttft_s is None else {Statistic.MEAN: ttft_s},
            "tpot_s": {} if tpot_s is None else {Statistic.MEAN: tpot_s},
            "output_tokens_per_s": None,
            **changes,
        }
    )


def a_log(*, arrival_s, input_tokens, output_tokens, first_token_s, last_token_s=None):
    return RequestLog(
        arrival_s=np.asarray(arrival_s, dtype=np.float64),
        input_tokens=np.asarray(input_tokens, dtype=np.int32),
        output_tokens=np.asarray(output_tokens, dtype=np.int32),
        first_token_s=np.asarray(first_token_s, dtype=np.float64),
        last_token_s=np.asarray(first_token_s if last_token_s is None else last_token_s, dtype=np.float64),
    )


def a_measurement(
    *,
    model="meta-llama/Llama-3.1-8B",
    chip="nvidia-h100-sxm",
    dtype=Dtype.BF16,
    version="0.19.0",
    tp=1,
    **changes,
):
    return Measurement(
        **{
            "key": EvidenceKey(
                model=ModelName(model),
                dtype=dtype,
                chip=ChipName(chip),
                engine="vllm",
                engine_version=version,
                parallelism=Parallelism(tp=tp),
            ),
            "replicas": 1,
            "engine": EngineSettings(),
            "kv_tokens": None,
            "points": (a_point(concurrency=8),),
            "log": None,
            "source": "test",
            **changes,
        }
    )
