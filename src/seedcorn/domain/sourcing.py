"""The answer of ``source``: which chips are worth buying, how many, from when, and what that does."""

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field

from seedcorn.domain.hardware import ChipName, PoolName
from seedcorn.domain.horizon import Money, Quantiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """So many chips of a candidate, and what they free.

    Attributes:
        freed: Training chips more, in reference chips: mean over the months from the first use on.
        generations: Trained with it, beyond those without; ``None``: the scenario lists none.
        freed_quantiles: Over drawn futures; ``None``: none were drawn.
        cost: Of the chips and of porting; ``None``: no price is known.
        worth: Of the freed chips over those months, at the scenario's price of a reference-chip hour, if it has one.
        power_w: ``None``: unknown.
    """

    chips: int
    freed: float
    generations: float | None
    freed_quantiles: Quantiles | None = None
    cost: Money | None = None
    worth: Money | None = None
    power_w: float | None = None

    @property
    def freed_per_chip(self) -> float:
        """Training chips that one chip of the block frees, on the mean."""
        return self.freed / self.chips


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """Chips that may be bought.

    Attributes:
        first: The day on which some can be used, if all goes well.
        node: Chips of one node; ``node_frees``: reference chips that the first one frees, replicas in
            fractions; ``None``: some load lacks chips without it.
        blocks: Part by part up to all that is offered, fewest chips first.
        standing, why: With the export rules.
        priors: Public facts that stood in for what the scenario left out.
    """

    name: str
    chip: ChipName
    pool: PoolName
    first: datetime.date
    node: int
    node_frees: float | None
    blocks: tuple[Block, ...]
    price: Money | None
    standing: str
    why: tuple[str, ...]
    priors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Chips that cannot be counted on, and why: the rules ask for a licence, or what they say is unknown."""

    name: str
    chip: ChipName
    standing: str
    is_unknown: bool
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """Chips of one candidate that the best basket holds."""

    name: str
    chips: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Basket:
    """The best of all baskets within the limits, each candidate bought in whole blocks.

    Attributes:
        freed, generations, worth: As of a block.
        tried: Baskets within the limits.
        cost: ``None``: no price is known of something in it, or several currencies.
    """

    purchases: tuple[Purchase, ...]
    freed: float
    generations: float | None
    cost: Money | None
    worth: Money | None
    power_w: float | None
    tried: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Sourcing:
    """Everything that ``source`` prints.

    Attributes:
        reference: Pool whose chips freed ones are counted in.
        candidates: Best first: by what they free for the money, then by what a chip frees.
        basket: ``None``: nothing may be bought.
    """

    name: str
    start: datetime.date
    months: int
    draws: int
    seed: int
    reference: PoolName
    candidates: tuple[Candidate, ...]
    refused: tuple[Refused, ...]
    basket: Basket | None
    budget: Money | None
    power_w: float | None
    disclaimer: str
    warnings: tuple[str, ...] = ()
    defaults: Mapping[str, str] = field(default_factory=dict)
