"""A source of costs: whatever tells how long ops and codecs take on one machine, be it measured or predicted."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from cic.decision.provenance import MachineProvenance
from cic.graph import Graph


@runtime_checkable
class CostSource(Protocol):
    """One side of a compilation. A profile is such a source, and a machine becomes one (`cic.cost.pricing.resolve`)."""

    @property
    def name(self) -> str:
        """What to call the machine in a table."""

    @property
    def digest(self) -> str:
        """Equal digests, equal costs."""

    def op_seconds(self, graph: Graph) -> tuple[float, ...]:
        """Seconds of each op of `graph`, in graph order. Raises CostError for an op that nothing is known of."""

    def codec_seconds(self, codec: str, elements: int, wire_bytes: int) -> tuple[float, float]:
        """Seconds to encode a tensor there, and to decode it there.

        codec: any name that `cic.codec.registry.codec` knows, or one of the two of `cic.cost.coding_time.transform_seconds`.
        elements: values of the tensor, or what that function counts. wire_bytes: of its payload.
        Raises CostError when nothing is known of that codec.
        """

    def provenance(self, graph: Graph, runtime: str) -> MachineProvenance:
        """Where the costs of `graph` come from, and reasons to doubt them.

        runtime: what will run the model, "torch" or "onnxruntime".
        """
