"""What a node of an ONNX graph reads: its inputs, and what the bodies of If, Loop and Scan capture from outside."""

from __future__ import annotations

from collections.abc import Iterator

import onnx_ir as ir

RANDOM = frozenset({"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"})
"""Ops that draw: never constants, and never twice the same."""


def bodies(node: ir.Node) -> Iterator[ir.Graph]:
    """Yield the graphs that a node runs itself: the branches of an If, the body of a Loop or Scan."""
    for attribute in node.attributes.values():
        if attribute.type == ir.AttributeType.GRAPH:
            yield attribute.as_graph()
        elif attribute.type == ir.AttributeType.GRAPHS:
            yield from attribute.as_graphs()


def reads(node: ir.Node) -> list[ir.Value]:
    """Return the values a node needs, captures included, each once and in order."""
    values = [value for value in node.inputs if value is not None]
    for body in bodies(node):
        values += captures(body)
    return list(dict.fromkeys(values))


def captures(body: ir.Graph) -> list[ir.Value]:
    """Return the values that a body uses and does not make, bodies within it included."""
    own = {*body.inputs, *body.initializers.values(), *(value for node in body for value in node.outputs)}
    used = [value for node in body for value in reads(node)] + list(body.outputs)
    return [value for value in dict.fromkeys(used) if value not in own]


def constants(graph: ir.Graph) -> set[ir.Value]:
    """Return the values that depend on no input of the graph: weights, and what is computed from them alone."""
    found = set(graph.initializers.values()) - set(graph.inputs)
    for node in graph:
        if node.op_type not in RANDOM and found.issuperset(reads(node)):
            found.update(node.outputs)
    return found


def all_nodes(graph: ir.Graph) -> Iterator[ir.Node]:
    """Yield the nodes of a graph and of all bodies within it."""
    for node in graph:
        yield node
        for body in bodies(node):
            yield from all_nodes(body)
