"""The catalogue: known boards, phones and servers by name.

The figures in machines.json are fitted to published latencies of whole models by benchmarks/made_data/fit_machines.py; each
entry names its source and how far off the fit is. They are good for planning; for a machine at hand, profile it.
"""

from __future__ import annotations

import difflib
import json
from functools import cache
from importlib import resources

from cic.cost.machine import Machine
from cic.errors import CostError


def machine(name: str) -> Machine:
    """The machine of that name or alias, in any case. Raises CostError listing near names when there is none."""
    catalogue, aliases = _read()
    key = name.strip().lower().replace(" ", "-").replace("_", "-")
    key = aliases.get(key, key)
    if key in catalogue:
        return catalogue[key]
    near = difflib.get_close_matches(key, [*catalogue, *aliases], n=4, cutoff=0.4)
    near += [known for known in catalogue if key and key in known and known not in near]
    hint = f"; did you mean {', '.join(near)}?" if near else ""
    raise CostError(f"no machine {name!r} in the catalogue of {len(catalogue)}{hint} (`cic machines` lists them)")


def machines() -> tuple[Machine, ...]:
    """All machines of the catalogue, slowest arithmetic first; aliases are not repeated."""
    catalogue, _ = _read()
    return tuple(sorted(catalogue.values(), key=lambda machine: (machine.flops_per_s, machine.name)))


def aliases() -> dict[str, tuple[str, ...]]:
    """Other names of each machine that has any, such as "raspberry-pi-4" of "raspberry-pi-4b"."""
    _, names = _read()
    return {name: tuple(alias for alias, of in names.items() if of == name) for name in names.values()}


@cache
def _read() -> tuple[dict[str, Machine], dict[str, str]]:
    text = resources.files(__package__).joinpath("machines.json").read_text(encoding="utf-8")
    body = json.loads(text)
    return {entry["name"]: Machine(**entry) for entry in body["machines"]}, body["aliases"]
