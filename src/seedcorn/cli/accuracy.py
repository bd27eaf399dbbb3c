"""``seedcorn accuracy``: how wrong the predictions are, on measurements that their fit had not seen."""

from pathlib import Path
from typing import Annotated

import typer

from seedcorn.cli.output import note_compilation, print_json, print_page, progress_shown
from seedcorn.domain.accuracy import Group


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("accuracy")(accuracy)


def accuracy(
    by: Annotated[Group, typer.Option(help="What errors are gathered by.")] = Group.CHIP,
    serving: Annotated[
        Path | None,
        typer.Option(
            help="Score your own serving results instead: a table with the columns of inference.csv "
            "(chip, n_chips, model, dtype, engine, input_len, output_len, concurrency_or_rate, ttft_ms, …)."
        ),
    ] = None,
    training: Annotated[
        Path | None,
        typer.Option(
            help="Score your own training results instead: a table with the columns of training.csv "
            "(chip, n_chips, model, params_total_b, params_active_b, seq_len, tok_s_per_chip, …)."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Errors and interval coverage on published measurements, each predicted by a fit that never saw it."""
    from seedcorn.report.accuracy import accuracy_document, accuracy_page
    from seedcorn.study.accuracy import bundled_accuracy, own_accuracy

    note_compilation()
    with progress_shown() as progress:
        if serving is None and training is None:
            found = bundled_accuracy(by, progress)
        else:
            found = own_accuracy(by, serving, training, progress)
    if as_json:
        print_json(accuracy_document(found))
    else:
        print_page(accuracy_page(found))
