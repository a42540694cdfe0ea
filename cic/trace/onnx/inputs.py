"""Inputs of an ONNX model: examples by position or name, shapes made fixed, and the rest drawn."""

from __future__ import annotations

import operator
from collections.abc import Mapping, Sequence
from typing import Any

import onnx_ir as ir
import torch

from cic.errors import TraceError
from cic.trace.onnx.graph_building import TYPES, dtype_name
from codegen.dtypes import type_name

Shape = Sequence[int]


def given_by_name(model: ir.Model, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, torch.Tensor]:
    """Return the example inputs by name; TraceError, naming the input, if one is too many, no tensor, or of another type."""
    inputs = {str(value.name): value for value in model.graph.inputs}
    known = f"its inputs are {', '.join(inputs)}"
    if len(args) > len(inputs):
        raise TraceError(f"{path} takes {len(inputs)} inputs, {len(args)} were given; {known}")
    given = dict(zip(inputs, args, strict=False))
    for key, value in kwargs.items():
        if key not in inputs or key in given:
            raise TraceError(f"{path}: {'no input is called' if key not in inputs else 'two values for'} {key!r}; {known}")
        given[key] = value
    for key, value in given.items():
        if not isinstance(value, torch.Tensor):
            raise TraceError(f"{path}: the example for input {key!r} is a {type(value).__name__}; give a torch tensor")
        if value.layout is not torch.strided or value.is_meta:
            raise TraceError(
                f"{path}: the example for input {key!r} is a {value.layout} tensor on {value.device}; give a plain one on a"
                " processor"
            )
        dtype = type_name(value.dtype)
        if dtype != dtype_name(inputs[key]):
            raise TraceError(f"{path}: input {key!r} is of type {dtype_name(inputs[key])}, the example of type {dtype}")
    return given


def bind(model: ir.Model, path: str, examples: Mapping[str, tuple[int, ...]], shapes: Mapping[str, Shape]) -> None:
    """Fix the shape of every input to the example's, the given or the declared one; TraceError if none says, or two differ."""
    names = [str(value.name) for value in model.graph.inputs]
    for name in shapes:
        if name not in names:
            raise TraceError(f"shapes names the input {name!r}; {path} has the inputs {', '.join(names)}")
    for value in model.graph.inputs:
        name = str(value.name)
        if not isinstance(value.type, ir.TensorType) or dtype_name(value) == "string":
            raise TraceError(f"{path}: input {name!r} is of type {value.type}; only tensors of numbers can be split")
        if dtype_name(value) not in TYPES:
            raise TraceError(
                f"{path}: input {name!r} is of type {dtype_name(value)}, which ONNX Runtime does not take as an input; use one"
                f" of {', '.join(sorted(TYPES))}"
            )
        declared = _sizes(value.shape)
        wanted: Sequence[int | None] | None = declared
        if name in examples:
            wanted = examples[name]
        elif name in shapes:
            wanted = _whole(shapes[name], name)
        if wanted is None or None in wanted:
            raise TraceError(
                f"{path}: input {name!r} has the open shape {_shown(value.shape)}; give an example input (on the command line:"
                f" --input {_text(wanted)}), or cic.trace_model(…, shapes={{{name!r}: {_filled(wanted)}}})"
            )
        fits = declared is None or (
            len(declared) == len(wanted) and all(size in (None, given) for size, given in zip(declared, wanted, strict=True))
        )
        if not fits or not all(_is_fixed(size) for size in wanted):
            raise TraceError(f"{path}: input {name!r} has shape {_shown(value.shape)}, given was {tuple(wanted)}")
        value.shape = ir.Shape([size for size in wanted if size is not None])


def draw(value: ir.Value, generator: torch.Generator) -> torch.Tensor:
    """Return a random tensor for an input; integers are 0 or 1, which is valid as a token, a mask and a flag.

    Raises TraceError if there is no memory for it.
    """
    assert value.shape is not None, "inputs are bound"
    shape, dtype = value.shape.numpy(), getattr(torch, dtype_name(value))
    try:
        if dtype.is_floating_point:
            return torch.randn(shape, generator=generator).to(dtype)
        return torch.randint(0, 2, shape, generator=generator).to(dtype)
    except RuntimeError as error:
        raise TraceError(
            f"input {value.name!r} has the shape {shape}, which does not fit into memory; give a smaller one"
        ) from error


def _whole(shape: Any, name: str) -> tuple[int, ...]:
    """Return a shape as given, with plain numbers in it."""
    try:
        return tuple(size if isinstance(size, bool) else operator.index(size) for size in shape)
    except TypeError as error:
        raise TraceError(f"shapes gives {shape!r} for the input {name!r}; give a tuple of whole numbers") from error


def _sizes(shape: ir.Shape | None) -> tuple[int | None, ...] | None:
    """A name, nothing, and with old converters a negative number leave a dimension open."""
    return None if shape is None else tuple(size if isinstance(size, int) and size >= 0 else None for size in shape)


def _is_fixed(size: Any) -> bool:
    return isinstance(size, int) and not isinstance(size, bool) and size >= 0


def _shown(declared: ir.Shape | None) -> str:
    return "unknown" if declared is None else f"({', '.join(str(size) for size in declared)})"


def _filled(sizes: Sequence[int | None] | None) -> str:
    return "(…)" if sizes is None else str(tuple(1 if size is None else size for size in sizes))


def _text(sizes: Sequence[int | None] | None) -> str:
    return "1x3x224x224" if not sizes else "x".join(str(1 if size is None else size) for size in sizes)
