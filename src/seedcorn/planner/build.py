"""Integer programs, put together row by row and column by column."""

import numpy as np
from numpy.typing import NDArray

from seedcorn.planner.highs import Program
from seedcorn.planner.problem import Floats, Ints


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

    def add_service(self, price: Floats, load: Floats, most: Floats) -> Ints:
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
