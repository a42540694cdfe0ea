"""Writes docs/map.md, a line on each file, from the first lines of the modules' docstrings: `make map`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("cic", "compress", "mincut", "codegen", "examples")
PAGE = ROOT / "docs" / "map.md"
HEAD = """# Map

One line a file, as its docstring begins. `make map` writes this page, and CI checks that it is current.

`cic` speaks names and units. `mincut`, `compress` and `codegen` speak plain data and never import `cic`. The data's way is:
inputs → trace → cost → precision → compilation → decision → emission → engine → session and serving → report.
"""


def file_map() -> str:
    """One line a file, folders in the order a reader meets them."""
    parts = []
    for folder in FOLDERS:
        files = sorted(ROOT.joinpath(folder).rglob("*.py"), key=lambda path: (len(path.parts), path))
        lines = [(path.relative_to(ROOT).as_posix(), first_line(path)) for path in files]
        width = max(len(name) for name, _ in lines)
        parts.append("\n".join(f"{name:<{width}}  {what}" for name, what in lines))
    return "```text\n" + "\n\n".join(parts) + "\n```"


def first_line(path: Path) -> str:
    """The first sentence of a module's docstring, without its full stop; ValueError if there is none."""
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    if not docstring:
        raise ValueError(f"{path.relative_to(ROOT)} has no docstring; say in its first line what idea lives there")
    return docstring.splitlines()[0].removesuffix(".")


def page() -> str:
    """The whole of docs/map.md."""
    return f"{HEAD}\n{file_map()}\n"


if __name__ == "__main__":
    try:
        PAGE.write_text(page(), encoding="utf-8")
    except ValueError as error:
        sys.exit(f"file_map: {error}")
