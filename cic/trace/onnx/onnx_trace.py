"""From an ONNX file to a `Graph` of priced, fused ops, and the model the graph talks about.

file → read → functions inlined, nodes named → inputs bound to fixed shapes → shapes inferred → ops and tensors
     → fused runs

Weights outside the file are left there; a file may be larger than the 2 GB that a protobuf message can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes.common import InlinePass

from cic.errors import TraceError
from cic.trace.fusion import fuse
from cic.trace.onnx.equal_quantisers import merge_equal_quantisers
from cic.trace.onnx.graph_building import TYPES, build_onnx_graph, dtype_name, staying
from cic.trace.onnx.inputs import bind, draw, given_by_name
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.onnx.reading import read_onnx
from cic.trace.onnx.shapes import Sizes, fix_shapes
from codegen.splitters.onnx import LIMITED, UNSURE
from codegen.splitters.onnx_wiring import RANDOM, all_nodes

Shape = Sequence[int]
_SEED = 0
_FIRST_TO_LEARN, _SAYS_SO = 9, 14
"""The versions of the operators in which a batch normalisation is trained by ONNX Runtime, and says so by an attribute."""


def trace_onnx(
    path: str | Path | onnx.ModelProto,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    shapes: Mapping[str, Shape] | None = None,
    name: str | None = None,
) -> OnnxModel:
    """Read an ONNX file, or a model in memory, as a graph of fixed shapes.

    args, kwargs: example inputs (torch tensors), in the order of the model's inputs or by name; others are drawn.
    shapes: input name → shape, for inputs whose file leaves a dimension open and that have no example.

    Raises TraceError, naming file and input or node, if the file is damaged or no model that ONNX Runtime opens, an input's
    shape is open or disagrees, a node draws random numbers or is in training mode, or an output is no tensor or has a size
    that the data decides without a limit.
    """
    file = read_onnx(path)
    model = file.model
    _normalise(model, file.name)
    examples = given_by_name(model, file.name, args, kwargs or {})
    bind(model, file.name, {key: tuple(value.shape) for key, value in examples.items()}, dict(shapes or {}))
    generator = torch.Generator().manual_seed(_SEED)
    inputs = {}
    for value in model.graph.inputs:
        key = str(value.name)
        inputs[key] = examples[key] if key in examples else draw(value, generator)
    declared = {value: value.shape for value in model.graph.outputs}
    sizes = fix_shapes(model, inputs)
    _check_outputs(model, file.name, declared, sizes)
    for value in sizes.unsure:
        value.meta[UNSURE] = True
    unsure = staying(model.graph)
    unfused = build_onnx_graph(model, name or _usual_name(file.content, model), unsure)
    return OnnxModel(fuse(unfused), model, file.content, file.name, inputs, unfused)


def _usual_name(content: Path | bytes, model: ir.Model) -> str:
    return content.stem if isinstance(content, Path) else str(model.graph.name or "model")


def _normalise(model: ir.Model, path: str) -> None:
    """Inline functions, drop what nobody reads or is there twice, name all nodes; weights that double as inputs are weights.

    An output that is there twice is one output: answers are known by name.
    """
    graph = model.graph
    try:
        if model.functions:
            InlinePass()(model)
    except Exception as error:
        raise TraceError(f"{path}: its functions cannot be inlined: {error}; export it without functions") from error
    inputs = [value for value in graph.inputs if value.name not in graph.initializers]
    graph.inputs.clear()
    graph.inputs.extend(inputs)
    outputs = list(dict.fromkeys(graph.outputs))
    graph.outputs.clear()
    graph.outputs.extend(outputs)
    merge_equal_quantisers(graph)
    for node in reversed(list(graph)):
        if not any(value.uses() or value.is_graph_output() for value in node.outputs):
            graph.remove(node, safe=True)
    taken: set[str] = set()
    for node in all_nodes(graph):
        stem = name = node.name or node.op_type
        count = 0
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        node.name = name
        if node.op_type in RANDOM or _drops(node):
            raise TraceError(
                f"{path}: node {node.name!r} ({node.op_type}) draws random numbers; export the model for inference"
            )
        if _learns(node, model.opset_imports):
            raise TraceError(
                f"{path}: node {node.name!r} ({node.op_type}) is in training mode, in which ONNX Runtime changes its statistics"
                " with every call, so that no two answers are alike; export the model for inference"
            )
    if not graph.inputs:
        raise TraceError(f"{path} has no input, so there is nothing to split")


def _drops(node: ir.Node) -> bool:
    if node.op_type != "Dropout" or len(node.inputs) < 3 or node.inputs[2] is None:
        return False
    mode = ir.convenience.get_const_tensor(node.inputs[2])
    return mode is None or bool(mode.numpy().any())


def _learns(node: ir.Node, opsets: Mapping[str, int]) -> bool:
    """Tell whether a batch normalisation goes by the batch, and writes into its own weights."""
    if node.op_type != "BatchNormalization" or node.domain not in ("", "ai.onnx"):
        return False
    if "training_mode" in node.attributes:
        return node.attributes["training_mode"].as_int() != 0
    # Before there was that attribute, who asked for the new statistics asked for training.
    return _FIRST_TO_LEARN <= opsets.get("", 0) < _SAYS_SO and len(node.outputs) > 1


def _check_outputs(model: ir.Model, path: str, declared: Mapping[ir.Value, ir.Shape | None], sizes: Sizes) -> None:
    for value in model.graph.outputs:
        if not isinstance(value.type, ir.TensorType) or dtype_name(value) == "string":
            raise TraceError(f"{path}: output {value.name!r} is of type {value.type}; only tensors of numbers can be sent back")
        if dtype_name(value) not in TYPES:
            raise TraceError(
                f"{path}: output {value.name!r} is of type {dtype_name(value)}, which ONNX Runtime does not hand out;"
                f" use one of {', '.join(sorted(TYPES))}"
            )
        counting, said = sizes.unsure.get(value), declared[value]
        # Whoever counts and then fills up to a fixed size says so in the file.
        promised = said is not None and said.is_static() and said == value.shape
        if value not in sizes.varying and (counting is None or promised):
            continue
        if value in sizes.limited:
            value.meta[LIMITED] = sizes.limited[value]
        else:
            why = f"node {counting.name!r}, {counting.op_type}" if counting is not None else "it differed between trial runs"
            raise TraceError(
                f"{path}: output {value.name!r} has a size that depends on the data ({why}) and has no known limit; fill it up"
                " to a fixed size, or end the model before that step (onnx.utils.extract_model)"
            )
