"""Prices: seconds for every op of a graph, from a measured profile or from a machine's figures."""

from __future__ import annotations

import os
from pathlib import Path

from cic.cost.catalogue import machine
from cic.cost.machine import Machine
from cic.cost.profile import Profile, load_profile
from cic.cost.roofline import predict
from cic.decision.units import shown
from cic.errors import CostError
from cic.graph import Graph


def price(graph: Graph, source: Machine | Profile) -> tuple[float, ...]:
    """Seconds of each op of `graph`, in graph order.

    Raises CostError when `source` is a profile that lacks an op of the graph.
    """
    if isinstance(source, Profile):
        return tuple(source.seconds_for(op) for op in graph.ops)
    if isinstance(source, Machine):
        return tuple(predict(op, source) for op in graph.ops)
    raise CostError(f"prices come from a Machine or a Profile, not from a {type(source).__name__}; see resolve()")


def resolve(spec: str | Path | Machine | Profile) -> Machine | Profile:
    """What a user may write for a machine: a Machine, a Profile, a profile file's path, or a name of the catalogue.

    A string is a path when it ends in .json, holds a path separator or names an existing file; else it is a name.
    Raises CostError when it is none of these, or the profile file is not usable.
    """
    if isinstance(spec, Machine | Profile):
        return spec
    if isinstance(spec, Path):
        return load_profile(spec)
    if not isinstance(spec, str) or not spec.strip():
        raise CostError(
            f"a machine is described by {shown(spec)}; give a profile file (*.json), a name of the catalogue "
            "(`cic machines` lists them), or a cic.Machine(...)"
        )
    if spec.endswith(".json") or "/" in spec or "\\" in spec:
        return load_profile(spec)
    try:
        return machine(spec)
    except CostError as error:
        if os.path.isfile(spec):  # unlike Path.is_file it bears a text that can be no path
            return load_profile(spec)
        raise CostError(f"{error}. A profile file (*.json) and a cic.Machine(...) are accepted as well") from None
