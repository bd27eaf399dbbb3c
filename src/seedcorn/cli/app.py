"""The application: registers every command and turns errors into exit codes."""

import sys

import typer

from seedcorn.cli import (
    accuracy,
    catalog,
    demo,
    evidence,
    plan,
    predict,
    rules,
    runway,
    schema,
    sell,
    solve,
    source,
    stock,
    sweep,
)
from seedcorn.errors import SeedcornError

app = typer.Typer(
    name="seedcorn",
    help="Keep the best chips for training: plan which chips serve what, and prove it by replay.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for command in (
    demo,
    plan,
    sweep,
    predict,
    accuracy,
    evidence,
    solve,
    sell,
    runway,
    source,
    catalog,
    rules,
    stock,
    schema,
):
    command.register(app)


def main() -> None:
    """Run the command line; exit 0 done, 1 the answer is no, 2 the input is wrong."""
    try:
        app()
    except SeedcornError as error:
        sys.stderr.write(f"error: {error}\n")
        for note in getattr(error, "__notes__", ()):
            sys.stderr.write(f"  {note}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        sys.exit(130)
