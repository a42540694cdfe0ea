"""From a torch model and an example call to a `Graph` of priced, fused ops, and the flat module the graph talks about.

model → FlatModel → front end (export, else fx) → constants folded → writes removed → compared with eager
      → ops and tensors → fused runs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from cic.errors import TraceError
from cic.trace.fusion import fuse
from cic.trace.fx import from_export, from_fx, from_program
from cic.trace.fx.agreement import first_difference
from cic.trace.fx.constants import bake_shapes, fold_constants
from cic.trace.fx.failure import explain, failing_node, last_user_line, untraceable
from cic.trace.fx.flat_model import FlatModel, evaluating, flat_call, flat_tensors, input_names, unrelated
from cic.trace.fx.functional import make_functional, refuse_outside_effects, refuse_sizes_from_data
from cic.trace.fx.graph_building import build_graph
from cic.trace.fx.propagation import propagate, run_checked
from cic.trace.fx.schema import kind_of
from cic.trace.fx.traced_model import TracedModel
from cic.trace.fx.unfit import refuse_array, refuse_layout, refuse_unfit
from cic.trace.preservation.preservation import Preserved, preserved
from codegen.calls.structure import Structure, rebuild
from codegen.verification.equivalence import redraw


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
    return copy_context().run(_trace, model, args, kwargs, name)  # so that a context variable the model sets is as it was


def _trace(
    model: nn.Module | torch.export.ExportedProgram,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    name: str | None,
) -> TracedModel:
    args, kwargs = _example(model, args, kwargs)
    name = name or getattr(model, "__name__", None) or type(model).__name__
    call, tensors = flat_call(args, kwargs)
    if not tensors:
        raise TraceError(f"{name} was given no tensor to work on; pass args or kwargs with example tensors")
    names = input_names(model, args, kwargs)
    refuse_unfit(model, names, tensors)
    if isinstance(model, torch.export.ExportedProgram):
        program = model
        from_program.check_call(program, args, kwargs)
        with torch.no_grad(), preserved(program.state_dict, program.constants, args, kwargs) as before:
            asked = _ask_twice(from_program.module_of(program), before, call, tensors, name)
            module = _traced(lambda: from_program.capture(program, args, kwargs), before, asked, tensors, name)
    else:
        with evaluating(model), preserved(model, args, kwargs) as before:
            asked = _ask_twice(model, before, call, tensors, name)
            flat, apart = FlatModel(model, call), unrelated(tensors)
            module = _traced(lambda: _capture(flat, apart, names, name, before), before, asked, tensors, name)
    unfused = build_graph(module, name)
    return TracedModel(fuse(unfused), module, args, kwargs, asked.output, unfused)


def _example(model: Any, args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(args, torch.Tensor):
        raise TraceError("args is a tensor; pass a tuple of arguments, (tensor,)")
    if isinstance(model, torch.export.ExportedProgram) and not args and not kwargs:
        if model.example_inputs is None:
            raise TraceError("the exported program holds no example inputs; pass args and kwargs")
        args, kwargs = model.example_inputs
    if not isinstance(model, nn.Module | torch.export.ExportedProgram):
        kind = type(model).__name__
        raise TraceError(
            f"the model is of type {kind}, which cannot be traced; pass a module or exported program of torch, or an ONNX file"
        )
    return tuple(args), dict(kwargs or {})


_FRONT_ENDS = ("torch.export", from_export.capture), ("torch.fx", from_fx.capture)


@dataclass(frozen=True)
class _Asked:
    """What the model itself answers. output: to the example; answers: tensors given and tensors expected; is_warm: whether the
    model has been left with tables that its first call made."""

    output: Any
    answers: tuple[tuple[Sequence[torch.Tensor], Sequence[torch.Tensor]], ...]
    is_warm: bool


def _ask_twice(model: Any, before: Preserved, call: Structure, tensors: Sequence[torch.Tensor], name: str) -> _Asked:
    """Run the model on the example and on other numbers, and leave it warmed up (see `Preserved.settle`).

    The second call finds a tensor that tracing lost sight of, which is a constant and right for the example only, and a
    model that keeps state between calls. It comes before tracing, so that no table is first filled with tensors without data.
    """
    output, expected = _run_eagerly(model, before, call, tensors, name)
    first = before.reading()
    others = redraw(tensors)
    try:
        _, again = _run_eagerly(model, before, call, others, name)
    except TraceError:  # a model may refuse shuffled inputs, such as offsets that must be sorted
        others = list(tensors)
        _, again = _run_eagerly(model, before, call, others, name)
    is_warm = before.settle(first, before.reading())
    return _Asked(output, ((tensors, expected), (others, again)), is_warm)


def _run_eagerly(
    model: Any, before: Preserved, call: Structure, tensors: Sequence[torch.Tensor], name: str
) -> tuple[Any, Sequence[torch.Tensor]]:
    """Return the model's answer, and copies of its tensors; the tensors given stay as they are."""
    args, kwargs = rebuild(call, tensors)
    with preserved(tensors) as inputs:
        try:
            with before.writes_seen(), inputs.writes_seen():
                output = model(*args, **kwargs)
        except Exception as error:
            raise TraceError(f"{name} cannot run the example call: {explain(error)}") from error
        _, expected = flat_tensors(output, "the model's output")
        if not expected:
            raise TraceError(f"{name} returns no tensor; return at least one")
        for position, tensor in enumerate(expected):
            refuse_array(f"output {position}", tensor)
            refuse_layout(f"output {position}", tensor)
        return output, [tensor.detach().clone() for tensor in expected]


