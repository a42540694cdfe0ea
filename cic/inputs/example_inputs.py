"""Example inputs, described well enough to make similar ones later: structure, shapes, dtypes and ranges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from cic.decision.stored_graph import StoredCall, StoredInput
from cic.errors import ArtifactError, TraceError
from codegen.calls.structure import describe, leaf_names, rebuild
from codegen.dtypes import type_name
from codegen.errors import CodegenError, codegen_error_as

SEED = 0


def describe_inputs(args: Sequence[Any], kwargs: Mapping[str, Any], batch_axes: Sequence[int | None] = ()) -> StoredCall:
    """The nesting of args and kwargs, and of each tensor its shape, dtype and range of values.

    A tensor in another order than its dimensions', such as channels last, has that order, too: a graph is traced for it.
    batch_axes: of each tensor the axis of the batch, None where it has none; empty if shapes are fixed.

    Raises:
        TraceError: an input that is neither a tensor nor a plain constant.
    """
    with codegen_error_as(TraceError, "the inputs cannot be described"):
        structure, leaves = describe({"args": tuple(args), "kwargs": dict(kwargs)})
    tensors = tuple(
        StoredInput(
            name=name,
            shape=tuple(leaf.shape),
            dtype=type_name(leaf.dtype),
            values=_values(leaf),
            order=_order(leaf),
            open_axes=() if axis is None else (axis,),
        )
        for name, leaf, axis in zip(leaf_names(structure), leaves, batch_axes or [None] * len(leaves), strict=True)
    )
    return StoredCall(structure=structure, tensors=tensors)


def make_inputs(call: StoredCall) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Inputs like those described: same nesting, shapes and dtypes, values drawn from the same range, seed fixed.

    Raises:
        ArtifactError: the description is damaged.
    """
    generator = torch.Generator().manual_seed(SEED)
    try:
        leaves = [_laid_out(_draw(tensor, generator), tensor.order) for tensor in call.tensors]
        made = rebuild(call.structure, leaves)
        return tuple(made["args"]), dict(made["kwargs"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, CodegenError) as error:
        raise ArtifactError(f"the description of the inputs is damaged ({error!r}); compile again") from error


def _values(leaf: torch.Tensor) -> dict[str, float]:
    if leaf.numel() == 0 or leaf.is_complex():
        return {}
    if leaf.is_floating_point():
        wide = leaf.detach().double()
        mean, deviation = float(wide.mean()), float(wide.std(correction=0))
        return {"mean": mean, "deviation": deviation} if mean == mean and deviation < float("inf") else {}
    whole = leaf.to(torch.int64)  # torch finds no minimum of unsigned types
    return {"low": int(whole.min()), "high": int(whole.max())}


def _order(leaf: torch.Tensor) -> tuple[int, ...] | None:
    """Dimensions from the slowest to the fastest in memory, if that is not the usual order and there are no gaps."""
    if leaf.is_contiguous():
        return None
    strides: tuple[int, ...] = tuple(leaf.stride())
    order = tuple(sorted(range(leaf.dim()), key=lambda dimension: (-strides[dimension], dimension)))
    return order if leaf.permute(order).is_contiguous() else None


def _laid_out(leaf: torch.Tensor, order: Sequence[int] | None) -> torch.Tensor:
    """The same values in that order in memory."""
    if order is None:
        return leaf
    back = [list(order).index(dimension) for dimension in range(leaf.dim())]
    return leaf.permute(*order).contiguous().permute(*back)


def _draw(tensor: StoredInput, generator: torch.Generator) -> torch.Tensor:
    dtype, shape, values = getattr(torch, tensor.dtype), tensor.shape, tensor.values
    if dtype.is_floating_point:
        normal = torch.randn(shape, generator=generator, dtype=torch.float32)
        return (normal * values.get("deviation", 1.0) + values.get("mean", 0.0)).to(dtype)
    if dtype.is_complex:
        return torch.randn(shape, generator=generator, dtype=torch.complex64).to(dtype)
    return torch.randint(int(values.get("low", 0)), int(values.get("high", 1)) + 1, shape, generator=generator).to(dtype)
