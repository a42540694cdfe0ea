"""A table on a terminal or in a pipe: drawn with rich for a person where it is installed, aligned plain text otherwise."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", left: Sequence[str] = ()) -> None:
    """Print rows of text. Columns named in `left` hold words and are aligned left, the others hold numbers."""
    if sys.stdout.isatty():
        try:
            _print_rich(columns, rows, title, left)
            return
        except ImportError:
            pass
    print(plain_table(columns, rows, title=title, left=left))


def plain_table(columns: Sequence[str], rows: Sequence[Sequence[str]], *, title: str = "", left: Sequence[str] = ()) -> str:
    """The table as lines of aligned text, title and column names first."""
    lines = [list(columns), *map(list, rows)]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    drawn = [
        "  ".join(
            cell.ljust(width) if column in left else cell.rjust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        ).rstrip()
        for line in lines
    ]
    return "\n".join([title, *drawn] if title else drawn)


def _print_rich(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str, left: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, justify="left" if column in left else "right", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text, so that a bracket in a name is not read as markup
    console = Console()
    if title:
        console.print(Text(title, style="bold"))  # not as the table's title, which is wrapped to the table's width
    console.print(table)
