"""A replica that no fleet describes: how it is spread where the user leaves that open."""

from seedcorn.domain.hardware import Chip, Dtype
from seedcorn.domain.model import ModelSpec
from seedcorn.domain.workload import EngineSettings
from seedcorn.perf import Spread, candidates, spread_over

CHIPS_PER_NODE = 8
"""A node, where no fleet says otherwise."""


def chosen_spread(
    model: ModelSpec, chip: Chip, *, dtype: Dtype, engine: EngineSettings, tp: int | None
) -> Spread:
    """The asked tensor parallelism, with experts and formats as offers choose them; or the least that fits.

    Raises:
        Infeasible: Nothing was asked and nothing fits.
    """
    if tp is not None:
        return spread_over(model, chip, dtype=dtype, tp=tp)
    spreads, refused = candidates(model, chip, dtypes=(dtype,), engine=engine, chips_per_node=CHIPS_PER_NODE)
    if not spreads:
        raise refused[0].error
    return spreads[0]
