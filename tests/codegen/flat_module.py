"""A traced model as codegen takes it: nodes, names that may cross, and which nodes need which. Traced by torch.export alone."""

from __future__ import annotations

import operator
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from codegen.bundle.torch_source import TorchSource
from codegen.calls.structure import Structure, describe, rebuild
from codegen.silence import silence


@dataclass(frozen=True)
class FlatModule:
    """`ops` are the names of the nodes of all ops in graph order, `predecessors` the nodes that each needs."""

    source: TorchSource
    ops: tuple[str, ...]
    predecessors: Mapping[str, frozenset[str]]

    @property
    def tensors(self) -> frozenset[str]:
        return frozenset(self.source.tensors)

    def closed_set(self, seeds: Sequence[str]) -> frozenset[str]:
        """Return the seeds and all nodes they need."""
        closed: set[str] = set()
        waiting = list(seeds)
        while waiting:
            node = waiting.pop()
            if node not in closed:
                closed.add(node)
                waiting.extend(self.predecessors[node])
        return frozenset(closed)

    def random_closed_sets(self, count: int, seed: int = 7) -> list[frozenset[str]]:
        """Return the empty set, the full set, and closed sets grown from one or two random nodes."""
        choice = random.Random(seed)
        grown = [self.closed_set(choice.sample(self.ops, choice.choice((1, 2)))) for _ in range(count)]
        return [frozenset(), frozenset(self.ops), *grown]


class _Flat(nn.Module):
    """A model as a function of a flat row of tensors to a flat tuple of tensors."""

    def __init__(self, model: nn.Module, call: Structure) -> None:
        super().__init__()
        self.model, self.call = model, call

    def forward(self, *tensors: torch.Tensor) -> tuple[torch.Tensor, ...]:
        given = rebuild(self.call, tensors)
        return tuple(describe(self.model(*given["args"], **given["kwargs"]))[1])


def flat_module(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> FlatModule:
    """Trace a model on its arguments; writes in place become ops that make new values."""
    model.eval()
    call, tensors = describe({"args": args, "kwargs": kwargs or {}})
    with silence("torch"), torch.no_grad():
        output = describe(model(*args, **(kwargs or {})))[0]
        program = torch.export.export(_Flat(model, call), tuple(tensors), strict=False)
        module = _weights_within(program.run_decompositions({}), _names(model, args, kwargs or {}))
    computed = _depends_on_inputs(module.graph)
    makers = {node: _maker(node) for node in computed}
    ops = tuple(node.name for node in computed if makers[node] is node)
    predecessors: dict[str, set[str]] = {name: set() for name in ops}
    for node in computed:
        if (maker := makers[node]) is not None:
            read = {makers[value] for value in node.all_input_nodes if value in makers}
            predecessors[maker.name] |= {value.name for value in read if value is not None} - {maker.name}
    sent = [node.name for node in computed if _is_tensor(node) and not _is_free_view(node)]
    source = TorchSource(module, sent, list(tensors), call, output, f"by hand: {type(model).__name__}")
    return FlatModule(source, ops, {name: frozenset(needed) for name, needed in predecessors.items()})


def _names(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """Of each tensor the argument that it comes in by."""
    positional = model.forward.__code__.co_varnames[1 : 1 + len(args)]
    given = zip((*positional, *kwargs), (*args, *kwargs.values()), strict=True)
    return [name for name, value in given for _ in describe(value)[1]]


def _depends_on_inputs(graph: fx.Graph) -> list[fx.Node]:
    """Inputs and what is computed from them; either half computes a constant for itself."""
    found: dict[fx.Node, None] = {}
    for node in graph.nodes:
        if node.op == "placeholder" or (node.op == "call_function" and not found.keys().isdisjoint(node.all_input_nodes)):
            found[node] = None
    return list(found)


def _maker(node: fx.Node) -> fx.Node | None:
    """The op that makes a value: of a view the op of its base, of one of several results the op that returned them all."""
    while _is_free_view(node) or (node.op == "call_function" and node.target is operator.getitem):
        node = node.all_input_nodes[0]
    return node if node.op == "call_function" else None


def _is_free_view(node: fx.Node) -> bool:
    """Is the value one tensor in the memory of another one? Such a value is made again wherever it is read."""
    if not isinstance(node.target, torch._ops.OpOverload) or not _is_tensor(node):
        return False
    return node.target._schema.returns[0].alias_info is not None


def _is_tensor(node: fx.Node) -> bool:
    return isinstance(node.meta.get("val"), torch.Tensor)


def _weights_within(program: torch.export.ExportedProgram, names: Sequence[str]) -> fx.GraphModule:
    """The graph of a program, in which weights are read where the graph needs them instead of being handed in."""
    signature, held = program.graph_signature, {**program.state_dict, **program.constants}
    kept = {**signature.inputs_to_parameters, **signature.inputs_to_buffers, **signature.inputs_to_lifted_tensor_constants}
    weights, graph, copies, left = {}, fx.Graph(), {}, list(names)
    for node in program.graph.nodes:
        if node.name in kept and node.op == "placeholder":
            path = kept[node.name].removeprefix("model.")
            weights[path] = held[kept[node.name]]
            copies[node] = graph.get_attr(path)
        elif node.op == "placeholder":
            copies[node] = graph.placeholder(left.pop(0))
        elif node.op == "output":
            graph.output(tuple(copies[value] for value in node.args[0]))
            break
        else:
            copies[node] = graph.node_copy(node, copies.__getitem__)
        copies[node].meta = {"val": node.meta["val"]} if "val" in node.meta else {}
    root = nn.Module()
    for path, weight in weights.items():
        _put(root, path, weight)
    graph.eliminate_dead_code()
    return fx.GraphModule(root, graph).eval()


def _put(root: nn.Module, path: str, weight: torch.Tensor) -> None:
    """Keep a weight under its path, without gradients and in the memory that it has."""
    *folders, name = path.split(".")
    for folder in folders:
        if not hasattr(root, folder):
            root.add_module(folder, nn.Module())
        root = getattr(root, folder)
    if isinstance(weight, nn.Parameter):
        root.register_parameter(name, nn.Parameter(weight.detach(), requires_grad=False))
    else:
        root.register_buffer(name, weight.detach())
