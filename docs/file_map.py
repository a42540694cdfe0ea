"""Writes the README's file map from the first lines of the modules' docstrings: `make map`."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("cic", "compress", "mincut", "codegen", "examples")
BEGIN, END = "<!-- file map: written by make map -->", "<!-- end of the file map -->"


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


def with_map(readme: str) -> str:
    """The README with its map renewed."""
    before, _, rest = readme.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise ValueError(f"README.md must hold the lines {BEGIN!r} and {END!r}")
    return f"{before}{BEGIN}\n{file_map()}\n{END}{after}"


if __name__ == "__main__":
    path = ROOT / "README.md"
    try:
        path.write_text(with_map(path.read_text(encoding="utf-8")), encoding="utf-8")
    except ValueError as error:
        sys.exit(f"file_map: {error}")
