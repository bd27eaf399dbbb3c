"""``seedcorn sweep``: a grid of what-ifs, each planned and replayed."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from seedcorn.cli.evidence import Store, kept_measurements
from seedcorn.cli.output import note_compilation, print_page, progress_shown, warn
from seedcorn.cli.workers import Ray, workers_at
from seedcorn.errors import InputError

if TYPE_CHECKING:
    from seedcorn.domain.sweep import SweepPoint
    from seedcorn.study import WhatIf
    from seedcorn.wire import Located, ScenarioDocument


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("sweep")(sweep)


def sweep(
    scenario: Annotated[Path, typer.Argument(help="A scenario.yaml.")],
    vary: Annotated[
        list[str],
        typer.Option(
            metavar="PATH=V1,V2,…",
            help="Values to try at a path of the scenario, such as fleet.pools.h20.chips=256,512. May be given "
            "several times: every combination is tried.",
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for plans, records and sweep.csv; none: NAME-sweep, here."),
    ] = None,
    store: Store = None,
    ray: Ray = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the document instead of tables.")] = False,
) -> None:
    """Plan and replay a scenario with other values in it: a grid of what-ifs, in a table and a CSV.

    Interrupted, it goes on where it stopped: what the folder holds is not planned again. Exits 1 if a
    what-if has no plan or missed an SLO.
    """
    from seedcorn.report.sweep import sweep_page
    from seedcorn.study import sweep as sweep_what_ifs
    from seedcorn.wire import plan_json, read_scenario, write_text_atomically
    from seedcorn.wire.sweep import point_json, sweep_csv, sweep_json

    located = read_scenario(scenario)
    name = located.document.name
    folder = _folder(out or Path(f"{name}-sweep"))
    with workers_at(ray) as workers, progress_shown() as progress:
        grid = _grid(located, vary, store)
        found = _found_before(folder, [what_if for _, what_if in grid])
        if found:
            warn(f"{len(found)} of {len(grid)} what-ifs are in {folder} already and are not planned again")
        left = {
            w.scenario.inputs_hash: (changed, w) for changed, w in grid if w.scenario.inputs_hash not in found
        }
        note_compilation()
        tried = sweep_what_ifs([w for _, w in left.values()], progress, None if ray is None else workers)
        for (changed, what_if), result in zip(left.values(), tried, strict=True):
            stem = _stem(what_if.scenario.inputs_hash)
            if result.plan is not None:
                made = replace(result.plan, defaults=changed.document.defaults_used())
                write_text_atomically(folder / f"{stem}.plan.json", plan_json(made, changed, folder=folder))
            write_text_atomically(folder / f"{stem}.point.json", point_json(result.point))
            found[what_if.scenario.inputs_hash] = result.point
    points = [replace(found[w.scenario.inputs_hash], changes=w.changes) for _, w in grid]
    write_text_atomically(folder / "sweep.csv", sweep_csv(points))
    if as_json:
        typer.echo(sweep_json(name, points), nl=False)
    else:
        print_page(sweep_page(name, points))
        typer.echo(f"\nplans and sweep.csv are in {folder}")
    if any(point.reason or not point.slos_held for point in points):
        raise typer.Exit(1)


def _folder(path: Path) -> Path:
    try:
        path.mkdir(exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot make the folder {path}: {error.strerror}") from None
    return path


def _grid(
    located: "Located[ScenarioDocument]", vary: list[str], store: Path | None
) -> "list[tuple[Located[ScenarioDocument], WhatIf]]":
    """Every what-if, read and resolved before any is planned: a wrong value shows at once."""
    from seedcorn.study import WhatIf, resolve
    from seedcorn.wire.variation import grid, read_variation, shown_value, varied

    measurements = kept_measurements(store)
    what_ifs = []
    for changes in grid([read_variation(text) for text in vary]):
        changed = varied(located, changes)
        shown = {path: shown_value(value) for path, value in changes.items()}
        what_ifs.append((changed, WhatIf(changes=shown, scenario=resolve(changed, measurements))))
    return what_ifs


def _found_before(folder: Path, what_ifs: "list[WhatIf]") -> "dict[str, SweepPoint]":
    from seedcorn.wire.sweep import read_point

    hashes = {what_if.scenario.inputs_hash for what_if in what_ifs}
    records = {inputs_hash: read_point(folder / f"{_stem(inputs_hash)}.point.json") for inputs_hash in hashes}
    return {inputs_hash: point for inputs_hash, point in records.items() if point is not None}


def _stem(inputs_hash: str) -> str:
    """Name of a what-if's files: enough of the hash for any grid."""
    return inputs_hash[:16]
