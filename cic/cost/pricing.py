"""Prices: seconds for every op of a graph, from whatever a user may name as a machine."""

from __future__ import annotations

import os
from pathlib import Path

from cic.cost.catalogue import machine
from cic.cost.cost_source import CostSource
from cic.cost.machine import Machine
from cic.cost.predicted_costs import PredictedCosts
from cic.cost.profile import load_profile
from cic.cost.unknown_machine import USUAL, UnknownCosts
from cic.decision.provenance import UNKNOWN
from cic.errors import CostError
from cic.graph import Graph
from codegen.checked_json import shown

Source = str | Path | Machine | CostSource
"""What a user may write for a machine."""


def price(graph: Graph, source: Source) -> tuple[float, ...]:
    """Seconds of each op of `graph`, in graph order.

    Raises CostError when `source` is none that `resolve` takes, or a profile that lacks an op of the graph.
    """
    return resolve(source).op_seconds(graph)


def resolve(spec: Source, side: str = "a machine") -> CostSource:
    """What a user may write for a machine: a profile, a profile file's path, a Machine, a name of the catalogue, or "unknown".

    A string is a path when it ends in .json, holds a path separator or names an existing file; else it is a name.
    side: "the device" or "the server" in messages, and of these two alone nothing need be known.
    Raises CostError when it is none of these, or the profile file is not usable.
    """
    if isinstance(spec, Machine):
        return PredictedCosts(spec)
    if isinstance(spec, Path):
        return load_profile(spec)
    if isinstance(spec, str) and spec == UNKNOWN and side in USUAL:
        return UnknownCosts(PredictedCosts(USUAL[side]))
    # A class has the attributes of its instances.
    if isinstance(spec, CostSource) and not isinstance(spec, type):
        return spec
    if not isinstance(spec, str) or not spec.strip():
        raise CostError(
            f"{side} is described by {shown(spec)}; give a profile file (*.json), a name of the catalogue "
            '(`cic machines` lists them), a cic.Machine(...), or "unknown"'
        )
    if spec.endswith(".json") or "/" in spec or "\\" in spec:
        return load_profile(spec)
    try:
        return PredictedCosts(machine(spec))
    except CostError as error:
        if os.path.isfile(spec):  # unlike Path.is_file it bears a text that can be no path
            return load_profile(spec)
        raise CostError(f"{error}. A profile file (*.json) and a cic.Machine(...) are accepted as well") from None
