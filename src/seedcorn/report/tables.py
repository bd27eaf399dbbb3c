"""How every table looks, and which rich renderables a page may hold."""

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

Page = Sequence[Table | Text | str]


def plain_table(*columns: str, right: Sequence[str] = (), title: str | None = None) -> Table:
    """A table without borders; the columns named in ``right`` are numbers."""
    table = Table(
        box=None, pad_edge=False, header_style="bold", title=title, title_justify="left", title_style="bold"
    )
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    return table
