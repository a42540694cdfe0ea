"""0-d tensors at the border of a half become tensors of one element, for servers to which every tensor has a dimension.

The file itself is changed: its inputs lose the dimension before anything reads them, its outputs gain it last.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen.files.memory_file import write_through_memory
from codegen.split import WireTensor

if TYPE_CHECKING:
    import onnx_ir


def give_torchscript_dimensions(path: Path, inputs: Sequence[WireTensor], outputs: Sequence[WireTensor]) -> None:
    """Rewrite a TorchScript file, a frozen program that returns a tuple, so that what was 0-d has the shape (1,)."""
    import torch

    from codegen.formats.torchscript import quiet_torchscript

    with quiet_torchscript():
        program = torch.jit.load(str(path), map_location="cpu")
        graph = program.graph
        _, *values = graph.inputs()  # the first is the module itself
        results = graph.return_node().inputsAt(0).node()
        first = next(iter(graph.nodes()))
        for value, wire in zip(values, inputs, strict=True):
            if wire.shape == ():
                _read_instead(graph, value, first)
        zero = graph.insertConstant(0)
        zero.node().moveBefore(first)
        for position, wire in enumerate(outputs):
            if wire.shape == ():
                grown = graph.create("aten::unsqueeze", [results.inputsAt(position), zero], 1)
                grown.insertBefore(results)
                results.replaceInput(position, grown.output())
        write_through_memory(path, lambda name: torch.jit.save(program, name))


def give_onnx_dimensions(path: Path) -> None:
    """Rewrite an ONNX file so that inputs and outputs that were 0-d have the shape (1,); their names stay."""
    import onnx_ir

    model = onnx_ir.load(path)
    graph, one = model.graph, onnx_ir.Shape([1])
    for position, value in enumerate(graph.inputs):
        if value.shape is not None and value.shape.rank() == 0:
            given = onnx_ir.Value(name=value.name, type=value.type, shape=one)
            value.name = _free_name(model, f"{value.name}_without_dimension")
            graph.inputs[position] = given
            shrunk = onnx_ir.node("Squeeze", [given])
            onnx_ir.convenience.replace_all_uses_with(value, shrunk.outputs[0])
            shrunk.outputs[0].name, shrunk.outputs[0].type, shrunk.outputs[0].shape = value.name, value.type, value.shape
            graph.insert_before(graph[0], shrunk)
    for position, value in enumerate(graph.outputs):
        if value.shape is not None and value.shape.rank() == 0:
            name, value.name = value.name, _free_name(model, f"{value.name}_without_dimension")
            # As a tensor, which every version of Constant takes.
            sizes = onnx_ir.tensor([1], dtype=onnx_ir.DataType.INT64)
            shape = onnx_ir.node("Constant", [], attributes={"value": sizes})
            shape.outputs[0].name = _free_name(model, f"{name}_dimension")
            grown = onnx_ir.node("Reshape", [value, shape.outputs[0]])
            grown.outputs[0].name, grown.outputs[0].type, grown.outputs[0].shape = name, value.type, one
            graph.extend([shape, grown])
            graph.outputs[position] = grown.outputs[0]
    onnx_ir.save(model, path)


def _read_instead(graph: Any, value: Any, first: Any) -> None:
    """Let everything that reads a program's input read it without its dimension."""
    shrunk = graph.create("aten::squeeze", [value], 1)
    shrunk.insertBefore(first)
    value.replaceAllUsesAfterNodeWith(shrunk, shrunk.output())


def _free_name(model: onnx_ir.Model, name: str) -> str:
    graph = model.graph
    taken = {value.name for node in graph.all_nodes() for value in node.outputs}
    taken |= {value.name for value in (*graph.inputs, *graph.initializers.values())}
    while name in taken:
        name += "_"
    return name
