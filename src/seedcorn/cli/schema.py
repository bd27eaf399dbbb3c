"""``seedcorn schema``: the JSON Schema of a document, for editors and validators."""

import json
from enum import StrEnum
from typing import Annotated

import typer

from seedcorn.wire import KINDS, schema

Kind = StrEnum("Kind", {kind.upper(): kind for kind in KINDS})


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command("schema")
    def schema_command(
        kind: Annotated[Kind, typer.Argument(help="Which document.")],
    ) -> None:
        """Print the JSON Schema of a document."""
        typer.echo(json.dumps(schema(kind.value), indent=2, ensure_ascii=False))
