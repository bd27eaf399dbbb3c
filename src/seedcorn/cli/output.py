"""Where everything goes: answers to stdout, progress and warnings to stderr."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from seedcorn.report.tables import Page

PIPE_WIDTH = 160
"""Width of a table that no terminal shows: a row stays on one line."""

SILENT_S = 2.0
"""Work shorter than this shows no progress."""


def print_page(page: Page) -> None:
    """Tables and text, as wide as the terminal."""
    console = Console(highlight=False)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = PIPE_WIDTH
    for part in page:
        console.print(part)


def print_json(value: object) -> None:
    """One JSON document."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2))


def warn(message: str) -> None:
    """Something the reader should know, beside the answer."""
    sys.stderr.write(f"warning: {message}\n")


def note_compilation() -> None:
    """Say so where the first replay after an install is about to compile its kernels."""
    from seedcorn.replay import kernels_are_compiled

    if not kernels_are_compiled():
        sys.stderr.write("compiling the replay kernels, once after an install …\n")


@contextmanager
def progress_shown() -> Iterator[Callable[[str, int, int], None]]:
    """Progress on stderr, once the work has taken :data:`SILENT_S`: a bar on a terminal, else a line per phase.

    Yields a function of (what, done, of how many).
    """
    started_s = time.monotonic()
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    bars = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    tasks: dict[str, TaskID] = {}

    def show(what: str, done: int, total: int) -> None:
        if time.monotonic() - started_s < SILENT_S:
            return
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=total)
            if console.is_terminal:
                bars.start()
            else:
                console.print(f"{what} …", highlight=False)
        bars.update(tasks[what], completed=done, total=total)

    try:
        yield show
    finally:
        bars.stop()
