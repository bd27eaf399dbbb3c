"""``seedcorn source``: which chips are worth buying."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_page, progress_shown, warn
from seedcorn.cli.workers import Ray, workers_at
from seedcorn.errors import InputError

_Value = TypeVar("_Value")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("source")(source)


def source(
    scenario: Annotated[Path, typer.Argument(help="A scenario.yaml with offers under supply.")],
    chips: Annotated[
        str | None, typer.Option(help="Catalogue chips to weigh as well, separated by commas.")
    ] = None,
    budget: Annotated[str | None, typer.Option(help="Most to spend, such as '450e6 CNY'.")] = None,
    power: Annotated[
        str | None, typer.Option(help="Most power of all that is bought, such as '2 MW'.")
    ] = None,
    draws: Annotated[
        int | None,
        typer.Option(min=0, help="Futures drawn for intervals; none: the scenario's, at most 200."),
    ] = None,
    store: Store = None,
    ray: Ray = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document instead of tables.")] = False,
) -> None:
    """Which chips are worth buying, how many, from when, and what that does to move and last.

    Candidates are what the scenario's supply offers, and chips named here; those that the export rules of
    their dates stand against, or say nothing sure of, are shown apart.
    """
    from seedcorn.domain.horizon import Money
    from seedcorn.report.sourcing import sourcing_page
    from seedcorn.study import resolve
    from seedcorn.study.horizon import resolve_horizon
    from seedcorn.study.sourcing import sourcing_of
    from seedcorn.units import money, watts
    from seedcorn.wire import read_scenario
    from seedcorn.wire.runway import sourcing_json

    located = read_scenario(scenario)
    named = () if chips is None else tuple(name.strip() for name in chips.split(",") if name.strip())
    spend = None if budget is None else _given("--budget", money, budget)
    draw_w = None if power is None else _given("--power", watts, power)
    resolved = resolve(located, kept_measurements(store))
    horizon = resolve_horizon(located, resolved, candidates=named)
    limits = horizon.limits
    if spend is not None:
        limits = replace(limits, budget=Money(amount=spend[0], currency=spend[1]))
    if draw_w is not None:
        limits = replace(limits, power_w=draw_w)
    horizon = replace(horizon, limits=limits, draws=horizon.draws if draws is None else draws)
    note_compilation()
    with workers_at(ray) as workers, progress_shown() as progress:
        found = sourcing_of(resolved, horizon, progress, workers=workers)
    found = replace(found, defaults=located.document.defaults_ahead())
    for warning in found.warnings:
        warn(warning)
    if as_json:
        typer.echo(sourcing_json(found), nl=False)
    else:
        print_page(sourcing_page(found))


def _given(option: str, read: Callable[[object], _Value], text: str) -> _Value:
    """The quantity that an option gives."""
    try:
        return read(text)
    except InputError as error:
        raise error.at(option) from None