def _traced(
    capture: Callable[[], fx.GraphModule], before: Preserved, asked: _Asked, tensors: Sequence[torch.Tensor], name: str
) -> fx.GraphModule:
    """Trace the model as it is after a call; where that is refused, as it was before."""

    def attempt() -> fx.GraphModule:
        module = capture()
        _normalise(module, tensors, name)
        for given, expected in asked.answers:
            _compare(module, given, expected, name)
        before.own_changed_memory(module)
        return module

    try:
        return attempt()
    except TraceError:
        if not asked.is_warm:
            raise
        before.put_back()
        return attempt()


def _capture(
    flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str], name: str, before: Preserved
) -> fx.GraphModule:
    """Try the front ends in turn, each on the model as it is now."""
    failures: dict[str, BaseException] = {}
    for front_end, capture in _FRONT_ENDS:
        try:
            with before.kept():
                return capture(flat, tensors, names)
        except Exception as error:
            if isinstance(error, TraceError) and not failures:
                raise
            failures[front_end] = error
    with before.kept():
        ran_backward = _runs_backward(flat, tensors)
    raise untraceable(name, failures, ran_backward) from failures["torch.export"]


def _runs_backward(flat: FlatModel, tensors: Sequence[torch.Tensor]) -> bool:
    """Tell whether a call of the model computes gradients, which reads what was kept for them."""
    read: list[torch.Tensor] = []

    def unpack(tensor: torch.Tensor) -> torch.Tensor:
        read.append(tensor)
        return tensor

    try:
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
            flat(*[tensor.clone() for tensor in tensors])
    except Exception:  # under torch.func.grad, say, such hooks are refused  # noqa: BLE001
        return False
    return bool(read)


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
        node = failing_node(error, module.graph)
        if node is None:
            raise TraceError(f"the graph captured of {name} cannot be made safe to cut: {explain(error)}") from error
        where = f"{kind_of(node)} at {last_user_line(node.meta.get('stack_trace', '')) or node.name}"
        if not isinstance(node.target, torch._ops.OpOverload) or "vmap" in str(error):
            raise TraceError(
                f"{where} belongs to a graph within the graph, as torch.vmap and flex_attention make them, which cannot be run"
                " op by op, as a split does; use operators on whole tensors (scaled_dot_product_attention for flex_attention)"
            ) from error
        raise TraceError(f"the graph captured of {name} cannot be made safe to cut: {where}: {explain(error)}") from error


def _compare(module: fx.GraphModule, tensors: Sequence[torch.Tensor], expected: Sequence[torch.Tensor], name: str) -> None:
    difference = first_difference(run_checked(module, tensors), expected)
    if difference is not None:
        raise TraceError(
            f"the traced {name} and the model itself disagree: {difference}; the model keeps state between calls, draws"
            " random numbers, or hides a tensor from tracing (.numpy(), a value kept from an earlier call), or runs a fused"
            " fast path when it is not traced (torch.nn.TransformerEncoder with a padding mask does, unless it is made with"
            " enable_nested_tensor=False)"
        )
