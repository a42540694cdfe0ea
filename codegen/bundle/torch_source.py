"""A model of torch as the source of a bundle: a flat `torch.fx` module, written in any of the formats."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from codegen.bundle.source import Program, Whole
from codegen.calls.structure import Structure
from codegen.formats.emitter import formats
from codegen.formats.plain_operators import QUANTISERS, in_torch_operators, needed_libraries, steps_of
from codegen.formats.torchscript import EXACT
from codegen.rounding import Step
from codegen.split import Half, Split, WireTensor
from codegen.splitters.fx import split, wire_tensor
from codegen.weights.weights_digest import torch_weights_digest


@dataclass(frozen=True)
class TorchSource:
    """See `codegen.bundle.source.Source`.

    module: flat and safe to cut, see `codegen.splitters.fx`.
    tensors: names of the nodes that may cross.
    example_inputs: flat, in the order of the module's placeholders.
    """

    module: fx.GraphModule
    tensors: Collection[str]
    example_inputs: Sequence[torch.Tensor]
    input_structure: Structure
    output_structure: Structure
    model_digest: str

    @property
    def called(self) -> str:
        return "this model"

    @property
    def formats(self) -> tuple[str, ...]:
        return formats()

    @property
    def weights_digest(self) -> str:
        """Of the weights as they are now."""
        return torch_weights_digest(self.module)

    @property
    def inputs(self) -> tuple[WireTensor, ...]:
        return tuple(wire_tensor(node) for node in self.module.graph.nodes if node.op == "placeholder")

    def whole(self, *, optimize: bool = True) -> Whole:
        return self.module

    def steps(self) -> Sequence[Step]:
        return steps_of(self.module)

    def split(self, device_nodes: Collection[str]) -> Split:
        return split(self.module, device_nodes, self.tensors)

    def programs(self, split: Split, format_name: str) -> Mapping[Half, Program]:
        # A half may change what it is given in place, as the model may, so each gets its own copies.
        inputs = [tensor.detach().clone() for tensor in self.example_inputs]
        with torch.no_grad():
            results = split.head(*[tensor.clone() for tensor in inputs])
        crossing = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in results[: len(split.crossing)]]
        exact = any(wire.open_axes for wire in (*split.kept, *split.returned))
        head, tail = (split.head, inputs), (split.tail, crossing)
        return {"head": _program(*head, format_name, exact), "tail": _program(*tail, format_name, exact)}


def _program(half: fx.GraphModule, example: Sequence[torch.Tensor], format_name: str, exact: bool) -> Program:
    if format_name == "onnx":  # which has operators of its own for some of them, and no file of which calls those of torch
        return Program(in_torch_operators(half, (QUANTISERS,)), example)
    plain = in_torch_operators(half)
    plain.meta[EXACT] = exact
    return Program(plain, example, needed_libraries(plain))
