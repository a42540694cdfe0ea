"""Puts the normalisation of pictures in front of an ONNX model, so that the model takes pixels.

The first nodes are those that were declared, in float32 and in that order: Cast, Div, Sub, Div. Steps that change nothing,
such as a mean of 0, are left out. All other nodes stay what they are, so that a profile of the bare model prices them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import onnx_ir as ir
import torch

from cic.codec.pixels import PixelForm
from cic.errors import TraceError
from cic.trace.fusion import fuse
from cic.trace.onnx.graph_building import build_onnx_graph, staying
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.pixel_inputs import PixelInputs
from codegen.splitters.onnx_wiring import all_nodes

PREFIX = "normalisation"
# Since that version of the operators, Div and Sub repeat an operand of one number, or one a channel, as often as is needed.
_REPEATS_OPERANDS = 7
# The operator of each step, the name of its result, and of the constant it reads.
_STEPS = (("Div", "scaled", "scale"), ("Sub", "centred", "mean"), ("Div", "normalised", "std"))


def with_pixel_front(traced: OnnxModel, inputs: PixelInputs, pixels: Sequence[torch.Tensor]) -> OnnxModel:
    """The model that takes pixels where `inputs` says so, and `pixels` as example inputs; the one given is left as it is.

    Raises CodecError for a normalisation of other channels than an input has, TraceError for operators that are too old.
    """
    version = traced.model.opset_imports.get("", _REPEATS_OPERANDS)
    if version < _REPEATS_OPERANDS:
        raise TraceError(
            f"{traced.path} has version {version} of the operators, in which no normalisation can be put in front of it;"
            f" convert it to version {_REPEATS_OPERANDS} or later (onnx.version_converter)"
        )
    model = traced.model.clone()
    taken = {str(value.name) for node in all_nodes(model.graph) for value in node.outputs}
    taken |= {str(value.name) for value in (*model.graph.inputs, *model.graph.initializers.values())}
    made = [
        _put_in_front(model.graph, place, inputs.form, _free(f"{PREFIX}_{place}", taken))
        for place, dtype in enumerate(inputs.dtypes)
        if dtype is not None
    ]
    unfused = build_onnx_graph(model, traced.graph.name, staying(model.graph))
    return replace(
        traced,
        graph=fuse(unfused, made),
        model=model,
        kwargs=dict(zip(traced.kwargs, pixels, strict=True)),
        unfused=unfused,
        pixel_inputs=inputs,
    )


def _free(stem: str, taken: set[str]) -> str:
    while any(name.startswith(stem) for name in taken):
        stem += "_"
    return stem


def _put_in_front(graph: ir.Graph, place: int, form: PixelForm, name: str) -> str:
    """Make an input of floats one of pixels, of the same name, and let its readers read floats made of it.

    Returns the name of these floats.
    """
    floats = graph.inputs[place]
    pixels = ir.Value(name=floats.name, shape=floats.shape, type=ir.TensorType(ir.DataType.UINT8))
    nodes = list(_steps(graph, pixels, floats, form, name))
    ir.convenience.replace_all_uses_with(floats, nodes[-1].outputs[0], replace_graph_outputs=True)
    graph.inputs[place] = pixels
    if len(graph):
        graph.insert_before(graph[0], nodes)
    else:
        graph.extend(nodes)
    return str(nodes[-1].outputs[0].name)


def _steps(graph: ir.Graph, pixels: ir.Value, floats: ir.Value, form: PixelForm, name: str) -> Iterator[ir.Node]:
    assert floats.shape is not None and floats.dtype is not None, "inputs are bound"
    shape = floats.shape.numpy()
    last = _node("Cast", [pixels], name, floats.shape, ir.DataType.FLOAT)
    yield last
    for (kind, made, by), figures in zip(_STEPS, form.steps(shape, str(pixels.name)), strict=True):
        if figures is not None:
            constant = _constant(graph, figures, f"{name}_{by}")
            last = _node(kind, [last.outputs[0], constant], f"{name}_{made}", floats.shape, ir.DataType.FLOAT)
            yield last
    if floats.dtype != ir.DataType.FLOAT:
        yield _node("Cast", [last.outputs[0]], f"{name}_last", floats.shape, floats.dtype)


def _node(kind: str, inputs: list[ir.Value], name: str, shape: ir.Shape, dtype: ir.DataType) -> ir.Node:
    attributes = [ir.AttrInt64("to", dtype)] if kind == "Cast" else []
    made = ir.Value(name=name, shape=shape, type=ir.TensorType(dtype))
    return ir.Node("", kind, inputs, attributes, name=name, outputs=[made])


def _constant(graph: ir.Graph, figures: np.ndarray, name: str) -> ir.Value:
    value = ir.Value(
        name=name, shape=ir.Shape(figures.shape), type=ir.TensorType(ir.DataType.FLOAT), const_value=ir.tensor(figures)
    )
    graph.register_initializer(value)
    return value
