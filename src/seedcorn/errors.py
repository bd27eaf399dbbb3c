"""Every exception seedcorn raises on purpose.

::

    SeedcornError
    ├── InputError              what you gave is wrong                       exit 2
    │   ├── InvalidDocument     a document breaks its schema: lists every problem with its place
    │   ├── UnknownName         no such chip, model, pool, trace, service
    │   ├── AmbiguousName       the name means several things: lists them
    │   └── NotInStock          the ledger has fewer chips there than an event takes
    └── Infeasible              the input is right, the answer is no         exit 1
        ├── DoesNotFit          weights + KV cache + reserve exceed the chips' memory
        ├── TooLong             some of the traffic's requests exceed the KV cache
        ├── UnknownFact         the catalogue lacks a fact that the answer needs
        ├── Unsupported         the chip has no such number format, or the maker no such model
        ├── MissesSlo           runs, but not within the latency objectives
        ├── Late                training jobs that no gang finishes by their deadline
        └── FleetTooSmall       each can be carried, all together cannot: lists what would do

Anything else that escapes is our bug. A message names the thing in the user's words, what was
got and what would work; the exception carries the same data, so that no caller parses text.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass


class SeedcornError(Exception):
    """The root: catch this to catch everything seedcorn raises on purpose."""

    exit_code = 1

    def __init__(self, message: str, *, where: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.where = where

    def at(self, where: str) -> "SeedcornError":
        """This error, placed: ``file:line:column`` of what caused it. An earlier place is kept."""
        if self.where is None:
            self.where = where
        return self

    def __str__(self) -> str:
        return self.message if self.where is None else f"{self.where}: {self.message}"


class InputError(SeedcornError):
    """What the user gave is wrong; nothing was done."""

    exit_code = 2


class InvalidDocument(InputError):
    """A document breaks its schema.

    Attributes:
        problems: (where, message) of each, in document order; the first is no more to blame than the others.
    """

    def __init__(self, name: str, problems: Sequence[tuple[str, str]]) -> None:
        self.problems = tuple(problems)
        if len(problems) == 1:
            super().__init__(problems[0][1], where=problems[0][0])
        else:
            lines = "".join(f"\n  {where}: {message}" for where, message in problems)
            super().__init__(f"{len(problems)} problems{lines}", where=name)


class UnknownName(InputError):
    """Nothing has this name; ``suggestions`` are the nearest that exist."""

    def __init__(
        self, kind: str, name: str, suggestions: Iterable[str] = (), *, where: str | None = None
    ) -> None:
        self.kind = kind
        self.name = name
        self.suggestions = tuple(suggestions)
        hint = f"; did you mean {', '.join(self.suggestions)}?" if self.suggestions else ""
        super().__init__(f"unknown {kind} {name!r}{hint}", where=where)


class AmbiguousName(InputError):
    """The name means several things; ``candidates`` are their full names."""

    def __init__(self, kind: str, name: str, candidates: Iterable[str], *, where: str | None = None) -> None:
        self.kind = kind
        self.name = name
        self.candidates = tuple(candidates)
        listed = ", ".join(self.candidates)
        super().__init__(f"{kind} {name!r} is ambiguous: it may be {listed}; write one of these", where=where)


class NotInStock(InputError):
    """An event takes chips that, by the ledger, are not there.

    Attributes:
        asked: Chips that it takes.
        held: Chips that the ledger has there on that date.
    """

    def __init__(self, message: str, *, asked: int, held: int) -> None:
        super().__init__(message)
        self.asked = asked
        self.held = held


class Infeasible(SeedcornError):
    """The input is right and the answer is no: says what binds and the nearest thing that works."""


class DoesNotFit(Infeasible):
    """The replica needs more memory than its chips have.

    Attributes:
        needed_bytes: Weights, reserve and the KV cache of one longest request, over all chips.
        available_bytes: What the chips offer at the usable share.
        smallest_tp: Smallest power-of-two tensor parallelism that would fit, if any does.
    """

    def __init__(
        self, message: str, *, needed_bytes: int, available_bytes: int, smallest_tp: int | None = None
    ) -> None:
        super().__init__(message)
        self.needed_bytes = needed_bytes
        self.available_bytes = available_bytes
        self.smallest_tp = smallest_tp


class TooLong(Infeasible):
    """The replica's KV cache cannot hold some of the traffic's requests.

    Attributes:
        longest_tokens: KV tokens that the longest request needs.
        held_tokens: KV tokens that the replica can give to one request.
        share: Share of the requests that are too long.
    """

    def __init__(self, message: str, *, longest_tokens: int, held_tokens: int, share: float) -> None:
        super().__init__(message)
        self.longest_tokens = longest_tokens
        self.held_tokens = held_tokens
        self.share = share


class UnknownFact(Infeasible):
    """The catalogue does not know ``fact`` of ``subject``; it is never replaced by a lookalike's."""

    def __init__(self, subject: str, fact: str) -> None:
        self.subject = subject
        self.fact = fact
        super().__init__(f"{subject}: {fact} is unpublished or not in the catalogue; give it in a chip file")


class Unsupported(Infeasible):
    """The hardware, or the maker of the step model, cannot do what was asked."""


class MissesSlo(Infeasible):
    """Runs, but misses an objective even when it serves one request at a time.

    Attributes:
        objective: Which one, as written: ``tpot_p99``.
        got_s: What the replay gave at the lowest rate tried.
        bound_s: What the SLO asks.
    """

    def __init__(self, message: str, *, objective: str, got_s: float, bound_s: float) -> None:
        super().__init__(message)
        self.objective = objective
        self.got_s = got_s
        self.bound_s = bound_s


@dataclass(frozen=True, slots=True, kw_only=True)
class LateJob:
    """A training job that misses its deadline even with its fastest gang.

    Attributes:
        finishes_in_s: From its start, on that gang; ``chips``: the gang, by pool.
        add_chips: Pool → chips more that would put it in time, there alone.
        tokens: As many would be trained in time.
    """

    job: str
    deadline_s: float
    finishes_in_s: float
    chips: Mapping[str, int]
    add_chips: Mapping[str, int]
    tokens: float


class Late(Infeasible):
    """Training jobs have no gang that meets their deadline; ``late``: which, by how much, and what would save each."""

    def __init__(self, message: str, *, late: Sequence[LateJob]) -> None:
        super().__init__(message)
        self.late = tuple(late)


class FleetTooSmall(Infeasible):
    """Every claimant can be carried, but not all at once; notes list changes that would do.

    Attributes:
        claimants: Those that lean most on what is scarce, in that order.
    """

    def __init__(self, message: str, *, claimants: Sequence[str]) -> None:
        super().__init__(message)
        self.claimants = tuple(claimants)
