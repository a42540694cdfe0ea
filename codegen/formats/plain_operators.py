"""Operators that other libraries register, written with torch's own where they say themselves how.

A file names an operator, and where it is run nobody else knows what `torchao::quantize_affine` does. Those that are registered
as composites of others are traced through on the shapes in the graph. The quantisers of `quantized_decomposed` have a
counterpart in ONNX, so an emitter may ask to keep them. All others stay as they are, and the half needs the library that
registers them (`codegen.operator_libraries`).
"""

from __future__ import annotations

import importlib
import operator
from collections.abc import Collection
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx

from codegen.errors import CodegenError
from codegen.operator_libraries import Need, needs_of
from codegen.rounding import Step
from codegen.silence import silence

QUANTISERS = "quantized_decomposed"
TORCH_NAMESPACES = frozenset({"aten", "prim", "prims", "quantized", "mkldnn", "mkl", "sparse"})
_IMPLICIT = "CompositeImplicitAutograd"


def is_foreign(target: Any) -> bool:
    """Tell whether a node's target is an operator that some library has registered."""
    return isinstance(target, torch._ops.OpOverload) and target.namespace not in TORCH_NAMESPACES


def is_composite(target: Any) -> bool:
    """Tell whether a foreign operator can be written with torch's own."""
    return _kernel_of(target) is not None


def steps_of(module: fx.GraphModule) -> list[Step]:
    """Return for each output how far rounding may move it: by a step on either side of a cut if anything is rounded to 8 bits.

    A value halfway between two steps is rounded as its last bit says, which depends on how a runtime orders its sums.
    """
    if not any(is_foreign(node.target) and node.target.namespace == QUANTISERS for node in module.graph.nodes):
        return []
    results = next(node for node in module.graph.nodes if node.op == "output").args[0]
    return [Step(relative=2 / 127) for _ in results]


def in_torch_operators(half: fx.GraphModule, keep: Collection[str] = ()) -> fx.GraphModule:
    """Return a module that computes the same without operators that are made of others, but for those of the namespaces `keep`.

    Raises CodegenError naming a node whose operator decides on data.
    """
    inner = {str(node.target): half.get_submodule(str(node.target)) for node in half.graph.nodes if node.op == "call_module"}
    changed = {name: in_torch_operators(part, keep) for name, part in inner.items() if isinstance(part, fx.GraphModule)}
    foreign = [
        node
        for node in half.graph.nodes
        if is_foreign(node.target) and node.target.namespace not in keep and is_composite(node.target)
    ]
    if not foreign and all(changed[name] is inner[name] for name in changed):
        return half
    graph = fx.Graph()
    held: dict[str, Any] = {**inner, **changed}
    copies: dict[fx.Node, Any] = {}
    for node in half.graph.nodes:
        if node in foreign:
            copies[node] = _inlined(graph, node, _kernel_of(node.target), copies, held)
            continue
        if node.op == "get_attr":
            held[str(node.target)] = _attribute(half, str(node.target))
        if node.op == "output":
            graph.output(fx.node.map_arg(node.args[0], copies.__getitem__))
        elif node.target is operator.getitem and isinstance(copies[node.args[0]], tuple | list):
            copies[node] = copies[node.args[0]][node.args[1]]
        else:
            copies[node] = graph.node_copy(node, copies.__getitem__)
    module = fx.GraphModule(held, graph)
    for part in module.modules():
        part.training = False
    return module


def needed_libraries(half: fx.GraphModule) -> tuple[Need, ...]:
    """Return the libraries whose operators a half calls. Raises CodegenError for an operator that no imported module has."""
    graphs = [part.graph for part in half.modules() if isinstance(part, fx.GraphModule)]
    return needs_of(node.target for graph in graphs for node in graph.nodes if is_foreign(node.target))


def _inlined(graph: fx.Graph, node: fx.Node, kernel: Any, copies: dict[fx.Node, Any], held: dict[str, Any]) -> Any:
    """Add what an operator is made of to `graph`, and what that holds to `held`; return the node, or nodes, of its results."""
    given = node.all_input_nodes

    def run(*values: Any) -> Any:
        place = dict(zip(given, values, strict=True))
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), place.__getitem__)
        return kernel(*args, **kwargs)

    try:
        with silence("torch"), torch.no_grad():
            traced = make_fx(run)(*[source.meta["val"] for source in given])
    except Exception as error:  # a kernel may do what it likes, and look at values that are not there
        raise CodegenError(
            f"the operator {node.target} (node {node.name}) cannot be written with torch's own: {type(error).__name__}: {error}"
        ) from error
    inner: dict[fx.Node, Any] = dict(
        zip(traced.graph.find_nodes(op="placeholder"), (copies[each] for each in given), strict=True)
    )
    for part in traced.graph.nodes:
        if part.op == "get_attr":
            name = f"{node.name}_{part.target}"
            held[name] = _attribute(traced, str(part.target))
            inner[part] = graph.get_attr(name)
        elif part.op == "call_function":
            inner[part] = graph.node_copy(part, inner.__getitem__)
    return fx.node.map_arg(next(iter(traced.graph.find_nodes(op="output"))).args[0], inner.__getitem__)


def _kernel_of(target: Any) -> Any:
    """Return what computes an operator with others, None if there is no such thing."""
    if target.namespace == QUANTISERS:
        # Their kernels cannot be called past the dispatcher, which would record the operator itself; their functions can.
        overload = "" if target._overloadname == "default" else f"_{target._overloadname}"
        try:
            functions = vars(importlib.import_module("torch.ao.quantization.fx._decomposed"))
        except ImportError:
            return None
        return functions.get(f"{target._opname}{overload}")
    if torch._C._dispatch_has_kernel_for_dispatch_key(target.name(), _IMPLICIT):
        key = getattr(torch._C.DispatchKey, _IMPLICIT)
        return lambda *args, **kwargs: target._op_dk(key, *args, **kwargs)
    return None


def _attribute(module: fx.GraphModule, path: str) -> Any:
    value: Any = module
    for step in path.split("."):
        value = getattr(value, step)
    return value
