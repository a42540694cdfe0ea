"""What is known of a value of an ONNX model: its shape, its bytes, and the quantised value it shows as floats."""

from __future__ import annotations

import math

import onnx_ir as ir

from cic.trace.element_work import arithmetic_of

_DEQUANTISES = frozenset(["DequantizeLinear", "DequantizeBFP"])
_LAYOUT = frozenset(["Reshape", "Transpose", "Flatten", "Squeeze", "Unsqueeze", "Identity"])


def is_dequantisation(node: ir.Node | None) -> bool:
    """Tell whether a node makes floats of one quantised tensor."""
    return node is not None and node.op_type in _DEQUANTISES


def dequantised(value: ir.Value) -> ir.Value:
    """Return the quantised value that `value` shows as floats, perhaps in another layout; itself if it shows none."""
    node = value.producer()
    while node is not None and node.inputs and node.inputs[0] is not None:
        if is_dequantisation(node):
            return node.inputs[0]
        if node.op_type not in _LAYOUT:
            break
        node = node.inputs[0].producer()
    return value


def shape_of(value: ir.Value | None) -> tuple[int, ...] | None:
    """The sizes of a value where all are known."""
    if value is None:
        return None
    shape = value.shape
    if shape is None and value.const_value is not None:
        return tuple(int(size) for size in value.const_value.shape)  # type: ignore[arg-type]
    return shape.numpy() if shape is not None and shape.is_static() else None


def known_shape(value: ir.Value | None) -> tuple[int, ...]:
    """The sizes of a value; ValueError if they are not known."""
    shape = shape_of(value)
    if shape is None:
        raise ValueError("unknown shape")
    return shape


def elements(value: ir.Value | None) -> int:
    """How many numbers a value holds; 0 where that is not known."""
    shape = shape_of(value)
    return 0 if shape is None else math.prod(shape)


def bytes_of(value: ir.Value | None) -> int:
    """Return the size of a tensor when contiguous; 0 where it is not known."""
    if value is None or value.dtype is None or value.dtype in (ir.DataType.UNDEFINED, ir.DataType.STRING):
        return 0
    return math.ceil(elements(value) * value.dtype.itemsize)


def type_name(value: ir.Value | None) -> str:
    """The name of the type that products of such values are calculated in."""
    if value is None or value.dtype is None or value.dtype in (ir.DataType.UNDEFINED, ir.DataType.STRING):
        return "float32"
    return arithmetic_of(str(value.dtype.numpy().name))
