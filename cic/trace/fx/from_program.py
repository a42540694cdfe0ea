"""Front end for a ready `torch.export.ExportedProgram`: its graph is taken as it stands, with its module names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import fx
from torch.utils import _pytree as pytree
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from cic.errors import TraceError
from cic.trace.fx.flat_graph import flatten, takes_inner_tensor
from cic.trace.fx.flat_model import flat_tensors
from cic.trace.fx.keyword_names import keywords_may_be_names


def module_of(program: torch.export.ExportedProgram) -> Any:
    """Return the program as a module. Raises TraceError if torch cannot, as where a layer is called `graph` or `code`."""
    try:
        with keywords_may_be_names():
            return taken_apart(program).module()
    except Exception as error:  # what torch raises is about its own affairs
        raise TraceError(
            f"torch cannot make a module of the exported program ({type(error).__name__}: {error}); if one of its layers has a"
            " name such as graph, code or meta, export it inside another module, nn.Sequential(model)"
        ) from error


def taken_apart(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """Return a program whose operators read plain tensors only, where they read weights of a class of their own."""
    held = {**program.state_dict, **program.constants}
    read = {
        spec.arg.name for spec in program.graph_signature.input_specs if is_traceable_wrapper_subclass(held.get(spec.target))
    }
    users = [user for node in program.graph.nodes if node.name in read for user in node.users]
    return program if all(map(takes_inner_tensor, users)) else program.run_decompositions({})


def check_call(program: torch.export.ExportedProgram, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Raise TraceError if the arguments differ in structure from those the program was exported with."""
    _leaves_of(program, args, kwargs)


def capture(program: torch.export.ExportedProgram, args: Sequence[Any], kwargs: Mapping[str, Any]) -> fx.GraphModule:
    """Return the flat graph of `program`, its inputs and outputs in our own order, inputs named as in the program.

    Raises TraceError as `check_call`.
    """
    module = module_of(program)
    leaves = _leaves_of(program, args, kwargs)
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    _, wanted = flat_tensors((tuple(args), dict(kwargs)), "the arguments")
    by_identity: dict[int, list[fx.Node]] = {}
    for leaf, node in zip(leaves, placeholders, strict=True):
        by_identity.setdefault(id(leaf), []).append(node)
    inputs = [by_identity[id(tensor)].pop(0) for tensor in wanted]
    constants = {node: leaf for leaf, node in zip(leaves, placeholders, strict=True) if node not in set(inputs)}

    output = next(node for node in module.graph.nodes if node.op == "output")
    answer = output.args[0]
    out_spec = program.call_spec.out_spec
    if out_spec is not None:
        answer = pytree.tree_unflatten(pytree.tree_leaves(answer, is_leaf=lambda leaf: leaf is None), out_spec)
    results = _walk(answer)
    names = [node.name for node in inputs]
    return flatten(module, names, inner="", inputs=inputs, constants=constants, results=results)


def _leaves_of(program: torch.export.ExportedProgram, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Any]:
    expected = program.call_spec.in_spec
    given = (tuple(args), {key: kwargs[key] for key in _keyword_order(expected, kwargs)})
    leaves, spec = pytree.tree_flatten(given)
    if expected is not None and spec != expected:
        raise TraceError(f"the program was exported for the arguments {expected}, but was given {spec}; pass them as they were")
    return leaves


def _keyword_order(expected: Any, kwargs: Mapping[str, Any]) -> list[str]:
    children = expected.children() if hasattr(expected, "children") and callable(expected.children) else []
    known = list(children[1].context) if len(children) > 1 and children[1].context else []
    return [key for key in known if key in kwargs] + [key for key in kwargs if key not in known]


class _Standing:
    """Stands for a node where a tensor is expected, so that `describe` walks a tree of nodes like one of tensors."""

    shape = dtype = None

    def __init__(self, node: fx.Node) -> None:
        self.node = node


def _walk(answer: Any) -> list[fx.Node]:
    standing = pytree.tree_map(lambda leaf: _Standing(leaf) if isinstance(leaf, fx.Node) else leaf, answer)
    _, leaves = flat_tensors(standing, "the program's output")
    return [leaf.node for leaf in leaves]
