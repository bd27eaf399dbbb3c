"""The step model: all that the replay knows of a replica's hardware."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seedcorn.domain.offer import Evidence


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StepModel:
    """Seconds of one engine step of one replica (model × chip × dtype × parallelism × engine).

    A step that decodes B sequences holding K context tokens in all, and prefills P prompt tokens
    that attend A (query, key) pairs, takes::

        interp(tokens, dense_s, B + P) + context_s · K + pair_s · A        seconds

    Because the first term is constant while B is, n decode steps in a row have a closed-form sum.

    Attributes:
        tokens: (G,) float64, increasing, first is 0 or 1; steps outside are extrapolated from the
            last two points.
        dense_s: (G,) float64, non-decreasing: everything that depends on tokens alone (matrix
            multiplications, collectives, launch and host overhead).
        context_s: Decode attention, per KV token read.
        pair_s: Prefill attention, per (query, key) pair.
        kv_tokens: KV-cache capacity after weights and reserve.
        log_sigma: Standard deviation of ln(true step time / this one): the prediction's own
            uncertainty. 0 where the numbers are taken as exact.
        request_s: What a client's TTFT holds beside any step (HTTP, tokenisation, streaming); the replay
            knows nothing of it. 0 where the steps were fitted to what clients saw.
        first_steps: Decode steps that a client's TTFT holds besides, likewise.
        ttft_log_sigma: As ``log_sigma``, of a TTFT, which holds more that no step explains; at least as large.
        evidence: Grade of the least trusted fact inside.
    """

    tokens: NDArray[np.float64]
    dense_s: NDArray[np.float64]
    context_s: float
    pair_s: float
    kv_tokens: int
    evidence: Evidence
    log_sigma: float = 0.0
    request_s: float = 0.0
    first_steps: float = 0.0
    ttft_log_sigma: float = 0.0

    def __post_init__(self) -> None:
        assert self.tokens.shape == self.dense_s.shape and self.tokens.ndim == 1 and self.tokens.shape[0] >= 2
        assert bool(np.all(np.diff(self.tokens) > 0))
        assert self.context_s >= 0 and self.pair_s >= 0 and self.kv_tokens > 0

    def step_s(
        self, *, decode_seqs: int, prefill_tokens: int = 0, context_tokens: int = 0, pairs: float = 0.0
    ) -> float:
        """Seconds of one step; the formula of the class, read slowly (the kernel has its own copy).

        Args:
            decode_seqs: B, sequences that decode one token each.
            prefill_tokens: P, prompt tokens processed.
            context_tokens: K, KV tokens that the decoding sequences read.
            pairs: A, (query, key) pairs of the prefilled tokens.
        """
        x = float(decode_seqs + prefill_tokens)
        grid, dense = self.tokens, self.dense_s
        i = min(max(int(np.searchsorted(grid, x, side="right")) - 1, 0), grid.shape[0] - 2)
        slope = (dense[i + 1] - dense[i]) / (grid[i + 1] - grid[i])
        return float(dense[i] + slope * (x - grid[i]) + self.context_s * context_tokens + self.pair_s * pairs)

    def seen_by_client(self, ttft_s: float, tpot_s: float, *, output_tokens: float) -> tuple[float, float]:
        """Mean TTFT and TPOT of replayed requests as their clients measure them."""
        held = self.held_share(output_tokens)
        gaps = max(output_tokens - 1, 1.0)
        return ttft_s + self.request_s + held * gaps * tpot_s, (1 - held) * tpot_s

    def held_share(self, output_tokens: float) -> float:
        """Of the gaps between an answer's tokens, those over before the first token leaves: what holds the first
        back does not hold up the last, so that the rest seem shorter."""
        return min(self.first_steps / max(output_tokens - 1, 1.0), 0.5)

    def slowed(self, factor: float) -> "StepModel":
        """The same replica with every step ``factor`` times as long."""
        return replace(
            self,
            dense_s=self.dense_s * factor,
            context_s=self.context_s * factor,
            pair_s=self.pair_s * factor,
        )
