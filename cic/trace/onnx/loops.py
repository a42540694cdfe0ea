"""The shapes that a Loop keeps, by induction.

Inference gives up at a Loop, since what it carries from pass to pass may grow. Suppose each carried value has the shape it
comes in with: if inference then finds that the body gives out the same shapes, the first pass keeps them and so does each
further one, and no pass at all keeps them, too. If it finds others, or none, nothing is supposed of that value.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import onnx_ir as ir

from codegen.splitters.onnx_wiring import all_nodes, bodies

# Of a Loop's inputs, and of its body's: the count and the condition. Of the body's outputs, the condition.
_BEFORE, _AFTER = 2, 1


@dataclass(frozen=True)
class _Carried:
    """A value that a Loop carries: what comes in, what the body takes and gives out, and what is left in the end."""

    incoming: ir.Value | None
    taken: ir.Value
    given: ir.Value
    result: ir.Value

    @property
    def kept(self) -> bool:
        return self.given.shape is not None and self.given.shape.is_static() and self.given.shape == self.taken.shape


def suppose(graph: ir.Graph, dropped: set[ir.Value]) -> bool:
    """Give carried values in bodies the shapes they come in with, but for those `dropped`; tell whether any was new."""
    changed = False
    for loop in _loops(graph):
        for value in _carried(loop):
            shape = None if value.incoming is None else value.incoming.shape
            if value.taken.shape is None and value.taken not in dropped and shape is not None and shape.is_static():
                value.taken.shape, changed = shape, True
    return changed


def conclude(graph: ir.Graph) -> bool:
    """Give the results of Loops whose bodies keep what was supposed their shapes; tell whether any was new."""
    changed = False
    for loop in _loops(graph):
        supposed = [value for value in _carried(loop) if value.taken.shape is not None]
        if not all(value.kept for value in supposed):
            continue
        found = [(value.result, value.taken.shape) for value in supposed] + list(_stacked(loop))
        for result, shape in found:
            if result.shape is None or not result.shape.is_static():
                result.shape, changed = shape, True
    return changed


def drop_broken(graph: ir.Graph, dropped: set[ir.Value]) -> bool:
    """Take back what bodies do not keep, and all that was inferred from it; tell whether there was any."""
    broken = [
        (loop, value.taken)
        for loop in _loops(graph)
        for value in _carried(loop)
        if value.taken.shape is not None and not value.kept
    ]
    for loop, taken in broken:
        dropped.add(taken)
        forget_bodies([loop])
    return bool(broken)


def forget_bodies(nodes: Iterable[ir.Node]) -> None:
    """Forget all shapes within ops, those of their bodies' inputs included, since the op decides what it passes."""
    for node in nodes:
        for body in bodies(node):
            # The count and the condition are single values, and ONNX Runtime wants to see that.
            for value in body.inputs[_BEFORE if node.op_type == "Loop" else 0 :]:
                value.shape = None
            for value in (value for inner in body for value in inner.outputs):
                value.shape = None
            forget_bodies(body)


def _loops(graph: ir.Graph) -> list[ir.Node]:
    return [node for node in all_nodes(graph) if node.op_type == "Loop" and node.domain in ("", "ai.onnx")]


def _carried(loop: ir.Node) -> list[_Carried]:
    (body,) = bodies(loop)
    parts = loop.inputs[_BEFORE:], body.inputs[_BEFORE:], body.outputs[_AFTER:], loop.outputs
    return [_Carried(*values) for values in zip(*parts, strict=False)]


def _stacked(loop: ir.Node) -> Iterator[tuple[ir.Value, ir.Shape]]:
    """Yield the results that have a row for each pass, and their shapes, where the number of passes is fixed."""
    (body,) = bodies(loop)
    count = len(body.inputs) - _BEFORE
    passes = _passes(loop, body)
    for result, row in zip(loop.outputs[count:], body.outputs[_AFTER + count :], strict=False):
        if passes is not None and row.shape is not None and row.shape.is_static():
            yield result, ir.Shape([passes, *row.shape.numpy()])


def _passes(loop: ir.Node, body: ir.Graph) -> int | None:
    """Return how often the body runs, if that is a constant and no condition ends the loop before."""
    limit = None if loop.inputs[0] is None else ir.convenience.get_const_tensor(loop.inputs[0])
    first = True if loop.inputs[1] is None else _truth(loop.inputs[1])
    if limit is None or not first:
        return None
    again: ir.Value | None = body.outputs[0]
    while again is not None and (producer := again.producer()) is not None and producer.op_type == "Identity":
        again = producer.inputs[0]
    if again is None or not (again is body.inputs[1] or _truth(again)):
        return None
    return max(0, int(limit.numpy().reshape(-1)[0]))


def _truth(value: ir.Value) -> bool:
    """Tell whether a value is known to be true."""
    tensor = ir.convenience.get_const_tensor(value)
    return tensor is not None and bool(tensor.numpy().all())
