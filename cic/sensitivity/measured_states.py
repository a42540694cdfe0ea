"""States that somebody measured, from a CSV file: a column for each condition, one for the cut, one for the latency."""

from __future__ import annotations

import csv
from math import isfinite
from pathlib import Path
from statistics import median

from cic.errors import InputError
from cic.sensitivity.states import Level, StateTable

UNITS = {"latency_s": 1.0, "latency_ms": 1e-3}


def measured(path: Path) -> StateTable:
    """The table of such a file, whose first state is the usual one. Of several latencies of one cut in one state
    the median counts. Columns: cut, latency_s or latency_ms, and one for each condition.

    Raises:
        InputError: the file cannot be read, lacks a column, has something else than a number for a latency, or lacks a cut in a
            state; names the line.
    """
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read as CSV: {error}") from error
    columns = list(rows[0]) if rows else []
    unit = next((name for name in UNITS if name in columns), None)
    factors = tuple(name for name in columns if name not in ("cut", *UNITS))
    if unit is None or "cut" not in columns or not factors:
        raise InputError(
            f"{path}: its columns are {', '.join(map(str, columns)) or 'none'}; a column for each condition is expected, and "
            f"the columns cut and {' or '.join(UNITS)}"
        )
    found: dict[tuple[Level, ...], dict[str, list[float]]] = {}
    for line, row in enumerate(rows, 2):
        if None in row or None in row.values():
            raise InputError(f"{path}: line {line} does not have as many values as the first line")
        state = tuple(_level(row[name]) for name in factors)
        found.setdefault(state, {}).setdefault(row["cut"], []).append(_seconds(row[unit], UNITS[unit], f"{path}: line {line}"))
    cuts = tuple(dict.fromkeys(cut for latencies in found.values() for cut in latencies))
    for state, latencies in found.items():
        if missing := [cut for cut in cuts if cut not in latencies]:
            where = ", ".join(f"{name} {level}" for name, level in zip(factors, state, strict=True))
            raise InputError(f"{path}: nothing was measured of cut {missing[0]} at {where}; measure each cut in each state")
    latency_s = tuple(tuple(median(latencies[cut]) for cut in cuts) for latencies in found.values())
    return StateTable(path.stem, factors, tuple(found), cuts, latency_s, usual=0, proved=False)


def _level(text: str) -> Level:
    try:
        value = float(text)
    except ValueError:
        return text
    return value if isfinite(value) else text


def _seconds(text: str, unit: float, where: str) -> float:
    try:
        value = float(text) * unit
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise InputError(f"{where} has the latency {text!r}; a number above 0 is expected")
    return value
