"""Seconds of each op of real networks, measured on real machines, and such a machine as one side of a compilation."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from cic.decision.provenance import MachineProvenance
from cic.errors import CostError
from cic.graph import Graph

DATA = Path(__file__).resolve().parents[1] / "data" / "measured_ops.json"


@dataclass(frozen=True)
class MeasuredNetwork:
    """ops: their names, in graph order. machines: the seconds of each op, by the name of the machine."""

    ops: tuple[str, ...]
    machines: Mapping[str, tuple[float, ...]]


@dataclass(frozen=True)
class MeasuredOps:
    """networks: by their names in torchvision. source: how they were measured."""

    networks: Mapping[str, MeasuredNetwork]
    source: str

    def side(self, network: str, machine: str) -> MeasuredSide:
        """A machine as a side of the compilation of a network. Raises CostError for one that was not measured."""
        known = self.networks.get(network)
        if known is None or machine not in known.machines:
            raise CostError(f"{network} was not measured on {machine}; measured were {', '.join(self.machines)}")
        return MeasuredSide(machine, known.ops, known.machines[machine])

    @property
    def machines(self) -> tuple[str, ...]:
        """Those on which every network was measured."""
        names = [set(network.machines) for network in self.networks.values()]
        return tuple(sorted(set.intersection(*names))) if names else ()


@dataclass(frozen=True)
class MeasuredSide:
    """A `CostSource`: the measured seconds of each op of one network on one machine. Tensors cross as they are."""

    name: str
    ops: tuple[str, ...]
    seconds: tuple[float, ...]

    @cached_property
    def digest(self) -> str:
        return hashlib.sha256(json.dumps([self.name, self.ops, self.seconds]).encode()).hexdigest()

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        """Raises CostError if the graph has other ops than those that were measured."""
        names = tuple(op.name for op in graph.ops)
        if names != self.ops:
            other = next((pair for pair in zip(names, self.ops, strict=False) if pair[0] != pair[1]), ("too many", "too few"))
            raise CostError(f"{graph.name} has other ops than those measured on {self.name}: {other[0]}, not {other[1]}")
        return self.seconds

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        raise CostError(f"codec {codec!r} of {elements} values, {wire_bytes} bytes, was not measured on {self.name}")

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        return MachineProvenance(
            kind="machine", name=self.name, source="measured", digest=None, date=None, engine=None, warning=None, doubts=()
        )


def read_measured(path: Path = DATA) -> MeasuredOps:
    """What the file holds: {"source": …, "networks": {name: {"ops": […], "machines": {machine: [seconds, …]}}}}.

    Raises ValueError where a network has not one time for each op.
    """
    document = json.loads(path.read_text(encoding="utf-8"))
    networks = {name: _network(name, each) for name, each in document["networks"].items()}
    source = document["source"]
    return MeasuredOps(networks, source if isinstance(source, str) else json.dumps(source))


def _network(name: str, document: Mapping[str, object]) -> MeasuredNetwork:
    ops, machines = document["ops"], document["machines"]
    assert isinstance(ops, list) and isinstance(machines, dict)
    for machine, seconds in machines.items():
        if len(seconds) != len(ops):
            raise ValueError(f"{name} on {machine}: {len(seconds)} times for {len(ops)} ops")
    return MeasuredNetwork(tuple(ops), {machine: tuple(map(float, seconds)) for machine, seconds in machines.items()})
