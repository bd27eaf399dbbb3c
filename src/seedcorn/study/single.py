"""A replay with no plan: one model on replicas of one chip."""

from collections.abc import Sequence

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Dtype
from seedcorn.domain.measurement import Measurement
from seedcorn.domain.outcome import SingleReplay
from seedcorn.domain.workload import EngineSettings, Router
from seedcorn.replay import read_trace, replay, scaled
from seedcorn.study.evidence import best_step_model
from seedcorn.study.replica import CHIPS_PER_NODE, chosen_spread
from seedcorn.study.resolve import published_dtype


def replay_single(
    *,
    trace: str,
    model: str,
    chip: str,
    tp: int | None = None,
    dtype: Dtype | None = None,
    replicas: int = 1,
    rate_per_s: float | None = None,
    engine: EngineSettings,
    router: Router = Router.ROUND_ROBIN,
    seed: int = 0,
    measurements: Sequence[Measurement] = (),
) -> SingleReplay:
    """Replay a trace on ``replicas`` replicas, at the speed of the best evidence there is.

    Args:
        trace, model, chip: Names in the catalogue or paths.
        tp: ``None``: the fewest chips that fit.
        dtype: ``None``: as the model is published.
        rate_per_s: ``None``: the trace's own.
        measurements: Evidence; used where it speaks of exactly this replica.

    Raises:
        InputError: A name is unknown.
        Infeasible: The replica cannot be: does not fit, no such format, a fact unpublished.
    """
    spec, hardware = find_model(model).model, find_chip(chip).chip
    spread = chosen_spread(spec, hardware, dtype=dtype or published_dtype(spec), engine=engine, tp=tp)
    predicted = best_step_model(
        spec,
        hardware,
        dtype=spread.dtype,
        parallelism=spread.parallelism,
        engine=engine,
        chips_per_node=max(CHIPS_PER_NODE, spread.parallelism.tp),
        measurements=measurements,
    )
    requests = read_trace(trace)
    if rate_per_s is not None:
        requests = scaled(requests, rate_per_s=rate_per_s, seed=seed)
    return SingleReplay(
        trace=requests,
        model=spec,
        chip=hardware,
        dtype=spread.dtype,
        parallelism=spread.parallelism,
        engine=engine,
        replicas=replicas,
        evidence=predicted.evidence,
        log_sigma=predicted.log_sigma,
        kv_tokens=predicted.kv_tokens,
        outcome=replay([predicted] * replicas, engine, requests, router=router),
    )
