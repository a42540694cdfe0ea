"""How much work an ONNX node is, by the same count as `cic.trace.fx.work`, and what CIC calls its kind.

Kinds are the names of torch's operators where ONNX has the same op, so that one table prices both.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import onnx_ir as ir

from cic.trace.element_work import element_flops, looks_up, moves_only, operations_per_flop
from cic.trace.onnx.product_work import PRODUCTS, recurrent_steps
from cic.trace.onnx.values import bytes_of, dequantised, elements, shape_of, type_name
from cic.trace.recurrent_work import Steps
from codegen.splitters.onnx_wiring import bodies, reads

# Where a kind is not the op's own name in snake case; the rule *fuse* knows these names.
_KINDS = {
    "BatchNormalization": "batch_norm", "LayerNormalization": "layer_norm", "InstanceNormalization": "instance_norm",
    "GroupNormalization": "group_norm", "RMSNormalization": "rms_norm", "HardSwish": "hardswish", "Swish": "silu",
    "HardSigmoid": "hardsigmoid", "PRelu": "prelu", "Cast": "to", "Not": "logical_not", "And": "logical_and",
    "Or": "logical_or", "Xor": "logical_xor", "Equal": "eq", "Less": "lt", "LessOrEqual": "le", "Greater": "gt",
    "GreaterOrEqual": "ge", "Mod": "remainder", "Concat": "cat", "Max": "maximum", "Min": "minimum", "MatMul": "matmul",
    "Gemm": "linear", "ThresholdedRelu": "threshold", "QuickGelu": "gelu", "ReduceMean": "mean", "ReduceSum": "sum",
    "ReduceMax": "amax", "ReduceMin": "amin", "ReduceProd": "prod", "ReduceL2": "norm", "ReduceL1": "norm",
    "ReduceLogSumExp": "logsumexp", "ArgMax": "argmax", "ArgMin": "argmin", "TopK": "topk", "CumSum": "cumsum",
    "QuantizeLinear": "quantize_linear", "DequantizeLinear": "dequantize_linear",
    "LRN": "local_response_norm", "GridSample": "grid_sampler", "RoiAlign": "roi_align", "Tile": "repeat", "Einsum": "einsum",
    "DeformConv": "deform_conv2d", "Det": "linalg_det", "DFT": "fft_c2c", "STFT": "stft", "Col2Im": "col2im",
    "GatherElements": "gather_elements", "GatherND": "gather_nd", "NonZero": "nonzero", "MatMulInteger": "matmul",
    "QLinearMatMul": "matmul", "DynamicQuantizeLinear": "dynamic_quantize_linear", "LSTM": "lstm", "GRU": "gru",
    "Attention": "scaled_dot_product_attention", "Scan": "loop", "Loop": "loop", "If": "cond",
    "LpNormalization": "normalize", "SkipLayerNormalization": "layer_norm", "SimplifiedLayerNormalization": "rms_norm",
    "SkipSimplifiedLayerNormalization": "rms_norm", "FusedMatMul": "matmul", "FusedGemm": "linear", "BiasGelu": "gelu",
    "FastGelu": "gelu", "MatMulIntegerToFloat": "matmul", "DynamicQuantizeMatMul": "matmul", "MatMulNBits": "matmul",
    "QGemm": "linear", "QLinearAdd": "add", "QLinearMul": "mul", "QLinearSigmoid": "sigmoid", "QLinearLeakyRelu":
    "leaky_relu", "QLinearConcat": "cat", "QLinearSoftmax": "softmax", "MultiHeadAttention": "scaled_dot_product_attention",
}  # fmt: skip
_CONVOLUTIONS = {
    "Conv": 1, "ConvInteger": 1, "QLinearConv": 3, "FusedConv": 1, "NhwcFusedConv": 1, "NhwcConv": 1, "ConvTranspose": 1
}  # fmt: skip
_POOLS = {"MaxPool": "max_pool", "AveragePool": "avg_pool", "LpPool": "lp_pool", "QLinearAveragePool": "avg_pool"}
_GLOBAL_POOLS = {
    "GlobalAveragePool": "adaptive_avg_pool", "GlobalMaxPool": "adaptive_max_pool", "QLinearGlobalAveragePool":
    "adaptive_avg_pool",
}  # fmt: skip
_RUNTIME = "com.microsoft"  # ONNX Runtime's own ops, which its optimiser writes
_LONGEST_LOOP = 2**20


@dataclass(frozen=True, slots=True)
class NodeWork:
    """flops, memory_bytes, arithmetic, starts and reread_bytes of a node as `cic.graph.Op` has them."""

    flops: int
    memory_bytes: int
    arithmetic: str
    steps: Steps


def kind_of(node: ir.Node) -> str:
    """Return what a node does in the words of the torch tracer: "conv2d", "batch_norm"; "domain.Name" for foreign ops."""
    if node.domain not in ("", "ai.onnx", _RUNTIME):
        return f"{node.domain}.{node.op_type}"
    if node.op_type in _CONVOLUTIONS:
        name = "conv_transpose" if node.op_type == "ConvTranspose" else "conv"
        return f"{name}{_rank(node.inputs[_CONVOLUTIONS[node.op_type]])}"
    if pool := _POOLS.get(node.op_type) or _GLOBAL_POOLS.get(node.op_type):
        return f"{pool}{_rank(node.inputs[0])}"
    if node.op_type in ("Resize", "Upsample"):
        return _scaling(node)
    if node.op_type == "RNN":
        names = node.attributes.get("activations")
        return "rnn_relu" if names is not None and "Relu" in names.as_strings() else "rnn_tanh"
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", node.op_type).lower()
    foreign = node.domain == _RUNTIME and node.op_type not in _KINDS
    return f"{node.domain}.{node.op_type}" if foreign else _KINDS.get(node.op_type, snake)


def work_of(node: ir.Node) -> NodeWork:
    """Return the work of a node from its shapes; a branch counts as its dearest body, a loop as all its trips if known."""
    inner = [_of_body(body) for body in bodies(node)]
    moved = traffic_of(node)
    if not inner:
        return NodeWork(flops_of(node), moved, arithmetic_type(node), recurrent_steps(node))
    main, trips = max(inner, key=lambda work: work.flops), _trips(node)
    starts, again = trips * main.steps.starts, trips * main.steps.reread_bytes
    if trips > 1:
        count = max(sum(1 for _ in body) for body in bodies(node))
        starts, again = starts + trips * count - 1, again + (trips - 1) * main.memory_bytes
    return NodeWork(trips * main.flops, moved, main.arithmetic, Steps(starts, again))


def _of_body(body: ir.Graph) -> NodeWork:
    parts = [work_of(node) for node in body]
    if not parts:
        return NodeWork(0, 0, "float32", Steps())
    steps = Steps(sum(part.steps.starts for part in parts), sum(part.steps.reread_bytes for part in parts))
    arithmetic = max(parts, key=lambda part: part.flops).arithmetic
    return NodeWork(sum(part.flops for part in parts), sum(part.memory_bytes for part in parts), arithmetic, steps)


def flops_of(node: ir.Node) -> int:
    """Return the floating-point operations of a node, multiply and add counted separately, from its shapes."""
    formula, kind = PRODUCTS.get(node.op_type), kind_of(node)
    made = elements(node.outputs[0]) if node.outputs else 0
    if moves_only(kind):
        return 0
    if formula is not None and node.domain in ("", "ai.onnx", _RUNTIME):
        try:
            return int(formula(node, made)) * operations_per_flop(arithmetic_type(node))
        except (TypeError, IndexError, ValueError, KeyError):  # a shape is not known: count it as elementwise
            return made
    if node.op_type in _POOLS:
        kernel = node.attributes.get("kernel_shape")
        return made * (math.prod(kernel.as_ints()) if kernel is not None else 1)
    read = elements(node.inputs[0]) if node.inputs else 0
    return element_flops(kind, made, read, _sorted_length(node))


def arithmetic_type(node: ir.Node) -> str:
    """Return the name of the type a node calculates in; "int8" for products of values that were quantised."""
    given = [value for value in node.inputs if value is not None]
    multiplies = node.op_type in PRODUCTS
    if node.op_type == "DynamicQuantizeMatMul":
        return "int8"  # its floats are quantised within
    if multiplies and len(given) > 1 and all(dequantised(value) is not value for value in given[:2]):
        return "int8"
    types = [type_name(value) for value in (*given[:1], *node.outputs[:1])] or ["float32"]
    if multiplies:
        return types[0]  # integers are summed up in a wider type than they are multiplied in
    # Where integers become floats or the other way round, the floats are what is calculated.
    return ([name for name in types if name.startswith(("float", "bfloat", "complex"))] or types)[-1]


def traffic_of(node: ir.Node) -> int:
    """Return the bytes a node must read and write, weights included; of what it only looks things up in, what comes out."""
    made = sum(map(bytes_of, node.outputs))
    sources = [bytes_of(dequantised(value)) for value in reads(node)]
    if looks_up(kind_of(node)) and sources:
        sources[0] = min(sources[0], made)
    return sum(sources) + made


def _rank(value: ir.Value | None) -> str:
    shape = shape_of(value)
    return "" if shape is None else f"{len(shape) - 2}d"


def _scaling(node: ir.Node) -> str:
    """Torch has an operator for each way to scale, named by the number of axes."""
    mode = node.attributes.get("mode")
    shape = shape_of(node.inputs[0])
    rank = 2 if shape is None else len(shape) - 2
    name = "nearest" if mode is None else mode.as_string()
    smooth = {1: "linear1d", 2: "bilinear2d", 3: "trilinear3d"}.get(rank, "bilinear2d")
    return f"upsample_{'bicubic2d' if name == 'cubic' else smooth if name == 'linear' else f'nearest{rank}d'}"


def _sorted_length(node: ir.Node) -> int:
    if node.op_type != "TopK" or not (shape := shape_of(node.inputs[0])):
        return 0
    axis = node.attributes.get("axis")
    return shape[-1 if axis is None else axis.as_int()]


def _trips(node: ir.Node) -> int:
    if node.op_type == "Loop" and node.inputs[0] is not None and (count := ir.convenience.get_const_tensor(node.inputs[0])):
        return max(1, min(int(count.numpy().reshape(-1)[0]), _LONGEST_LOOP))
    if node.op_type == "Scan" and node.inputs and (shape := shape_of(node.inputs[-1])):
        axes = node.attributes.get("scan_input_axes")
        return max(1, shape[axes.as_ints()[-1] if axes is not None else 0])
    return 1
