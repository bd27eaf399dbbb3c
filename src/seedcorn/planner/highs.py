"""The only file that knows HiGHS: integer programs solved once, and the master LP that grows.

One thread and fixed options, so that the same program gives the same answer. A run is stopped by
Ctrl-C like any Python code: HiGHS works in a thread of its own while we wait for it.
"""

import math
from dataclasses import dataclass

import highspy
import numpy as np
from numpy.typing import NDArray

from seedcorn.planner.problem import Floats

_Idx = NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Program:
    """min cost·x so that row_lower ≤ A·x ≤ row_upper, lower ≤ x ≤ upper, x integer where marked.

    Attributes:
        rows, cols, values: (num_nonzeros,) A's entries in any order, each place at most once.
        offset: Cost of x = 0.
    """

    cost: Floats
    lower: Floats
    upper: Floats
    integer: NDArray[np.bool_]
    row_lower: Floats
    row_upper: Floats
    rows: NDArray[np.int64]
    cols: NDArray[np.int64]
    values: Floats
    offset: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Solution:
    """What HiGHS found.

    Attributes:
        x: (num_cols,) best point found, or ``None``.
        bound: No x costs less; ``inf`` when there is none at all.
        interrupted: Stopped by Ctrl-C.
    """

    x: Floats | None
    value: float
    bound: float
    interrupted: bool = False


class _Quiet(highspy.Highs):
    """HiGHS prints a banner to stdout once it has callbacks, unless silenced before."""

    def enableCallbacks(self) -> None:  # noqa: N802
        """Silence first."""
        self.silent()
        super().enableCallbacks()  # type: ignore[no-untyped-call]


def _highs(seed: int) -> highspy.Highs:
    highs = _Quiet()  # type: ignore[no-untyped-call]
    for option, value in (
        ("threads", 1),
        ("random_seed", seed),
        ("primal_feasibility_tolerance", 1e-9),
        ("mip_feasibility_tolerance", 1e-9),
    ):
        highs.setOptionValue(option, value)
    return highs


def _run(highs: highspy.Highs) -> bool:
    """Run to the end or to Ctrl-C; whether it was Ctrl-C."""
    highs.HandleUserInterrupt = True
    highs.startSolve()
    interrupted = False
    while True:
        try:
            if highs.wait(0.05)[0]:
                return interrupted
        except KeyboardInterrupt:
            interrupted = True
            highs.cancelSolve()  # type: ignore[no-untyped-call]


def solve_program(
    program: Program,
    *,
    gap: float,
    time_limit_s: float,
    seed: int,
    node_limit: int = 2**31 - 1,
    start: tuple[NDArray[np.int64], Floats] | None = None,
    target: float = -math.inf,
) -> Solution:
    """The best x within ``gap`` of the bound, or the best known when time is up or ``target`` is reached.

    Args:
        gap: Relative.
        node_limit: Of branch and bound.
        start: Columns and their values in a feasible x, to begin with; HiGHS finds the other columns.
        target: A cost good enough to stop at.
    """
    highs = _highs(seed)
    highs.setOptionValue("mip_rel_gap", gap)
    highs.setOptionValue("mip_abs_gap", 0.0)
    highs.setOptionValue("time_limit", max(time_limit_s, 0.0))
    highs.setOptionValue("mip_max_nodes", node_limit)
    highs.setOptionValue("objective_target", target)
    highs.passModel(_model(program))
    if start is not None:
        highs.setSolution(len(start[0]), start[0].astype(np.int32), start[1])
    interrupted = _run(highs)
    info = highs.getInfo()
    none = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
    if highs.getModelStatus() in none:  # our programs are never unbounded
        return Solution(x=None, value=math.inf, bound=math.inf)
    found = info.primal_solution_status == highspy.kSolutionStatusFeasible
    is_mip = bool(program.integer.any())
    optimal = highs.getModelStatus() == highspy.HighsModelStatus.kOptimal
    bound = info.mip_dual_bound if is_mip else (info.objective_function_value if optimal else -math.inf)
    return Solution(
        x=np.array(highs.getSolution().col_value) if found else None,
        value=info.objective_function_value if found else math.inf,
        bound=bound,
        interrupted=interrupted,
    )


def _model(program: Program) -> highspy.HighsLp:
    """``program`` in HiGHS's column-wise form."""
    order = np.lexsort((program.rows, program.cols))
    num_cols, num_rows = len(program.cost), len(program.row_lower)
    model = highspy.HighsLp()
    model.num_col_, model.num_row_ = num_cols, num_rows
    model.offset_ = program.offset
    model.col_cost_, model.col_lower_, model.col_upper_ = program.cost, program.lower, program.upper
    model.row_lower_, model.row_upper_ = program.row_lower, program.row_upper
    model.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    counts = np.bincount(program.cols, minlength=num_cols)
    model.a_matrix_.start_ = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    model.a_matrix_.index_ = program.rows[order].astype(np.int32)
    model.a_matrix_.value_ = program.values[order]
    kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
    model.integrality_ = [kinds[int(flag)] for flag in program.integer]
    return model


class MasterLp:
    """min Σ cost·λ over columns; row i is ≤, = as given at the start. Columns are only ever added.

    Every call to :meth:`solve` starts from the last basis.
    """

    def __init__(self, row_lower: Floats, row_upper: Floats, *, solver: str = "simplex") -> None:
        self._highs = _highs(0)
        self._highs.setOptionValue("solver", solver)
        empty = np.zeros(0, dtype=np.int32)
        num_rows = len(row_lower)
        self._highs.addRows(
            num_rows, row_lower, row_upper, 0, np.zeros(num_rows, np.int32), empty, np.zeros(0)
        )

    def add(self, cost: Floats, upper: Floats, starts: _Idx, rows: _Idx, values: Floats) -> None:
        """Add columns: column k holds entries ``starts[k]:starts[k+1]`` (the last runs to the end)."""
        self._highs.addCols(len(cost), cost, np.zeros(len(cost)), upper, len(rows), starts, rows, values)

    def set_upper(self, cols: _Idx, upper: Floats) -> None:
        """Change upper bounds."""
        self._highs.changeColsBounds(len(cols), cols, np.zeros(len(cols)), upper)

    def set_row(self, row: int, lower: float, upper: float) -> None:
        """Change a row's bounds."""
        self._highs.changeRowBounds(row, lower, upper)

    def solve(self) -> tuple[float, Floats, Floats]:
        """Optimal cost, (num_cols,) λ, and (num_rows,) duals (≤ 0 on a ≤ row)."""
        self._highs.run()
        status = self._highs.getModelStatus()
        assert status == highspy.HighsModelStatus.kOptimal, f"master LP ended {status}"
        answer = self._highs.getSolution()
        value = self._highs.getInfo().objective_function_value
        return value, np.array(answer.col_value), np.array(answer.row_dual)
