"""A model of torch as the source of a bundle: a flat `torch.fx` module, written in any of the formats."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import fx

from codegen.bundle.source import Program, Whole, onward_digest
from codegen.calls.structure import Structure, describe
from codegen.formats.emitter import formats
from codegen.formats.plain_operators import QUANTISERS, in_torch_operators, needed_libraries, steps_of
from codegen.formats.torchscript import EXACT
from codegen.rounding import Step
from codegen.split import Half, Split, WireTensor
from codegen.splitters.fx import split, wire_tensor
from codegen.splitters.open_batch import Batches, open_wire, opened, with_open_wires
from codegen.weights.weights_digest import torch_weights_digest


@dataclass(frozen=True)
class TorchSource:
    """See `codegen.bundle.source.Source`.

    module: flat and safe to cut, see `codegen.splitters.fx`.
    tensors: names of the nodes that may cross.
    example_inputs: flat, in the order of the module's placeholders.
    batches, other: the model at another batch, if the batch is open.
    """

    module: fx.GraphModule
    tensors: Collection[str]
    example_inputs: Sequence[torch.Tensor]
    input_structure: Structure
    output_structure: Structure
    model_digest: str
    batches: Batches | None = None
    other: TorchSource | None = None

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
        wires = tuple(wire_tensor(node) for node in self.module.graph.nodes if node.op == "placeholder")
        if self.batches is None or self.other is None:
            return wires
        return tuple(open_wire(one, two, self.batches) for one, two in zip(wires, self.other.inputs, strict=True))

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(node.name for node in self.module.graph.nodes)

    def whole(self, *, optimize: bool = True) -> Whole:
        return self.module

    def steps(self) -> Sequence[Step]:
        return steps_of(self.module)

    def split(self, device_nodes: Collection[str]) -> Split:
        halves = split(self.module, device_nodes, self.tensors)
        if self.batches is None or self.other is None:
            return halves
        return with_open_wires(halves, self.other.split(device_nodes), self.batches)

    def onward(self, split: Split) -> TorchSource:
        with torch.no_grad():
            results = split.head(*[tensor.detach().clone() for tensor in self.example_inputs])
        crossing = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in results[: len(split.crossing)]]
        known = {node.name for node in split.tail.graph.nodes}
        return TorchSource(
            module=split.tail,
            tensors=known.intersection(self.tensors),
            example_inputs=crossing,
            input_structure=describe({"args": tuple(crossing), "kwargs": {}})[0],
            output_structure=describe(tuple(split.returned))[0],
            model_digest=onward_digest(self.model_digest, split),
            batches=self.batches,
            other=None if self.other is None or split.other is None else self.other.onward(split.other),
        )

    def programs(self, split: Split, format_name: str) -> Mapping[Half, Program]:
        if self.batches is None or self.other is None or split.other is None:
            return self._programs(split, format_name)
        # The example is the larger one: torch takes a length of 1 for a number that never changes.
        mine, theirs = self._programs(split, format_name), self.other._programs(split.other, format_name)
        wires: dict[Half, tuple[WireTensor, ...]] = {"head": split.inputs, "tail": split.crossing}
        return {
            half: Program(
                opened(mine[half].half, theirs[half].half, self.batches),
                theirs[half].example,
                mine[half].needs,
                tuple(wire.open_axes for wire in wires[half]),
            )
            for half in mine
        }

    def _programs(self, split: Split, format_name: str) -> Mapping[Half, Program]:
        # A half may change what it is given in place, as the model may, so each gets its own copies.
        inputs = [tensor.detach().clone() for tensor in self.example_inputs]
        with torch.no_grad():
            results = split.head(*[tensor.clone() for tensor in inputs])
        crossing = [tensor.detach().clone(memory_format=torch.contiguous_format) for tensor in results[: len(split.crossing)]]
        exact = any(wire.open_axes and wire.batch is None for wire in (*split.kept, *split.returned))
        head, tail = (split.head, inputs), (split.tail, crossing)
        return {"head": _program(*head, format_name, exact), "tail": _program(*tail, format_name, exact)}


def _program(half: fx.GraphModule, example: Sequence[torch.Tensor], format_name: str, exact: bool) -> Program:
    if format_name == "onnx":  # which has operators of its own for some of them, and no file of which calls those of torch
        return Program(in_torch_operators(half, (QUANTISERS,)), example)
    plain = in_torch_operators(half)
    plain.meta[EXACT] = exact
    return Program(plain, example, needed_libraries(plain))
