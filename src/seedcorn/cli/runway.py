"""``seedcorn runway``: how many model generations the stock trains."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_page, progress_shown, warn


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("runway")(runway)


def runway(
    scenario: Annotated[Path, typer.Argument(help="A scenario.yaml with generations to train.")],
    months: Annotated[
        int | None, typer.Option(min=1, max=240, help="Months looked at; none: the scenario's, else 60.")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(min=0, max=1_000_000, help="Futures drawn; none: the scenario's, else 1,000."),
    ] = None,
    processes: Annotated[
        int | None,
        typer.Option(min=1, help="Processes that draw futures; none: one for each core. Same answer."),
    ] = None,
    store: Store = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document instead of tables.")] = False,
) -> None:
    """How many model generations the stock trains, when it first falls short, and of what.

    With and without the move of inference, with and without each supply, and with each lever. Exits 1 if a
    generation is not done when due, or a service's load not carried.
    """
    from seedcorn.report.runway import runway_page
    from seedcorn.study import resolve
    from seedcorn.study.horizon import resolve_horizon
    from seedcorn.study.runway import runway_of
    from seedcorn.wire import read_scenario
    from seedcorn.wire.runway import runway_json

    located = read_scenario(scenario)
    resolved = resolve(located, kept_measurements(store))
    horizon = resolve_horizon(located, resolved)
    horizon = replace(
        horizon,
        months=horizon.months if months is None else months,
        draws=horizon.draws if draws is None else draws,
    )
    note_compilation()
    with progress_shown() as progress:
        found = runway_of(resolved, horizon, progress, processes=processes or num_cores())
    for warning in found.warnings:
        warn(warning)
    if as_json:
        typer.echo(runway_json(found), nl=False)
    else:
        print_page(runway_page(found))
    if found.moved.shortfall is not None:
        raise typer.Exit(1)


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
