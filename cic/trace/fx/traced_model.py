"""A torch model as a graph, and the module that halves are cut from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from torch import fx

from cic.graph import Graph
from cic.trace.pixel_inputs import PixelInputs
from cic.trace.traced import OpenBatch, Runtime, Traced
from codegen.bundle.torch_source import TorchSource
from codegen.calls.structure import describe


@dataclass(frozen=True)
class TracedModel:
    """What `trace` makes of a model, see `cic.trace.traced.Traced`.

    graph: fused; Op.members and Tensor.name are node names of `module.graph`.
    module: flat and functional: its placeholders are the tensors of (args, kwargs) depth first, its output the flat tuple
    of the tensors of the model's output, depth first (see `codegen.calls.structure`). Nodes are get_attr, call_function and,
    for a run of in-place ops that cannot be taken apart, call_module. Weights share their storage with the model's.
    args, kwargs: the example call.
    output_example: what the model itself returned for it.
    unfused: the graph before fusion. pixel_inputs: which inputs are pixels that the model normalises first; None: none are.
    open_batch: what the model is at another batch; None: all shapes are fixed.
    """

    graph: Graph
    module: fx.GraphModule
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output_example: Any
    unfused: Graph
    pixel_inputs: PixelInputs | None = None
    open_batch: OpenBatch | None = None

    @property
    def runtime(self) -> Runtime:
        return "torch"

    @property
    def weights_digest(self) -> str:
        """Of the weights as they are now."""
        return self.source.weights_digest

    @cached_property
    def source(self) -> TorchSource:
        input_structure, example_inputs = describe({"args": self.args, "kwargs": self.kwargs})
        return TorchSource(
            module=self.module,
            tensors=self.graph.crossable,
            example_inputs=example_inputs,
            input_structure=input_structure,
            output_structure=describe(self.output_example)[0],
            model_digest=self.graph.digest,
            batches=None if self.open_batch is None else self.open_batch.batches,
            other=None if self.open_batch is None else _source_of(self.open_batch.other),
        )


def _source_of(traced: Traced) -> TorchSource:
    source = traced.source
    assert isinstance(source, TorchSource), "a model is of one kind at every batch"
    return source
