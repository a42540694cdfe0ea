"""The cells of each network, kept on disk: what is published is the last whole run of each."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks.pay.gains import Cell, Point
from codegen.files.atomic import write_whole


def keep_cells(folder: Path, network: str, found: Sequence[Cell]) -> None:
    """Keep all cells of a network, in place of those that were kept before."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{network}.json", json.dumps([asdict(cell) for cell in found]).encode())


def kept_cells(folder: Path, network: str) -> list[Cell]:
    """The cells of a network that are kept; none if it was never measured."""
    path = folder / f"{network}.json"
    return [] if not path.exists() else [_cell(row) for row in json.loads(path.read_text())]


def _cell(row: dict[str, object]) -> Cell:
    points = {name: tuple(Point(**point) for point in row[name]) for name in ("points", "lenient")}  # type: ignore[attr-defined]
    return Cell(**{**row, **points})  # type: ignore[arg-type]
