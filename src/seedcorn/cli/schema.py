"""``seedcorn schema``: the JSON Schema of a document, for editors and validators."""

from typing import Annotated

import typer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("schema")(schema)


def schema(
    kind: Annotated[str, typer.Argument(help="scenario, plan, market or outcome.")],
) -> None:
    """Print the JSON Schema of a document, for editors and validators."""
    from seedcorn import wire

    typer.echo(wire.json_bytes(wire.schema(kind)), nl=False)
