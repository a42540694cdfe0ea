"""Costs that are predicted from a machine's figures: ops by the roofline, codecs by how slow its core is."""

from __future__ import annotations

from dataclasses import dataclass

from cic.cost.codec_time import seconds_of_codec
from cic.cost.core_slowdown import CATALOGUE_FILE, catalogue_codec_times, core_slowdown
from cic.cost.doubts import doubts
from cic.cost.machine import Machine
from cic.cost.roofline import predict
from cic.decision.provenance import MachineProvenance
from cic.graph import Graph

# By the software that a machine's figures are of.
_ENGINES = {"torch": "torchscript", "onnxruntime": "onnxruntime"}


@dataclass(frozen=True)
class PredictedCosts:
    """A machine as a source of costs, see `cic.cost.cost_source.CostSource`."""

    machine: Machine

    @property
    def name(self) -> str:
        return self.machine.name

    @property
    def digest(self) -> str:
        return self.machine.digest

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        return tuple(predict(op, self.machine) for op in graph.ops)

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        encode_s, decode_s = seconds_of_codec(catalogue_codec_times(), CATALOGUE_FILE, codec, elements, wire_bytes)
        slowdown = core_slowdown(self.machine)
        return slowdown * encode_s, slowdown * decode_s

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        return MachineProvenance(
            kind="machine",
            name=self.machine.name,
            source=self.machine.source or None,
            digest=None,
            date=None,
            engine=_ENGINES.get(self.machine.runtime),
            warning=None,
            doubts=tuple(doubts(graph, self.machine, runtime)),
        )
