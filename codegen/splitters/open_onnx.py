"""The same for ONNX: two halves of one structure, made at two batches, become one half that takes any batch.

Tracing puts constants in the place of `Shape` and `Size`, so the batch stands in constants of whole numbers, from which the
file computes shapes. Two halves differ in these alone. Each is read as a + c·batch in every place, and computed anew from the
length of an input of the half. What ONNX Runtime is told of shapes inside a half would be those of one batch, and is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx_ir as ir

from codegen.errors import CodegenError
from codegen.splitters.onnx import forget_shapes
from codegen.splitters.open_batch import Batches

_BATCH = "cic_batch"


def opened_onnx(half: ir.Model, other: ir.Model, batches: Batches) -> ir.Model:
    """Change one half so that it takes any batch, as the same half at another batch shows how, and return it.

    Raises CodegenError, naming the value, if they are not of one structure, or a constant is no line in the batch.
    """
    graph, twin = half.graph, other.graph
    if [(node.name, node.op_type) for node in graph] != [(node.name, node.op_type) for node in twin]:
        raise CodegenError(
            f"the halves at batch {batches.example} and {batches.other} have other nodes; compile without dynamic for each"
            " batch"
        )
    lines = _Lines(graph, batches, _source(graph, twin, batches))
    twins = {str(value.name): value for value in twin.initializers.values()}
    for value in list(graph.initializers.values()):
        theirs = twins.get(str(value.name))
        if theirs is None:
            raise CodegenError(
                f"{value.name} is a constant at batch {batches.example} only; compile without dynamic for each batch"
            )
        lines.replace(value, value.const_value, theirs.const_value)
    for node, their_node in list(zip(graph, twin, strict=True)):
        if node.op_type == "Constant" and "value" in node.attributes:
            lines.replace(node.outputs[0], node.attributes["value"].as_tensor(), their_node.attributes["value"].as_tensor())
    lines.add()
    shapes = [(value, _open_shape(value, their_value)) for value, their_value in zip(graph.inputs, twin.inputs, strict=True)]
    shapes += [(value, _open_shape(value, their_value)) for value, their_value in zip(graph.outputs, twin.outputs, strict=True)]
    forget_shapes(graph, True)
    for value, shape in shapes:
        value.shape = shape
    return half


def _open_shape(value: ir.Value, other: ir.Value) -> ir.Shape | None:
    """The shape at a border: the axis of the batch has a name in place of a size."""
    if value.shape is None or other.shape is None:
        return None
    sizes = zip(value.shape.numpy(), other.shape.numpy(), strict=True)
    return ir.Shape([size if size == another else f"{_BATCH}_{value.name}" for size, another in sizes])


def _source(graph: ir.Graph, twin: ir.Graph, batches: Batches) -> tuple[ir.Value, int, int] | None:
    """The first input with the batch, its axis, and how long that is for a batch of one."""
    for value, other in zip(graph.inputs, twin.inputs, strict=True):
        if value.shape is None or other.shape is None:
            continue
        sizes = list(zip(value.shape.numpy(), other.shape.numpy(), strict=True))
        grown = [axis for axis, (size, another) in enumerate(sizes) if size != another]
        if len(grown) == 1:
            return value, grown[0], sizes[grown[0]][0] // batches.example
    return None


class _Lines:
    """The nodes that compute constants from the batch; they come before all others."""

    def __init__(self, graph: ir.Graph, batches: Batches, source: tuple[ir.Value, int, int] | None) -> None:
        self.graph, self.batches, self.source = graph, batches, source
        self.nodes: list[ir.Node] = []
        self.batch: ir.Value | None = None
        self.count = 0

    def replace(self, value: ir.Value, mine: ir.TensorProtocol | None, theirs: ir.TensorProtocol | None) -> None:
        """Let all that reads a constant read what is computed from the batch, if the batch stands in it."""
        if mine is None or theirs is None or (mine.nbytes > 4096 and mine.shape == theirs.shape):
            return  # a weight, which is the same file's
        one, other = mine.numpy(), theirs.numpy()
        if one.shape == other.shape and (one.tobytes() == other.tobytes()):
            return
        between = self.batches.other - self.batches.example
        whole = one.dtype == other.dtype == np.int64 and one.shape == other.shape
        if not whole or ((other - one) % between).any() or self.source is None:
            raise CodegenError(
                f"{value.name} is a constant that is another one at batch {self.batches.other} than at batch"
                f" {self.batches.example}, and no half can compute it from its batch; compile without dynamic for each batch"
            )
        slope = (other - one) // between
        scaled = self._node("Mul", [self._batch(), self._constant(slope)])
        line = self._node("Add", [scaled, self._constant(one - slope * self.batches.example)])
        # The batch is a list of one number, a constant may be one number without a list.
        line = self._node("Reshape", [line, self._constant(np.array(one.shape, np.int64))])
        ir.convenience.replace_all_uses_with(value, line)

    def add(self) -> None:
        """Put the nodes into the graph."""
        first = next(iter(self.graph), None)
        if self.nodes and first is not None:
            self.graph.insert_before(first, self.nodes)

    def _batch(self) -> ir.Value:
        """int64[1]: the batch of this call."""
        if self.batch is None:
            assert self.source is not None, "there is a batch to read"
            value, axis, each = self.source
            shape = self._node("Shape", [value])
            self.batch = self._node("Gather", [shape, self._constant(np.array([axis], np.int64))])
            if each != 1:
                self.batch = self._node("Div", [self.batch, self._constant(np.array([each], np.int64))])
        return self.batch

    def _node(self, kind: str, inputs: list[ir.Value]) -> ir.Value:
        node = ir.node(kind, inputs, name=self._name(kind))
        node.outputs[0].name, node.outputs[0].type = f"{node.name}_made", ir.TensorType(ir.DataType.INT64)
        self.nodes.append(node)
        return node.outputs[0]

    def _constant(self, numbers: npt.NDArray[np.int64]) -> ir.Value:
        node = ir.node("Constant", [], attributes={"value": ir.tensor(numbers)}, name=self._name("Constant"))
        node.outputs[0].name, node.outputs[0].type = f"{node.name}_made", ir.TensorType(ir.DataType.INT64)
        self.nodes.append(node)
        return node.outputs[0]

    def _name(self, kind: str) -> str:
        taken = {value.name for value in self.graph.initializers.values()} | {node.name for node in self.graph}
        while (name := f"{_BATCH}_{kind}_{self.count}") in taken:
            self.count += 1
        self.count += 1
        return name
