"""Inputs, outputs and weights that no split model can have, refused by name before anything is traced."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensor

from cic.errors import TraceError


def refuse_unfit(model: Any, names: Sequence[str], tensors: Sequence[Any]) -> None:
    """Raise TraceError for an input that is no plain tensor with values, and for weights that do not exist yet."""
    for name, tensor in zip(names, tensors, strict=True):
        refuse_array(f"the input {name}", tensor)
        refuse_layout(f"the input {name}", tensor)
        _refuse_without_values(f"the input {name}", tensor)
    for name, weight in _weights(model):
        if nn.parameter.is_lazy(weight):
            raise TraceError(
                f"the weight {name} has no shape yet, since its module is lazy (nn.LazyLinear and its kin); run the model once"
                " on the example, so that tracing does not have to make its weights"
            )
        _refuse_without_values(f"the weight {name}", weight)


def _weights(model: Any) -> Iterable[tuple[str, Any]]:
    if isinstance(model, nn.Module):
        return [*model.named_parameters(), *model.named_buffers()]
    held = [*model.state_dict.items(), *model.constants.items()]
    return [(name, weight) for name, weight in held if isinstance(weight, torch.Tensor)]


def _refuse_without_values(what: str, tensor: torch.Tensor) -> None:
    if tensor.is_meta or isinstance(tensor, FakeTensor):
        kind = "is on the meta device" if tensor.is_meta else "is a fake tensor"
        raise TraceError(
            f"{what} {kind}, which has no values; halves are compared with the model on real numbers, so make the model and its"
            ' example on a real device (model.to_empty(device="cpu"), then load or draw its weights)'
        )


def refuse_array(what: str, value: Any) -> None:
    """Raise TraceError for what only looks like a tensor, such as an array or a number of NumPy."""
    if not isinstance(value, torch.Tensor):
        raise TraceError(f"{what} is a {type(value).__name__}; let it be a tensor (torch.as_tensor) or a number of Python")


def refuse_layout(what: str, tensor: torch.Tensor) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        kind = "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise TraceError(
            f"{what} is a {kind} tensor, which cannot be sent; let plain tensors go in and out, such as indices and values,"
            " and make the other inside the model"
        )
