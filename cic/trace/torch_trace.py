"""From a torch model and an example call to a `Graph` of priced, fused ops, and the flat module the graph talks about.

model → FlatModel → front end (export, else fx) → constants folded → writes removed → compared with eager
      → ops and tensors → fused runs
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from cic.errors import TraceError
from cic.graph import Graph
from cic.trace import from_export, from_fx, from_program
from cic.trace.agreement import first_difference
from cic.trace.constants import bake_shapes, fold_constants
from cic.trace.failure import explain, untraceable
from cic.trace.flat_model import FlatModel, evaluating, flat_tensors, input_names, unrelated
from cic.trace.functional import make_functional, refuse_outside_effects, refuse_sizes_from_data
from cic.trace.fusion import fuse
from cic.trace.graph_building import build_graph
from cic.trace.propagation import propagate, run_checked
from codegen.equivalence import redraw
from codegen.structure import Structure, rebuild


@dataclass(frozen=True)
class TracedModel:
    """A model as a graph, and the module that computes it.

    graph: fused; Op.members and Tensor.name are node names of `module.graph`.
    module: flat and functional: its placeholders are the tensors of (args, kwargs) depth first, its output the flat tuple
    of the tensors of the model's output, depth first (see `codegen.structure`). Nodes are get_attr, call_function and, for
    a run of in-place ops that cannot be taken apart, call_module. Weights share their storage with the model's.
    args, kwargs: the example call.
    output_example: what the model itself returned for it.
    unfused: the graph before fusion.
    """

    graph: Graph
    module: fx.GraphModule
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    output_example: Any
    unfused: Graph

    @property
    def input_example(self) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return self.args, self.kwargs


def trace(
    model: nn.Module | torch.export.ExportedProgram,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    name: str | None = None,
) -> TracedModel:
    """Trace `model` on an example call, in eval mode; the model itself is left as it was.

    Shapes, types and every argument that is no tensor are fixed to the example's. An ExportedProgram without `args` is
    traced on its own example inputs.

    Raises TraceError, naming op and source line, if no front end understands the model, if it changes an input or a buffer,
    draws random numbers, returns what cannot be sent, or if the traced module and the model disagree.
    """
    args, kwargs = _example(model, args, kwargs)
    name = name or getattr(model, "__name__", None) or type(model).__name__
    call, tensors = flat_tensors((args, kwargs), "the arguments")
    if not tensors:
        raise TraceError(f"{name} was given no tensor to work on; pass args or kwargs with example tensors")
    _refuse_unfit(model, input_names(model, args, kwargs), tensors)
    if isinstance(model, torch.export.ExportedProgram):
        module = from_program.capture(model, args, kwargs)
        _normalise(module, tensors, name)
        with torch.no_grad():
            output = _checked_output(module, model.module(), call, tensors, name)
    else:
        with evaluating(model):
            module = _capture(FlatModel(model, call), unrelated(tensors), input_names(model, args, kwargs), name)
            _normalise(module, tensors, name)
            output = _checked_output(module, model, call, tensors, name)
    unfused = build_graph(module, name)
    return TracedModel(fuse(unfused), module, args, kwargs, output, unfused)


def _example(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(args, torch.Tensor):
        raise TraceError("args is a tensor; pass a tuple of arguments, (tensor,)")
    if isinstance(model, torch.export.ExportedProgram) and not args and not kwargs:
        if model.example_inputs is None:
            raise TraceError("the exported program holds no example inputs; pass args and kwargs")
        args, kwargs = model.example_inputs
    if not isinstance(model, nn.Module | torch.export.ExportedProgram):
        raise TraceError(f"a {type(model).__name__} cannot be traced; pass a torch.nn.Module or an ExportedProgram")
    return tuple(args), dict(kwargs or {})


def _refuse_unfit(model: Any, names: Sequence[str], tensors: Sequence[Any]) -> None:
    """Raise TraceError for an input that is no plain tensor, and for weights that do not exist yet."""
    for name, tensor in zip(names, tensors, strict=True):
        if not isinstance(tensor, torch.Tensor):
            raise TraceError(f"the input {name} is a {type(tensor).__name__}; pass a tensor (torch.as_tensor) or a number")
        _refuse_layout(f"the input {name}", tensor)
    weights = [*model.named_parameters(), *model.named_buffers()] if isinstance(model, nn.Module) else []
    for name, weight in weights:
        if nn.parameter.is_lazy(weight):
            raise TraceError(
                f"the weight {name} has no shape yet, since its module is lazy (nn.LazyLinear and its kin); run the model once"
                " on the example, so that tracing does not have to make its weights"
            )


def _refuse_layout(what: str, tensor: torch.Tensor) -> None:
    if tensor.layout is not torch.strided or tensor.is_quantized:
        kind = "quantised" if tensor.is_quantized else str(tensor.layout).removeprefix("torch.")
        raise TraceError(
            f"{what} is a {kind} tensor, which cannot be sent; let plain tensors go in and out, such as indices and values,"
            " and make the other inside the model"
        )


def _capture(flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str], name: str) -> fx.GraphModule:
    """Try the front ends in turn."""
    failures: dict[str, BaseException] = {}
    for front_end, capture in (("torch.export", from_export.capture), ("torch.fx", from_fx.capture)):
        try:
            return capture(flat, tensors, names)
        except Exception as error:
            if isinstance(error, TraceError) and not failures:
                raise
            failures[front_end] = error
    raise untraceable(name, failures) from failures["torch.export"]


def _normalise(module: fx.GraphModule, tensors: Sequence[torch.Tensor], name: str) -> None:
    try:
        propagate(module, tensors)
        refuse_outside_effects(module.graph)
        bake_shapes(module)
        fold_constants(module)
        make_functional(module, tensors)
        refuse_sizes_from_data(module.graph)
    except TraceError:
        raise
    except Exception as error:  # the captured graph itself does not run: the front end misread the model
        raise TraceError(f"the graph captured of {name} cannot be made safe to cut: {explain(error)}") from error


def _checked_output(module: fx.GraphModule, model: Any, call: Structure, tensors: Sequence[torch.Tensor], name: str) -> Any:
    """Return what the model gives for the example; TraceError unless the traced module gives the same, and once more.

    The second time is on other numbers: a tensor that tracing lost sight of is a constant, and right for the example only;
    and a model that keeps state between calls answers differently.
    """
    output = _run_eagerly(model, call, tensors, name)
    _compare(module, tensors, output, name)
    others = redraw(tensors)
    try:
        args, kwargs = rebuild(call, [tensor.clone() for tensor in others])
        answer = model(*args, **kwargs)
    except Exception:  # a model may refuse shuffled inputs, such as offsets that must be sorted
        others, answer = list(tensors), _run_eagerly(model, call, tensors, name)
    _compare(module, others, answer, name)
    return output


def _run_eagerly(model: Any, call: Structure, tensors: Sequence[torch.Tensor], name: str) -> Any:
    args, kwargs = rebuild(call, tensors)
    try:
        return model(*args, **kwargs)
    except Exception as error:
        raise TraceError(f"{name} cannot run the example call: {explain(error)}") from error


def _compare(module: fx.GraphModule, tensors: Sequence[torch.Tensor], output: Any, name: str) -> None:
    _, expected = flat_tensors(output, "the model's output")
    if not expected:
        raise TraceError(f"{name} returns no tensor; return at least one")
    for position, tensor in enumerate(expected):
        _refuse_layout(f"output {position}", tensor)
    difference = first_difference(run_checked(module, tensors), expected)
    if difference is not None:
        raise TraceError(
            f"the traced {name} and the model itself disagree: {difference}; the model keeps state between calls, draws"
            " random numbers, or hides a tensor from tracing (.numpy(), a value kept from an earlier call), or runs a fused"
            " fast path when it is not traced (torch.nn.TransformerEncoder with a padding mask does, unless it is made with"
            " enable_nested_tensor=False)"
        )
