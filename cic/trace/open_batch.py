"""A model whose batch is open is traced at two batches: whatever differs must grow in proportion with the batch.

Two traces tell what one cannot: which axes of which tensors the batch is, and that nothing else of the graph depends on it.
That all amounts grow in proportion is what one table for every batch rests on (`cic.decision.batch`). Each tensor and op that
does not is refused by its name: one without the batch, one that grows with its square, an op that is there at one batch only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch

from cic.errors import ArgumentError, TraceError
from cic.graph import Graph, Tensor
from cic.trace.traced import Axes, OpenBatch, Traced
from codegen.calls.structure import describe, rebuild
from codegen.checked_json import shown
from codegen.splitters.open_batch import at_batch

Dynamic = Mapping[str, Mapping[int, str]]
"""Input name → axis → the name of the open size, as torch.export takes them; all of one name."""

Again = Callable[[tuple[Any, ...], dict[str, Any]], Traced]
"""Traces the model on another example call."""

_FURTHER = 2
_ONE_TABLE = "one table serves every batch only if all amounts grow in proportion with it"


def axes_of(dynamic: Any, inputs: Sequence[str], tensors: Sequence[torch.Tensor]) -> Axes:
    """Where the batch lies in each flat input.

    Raises:
        ArgumentError: `dynamic` is of another form, names an input or axis that does not exist, or more than one open size.
    """
    if not isinstance(dynamic, Mapping) or not dynamic:
        raise _unfit(dynamic)
    names: set[str] = set()
    found: dict[str, int] = {}
    for name, axes in dynamic.items():
        if name not in inputs:
            raise ArgumentError(f"dynamic names the input {shown(name)}; the model's inputs are {', '.join(inputs)}")
        if not isinstance(axes, Mapping) or not all(type(axis) is int and isinstance(text, str) for axis, text in axes.items()):
            raise _unfit(dynamic)
        names.update(axes.values())
        if len(axes) != 1 or len(names) != 1:
            raise ArgumentError(
                f"dynamic is {shown(dynamic)}; only the batch can be open, one axis of an input and one name for all."
                " Of image sizes and sequence lengths each is compiled for itself"
            )
        (axis,) = axes
        dimensions = tensors[inputs.index(name)].dim()
        if not -dimensions <= axis < dimensions:
            raise ArgumentError(f"dynamic names the axis {axis} of {name}, which has {dimensions}")
        found[name] = axis % dimensions
    return tuple(found.get(name) for name in inputs)


def open_batch(traced: Traced, axes: Axes, again: Again) -> OpenBatch:
    """Trace a model once more at another batch, and compare.

    Raises:
        TraceError: the inputs have no batch in common, the model cannot be traced at another one, or something does not grow in
            proportion with it; names it.
    """
    tensors, inputs = traced.source.example_inputs, traced.graph.inputs
    sizes = {name: tensor.shape[axis] for name, tensor, axis in zip(inputs, tensors, axes, strict=True) if axis is not None}
    size = next(iter(sizes.values()))
    if set(sizes.values()) != {size} or size < 1:
        batches = ", ".join(f"{name} {each}" for name, each in sizes.items())
        raise TraceError(f"the examples have the batches {batches}; one batch of at least 1 is expected")
    other_size = size + _FURTHER
    structure, _ = describe({"args": traced.args, "kwargs": traced.kwargs})
    call = rebuild(structure, [at_batch(tensor, axis, other_size) for tensor, axis in zip(tensors, axes, strict=True)])
    try:
        other = again(tuple(call["args"]), dict(call["kwargs"]))
    except TraceError as error:
        raise TraceError(f"{traced.graph.name} is to have an open batch, and fails at batch {other_size}: {error}") from error
    _check_proportion(traced.graph, other.graph, size, other_size)
    return OpenBatch(size, axes, other_size, other)


def _unfit(dynamic: Any) -> ArgumentError:
    return ArgumentError(
        f'dynamic is {shown(dynamic)}; give input names with the axis of the batch, such as {{"x": {{0: "batch"}}}}'
    )


def _check_proportion(graph: Graph, other: Graph, size: int, other_size: int) -> None:
    """Raise TraceError, naming the tensor or op, unless everything at the other batch is in proportion."""
    at = f"at batch {size} and {other_size}"
    outlines = [[(op.name, op.kinds, op.inputs, op.outputs) for op in each.ops] for each in (graph, other)]
    if outlines[0] != outlines[1]:
        differing = [one[0] for one, two in zip(*outlines, strict=False) if one != two]
        where = differing[0] if differing else f"the number of ops, {len(graph.ops)} and {len(other.ops)}"
        raise TraceError(
            f"{graph.name} is not the same model {at}: they differ in {where}; compile with an example of a larger batch, or"
            " without dynamic for each batch"
        )
    for tensor, at_other_size in zip(graph.tensors, other.tensors, strict=True):
        if (tensor.consumers or tensor.is_output) and tensor.may_cross:
            _check_tensor(tensor, at_other_size, size, other_size, at)
    for op, at_other in zip(graph.ops, other.ops, strict=True):
        if op.flops * other_size != at_other.flops * size:
            raise TraceError(
                f"op {op.name} takes {op.flops} and {at_other.flops} floating-point operations {at}; {_ONE_TABLE}. Compile"
                " without dynamic for each batch"
            )


def _check_tensor(tensor: Tensor, other: Tensor, size: int, other_size: int, at: str) -> None:
    grown = open_axes(tensor.shape, other.shape)
    in_proportion = [axis for axis in grown if tensor.shape[axis] * other_size == other.shape[axis] * size]
    if len(tensor.shape) == len(other.shape) and len(grown) == 1 and in_proportion == grown:
        return
    what = "an input," if tensor.producer is None else f"which {tensor.producer} makes,"
    raise TraceError(
        f"{tensor.name}, {what} has the shapes {list(tensor.shape)} and {list(other.shape)} {at}; {_ONE_TABLE}. Give it the"
        " batch as an axis, keep it out of the call (a buffer of the model), or compile without dynamic for each batch"
    )


def open_axes(shape: Sequence[int], other: Sequence[int]) -> list[int]:
    """The axes along which two shapes of as many dimensions differ."""
    return [axis for axis, (size, another) in enumerate(zip(shape, other, strict=False)) if size != another]
