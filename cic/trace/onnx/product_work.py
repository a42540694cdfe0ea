"""Floating-point operations of products in ONNX, as `cic.trace.fx.product_work` counts them; and the steps of recurrent layers.

A formula takes the node and the elements of its first result, and raises TypeError, IndexError, ValueError or KeyError where
a shape is not known. ONNX Runtime's own ops, which its optimiser writes, are among them.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import onnx_ir as ir

from cic.trace.einsum_work import einsum_flops
from cic.trace.element_work import fourier_flops
from cic.trace.onnx.values import bytes_of, known_shape, shape_of
from cic.trace.recurrent_work import Steps

Formula = Callable[[ir.Node, int], int]
_RECURRENT = ("LSTM", "GRU", "RNN")


def recurrent_steps(node: ir.Node) -> Steps:
    """How often a recurrent layer starts its kernels again, and what that reads again; zero for other nodes.

    Weights have the directions first: (directions, gates x hidden, inputs); a sequence has (steps, batch, inputs), or (batch,
    steps, inputs) with layout 1.
    """
    if node.op_type not in _RECURRENT or not (shape := shape_of(node.inputs[0])):
        return Steps()
    layout = node.attributes.get("layout")
    steps = shape[1 if layout is not None and layout.as_int() == 1 else 0]
    state = shape_of(node.inputs[2])
    if not state or steps < 1:
        return Steps()
    return Steps(steps * state[0] - 1, (steps - 1) * bytes_of(node.inputs[2]))


def _recurrent(node: ir.Node, _made: int) -> int:
    """Each step multiplies by both weight matrices once."""
    rows = math.prod(known_shape(node.inputs[0])[:-1])
    return 2 * rows * (math.prod(known_shape(node.inputs[1])) + math.prod(known_shape(node.inputs[2])))


def _convolution(weight: int) -> Formula:
    def count(node: ir.Node, made: int) -> int:
        has_bias = node.op_type not in ("QLinearConv", "ConvInteger") and len(node.inputs) > 2
        return 2 * made * math.prod(known_shape(node.inputs[weight])[1:]) + (made if has_bias else 0)

    return count


def _transposed_convolution(node: ir.Node, made: int) -> int:
    bias = made if len(node.inputs) > 2 else 0
    return 2 * math.prod(known_shape(node.inputs[0])) * math.prod(known_shape(node.inputs[1])[1:]) + bias


def _deformed_convolution(node: ir.Node, made: int) -> int:
    source, weight, out = (known_shape(value) for value in (node.inputs[0], node.inputs[1], node.outputs[0]))
    return 2 * made * math.prod(weight[1:]) + 8 * source[1] * (made // out[1]) * math.prod(weight[2:])


def _gemm(node: ir.Node, made: int) -> int:
    turned = node.attributes.get("transA")
    inner = known_shape(node.inputs[0])[0 if turned is not None and turned.as_int() else 1]
    return made * (2 * inner + (len(node.inputs) > 2))


def _product(node: ir.Node, made: int) -> int:
    return 2 * made * known_shape(node.inputs[0])[-1]


def _einsum(node: ir.Node, _made: int) -> int:
    return einsum_flops(node.attributes["equation"].as_string(), [known_shape(value) for value in node.inputs])


def _attention(node: ir.Node, _made: int) -> int:
    """Heads stand in an axis of their own or share the last one: either way each score is a product over the width."""
    query, key, value = (known_shape(value) for value in node.inputs[:3])
    if len(query) == 4:
        scores = math.prod(query[:3]) * key[2]
        return 2 * scores * (query[3] + value[3]) + 7 * scores
    heads = next(node.attributes[name].as_int() for name in ("q_num_heads", "num_heads") if name in node.attributes)
    rows = math.prod(query[:-1]) * key[1]
    return 2 * rows * (query[-1] + value[-1]) + 7 * heads * rows


def _determinant(node: ir.Node, _made: int) -> int:
    shape = known_shape(node.inputs[0])
    return math.ceil(2 / 3 * math.prod(shape) * shape[-1])


def _fourier(node: ir.Node, made: int) -> int:
    """A complex value is two numbers in the last axis."""
    axis = node.attributes.get("axis")
    shape = known_shape(node.outputs[0])
    # Since version 20 the axis is an input, which is a constant as a rule; the last but one is usual.
    given = ir.convenience.get_const_tensor(node.inputs[2]) if len(node.inputs) > 2 and node.inputs[2] is not None else None
    chosen = int(given.numpy()) if given is not None else axis.as_int() if axis is not None else -2
    return fourier_flops(made // 2, max(shape[chosen], known_shape(node.inputs[0])[chosen]))


def _short_time_fourier(node: ir.Node, _made: int) -> int:
    frames, bins = known_shape(node.outputs[0])[1:3]
    one_sided = node.attributes.get("onesided")
    length = 2 * (bins - 1) if one_sided is None or one_sided.as_int() else bins
    return fourier_flops(known_shape(node.outputs[0])[0] * frames * length, length)


def _non_maximum_suppression(node: ir.Node, _made: int) -> int:
    """Every box is compared with every better one, in each class: at worst, which random scores come near."""
    scores = known_shape(node.inputs[1])
    return 8 * math.prod(scores) * math.ceil(math.log2(max(scores[-1], 2)))


PRODUCTS: dict[str, Formula] = {
    **dict.fromkeys(("Conv", "ConvInteger", "FusedConv", "NhwcFusedConv", "NhwcConv"), _convolution(1)),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "DeformConv": _deformed_convolution,
    **dict.fromkeys(("Gemm", "FusedGemm", "QGemm"), _gemm),
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul", "FusedMatMul", "MatMulIntegerToFloat"), _product),
    **dict.fromkeys(("DynamicQuantizeMatMul", "MatMulNBits"), _product),
    **dict.fromkeys(_RECURRENT, _recurrent),
    "Einsum": _einsum,
    **dict.fromkeys(("Attention", "MultiHeadAttention"), _attention),
    "Det": _determinant,
    "DFT": _fourier,
    "STFT": _short_time_fourier,
    "NonMaxSuppression": _non_maximum_suppression,
}
