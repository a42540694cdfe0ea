"""TorchScript of a half in which a number is read from a tensor (`item`, the size of what the data decides): scripted.

A trace would keep the number of the example for ever. A flat graph is so simple a program that torch can compile it from
its source instead, if every operator is called as it can be called by a script, where overloads have no names.
"""

from __future__ import annotations

import copy
import operator
import warnings
from collections.abc import Iterator
from typing import Any

import torch
from torch import fx

from codegen.errors import CodegenError

# What a number is while a graph is traced, and what it is in a script; a truth value is an int, too, so it comes first.
_STANDING = (((torch.SymBool, bool), bool), ((torch.SymInt, int), int), ((torch.SymFloat, float), float))

# Functions of numbers that a script knows under their names in Python.
_OF_PYTHON: dict[Any, Any] = {torch.sym_min: min, torch.sym_max: max, torch.sym_not: operator.not_}


def numbers_from_data(half: fx.GraphModule) -> Iterator[fx.Node]:
    """Yield the nodes that read a number from a tensor, those inside its pieces included. Fixed sizes have no nodes."""
    for node in half.graph.nodes:
        if node.op == "call_module" and isinstance(inside := half.get_submodule(str(node.target)), fx.GraphModule):
            yield from numbers_from_data(inside)
        elif isinstance(node.target, torch._ops.OpOverload):
            returned = [str(value.type) for value in node.target._schema.returns]
            if returned and not all("Tensor" in name for name in returned):
                yield node


def scripted(half: fx.GraphModule) -> Any:
    """Return `half` compiled by `torch.jit.script`; CodegenError, naming the node, if it cannot be."""
    program = copy.deepcopy(half)
    try:
        _prepare(program)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on annotations that a module made of a graph has
            return torch.jit.script(program)
    except Exception as error:  # torch.jit.script fails in many ways
        node = next(numbers_from_data(half))
        raise CodegenError(
            f"the node {node.name} reads a number from a tensor, which a trace to TorchScript would keep"
            f" as a constant, and a script cannot be made of it ({str(error).strip().partition(chr(10))[0]}); keep the number a"
            " tensor (no .item()), or emit in the format exported_program"
        ) from error


def _prepare(program: fx.GraphModule) -> None:
    for node in list(program.graph.nodes):
        if node.op == "call_module" and isinstance(inside := program.get_submodule(str(node.target)), fx.GraphModule):
            _prepare(inside)
        if node.op == "placeholder":
            node.type = next((kind for types, kind in _STANDING if isinstance(node.meta.get("val"), types)), None)
        node.target = _OF_PYTHON.get(node.target, node.target)
        if not isinstance(node.target, torch._ops.OpOverload):
            continue
        if node.target in (torch.ops.aten.item.default, torch.ops.aten._local_scalar_dense.default):
            with program.graph.inserting_after(node):
                number = program.graph.call_function(_kind_of_number(node), (node,))
            node.replace_all_uses_with(number, delete_user_cb=lambda user, number=number: user is not number)
        if node.target is torch.ops.aten.sym_size.int:
            node.target = torch.ops.aten.size.int
        node.target = node.target.overloadpacket
    program.recompile()


def _kind_of_number(node: fx.Node) -> type[bool] | type[float] | type[int]:
    dtype = node.all_input_nodes[0].meta["val"].dtype
    if dtype is torch.bool:
        return bool
    return float if dtype.is_floating_point else int
