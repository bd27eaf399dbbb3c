"""A replay with no plan: one model on replicas of one chip."""

from seedcorn.catalog import find_chip, find_model
from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.offer import Parallelism
from seedcorn.domain.outcome import SingleReplay
from seedcorn.domain.workload import EngineSettings, Router
from seedcorn.perf import candidates, step_model
from seedcorn.replay import read_trace, replay, scaled
from seedcorn.study.resolve import published_dtype

CHIPS_PER_NODE = 8
"""A node, where no fleet says otherwise."""


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
) -> SingleReplay:
    """Replay a trace on ``replicas`` replicas, at the step model's own prediction.

    Args:
        trace, model, chip: Names in the catalogue or paths.
        tp: ``None``: the fewest chips that fit.
        dtype: ``None``: as the model is published.
        rate_per_s: ``None``: the trace's own.

    Raises:
        InputError: A name is unknown.
        Infeasible: The replica cannot be: does not fit, no such format, a fact unpublished.
    """
    spec, hardware = find_model(model).model, find_chip(chip).chip
    dtype = published_dtype(spec) if dtype is None else dtype
    parallelism = _smallest(spec, hardware, dtype, engine) if tp is None else Parallelism(tp=tp)
    predicted = step_model(
        spec,
        hardware,
        dtype=dtype,
        parallelism=parallelism,
        engine=engine,
        chips_per_node=max(CHIPS_PER_NODE, parallelism.tp),
    )
    requests = read_trace(trace)
    if rate_per_s is not None:
        requests = scaled(requests, rate_per_s=rate_per_s, seed=seed)
    return SingleReplay(
        trace=requests,
        model=spec,
        chip=hardware,
        dtype=dtype,
        parallelism=parallelism,
        engine=engine,
        replicas=replicas,
        evidence=predicted.evidence,
        kv_tokens=predicted.kv_tokens,
        outcome=replay([predicted] * replicas, engine, requests, router=router),
    )


def _smallest(model: ModelSpec, chip: Chip, dtype: Dtype, engine: EngineSettings) -> Parallelism:
    spreads, refused = candidates(model, chip, dtypes=(dtype,), engine=engine, chips_per_node=CHIPS_PER_NODE)
    if not spreads:
        raise refused[0].error
    return spreads[0].parallelism
