"""No two modules of the product need each other, and no two rooms do: imports within functions and for types counted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import networkx as nx
import pytest

from tests.contracts.import_graph import FILES, IMPORTS, Imports, read_imports
from tests.contracts.source_files import PRODUCT


def circles(imports: Imports, place: Callable[[str], str]) -> list[list[str]]:
    """The sets of places, more than one each, in which every place needs every other."""
    arrows = nx.DiGraph((place(module), place(other)) for module, others in imports.items() for other in others)
    return [sorted(found) for found in nx.strongly_connected_components(arrows) if len(found) > 1]


FOLDERS = {module for module, path in FILES.items() if path.name == "__init__.py"}


def folder(module: str) -> str:
    """The folder that a module lies in. A file beside folders is a place of its own, and so is the face of a folder."""
    inside = module.rpartition(".")[0]
    alone = module in FOLDERS or any(other.rpartition(".")[0] == inside for other in FOLDERS)
    return f"{module}.__init__" if module in FOLDERS else module if alone else inside


def room(module: str) -> str:
    """The first folder below the package, with all that is in it."""
    return ".".join(module.split(".")[:2])


PLACES = (str, folder, room)
places = pytest.mark.parametrize("place", PLACES, ids=("module", "folder", "room"))


@places
def test_there_is_no_circle(place: Callable[[str], str]) -> None:
    assert set(PRODUCT) < FILES.keys() and sum(map(len, IMPORTS.values())) > 500
    assert circles(IMPORTS, place) == []


@places
def test_a_circle_is_found(place: Callable[[str], str]) -> None:
    """Every arrow turned around makes one."""
    arrows = [(module, other) for module, others in IMPORTS.items() for other in others if place(module) != place(other)]
    for module, other in arrows[:: len(arrows) // 25]:
        found = circles({**IMPORTS, other: IMPORTS[other] | {module}}, place)
        assert len(found) == 1 and {place(module), place(other)} <= set(found[0])


@pytest.mark.parametrize(
    "code",
    [
        "import b",
        "from b import c",
        "def late():\n    from b import c",
        "def late():\n    import a, b",
        "TYPE_CHECKING = False\nif TYPE_CHECKING:\n    from b import c",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import b",
        "try:\n    import b\nexcept ImportError:\n    b = None",
    ],
)
def test_every_way_to_import_is_counted(code: str, tmp_path: Path) -> None:
    files = {name: tmp_path / f"{name}.py" for name in "ab"}
    files["a"].write_text(code)
    files["b"].write_text("from a import x")
    assert circles(read_imports(files), str) == [["a", "b"]]
