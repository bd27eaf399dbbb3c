"""``seedcorn runway``: how many model generations the stock trains."""

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_page, progress_shown, warn
from seedcorn.cli.workers import Ray, workers_at
from seedcorn.workers import InTurn, Processes, Workers


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
    ray: Ray = None,
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
    with workers_at(ray) as workers, progress_shown() as progress:
        drawers = workers if ray is not None else processes_here(processes)
        found = runway_of(resolved, horizon, progress, workers=workers, drawers=drawers)
    found = replace(found, defaults=located.document.defaults_ahead())
    for warning in found.warnings:
        warn(warning)
    if as_json:
        typer.echo(runway_json(found), nl=False)
    else:
        print_page(runway_page(found))
    if found.moved.shortfall is not None:
        raise typer.Exit(1)


def processes_here(count: int | None) -> Workers:
    """So many processes of this machine; by default one for each core that this process may use."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    chosen = count or cores
    return InTurn() if chosen == 1 else Processes(chosen)
