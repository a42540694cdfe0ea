"""Closed sets of the ops of a traced ONNX model, and the model split at one."""

from __future__ import annotations

import random

from cic.graph import Graph
from cic.trace.onnx.onnx_model import OnnxModel
from codegen.split import Split
from codegen.splitters.onnx import split_onnx


def closed_sets(graph: Graph, count: int, seed: int = 3) -> list[frozenset[str]]:
    """Sets of member nodes closed under predecessors: none, all, and some grown from random ops."""
    choice = random.Random(seed)
    sets = [set(), {op.name for op in graph.ops}]
    for _ in range(count):
        grown: set[str] = set()
        waiting = choice.sample([op.name for op in graph.ops], min(len(graph.ops), choice.choice((1, 2))))
        while waiting:
            op = graph.op_by_name[waiting.pop()]
            if op.name not in grown:
                grown.add(op.name)
                producers = (graph.tensor_by_name[name].producer for name in op.inputs)
                waiting += [producer for producer in producers if producer is not None]
        sets.append(grown)
    return [frozenset(member for name in chosen for member in graph.op_by_name[name].members) for chosen in sets]


def split_at(traced: OnnxModel, nodes: frozenset[str], graph: Graph) -> Split:
    return split_onnx(traced.model, nodes, {tensor.name for tensor in graph.tensors if tensor.may_cross})
