"""Two halves of one structure, made at two batches, become one half that takes any batch; for graphs of torch.

A model is traced with fixed shapes, so a half has the batch in its numbers: `view(3, 64)`, `expand(3, 1, 8)`. The same half of
the same model traced at another batch has the same nodes, and its numbers differ where the batch stands in them. Two points
fix a line, so each such number is read as a + c·batch, and the batch as the length of an input of the half. Whether that
holds at other batches is shown by running: a bundle is verified at several (`codegen.bundle.bundle`). Constants that differ are
those whose rows are all alike, such as the first state of a recurrent layer: one row is kept, and repeated.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import fx

from codegen.errors import CodegenError
from codegen.split import Split, WireTensor

_aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Batches:
    """At which batches a model was traced, `example` and `other`, and the greatest that halves are made for.

    axes: of each flat input of the model, along which the batch lies; None: it has none.
    """

    axes: tuple[int | None, ...]
    example: int
    other: int
    greatest: int


def at_batch(tensor: torch.Tensor, axis: int | None, batch: int) -> torch.Tensor:
    """Return a tensor with its rows repeated or dropped until there are so many, laid out in memory as it was."""
    if axis is None:
        return tensor
    repeats = -(-batch // tensor.shape[axis])
    strides = tensor.stride()
    order = sorted(range(tensor.dim()), key=lambda dimension: (-strides[dimension], dimension))
    changed = torch.cat([tensor.detach()] * repeats, axis).narrow(axis, 0, batch)
    return changed.permute(order).contiguous().permute([order.index(dimension) for dimension in range(tensor.dim())])


def with_open_wires(split: Split, other: Split, batches: Batches) -> Split:
    """Return a split whose tensors say which axis the batch is, and have the shape of the greatest; halves stay as they are."""

    def opened(mine: Sequence[WireTensor], theirs: Sequence[WireTensor]) -> tuple[WireTensor, ...]:
        if [wire.name for wire in mine] != [wire.name for wire in theirs]:
            raise CodegenError(f"the cut sends other tensors at batch {batches.example} than at batch {batches.other}")
        return tuple(open_wire(one, two, batches) for one, two in zip(mine, theirs, strict=True))

    return replace(
        split,
        other=other,
        inputs=opened(split.inputs, other.inputs),
        crossing=opened(split.crossing, other.crossing),
        kept=opened(split.kept, other.kept),
        returned=opened(split.returned, other.returned),
    )


def open_wire(wire: WireTensor, other: WireTensor, batches: Batches) -> WireTensor:
    """Return a tensor as it is at the greatest batch, its axis of the batch open; CodegenError if it does not grow with it."""
    if wire.open_axes or other.open_axes:
        raise CodegenError(f"the data decides how long {wire.name} is, and its batch is open; compile without dynamic")
    grown = [axis for axis, (size, another) in enumerate(zip(wire.shape, other.shape, strict=False)) if size != another]
    if not grown and wire.shape == other.shape:
        return wire
    fits = len(wire.shape) == len(other.shape) and len(grown) == 1
    if not fits or wire.shape[grown[0]] * batches.other != other.shape[grown[0]] * batches.example:
        raise CodegenError(
            f"{wire.name} has the shapes {wire.shape} and {other.shape} at batch {batches.example} and {batches.other}; only"
            " what grows in proportion with the batch can cross"
        )
    (axis,) = grown
    shape = list(wire.shape)
    shape[axis] = shape[axis] // batches.example * batches.greatest
    size = wire.bytes // max(prod(wire.shape), 1) * prod(shape)
    return WireTensor(wire.name, tuple(shape), wire.dtype, size, (axis,), batches.greatest)


def opened(half: fx.GraphModule, other: fx.GraphModule, batches: Batches) -> fx.GraphModule:
    """Return one half for any batch, made of the same half at two batches.

    Raises CodegenError, naming the node, if they are not of one structure, or a number is no line in the batch.
    """
    return _Opening(half, other, batches).opened()


class _Opening:
    """The making of one graph: each number and constant that the batch stands in becomes a node."""

    def __init__(self, half: fx.GraphModule, other: fx.GraphModule, batches: Batches) -> None:
        self.half, self.other, self.batches = half, other, batches
        self.graph = fx.Graph()
        self.copies: dict[fx.Node, fx.Node] = {}
        self.numbers: dict[tuple[int, int], fx.Node] = {}
        self.parts: dict[str, fx.GraphModule] = {}
        self.rows: dict[str, torch.Tensor] = {}
        self.source: tuple[fx.Node, int, int] | None = None
        self.place: fx.Node | None = None

    def opened(self) -> fx.GraphModule:
        ours, theirs = list(self.half.graph.nodes), list(self.other.graph.nodes)
        for node, twin in zip(ours, theirs, strict=False):
            if (node.op, node.name) != (twin.op, twin.name) or (node.op == "call_function" and node.target != twin.target):
                raise self._differs(node.name)
            self._copy(node, twin)
        if len(ours) != len(theirs):
            raise self._differs("their length")
        held: dict[str, Any] = {**self.parts, **self.rows}
        for node in self.graph.nodes:
            if node.op == "get_attr" and node.target not in held:
                held[str(node.target)] = _attribute(self.half, str(node.target))
        module = fx.GraphModule(held, self.graph, class_name=type(self.half).__name__)
        self.graph.lint()
        for submodule in module.modules():
            submodule.training = False
        return module

    def _copy(self, node: fx.Node, twin: fx.Node) -> None:
        copy = self.graph.node_copy(node, self.copies.__getitem__)
        if node.op == "placeholder":
            self._look_for_batch(node, twin, copy)
        elif node.op == "get_attr":
            copy = self._constant(node, twin, copy)
        elif node.op == "call_module":
            self._part(node, twin)
        if node.op not in ("placeholder", "get_attr"):
            copy.args = self._open(node.args, twin.args, node)
            copy.kwargs = self._open(node.kwargs, twin.kwargs, node)
        self.copies[node] = copy

    def _look_for_batch(self, node: fx.Node, twin: fx.Node, copy: fx.Node) -> None:
        """The batch is the length of the first input that has it."""
        self.place = copy
        if self.source is not None:
            return
        shapes = [tuple(value.shape) for value in (node.meta.get("val"), twin.meta.get("val")) if value is not None]
        if len(shapes) == 2:
            grown = [axis for axis, (size, another) in enumerate(zip(*shapes, strict=True)) if size != another]
            if len(grown) == 1:
                self.source = copy, grown[0], shapes[0][grown[0]] // self.batches.example

    def _open(self, value: Any, other: Any, node: fx.Node) -> Any:
        """An argument with nodes of the new graph in it, for nodes and for numbers that the batch stands in."""
        if isinstance(value, fx.Node):
            if not isinstance(other, fx.Node) or other.name != value.name:
                raise self._differs(node.name)
            return self.copies[value]
        if isinstance(value, tuple | list) and isinstance(other, tuple | list) and len(value) == len(other):
            return type(value)(self._open(one, two, node) for one, two in zip(value, other, strict=True))
        if isinstance(value, dict) and isinstance(other, dict) and value.keys() == other.keys():
            return {name: self._open(value[name], other[name], node) for name in value}
        if isinstance(value, slice) and isinstance(other, slice):
            ends = ((value.start, other.start), (value.stop, other.stop), (value.step, other.step))
            return slice(*(self._open(one, two, node) for one, two in ends))
        if type(value) is not type(other) or value != other:
            return self._number(value, other, node)
        return value

    def _number(self, value: Any, other: Any, node: fx.Node) -> fx.Node:
        between = self.batches.other - self.batches.example
        if type(value) is not int or type(other) is not int or (other - value) % between or self.source is None:
            raise CodegenError(
                f"{node.name} has {value!s:.80} at batch {self.batches.example}, {other!s:.80} at batch {self.batches.other},"
                " which no half can compute from its batch; compile without dynamic for each batch"
            )
        slope = (other - value) // between
        return self._line(slope, value - slope * self.batches.example)

    def _line(self, slope: int, start: int) -> fx.Node:
        """The node of start + slope * batch, made right behind the inputs."""
        if (slope, start) in self.numbers:
            return self.numbers[slope, start]
        if (slope, start) == (1, 0):
            assert self.source is not None, "there is a batch to read"
            tensor, axis, each = self.source
            number = self._next(_aten.sym_size.int, (tensor, axis))
            number = number if each == 1 else self._next(operator.floordiv, (number, each))
        elif start:
            number = self._next(operator.add, (self._line(slope, 0), start))
        else:
            number = self._next(operator.mul, (self._line(1, 0), slope))
        self.numbers[slope, start] = number
        return number

    def _next(self, function: Any, args: tuple[Any, ...]) -> fx.Node:
        assert self.place is not None, "there is an input, from which the batch is read"
        with self.graph.inserting_after(self.place):
            self.place = self.graph.call_function(function, args)
        return self.place

    def _constant(self, node: fx.Node, twin: fx.Node, copy: fx.Node) -> fx.Node:
        """A weight as it is; of a constant that the batch stands in, one row, repeated as often as the batch says."""
        mine, theirs = (_attribute(module, str(each.target)) for module, each in ((self.half, node), (self.other, twin)))
        if not isinstance(mine, torch.Tensor) or not isinstance(theirs, torch.Tensor) or _same(mine, theirs):
            return copy
        grown = [axis for axis, (size, another) in enumerate(zip(mine.shape, theirs.shape, strict=False)) if size != another]
        if mine.dim() != theirs.dim() or len(grown) != 1 or mine.dtype != theirs.dtype or self.source is None:
            raise self._other_constant(node)
        (axis,) = grown
        row = mine.narrow(axis, 0, 1)
        if not bool((mine == row).all()) or not bool((theirs == row).all()):
            raise self._other_constant(node)
        name = f"row_of_{node.name}"
        self.rows[name] = row.clone()
        repeats: list[Any] = [1] * mine.dim()
        repeats[axis] = self._number(mine.shape[axis], theirs.shape[axis], node)
        self.graph.erase_node(copy)
        kept = self.graph.get_attr(name)
        kept.meta = {**node.meta, "val": self.rows[name]}
        repeated = self.graph.call_function(_aten.repeat.default, (kept, repeats))
        repeated.meta = dict(node.meta)
        return repeated

    def _part(self, node: fx.Node, twin: fx.Node) -> None:
        """Nodes that stay together are a graph of their own, which reads the batch from its own inputs."""
        mine, theirs = self.half.get_submodule(str(node.target)), self.other.get_submodule(str(twin.target))
        if not isinstance(mine, fx.GraphModule) or not isinstance(theirs, fx.GraphModule):
            raise self._differs(node.name)
        for module, call in ((mine, node), (theirs, twin)):
            inputs = [each for each in module.graph.nodes if each.op == "placeholder"]
            for inner, outer in zip(inputs, call.args, strict=False):
                if isinstance(outer, fx.Node) and "val" in outer.meta:
                    inner.meta.setdefault("val", outer.meta["val"])
        self.parts[str(node.target)] = _Opening(mine, theirs, self.batches).opened()

    def _differs(self, where: str) -> CodegenError:
        return CodegenError(
            f"the traces at batch {self.batches.example} and {self.batches.other} differ in {where}; compile with an example of"
            " a larger batch, or without dynamic for each batch"
        )

    def _other_constant(self, node: fx.Node) -> CodegenError:
        return CodegenError(
            f"{node.name} is a constant that is another one at batch {self.batches.other} than at batch {self.batches.example};"
            " compile without dynamic for each batch"
        )


def _attribute(module: fx.GraphModule, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part)
    return value


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    return one.data_ptr() == other.data_ptr() or torch.equal(one, other)
