"""Integer programs, put together row by row and column by column."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.planner.highs import Program
from seedcorn.planner.problem import Floats, Ints, Problem


class Build:
    """A program under construction, in triplets."""

    def __init__(self) -> None:
        self.row_lower: list[Floats] = []
        self.row_upper: list[Floats] = []
        self.num_rows = 0
        self.cost: list[Floats] = []
        self.upper: list[Floats] = []
        self.integer: list[NDArray[np.bool_]] = []
        self.num_cols = 0
        self.rows: list[Ints] = []
        self.cols: list[Ints] = []
        self.values: list[Floats] = []

    def add_rows(self, lower: Floats, upper: Floats) -> Ints:
        """New rows; their indices."""
        self.row_lower.append(lower)
        self.row_upper.append(upper)
        self.num_rows += len(lower)
        return np.arange(self.num_rows - len(lower), self.num_rows)

    def add_cols(self, cost: Floats, upper: Floats, *, integer: bool) -> Ints:
        """New columns ≥ 0; their indices."""
        self.cost.append(cost)
        self.upper.append(upper)
        self.integer.append(np.full(len(cost), integer))
        self.num_cols += len(cost)
        return np.arange(self.num_cols - len(cost), self.num_cols)

    def put(self, rows: Ints, cols: Ints, values: Floats) -> None:
        """Entries at (rows, cols), zeros left out."""
        there = values != 0.0
        self.rows.append(rows[there])
        self.cols.append(cols[there])
        self.values.append(values[there])

    def put_table(self, rows: Ints, cols: Ints, table: Floats) -> None:
        """A dense (len(cols), len(rows)) table of entries."""
        self.put(np.tile(rows, len(cols)), np.repeat(cols, len(rows)), table.ravel())

    def add_service(self, problem: Problem, service: int, price: Floats) -> tuple[Ints, Ints]:
        """The service's parts, and n − n of the cell before ≤ s per cell; the columns of n and of s.

        Args:
            price: (num_offers of the problem,) of one replica.
        """
        counts = [
            self.add_part(price[rows], problem.loads(part), problem.max_replicas[rows])
            for part in problem.parts(service)
            for rows in (problem.part_offers(part),)
        ]
        replicas, cells = np.concatenate(counts), problem.cells(service)
        first, num_cells = cells.start, cells.stop - cells.start
        starts = self.add_cols(problem.start_cost[cells], np.full(num_cells, np.inf), integer=False)
        if num_cells:
            rose = self.add_rows(np.full(num_cells, -np.inf), np.zeros(num_cells))
            cell, after = problem.cell[problem.offers(service)] - first, np.empty(num_cells, dtype=np.int64)
            after[problem.cell_before[cells] - first] = np.arange(num_cells)
            self.put(rose[cell], replicas, np.ones(len(replicas)))
            self.put(rose[after[cell]], replicas, np.full(len(replicas), -1.0))
            self.put(rose, starts, np.full(num_cells, -1.0))
        return replicas, starts

    def add_part(self, price: Floats, load: Floats, most: Floats) -> Ints:
        """Σ_o x_or = 1 per class and Σ_r w_or·x_or ≤ n_o per offer; the columns of n.

        Args:
            price: (num_offers,) of one replica.
            load: (num_offers, num_classes) w: replicas that carry a whole class.
            most: (num_offers,) replicas at most.
        """
        counts = self.add_cols(price, most, integer=True)
        num_classes = load.shape[1]
        if num_classes == 1:  # no shares needed: Σ_o n_o / w_o ≥ 1
            row = self.add_rows(np.ones(1), np.full(1, np.inf))
            self.put(np.repeat(row, len(counts)), counts, 1.0 / load[:, 0])
            return counts
        offer, kind = np.nonzero(np.isfinite(load))
        share = self.add_cols(np.zeros(len(offer)), np.full(len(offer), np.inf), integer=False)
        carried = self.add_rows(np.ones(num_classes), np.ones(num_classes))
        held = self.add_rows(np.full(len(counts), -np.inf), np.zeros(len(counts)))
        self.put(carried[kind], share, np.ones(len(share)))
        self.put(held[offer], share, load[offer, kind])
        self.put(held, counts, np.full(len(counts), -1.0))
        return counts

    def program(self, offset: float = 0.0) -> Program:
        """All of it, and what it costs whatever is chosen."""
        return Program(
            cost=np.concatenate(self.cost),
            lower=np.zeros(self.num_cols),
            upper=np.concatenate(self.upper),
            integer=np.concatenate(self.integer),
            row_lower=np.concatenate(self.row_lower),
            row_upper=np.concatenate(self.row_upper),
            rows=np.concatenate(self.rows),
            cols=np.concatenate(self.cols),
            values=np.concatenate(self.values),
            offset=offset,
        )
