"""Who does many independent pieces of work: threads here, or the workers of a Ray cluster.

The answer is the same whoever works: every piece is a pure function of its own input, and results come
back in the order of the items.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context
from typing import Protocol, TypeVar

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")


class Workers(Protocol):
    """Whoever can be given pieces of work."""

    def map(self, task: Callable[[C, T], R], context: C, items: Sequence[T]) -> Iterator[R]:
        """``task(context, item)`` for every item, in the order of the items, whoever is done first.

        Args:
            task: A pure function that a module defines by name: a cluster looks it up there.
            context: What all pieces share; a cluster gets it once.
            items: One per piece.

        Raises:
            Exception: The first that a piece raised, in the order of the items.
        """
        ...


class Threads:
    """As many threads as this machine has cores; right where the work is in kernels, which free Python's lock."""

    def map(self, task: Callable[[C, T], R], context: C, items: Sequence[T]) -> Iterator[R]:
        """See :meth:`Workers.map`."""
        with ThreadPoolExecutor() as threads:
            yield from threads.map(partial(task, context), items)


class InTurn:
    """One piece after the other; right where each piece takes all cores by itself."""

    def map(self, task: Callable[[C, T], R], context: C, items: Sequence[T]) -> Iterator[R]:
        """See :meth:`Workers.map`."""
        return (task(context, item) for item in items)


class Processes:
    """So many processes; right for long work in Python, since each takes seconds to start."""

    def __init__(self, count: int) -> None:
        self._count = count

    def map(self, task: Callable[[C, T], R], context: C, items: Sequence[T]) -> Iterator[R]:
        """See :meth:`Workers.map`."""
        with ProcessPoolExecutor(self._count, mp_context=get_context("spawn")) as processes:
            yield from processes.map(partial(task, context), items)


HERE = Threads()
"""This machine."""
