"""A model seen as a function of a flat row of tensors to a flat tuple of tensors.

Tracing this view instead of the model itself makes the order of inputs and outputs ours (depth first, see
`codegen.structure`) and spares every container class, a dataclass for one, from being known to torch's own pytrees.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from cic.errors import TraceError
from codegen.errors import CodegenError
from codegen.structure import Structure, describe, leaf_names, rebuild

INNER = "model"  # the name of the user's model inside a FlatModel


class FlatModel(nn.Module):
    """Calls `model` with the arguments of an example, its tensors replaced by those given, and flattens the answer."""

    def __init__(self, model: nn.Module, call: Structure) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, *tensors: Any) -> tuple[Any, ...]:
        args, kwargs = rebuild(self.call, tensors)
        return flat_tensors(self.model(*args, **kwargs), "the model's output")[1]


def flat_tensors(value: Any, what: str) -> tuple[Structure, tuple[Any, ...]]:
    """Return structure and tensors of `value`, depth first. Raises TraceError if it holds what cannot be sent."""
    try:
        structure, leaves = describe(value)
    except CodegenError as error:
        raise TraceError(f"{what} cannot be kept: {error}") from error
    return structure, tuple(leaves)


def input_names(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """Name each input tensor after the parameter of `model.forward` it came through ("input_ids", "states_0")."""
    named = [*_positional_names(model, args), *kwargs]
    names: list[str] = []
    for name, value in zip(named, [*args, *kwargs.values()], strict=True):
        structure, _ = flat_tensors(value, f"the argument {name}")
        for place in leaf_names(structure):
            inner = "" if place == "the value" else place
            names.append(re.sub(r"\W+", "_", f"{name}.{inner}").strip("_"))
    return names


def _positional_names(model: Any, args: Sequence[Any]) -> list[str]:
    fallback = [f"input_{index}" for index in range(len(args))]
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (AttributeError, TypeError, ValueError):
        return fallback
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    known = [parameter.name for parameter in parameters if parameter.kind in kinds]
    return known[: len(args)] + fallback[len(known) :]


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Put `model` in eval mode without gradients; afterwards every module has its own training flag back."""
    flags = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        with torch.no_grad():
            yield
    finally:
        for module, flag in flags:
            module.training = flag
