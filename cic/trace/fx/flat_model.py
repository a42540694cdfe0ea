"""A model seen as a function of a flat row of tensors to a flat tuple of tensors.

Tracing this view instead of the model itself makes the order of inputs and outputs ours (depth first, see
`codegen.calls.structure`) and spares every container class, a dataclass for one, from being known to torch's own pytrees.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import fx, nn

from cic.errors import TraceError
from cic.trace.fx.failure import explain
from cic.trace.preservation.preservation import preserved
from codegen.calls.structure import Structure, describe, leaf_names, rebuild
from codegen.errors import CodegenError

INNER = "model"  # the name of the user's model inside a FlatModel


class FlatModel(nn.Module):
    """Calls `model` with the arguments of an example, its tensors replaced by those given, and flattens the answer.

    Raises TraceError if the model gives one of them another shape in place: tracing loses its way when an input does that.
    """

    def __init__(self, model: nn.Module, call: Structure) -> None:
        super().__init__()
        self.model = model
        self.call = call

    def forward(self, *tensors: Any) -> tuple[Any, ...]:
        args, kwargs = rebuild(self.call, tensors)
        before, names = [_layout(tensor) for tensor in tensors], input_names(self.model, args, kwargs)
        answer = flat_tensors(self.model(*args, **kwargs), "the model's output")[1]
        for tensor, layout, name in zip(tensors, before, names, strict=True):
            if _layout(tensor) != layout:
                raise TraceError(
                    f"the model gives another shape to what it was given: it changes the model input {name!r} in place, as"
                    " unsqueeze_ and t_ do, which the caller would see; use the op without an underscore"
                )
        return answer


def _layout(tensor: Any) -> Any:
    """Shape and strides; None for what stands for a tensor while `torch.fx` traces, and for what has no strides."""
    if not isinstance(tensor, torch.Tensor) or tensor.layout is not torch.strided:
        return None
    return tuple(tensor.shape), tuple(tensor.stride())


def unrelated(tensors: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    """Return the tensors; in place of one that is a view, or stands there twice, a copy with the same strides.

    torch.export takes a tensor for one input however often it is given, and makes of the base of a view a tensor of
    unknown size, about which it then finds conditions that belong to no input ("sources must not be empty").
    """
    seen: set[int] = set()
    single = []
    for tensor in tensors:
        single.append(_twin(tensor) if id(tensor) in seen or tensor._is_view() else tensor)
        seen.add(id(tensor))
    return single


def _twin(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is not torch.strided or tensor.is_conj() or tensor.is_neg() or type(tensor) is not torch.Tensor:
        return tensor.detach().clone()
    steps = zip(tensor.shape, tensor.stride(), strict=True)
    reach = 1 + sum((size - 1) * stride for size, stride in steps) if tensor.numel() else 0
    memory = tensor.detach().as_strided((reach,), (1,), tensor.storage_offset()).clone()
    # Not as_strided, whose result would be a view again; and elements may share memory, as after expand.
    return memory.new_empty(0).set_(memory.untyped_storage(), 0, tensor.shape, tensor.stride())


def flat_tensors(value: Any, what: str) -> tuple[Structure, tuple[Any, ...]]:
    """Return structure and tensors of `value`, depth first. Raises TraceError if it holds what cannot be sent."""
    try:
        structure, leaves = describe(value)
    except (CodegenError, RuntimeError) as error:  # asking a nested tensor for its shape is a RuntimeError
        raise TraceError(f"{what} cannot be kept: {error}") from error
    return structure, tuple(leaves)


def flat_call(args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Structure, tuple[Any, ...]]:
    """Return structure and tensors of a call, as `flat_tensors`; the structure is that of the pair (args, kwargs)."""
    try:
        return flat_tensors((args, kwargs), "the arguments")
    except TraceError:
        flat_tensors({"args": args, "kwargs": kwargs}, "the arguments")  # which raises with the names people give them
        raise


def input_names(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[str]:
    """Name each input tensor after the parameter of `model.forward` it came through ("input_ids", "states_0").

    The names are those of Python arguments, each once: two that differ only in what no name may hold get a number.
    """
    named = [*_positional_names(model, args), *kwargs]
    names: list[str] = []
    for name, value in zip(named, [*args, *kwargs.values()], strict=True):
        structure, _ = flat_tensors(value, f"the argument {name}")
        for place in leaf_names(structure):
            inner = "" if place == "the value" else place
            names.append(re.sub(r"\W+", "_", f"{name}.{inner}").strip("_"))
    space: Any = fx.graph._Namespace()
    space.create_name("self", None)  # so that nobody else is called like the module itself
    return [space.create_name(name, object()) for name in names]  # the builtin None would be taken for one called so


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
    """Put `model` in eval mode without gradients; afterwards every module has its own training flag back.

    A module with a way of its own of changing modes may do more then, such as merging weights; that is undone, too.
    """
    modules = [module for module in model.modules() if hasattr(module, "training")]  # a frozen script module has no modes
    flags = [(module, module.training) for module in modules]
    own_way = [module for module in modules if (type(module).train, type(module).eval) != (nn.Module.train, nn.Module.eval)]
    try:
        with torch.no_grad(), preserved(*own_way):
            try:
                model.eval()
            except (NotImplementedError, AttributeError):  # a frozen module, or the graph of an exported program
                for module in modules:
                    module.training = False
            except Exception as error:
                raise TraceError(f"{type(model).__name__} cannot be put in eval mode: {explain(error)}") from error
            yield
    finally:
        for module, flag in flags:
            module.training = flag
