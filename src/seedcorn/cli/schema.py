"""``seedcorn schema``: the JSON Schema of a document, for editors and validators."""

from typing import Annotated

import typer

from seedcorn.wire import Kind, json_bytes, schema


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("schema")
    def schema_command(kind: Annotated[Kind, typer.Argument(help="Which document.")]) -> None:
        """Print the JSON Schema of a document, for editors and validators."""
        typer.echo(json_bytes(schema(kind)), nl=False)
