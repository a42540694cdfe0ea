"""How much work an op is: floating-point operations, multiply and add counted separately, and bytes moved.

Products (convolution, matrix product, attention) follow the formulas of `torch.utils.flop_counter`, which counts 2 per
multiply-add. Everything else is counted in operations per element, roughly: on the machines CIC is for, those ops are
bound by memory, not by arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import fx
from torch.utils import flop_counter

from cic.trace.schema import arguments, base_name

# Operations per element of the output, exponentials counted as 4.
_PER_OUTPUT = {
    "batch_norm": 2, "layer_norm": 8, "group_norm": 8, "instance_norm": 8, "rms_norm": 6, "normalize": 4,
    "softmax": 7, "log_softmax": 7, "_softmax": 7, "sigmoid": 6, "tanh": 8, "silu": 7, "gelu": 12, "mish": 14, "elu": 6,
    "selu": 7, "celu": 6, "softplus": 9, "hardswish": 5, "hardsigmoid": 4, "exp": 4, "log": 4, "pow": 4, "erf": 8, "sin": 4,
    "cos": 4, "sqrt": 2, "rsqrt": 3,
    "upsample_bilinear2d": 8, "upsample_bicubic2d": 32, "upsample_nearest2d": 0, "grid_sampler": 16,
}  # fmt: skip
# Operations per element of the first input.
_PER_INPUT_NAMES = (
    "mean sum var std var_mean std_mean amax amin max min argmax argmin norm linalg_vector_norm prod cumsum logsumexp topk"
    " sort any all adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d"
)
_PER_INPUT = frozenset(_PER_INPUT_NAMES.split())
# They move or choose data and compute nothing.
_MOVES_NAMES = (
    "cat stack split chunk split_with_sizes unbind select slice narrow expand repeat index index_select gather embedding"
    " pad constant_pad_nd roll flip tile clone contiguous to _to_copy view reshape permute transpose flatten squeeze"
    " unsqueeze unflatten getitem where masked_fill full zeros ones arange copy tensor_split"
)
_MOVES = frozenset(_MOVES_NAMES.split())
_LOOK_UPS_NAMES = "embedding embedding_bag index index_select gather take select slice narrow"
_LOOK_UPS = frozenset(_LOOK_UPS_NAMES.split())
_POOLS_NAMES = "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d max_pool2d_with_indices lp_pool2d"
_POOLS = frozenset(_POOLS_NAMES.split())


def flops_of(node: fx.Node) -> int:
    """Return the floating-point operations of one node, from its traced shapes."""
    name, value = base_name(node), first_tensor(node.meta.get("val"))
    formula = _PRODUCTS.get(name)
    if name in _MOVES or value is None:
        return 0
    if formula is not None:
        return int(formula(_with_values(arguments(node)), value))
    if name in _POOLS:
        kernel = arguments(node).get("kernel_size", [1])
        return value.numel() * math.prod(kernel if isinstance(kernel, list | tuple) else [kernel])
    if name in _PER_INPUT and node.all_input_nodes:
        source = first_tensor(node.all_input_nodes[0].meta.get("val"))
        return 0 if source is None else source.numel()
    return value.numel() * _PER_OUTPUT.get(name, 1)


def bytes_of(value: Any) -> int:
    """Return the bytes of all tensors in a node's value when contiguous; sizes that depend on data count as 0."""
    if isinstance(value, list | tuple):
        return sum(map(bytes_of, value))
    if not isinstance(value, torch.Tensor) or not all(isinstance(size, int) for size in value.shape):
        return 0
    return value.numel() * value.element_size()


def traffic_of(node: fx.Node) -> int:
    """Return the bytes one node must read and write: its arguments, weights included, and its results.

    Of a table that is only looked things up in, no more is read than comes out.
    """
    made = bytes_of(node.meta.get("val"))
    sources = [bytes_of(source.meta.get("val")) for source in node.all_input_nodes]
    if base_name(node) in _LOOK_UPS and sources:
        sources[0] = min(sources[0], made)
    return sum(sources) + made


def first_tensor(value: Any) -> torch.Tensor | None:
    """Return the first tensor of fixed shape in a node's value."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, torch.Tensor) and all(isinstance(size, int) for size in item.shape):
            return item
    return None


def _with_values(bound: dict[str, Any]) -> dict[str, Any]:
    return fx.node.map_arg(bound, lambda node: node.meta.get("val"))  # type: ignore[return-value]


def _convolution(bound: dict[str, Any], out: torch.Tensor) -> int:
    x, weight = bound["input"], bound["weight"]
    transposed = bool(bound.get("transposed", "output_padding" in bound))
    count = flop_counter.conv_flop_count(list(x.shape), list(weight.shape), list(out.shape), transposed=transposed)
    return count + (out.numel() if bound.get("bias") is not None else 0)


def _linear(bound: dict[str, Any], out: torch.Tensor) -> int:
    return 2 * out.numel() * bound["weight"].shape[-1] + (out.numel() if bound.get("bias") is not None else 0)


def _product(left: str, extra: int) -> Callable[[dict[str, Any], torch.Tensor], int]:
    """Return the formula for a matrix product whose left factor is the argument `left`, plus `extra` per element."""
    return lambda bound, out: out.numel() * (2 * bound[left].shape[-1] + extra)


def _attention(bound: dict[str, Any], out: torch.Tensor) -> int:
    query, key, value = (list(bound[name].shape) for name in ("query", "key", "value"))
    scores = math.prod(query[:-1]) * key[-2]
    return 2 * scores * query[-1] + 7 * scores + 2 * scores * value[-1]


def _recurrent(bound: dict[str, Any], out: torch.Tensor) -> int:
    """Each step multiplies by every weight matrix once."""
    matrices = [weight for weight in bound["params"] if weight.dim() == 2]
    steps = math.prod(bound["input"].shape[:-1])
    return 2 * steps * sum(matrix.numel() for matrix in matrices)


def _einsum(bound: dict[str, Any], out: torch.Tensor) -> int:
    """Count one multiply-add for each combination of all indices, as a loop nest would do it."""
    sizes: dict[str, int] = {}
    terms = bound["equation"].replace(" ", "").split("->")[0].split(",")
    for term, tensor in zip(terms, bound["tensors"], strict=True):
        head, dots, tail = term.partition("...")
        middle = [f".{index}" for index in range(tensor.dim() - len(head) - len(tail))] if dots else []
        for label, size in zip([*head, *middle, *tail], tensor.shape, strict=True):
            sizes[label] = max(size, sizes.get(label, 1))
    return 2 * math.prod(sizes.values())


_PRODUCTS: dict[str, Callable[[dict[str, Any], torch.Tensor], int]] = {
    **dict.fromkeys(("conv1d", "conv2d", "conv3d", "convolution"), _convolution),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), _convolution),
    "linear": _linear,
    "mm": _product("self", 0),
    "bmm": _product("self", 0),
    "matmul": _product("self", 0),
    "mv": lambda bound, out: 2 * bound["self"].numel(),
    "dot": lambda bound, out: 2 * bound["self"].numel(),
    "addmm": _product("mat1", 1),
    "baddbmm": _product("batch1", 1),
    "einsum": _einsum,
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), _recurrent),
    "scaled_dot_product_attention": _attention,
}
