"""Digests of what an op computes: equal digests take equal time, so one measurement serves all of them.

They cover kinds, constants, shapes, types and strides of every tensor read (weights too, not their values), and how the
nodes of one op are wired; not names and not where the op stands in the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx

from cic.trace.fx.schema import base_name
from cic.trace.fx.views import view_chain
from cic.trace.op_digest import digest


def signature_of(module: fx.GraphModule, nodes: Sequence[fx.Node]) -> str:
    """Return the SHA-256 of a run of nodes, in order."""
    number = {node: index for index, node in enumerate(nodes)}
    return digest([_described(module, node, number) for node in nodes])


def _described(module: fx.GraphModule, node: fx.Node, number: dict[fx.Node, int]) -> list[Any]:
    described: list[Any] = [str(node.target) if node.op == "call_function" else node.op]
    if node.op == "call_module":
        described.append(_of_graph(module.get_submodule(str(node.target))))
    arguments = [node.args, dict(sorted(node.kwargs.items()))]
    return [*described, _argument(arguments, number), _tensor(node.meta.get("val"))]


def _of_graph(module: Any) -> str:
    return signature_of(module, list(module.graph.nodes))


def _argument(value: Any, number: dict[fx.Node, int]) -> Any:
    if isinstance(value, fx.Node):
        if value in number:
            return {"node": number[value]}
        if isinstance(value.meta.get("val"), fx.GraphModule):  # the graph that a higher-order op runs
            return {"graph": _of_graph(value.meta["val"])}
        views = [[base_name(view), _argument(list(view.args[1:]), {})] for view in view_chain(value)]
        return {"tensor": _tensor(value.meta.get("val")), "views": views}
    if isinstance(value, list | tuple):
        return [_argument(item, number) for item in value]
    if isinstance(value, dict):
        return {str(key): _argument(item, number) for key, item in value.items()}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _tensor(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_tensor(item) for item in value]
    if not isinstance(value, torch.Tensor):
        return str(type(value).__name__)
    strides = [str(stride) for stride in value.stride()] if value.layout is torch.strided else []
    return [str(value.dtype), [str(size) for size in value.shape], strides, str(value.layout)]
