"""How much work an op is: floating-point operations, multiply and add counted separately, and bytes moved.

Products (convolution, matrix product, attention) follow the formulas of `torch.utils.flop_counter`, which counts 2 per
multiply-add; what is no product is counted in operations per element (`cic.trace.element_work`).
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import fx

from cic.trace.element_work import arithmetic_of, element_flops, looks_up, moves_only, operations_per_flop
from cic.trace.fx.product_work import PRODUCTS
from cic.trace.fx.schema import arguments, base_name
from cic.trace.fx.views import dequantised
from cic.trace.recurrent_work import Steps, steps_of
from codegen.dtypes import type_name

_POOLS_NAMES = "max_pool1d max_pool2d max_pool3d avg_pool1d avg_pool2d avg_pool3d max_pool2d_with_indices lp_pool2d"
_POOLS = frozenset(_POOLS_NAMES.split())


def flops_of(node: fx.Node) -> int:
    """Return the floating-point operations of one node, from its traced shapes; of complex numbers, of their parts."""
    name, value = base_name(node), first_tensor(node.meta.get("val"))
    if value is None or moves_only(name):
        return 0
    return _flops(node, name, value) * operations_per_flop(type_name(_first_read(node, value).dtype))


def _flops(node: fx.Node, name: str, value: torch.Tensor) -> int:
    formula = PRODUCTS.get(name)
    if formula is not None:
        try:
            return int(formula(with_values(arguments(node)), value))
        except (KeyError, TypeError, ValueError, AttributeError, IndexError):
            return value.numel()  # a shape or an argument is not as usual: count it as elementwise
    if name in _POOLS:
        kernel = arguments(node).get("kernel_size", [1])
        return value.numel() * math.prod(kernel if isinstance(kernel, list | tuple) else [kernel])
    source = _first_read(node, value)
    dim = arguments(node).get("dim", -1)
    longest = source.shape[dim] if isinstance(dim, int) and source.dim() else source.numel()
    return element_flops(name, value.numel(), source.numel(), longest)


def _first_read(node: fx.Node, otherwise: torch.Tensor) -> torch.Tensor:
    source = first_tensor(node.all_input_nodes[0].meta.get("val")) if node.all_input_nodes else None
    return otherwise if source is None else source


def arithmetic_type(node: fx.Node) -> str:
    """Return the name of the type one node calculates in; "int8" for products of values that were quantised."""
    if base_name(node) in PRODUCTS:
        factors = [source for source in node.all_input_nodes if isinstance(source.meta.get("val"), torch.Tensor)][:2]
        shown = [dequantised(factor) is not factor for factor in factors]
        # Scales of weights are constants, so their floats may be a constant already.
        if shown and shown[0] and all(small or factor.op == "get_attr" for small, factor in zip(shown, factors, strict=True)):
            return "int8"
    value = first_tensor(node.meta.get("val"))
    if value is None:
        return "float32"
    types = [value.dtype, _first_read(node, value).dtype]
    floating = [dtype for dtype in types if dtype.is_floating_point or dtype.is_complex]
    if base_name(node) in PRODUCTS and all(dtype.is_floating_point for dtype in types):
        return type_name(types[0])  # autocast reads what it has, and answers in the type in which it multiplied
    return arithmetic_of(type_name((floating or types)[-1]))


def steps_in(node: fx.Node) -> Steps:
    """Return how often a node starts its kernels again, and what that reads again: no more than zero for most."""
    return steps_of(base_name(node), with_values(arguments(node)))


def bytes_of(value: Any) -> int:
    """Return the bytes of all tensors in a node's value when contiguous; sizes that depend on data count as 0."""
    if isinstance(value, list | tuple):
        return sum(map(bytes_of, value))
    if not isinstance(value, torch.Tensor) or not all(isinstance(size, int) for size in value.shape):
        return 0
    return value.numel() * value.element_size()


def traffic_of(node: fx.Node) -> int:
    """Return the bytes one node must read and write: its arguments, weights included, and its results.

    Of a table that is only looked things up in, no more is read than comes out; of what was quantised, the small form.
    """
    made = bytes_of(node.meta.get("val"))
    sources = [bytes_of(dequantised(source).meta.get("val")) for source in node.all_input_nodes]
    if looks_up(base_name(node)) and sources:
        sources[0] = min(sources[0], _looked_up_bytes(node, made))
    return sum(sources) + made


def _looked_up_bytes(node: fx.Node, made: int) -> int:
    """What comes out of a table; of a bag of rows every row is read."""
    if base_name(node) != "embedding_bag":
        return made
    bound = with_values(arguments(node))
    weight, indices = bound["weight"], bound["indices"]
    return int(indices.numel() * weight.shape[-1] * weight.element_size())


def first_tensor(value: Any) -> torch.Tensor | None:
    """Return the first tensor of fixed shape in a node's value."""
    for item in value if isinstance(value, list | tuple) else [value]:
        if isinstance(item, torch.Tensor) and all(isinstance(size, int) for size in item.shape):
            return item
    return None


def with_values(bound: dict[str, Any]) -> dict[str, Any]:
    """Return arguments by name with the traced values of nodes in place of nodes."""
    return fx.node.map_arg(bound, lambda node: node.meta.get("val"))
