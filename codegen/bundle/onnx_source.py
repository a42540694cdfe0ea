"""An ONNX model as the source of a bundle: its halves are ONNX, and are compared with the file that the model was read from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import onnx_ir
import torch

from codegen.bundle.source import Program, Whole, onward_digest
from codegen.calls.call import describe_named
from codegen.calls.structure import Structure, describe
from codegen.errors import CodegenError
from codegen.formats.onnx_in_memory import session_of
from codegen.formats.onnx_kernels import explained
from codegen.formats.onnx_session import open_session, runner_of
from codegen.rounding import Step
from codegen.split import Half, Split, WireTensor
from codegen.splitters.onnx import split_onnx, wire_tensor
from codegen.splitters.open_batch import Batches, open_wire, with_open_wires
from codegen.splitters.open_onnx import opened_onnx
from codegen.verification.quantisation import steps_of
from codegen.weights.weights_digest import onnx_weights_digest


@dataclass(frozen=True)
class OnnxSource:
    """See `codegen.bundle.source.Source`. Halves are called with inputs by name or in their order; answers are by output name.

    model: with fixed shapes and named nodes, see `codegen.splitters.onnx`.
    content: the path of the file it was read from, or the bytes of a model that came as a message; None: `model` was cut
        from another.
    tensors: names of the values that may cross.
    named_inputs: a torch tensor for each of the model's inputs, in their order.
    as_in_file: makes of flat inputs those that the file takes, where the model begins with ops that the file lacks; None: it is
        the file's own model.
    batches, other: the model at another batch, if the batch is open.
    """

    model: onnx_ir.Model
    content: Path | bytes | None
    called: str
    tensors: Collection[str]
    named_inputs: Mapping[str, torch.Tensor]
    model_digest: str
    as_in_file: Callable[[Sequence[torch.Tensor]], Sequence[torch.Tensor]] | None = None
    batches: Batches | None = None
    other: OnnxSource | None = None

    @property
    def formats(self) -> tuple[str, ...]:
        return ("onnx",)

    @cached_property
    def weights_digest(self) -> str:
        return onnx_weights_digest(self.model)

    @property
    def inputs(self) -> tuple[WireTensor, ...]:
        wires = tuple(map(wire_tensor, self.model.graph.inputs))
        if self.batches is None or self.other is None:
            return wires
        return tuple(open_wire(one, two, self.batches) for one, two in zip(wires, self.other.inputs, strict=True))

    @property
    def example_inputs(self) -> Sequence[torch.Tensor]:
        return list(self.named_inputs.values())

    @property
    def input_structure(self) -> Structure:
        return describe_named(self.named_inputs)

    @property
    def output_structure(self) -> Structure:
        placeholder = torch.empty(0)
        return describe({str(value.name): placeholder for value in self.model.graph.outputs})[0]

    @property
    def nodes(self) -> frozenset[str]:
        return frozenset(str(node.name) for node in self.model.graph)

    def whole(self, *, optimize: bool = True) -> Whole:
        try:
            if self.content is None:
                session = session_of(self.model, self.called, optimize=optimize)
            else:
                session = open_session(self.content, self.called, optimize=optimize)
        except CodegenError as error:
            raise explained(error, self.model, self.called, "convert that part of the model to float32") from error
        run = runner_of(session, self.called)
        names = list(self.named_inputs)
        order = [names.index(value.name) for value in session.get_inputs()]
        answered = [value.name for value in session.get_outputs()]
        wanted = [answered.index(str(value.name)) for value in self.model.graph.outputs]  # a file may name an output twice

        def whole(*tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
            given = tensors if self.as_in_file is None else self.as_in_file(tensors)
            results = run(*(given[position] for position in order))
            return tuple(results[position] for position in wanted)

        return whole

    def steps(self) -> Sequence[Step]:
        return steps_of(self.model)

    def split(self, device_nodes: Collection[str]) -> Split:
        halves = split_onnx(self.model, device_nodes, self.tensors)
        if self.batches is None or self.other is None:
            return halves
        return with_open_wires(halves, self.other.split(device_nodes), self.batches)

    def onward(self, split: Split) -> OnnxSource:
        run = runner_of(session_of(split.head, f"the head of {self.called}"), self.called)
        crossing = run(*self.example_inputs)[: len(split.crossing)]
        made = {str(value.name) for node in split.tail.graph for value in node.outputs}
        return OnnxSource(
            model=split.tail,
            content=None,
            called=f"the tail of {self.called}",
            tensors=(made | {str(value.name) for value in split.tail.graph.inputs}).intersection(self.tensors),
            named_inputs={str(value.name): tensor for value, tensor in zip(split.tail.graph.inputs, crossing, strict=True)},
            model_digest=onward_digest(self.model_digest, split),
            batches=self.batches,
            other=None if self.other is None or split.other is None else self.other.onward(split.other),
        )

    def programs(self, split: Split, format_name: str) -> Mapping[Half, Program]:
        if self.batches is not None and split.other is not None:
            head = opened_onnx(split.head, split.other.head, self.batches)
            tail = opened_onnx(split.tail, split.other.tail, self.batches)
            return {"head": Program(head, ()), "tail": Program(tail, ())}
        return {"head": Program(split.head, ()), "tail": Program(split.tail, ())}
