"""How a gang is spread over its chips: one layout, or many side by side for the search."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingParallelism:
    """Sizes of the axes a gang is spread over; ``ep`` spreads whole experts over the tp × cp × dp chips of a stage.

    Attributes:
        tp / pp / cp / dp: Tensor, pipeline, context and data parallelism.
        mbs: Sequences of one microbatch.
        fsdp: Weights, gradients and optimizer are all sharded over dp (ZeRO stage 3); otherwise
            only the optimizer is (ZeRO stage 1, Megatron's distributed optimizer).
        recompute: Activations are recomputed even where memory would hold them all.
    """

    tp: int = 1
    pp: int = 1
    cp: int = 1
    dp: int = 1
    ep: int = 1
    mbs: int = 1
    fsdp: bool = False
    recompute: bool = False

    @property
    def chips(self) -> int:
        """Chips of the gang."""
        return self.tp * self.pp * self.cp * self.dp

    def __str__(self) -> str:
        sizes = {"tp": self.tp, "pp": self.pp, "cp": self.cp, "ep": self.ep, "mbs": self.mbs}
        parts = [f"{axis}{size}" for axis, size in sizes.items() if size > 1]
        return "-".join([*parts, f"dp{self.dp}", *(["fsdp"] if self.fsdp else [])])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Layouts:
    """Many ``TrainingParallelism`` at once, one per element. All arrays have shape (num_layouts,)."""

    tp: Floats
    pp: Floats
    cp: Floats
    dp: Floats
    ep: Floats
    mbs: Floats
    fsdp: NDArray[np.bool_]
    recompute: NDArray[np.bool_]

    @property
    def chips(self) -> Floats:
        """Chips of each gang. Shape: (num_layouts,)."""
        return self.tp * self.pp * self.cp * self.dp

    @property
    def expert_replicas(self) -> Floats:
        """Copies of each expert. Shape: (num_layouts,)."""
        return np.maximum(1.0, self.tp * self.cp * self.dp / self.ep)

    def __getitem__(self, i: int) -> TrainingParallelism:
        return TrainingParallelism(
            tp=int(self.tp[i]),
            pp=int(self.pp[i]),
            cp=int(self.cp[i]),
            dp=int(self.dp[i]),
            ep=int(self.ep[i]),
            mbs=int(self.mbs[i]),
            fsdp=bool(self.fsdp[i]),
            recompute=bool(self.recompute[i]),
        )


def layouts_of(parallelisms: Sequence[TrainingParallelism]) -> Layouts:
    """The same layouts, side by side."""
    sizes = np.array([[p.tp, p.pp, p.cp, p.dp, p.ep, p.mbs] for p in parallelisms], dtype=np.float64)
    tp, pp, cp, dp, ep, mbs = sizes.T
    fsdp, recompute = np.array([[p.fsdp, p.recompute] for p in parallelisms]).T
    return Layouts(tp=tp, pp=pp, cp=cp, dp=dp, ep=ep, mbs=mbs, fsdp=fsdp, recompute=recompute)
