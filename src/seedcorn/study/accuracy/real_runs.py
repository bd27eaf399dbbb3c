"""Two real vLLM runs: evidence from the first half of the requests, the second half predicted."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from seedcorn.domain.measurement import Measurement
from seedcorn.domain.workload import Router, Trace
from seedcorn.perf.efficiency import Efficiency
from seedcorn.perf.measured import corrected, fitted_correction
from seedcorn.replay import replay_requests
from seedcorn.study.accuracy.serving import settings, step_model_of
from seedcorn.study.accuracy.serving_rows import Case
from seedcorn.study.evidence import residuals


def second_half_errors(run: Case, measurement: Measurement, curve: Efficiency) -> Iterator[float]:
    """Relative errors of mean and 99th percentile of TTFT, then of TPOT, over the second half of the requests.

    All arrivals are replayed; the times of the first half alone correct the curve.

    Args:
        run: What ran.
        measurement: Its log.
        curve: What is corrected.
    """
    log = measurement.log
    assert log is not None
    half = log.arrival_s.shape[0] // 2
    unseen = np.arange(log.arrival_s.shape[0]) >= half
    seen_log = replace(
        log,
        first_token_s=np.where(unseen, np.nan, log.first_token_s),
        last_token_s=np.where(unseen, np.nan, log.last_token_s),
    )
    evidence = replace(measurement, log=seen_log)
    prior = step_model_of(run, curve)
    step = corrected(
        prior, fitted_correction(prior, lambda tried: residuals(tried, evidence)), kv_tokens=None
    )
    trace = Trace(
        name=run.source,
        arrival_s=log.arrival_s,
        input_tokens=log.input_tokens,
        output_tokens=log.output_tokens,
    )
    times = replay_requests([step], settings(run), trace, router=Router.ROUND_ROBIN)
    gaps = log.output_tokens - 1
    pairs = (
        (times.first_token_s - log.arrival_s, log.first_token_s - log.arrival_s),
        ((times.finish_s - times.first_token_s) / gaps, (log.last_token_s - log.first_token_s) / gaps),
    )
    for said_s, seen_s in pairs:
        yield float(said_s[unseen].mean() / seen_s[unseen].mean() - 1)
        yield float(np.percentile(said_s[unseen], 99) / np.percentile(seen_s[unseen], 99) - 1)
