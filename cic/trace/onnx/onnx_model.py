"""An ONNX file as a graph, and the model that halves are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cic.graph import Graph
from cic.trace.pixel_inputs import PixelInputs
from cic.trace.traced import OpenBatch, Runtime

if TYPE_CHECKING:
    import onnx_ir

    from codegen.bundle.onnx_source import OnnxSource


@dataclass(frozen=True)
class OnnxModel:
    """What `trace_onnx` makes of a file, see `cic.trace.traced.Traced`.

    graph: fused; Op.members are names of nodes and Tensor.name names of values in `model`.
    model: the file with fixed shapes, functions inlined and every node named; weights stored outside the file are not read
        until they are needed.
    content: the path of the file itself, or the bytes of a model that came as a message: what the halves are compared with.
    path: what messages call it.
    kwargs: an example call, torch tensors by input name; there are no positional arguments.
    unfused: the graph before fusion. pixel_inputs: which inputs are pixels that the model normalises first, as the file does
        not; None: there are none. open_batch: what the model is at another batch; None: all shapes are fixed.
    """

    graph: Graph
    model: onnx_ir.Model
    content: Path | bytes
    path: str
    kwargs: dict[str, Any]
    unfused: Graph
    pixel_inputs: PixelInputs | None = None
    open_batch: OpenBatch | None = None

    @property
    def args(self) -> tuple[Any, ...]:
        return ()

    @property
    def runtime(self) -> Runtime:
        return "onnxruntime"

    @property
    def weights_digest(self) -> str:
        return self.source.weights_digest

    @cached_property
    def source(self) -> OnnxSource:
        from codegen.bundle.onnx_source import OnnxSource  # which needs onnx, as torch models do not

        floats = None if self.pixel_inputs is None else self.pixel_inputs.values
        known = self.path, self.graph.crossable, self.kwargs, self.graph.digest
        if self.open_batch is None:
            return OnnxSource(self.model, self.content, *known, floats)
        other = self.open_batch.other.source
        assert isinstance(other, OnnxSource), "a model is of one kind at every batch"
        return OnnxSource(self.model, self.content, *known, floats, self.open_batch.batches, other)
