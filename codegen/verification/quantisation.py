"""How far one rounding step of a quantised ONNX model moves its outputs.

A value that lies halfway between two steps is rounded up or down as the last bit before it says, and that depends on how the
runtime fuses and orders what comes before. So two right answers may differ by a step.
"""

from __future__ import annotations

import onnx_ir as ir

from codegen.rounding import Step
from codegen.splitters.onnx_wiring import constants, reads

# The largest value of each integer type with a sign, or half the range of one without: so many steps make up a scale.
_STEPS = {"INT2": 1, "UINT2": 1, "INT4": 7, "UINT4": 7, "INT8": 127, "UINT8": 127, "INT16": 2**15 - 1, "UINT16": 2**15 - 1}
# Where these move or pick values, a step stays a step.
_MOVES = (
    "Reshape",
    "Transpose",
    "Flatten",
    "Squeeze",
    "Unsqueeze",
    "Identity",
    "Dropout",
    "Slice",
    "Gather",
    "Concat",
    "Split",
)
_PICKS = ("MaxPool", "AveragePool", "GlobalAveragePool", "Relu", "Clip", "Pad", "Expand", "Tile", "Sigmoid", "Tanh", "Softmax")
_PASS_ON = frozenset((*_MOVES, *_PICKS))
_ROUNDS = ("QuantizeLinear", "DynamicQuantizeLinear", "QLinear")  # and what begins so, such as QLinearConv


def steps_of(model: ir.Model) -> list[Step]:
    """Return the step of each output; zero for outputs that no rounding precedes.

    Exact for what a DequantizeLinear gives out, for a view of it, and where what follows is no steeper than the identity; else
    the share is that of the coarsest type rounded to on the way.
    """
    fixed = constants(model.graph)
    absolute: dict[ir.Value, float | None] = {}
    relative: dict[ir.Value, float] = {}
    for node in model.graph:
        given = [value for value in reads(node) if value not in fixed]
        share = max((relative.get(value, 0.0) for value in given), default=0.0)
        if node.op_type.startswith(_ROUNDS) and given:
            share = max(share, 1 / _STEPS.get(_type(node.outputs[0]), 127))
        for value in node.outputs:
            relative[value] = share
            absolute[value] = 0.0 if share == 0 else _absolute(node, given, absolute)
    return [_step(absolute.get(value, 0.0), relative.get(value, 0.0)) for value in model.graph.outputs]


def _step(absolute: float | None, relative: float) -> Step:
    return Step(relative=relative) if absolute is None else Step(absolute=absolute)


def _absolute(node: ir.Node, given: list[ir.Value], known: dict[ir.Value, float | None]) -> float | None:
    """Return by how much one step moves the results of a node, None if that cannot be read off."""
    if node.op_type.startswith(_ROUNDS):
        return 1.0
    if node.op_type == "DequantizeLinear":
        scale = None if node.inputs[1] is None else ir.convenience.get_const_tensor(node.inputs[1])
        return None if scale is None else float(abs(scale.numpy()).max())
    steps = [known.get(value, 0.0) for value in given]
    if node.op_type not in _PASS_ON or None in steps:
        return None
    return max((step for step in steps if step is not None), default=0.0)


def _type(value: ir.Value) -> str:
    return "" if value.dtype is None else value.dtype.name
