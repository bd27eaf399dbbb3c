"""``--ray``: who does the work of a command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from seedcorn.workers import HERE, Workers

Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on this Ray cluster (host:port or auto); none: here. The answer is the same.",
    ),
]


@contextmanager
def workers_at(ray: str | None) -> Iterator[Workers]:
    """The workers of the Ray cluster at that address; this machine's where there is none.

    Raises:
        InputError: The cluster cannot be used; says why.
    """
    if ray is None:
        yield HERE
        return
    from seedcorn.workers.ray import ray_workers

    with ray_workers(ray) as workers:
        yield workers
