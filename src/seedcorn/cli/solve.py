"""``seedcorn solve``: the market alone, for people with their own measured capacities."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.cli.output import print_page, progress_shown
from seedcorn.errors import InputError

if TYPE_CHECKING:
    from seedcorn.planner import Progress


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("solve")(solve_market)


def solve_market(
    market: Annotated[Path, typer.Argument(help="A market document (JSON or YAML).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the document instead of tables.")] = False,
    gap: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Stop when the objective is this near its bound.")
    ] = 0.001,
    time_limit: Annotated[float, typer.Option(min=0.0, help="Seconds; 0: the best answer at hand.")] = 60.0,
    seed: Annotated[int, typer.Option(min=0, max=2**31 - 1, help="Of every random choice.")] = 0,
) -> None:
    """Clear a market: who gets which chips, at what price, and how near the best that is, proven.

    Ctrl-C prints the best answer so far. Exits 1 if the market cannot clear, and says what would make it.
    """
    from seedcorn.planner import solve
    from seedcorn.report.market import allocation_page
    from seedcorn.wire.market import allocation_json, read_market

    for option, value in (("--gap", gap), ("--time-limit", time_limit)):
        if not math.isfinite(value):
            raise InputError(f"{option} is {value}: give a finite number")
    read = read_market(market)
    with progress_shown() as show:

        def report(progress: "Progress") -> None:
            show("seconds clearing the market", int(progress.seconds), math.ceil(time_limit))

        allocation = solve(read, gap=gap, time_limit_s=time_limit, seed=seed, progress=report)
    if as_json:
        typer.echo(allocation_json(allocation), nl=False)
    else:
        print_page(allocation_page(allocation))
    if allocation.objective is None:
        raise typer.Exit(1)
