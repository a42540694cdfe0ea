"""`Traced`: a model as both front ends give it, a graph to decide on and a source to cut the halves from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from cic.graph import Graph
from codegen.splitters.open_batch import Batches

if TYPE_CHECKING:
    from cic.trace.pixel_inputs import PixelInputs
    from codegen.bundle.source import Source

Runtime = Literal["torch", "onnxruntime"]
Axes = tuple[int | None, ...]
"""For each flat input, along which axis the batch lies; None: it has none."""


class Traced(Protocol):
    """`cic.trace.fx.traced_model` and `cic.trace.onnx.onnx_model` are the two there are."""

    @property
    def graph(self) -> Graph:
        """The graph, fused. Its names of members and tensors are those that `source` knows."""

    @property
    def args(self) -> tuple[Any, ...]:
        """The arguments by position of the example call, to which all shapes are fixed."""

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments by name of the example call."""

    @property
    def runtime(self) -> Runtime:
        """The runtime that runs the whole model, and parts of it to measure them."""

    @property
    def weights_digest(self) -> str:
        """A SHA-256 over all weights, so that two models can be told to come from the same training."""

    @property
    def pixel_inputs(self) -> PixelInputs | None:
        """Which inputs are pixels that the model normalises first; None if it is the user's model as it is."""

    @property
    def open_batch(self) -> OpenBatch | None:
        """What the model is at another batch; None if all shapes are fixed."""

    @property
    def source(self) -> Source:
        """The model to run whole (`source.whole()`) and to cut in two (`source.split(nodes)`)."""


@dataclass(frozen=True)
class OpenBatch:
    """What is known of a model beside its example.

    size: the batch of the example. axes: of the flat inputs. other: the same model, traced at the batch `other_size`.
    greatest: the greatest batch that halves take.
    """

    size: int
    axes: Axes
    other_size: int
    other: Traced
    greatest: int = 64

    @property
    def batches(self) -> Batches:
        """The same for the halves."""
        return Batches(self.axes, self.size, self.other_size, max(self.greatest, self.other_size))
