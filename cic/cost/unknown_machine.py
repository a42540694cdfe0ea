"""A machine of which nothing is known: usual figures for a device or a server, and how far off all of them together may be.

The figures are the middle of the catalogue. What an op takes on such a machine follows from its FLOPs and its bytes alone, by
the roofline (`cic.cost.roofline`). Its slowdown is whatever it is, anywhere in a range that is wider than the catalogue, so a
table that is compiled for this range holds each cut that can be optimal there, whichever of these machines it turns out to be.
A session learns which (`cic.session.learned_times`).
"""

from __future__ import annotations

from dataclasses import dataclass

from cic.cost.cost_source import CostSource
from cic.cost.machine import Machine
from cic.cost.predicted_costs import PredictedCosts
from cic.decision.conditions import Box
from cic.decision.provenance import UNKNOWN, MachineProvenance
from cic.graph import Graph

SLOWDOWN = (1 / 64, 64.0)
"""Of an unknown machine against the usual figures; the slowest board and the fastest card of the catalogue are well inside."""

_SOURCE = "nothing but FLOPs and bytes, at usual figures; a session corrects them by what it measures"
USUAL = {
    "the device": Machine(UNKNOWN, flops_per_s=5e10, memory_bytes_per_s=5e9, op_overhead_s=5e-5, source=_SOURCE),
    "the server": Machine(UNKNOWN, flops_per_s=2e12, memory_bytes_per_s=1e11, op_overhead_s=2e-5, source=_SOURCE),
}
"""By the side that a machine is on."""


@dataclass(frozen=True)
class UnknownCosts:
    """An unknown machine as a source of costs, see `cic.cost.cost_source.CostSource`. usual: those of the usual figures."""

    usual: PredictedCosts

    @property
    def name(self) -> str:
        return self.usual.name

    @property
    def digest(self) -> str:
        return self.usual.digest

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        return self.usual.op_seconds(graph)

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        return self.usual.codec_seconds(codec, elements, wire_bytes)

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        found: MachineProvenance = self.usual.provenance(graph, runtime).replaced(kind=UNKNOWN)
        return found


def usual_box(device: CostSource, server: CostSource) -> Box:
    """The box of a compilation for which none is given: the usual one, as wide as `SLOWDOWN` for a machine that is unknown."""
    usual = Box()
    device_unknown, server_unknown = (isinstance(cost, UnknownCosts) for cost in (device, server))
    return Box(
        usual.uplink_bps,
        usual.downlink_ratio,
        usual.rtt_s,
        SLOWDOWN if device_unknown else usual.device_slowdown,
        SLOWDOWN if server_unknown else usual.server_slowdown,
    )
