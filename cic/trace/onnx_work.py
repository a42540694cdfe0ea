"""How much work an ONNX node is, by the same count as `cic.trace.work`, and what CIC calls its kind."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import onnx_ir as ir

from codegen.onnx_wiring import bodies, reads

# Where a kind is not the op's own name in snake case; the rule *fuse* knows these names.
_KINDS = {
    "BatchNormalization": "batch_norm", "LayerNormalization": "layer_norm", "InstanceNormalization": "instance_norm",
    "GroupNormalization": "group_norm", "RMSNormalization": "rms_norm", "HardSwish": "hardswish", "Swish": "silu",
    "HardSigmoid": "hardsigmoid", "PRelu": "prelu", "Cast": "to", "Not": "logical_not", "And": "logical_and",
    "Or": "logical_or", "Xor": "logical_xor", "Equal": "eq", "Less": "lt", "LessOrEqual": "le", "Greater": "gt",
    "GreaterOrEqual": "ge", "Mod": "remainder", "Concat": "cat", "Max": "maximum", "Min": "minimum", "MatMul": "matmul",
    "Gemm": "linear", "ThresholdedRelu": "threshold", "QuickGelu": "gelu",
}  # fmt: skip
# Operations per element of the output, exponentials counted as 4.
_PER_OUTPUT = {
    "batch_norm": 2, "layer_norm": 8, "group_norm": 8, "instance_norm": 8, "rms_norm": 6, "softmax": 7, "log_softmax": 7,
    "sigmoid": 6, "tanh": 8, "silu": 7, "gelu": 12, "mish": 14, "elu": 6, "selu": 7, "celu": 6, "softplus": 9, "hardswish": 5,
    "hardsigmoid": 4, "exp": 4, "log": 4, "pow": 4, "erf": 8, "sin": 4, "cos": 4, "sqrt": 2, "lrn": 8, "resize": 8,
    "grid_sample": 16, "quantize_linear": 3, "dequantize_linear": 2,
}  # fmt: skip
_PER_INPUT = re.compile(r"reduce_.*|global_.*|arg_max|arg_min|cum_sum|top_k|non_zero|hardmax|mean_variance_normalization")
_MOVES = frozenset(
    [
        "cat",
        "split",
        "slice",
        "gather",
        "gather_elements",
        "gather_nd",
        "pad",
        "tile",
        "expand",
        "reshape",
        "transpose",
        "flatten",
        "squeeze",
        "unsqueeze",
        "identity",
        "to",
        "where",
        "space_to_depth",
        "depth_to_space",
        "shape",
        "size",
        "constant_of_shape",
        "range",
        "reverse_sequence",
        "compress",
        "dropout",
        "cast_like",
        "scatter_nd",
        "scatter_elements",
        "scatter",
        "one_hot",
    ]
)
_LOOK_UPS = frozenset(["gather", "gather_elements", "gather_nd", "slice"])


def kind_of(node: ir.Node) -> str:
    """Return what a node does in the words of the torch tracer: "conv2d", "batch_norm"; "domain.Name" for foreign ops."""
    if node.op_type in ("Conv", "ConvTranspose"):
        shape = _shape(node.inputs[1])
        rank = "" if shape is None else f"{len(shape) - 2}d"
        return ("conv" if node.op_type == "Conv" else "conv_transpose") + rank
    if node.domain not in ("", "ai.onnx"):
        return f"{node.domain}.{node.op_type}"
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", node.op_type).lower()
    return _KINDS.get(node.op_type, snake)


def flops_of(node: ir.Node) -> int:
    """Return the floating-point operations of a node, multiply and add counted separately, from its shapes.

    A branch counts as its dearest body, a loop as its trip count times its body where the count is known, else as one pass.
    """
    inner = [sum(map(flops_of, body)) for body in bodies(node)]
    if inner:
        return max(inner) * _trips(node)
    formula, kind = _PRODUCTS.get(node.op_type), kind_of(node)
    made = _elements(node.outputs[0]) if node.outputs else 0
    if kind in _MOVES:
        return 0
    if formula is not None:
        try:
            return int(formula(node, made))
        except (TypeError, IndexError, ValueError):  # a shape is not known: count it as elementwise
            return made
    if node.op_type in ("MaxPool", "AveragePool", "LpPool"):
        kernel = node.attributes.get("kernel_shape")
        return made * (math.prod(kernel.as_ints()) if kernel is not None else 1)
    if _PER_INPUT.fullmatch(kind) and node.inputs:
        return _elements(node.inputs[0])
    return made * _PER_OUTPUT.get(kind, 1)


def traffic_of(node: ir.Node) -> int:
    """Return the bytes a node must read and write, weights included; of what it only looks things up in, what comes out."""
    made = sum(map(bytes_of, node.outputs))
    sources = [bytes_of(value) for value in reads(node)]
    if kind_of(node) in _LOOK_UPS and sources:
        sources[0] = min(sources[0], made)
    return sum(sources) + made


def bytes_of(value: ir.Value | None) -> int:
    """Return the size of a tensor when contiguous; 0 where it is not known."""
    if value is None or value.dtype is None or value.dtype in (ir.DataType.UNDEFINED, ir.DataType.STRING):
        return 0
    return math.ceil(_elements(value) * value.dtype.itemsize)


def _elements(value: ir.Value | None) -> int:
    shape = _shape(value)
    return 0 if shape is None else math.prod(shape)


def _shape(value: ir.Value | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    shape = value.shape
    if shape is None and value.const_value is not None:
        return tuple(int(size) for size in value.const_value.shape)  # type: ignore[arg-type]
    return shape.numpy() if shape is not None and shape.is_static() else None


def _known(value: ir.Value | None) -> tuple[int, ...]:
    shape = _shape(value)
    if shape is None:
        raise ValueError("unknown shape")
    return shape


def _trips(node: ir.Node) -> int:
    if node.op_type == "Loop" and node.inputs[0] is not None and node.inputs[0].const_value is not None:
        return max(1, min(int(node.inputs[0].const_value.numpy().reshape(-1)[0]), 2**20))
    if node.op_type == "Scan" and node.inputs and (shape := _shape(node.inputs[-1])):
        return max(1, shape[0])
    return 1


def _convolution(weight: int) -> Callable[[ir.Node, int], int]:
    def count(node: ir.Node, made: int) -> int:
        bias = made if node.op_type == "Conv" and len(node.inputs) > 2 else 0
        return 2 * made * math.prod(_known(node.inputs[weight])[1:]) + bias

    return count


def _transposed_convolution(node: ir.Node, made: int) -> int:
    bias = made if len(node.inputs) > 2 else 0
    return 2 * math.prod(_known(node.inputs[0])) * math.prod(_known(node.inputs[1])[1:]) + bias


def _gemm(node: ir.Node, made: int) -> int:
    turned = node.attributes.get("transA")
    inner = _known(node.inputs[0])[0 if turned is not None and turned.as_int() else 1]
    return made * (2 * inner + (len(node.inputs) > 2))


def _recurrent(node: ir.Node, made: int) -> int:
    """Each step multiplies by both weight matrices once."""
    steps = math.prod(_known(node.inputs[0])[:-1])
    return 2 * steps * (math.prod(_known(node.inputs[1])) + math.prod(_known(node.inputs[2])))


def _einsum(node: ir.Node, made: int) -> int:
    """Count one multiply-add for each combination of all indices, as a loop nest would do it."""
    sizes: dict[str, int] = {}
    terms = node.attributes["equation"].as_string().replace(" ", "").split("->")[0].split(",")
    for term, value in zip(terms, node.inputs, strict=True):
        head, dots, tail = term.partition("...")
        shape = _known(value)
        middle = [f".{index}" for index in range(len(shape) - len(head) - len(tail))] if dots else []
        for label, size in zip([*head, *middle, *tail], shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return 2 * math.prod(sizes.values())


_PRODUCTS: dict[str, Callable[[ir.Node, int], int]] = {
    "Conv": _convolution(1),
    "ConvInteger": _convolution(1),
    "QLinearConv": _convolution(3),
    "ConvTranspose": _transposed_convolution,
    "Gemm": _gemm,
    **dict.fromkeys(("MatMul", "MatMulInteger", "QLinearMatMul"), lambda node, made: 2 * made * _known(node.inputs[0])[-1]),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), _recurrent),
    "Einsum": _einsum,
}
