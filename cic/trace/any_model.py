"""Whatever a model may come as: which front end reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from cic.decision.arguments import check_mapping, check_sequence, check_text
from cic.errors import TraceError
from cic.inputs.model_source import load_program
from cic.trace.fx.torch_trace import trace
from cic.trace.fx.traced_model import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.open_batch import Again, Dynamic, axes_of, open_batch
from cic.trace.traced import Axes, Traced
from codegen.calls.structure import is_tensor
from codegen.errors import needing

if TYPE_CHECKING:
    import onnx


def trace_model(
    model: Any,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    shapes: Mapping[str, Sequence[int]] | None = None,
    name: str | None = None,
    dynamic: Dynamic | None = None,
) -> Traced:
    """Read a model as a graph, once for all that is done with it: `compile`, `profile` and `emit` take what this returns.

    Args:
        model: a module, an exported program, the path of an ONNX or .pt2 file, or an `onnx.ModelProto`. What is traced already
            is returned as it is.
        args, kwargs: example inputs, to which all shapes are fixed. An exported program brings its own. An ONNX file needs them
            only where it leaves shapes open, and others are drawn.
        shapes: input name → shape, for an ONNX file that leaves them open and has no example.
        name: what the model is called in files and messages; default: its class, or its file.
        dynamic: which axis of which input is the batch, {"x": {0: "batch"}}; it stays open, and the model is traced at a second
            batch. Default: all shapes are fixed.

    Raises:
        TraceError: the model cannot be read or traced, or does not grow in proportion with an open batch.
        ArgumentError: `dynamic` fits no input.
    """
    check_text(name, "the name", or_none=True)
    if is_tensor(args):
        raise TraceError("args is a tensor; pass a tuple of arguments, (tensor,)")
    check_sequence(args, "args", or_none=False)
    check_mapping(kwargs, "kwargs")
    model = read_program_file(model)
    check_mapping(shapes, "shapes")
    if shapes and not is_onnx(model):
        raise TraceError(
            f"shapes gives the open shapes of an ONNX file, and this model is a {type(model).__name__}; example inputs (args,"
            " kwargs) fix its shapes"
        )
    if is_traced(model):
        if dynamic is not None and model.open_batch is None:
            raise TraceError(f"{model.graph.name} is traced with fixed shapes; give dynamic to cic.trace_model")
        return model

    def read(args: Sequence[Any], kwargs: Mapping[str, Any] | None) -> Traced:
        return _read(model, args, kwargs, shapes, name)

    traced = read(args, kwargs)
    if dynamic is None:
        return traced
    return with_open_batch(traced, axes_of(dynamic, traced.graph.inputs, traced.source.example_inputs), read)


def with_open_batch(traced: Traced, axes: Axes, again: Again) -> Traced:
    """The model with its batch open, see `cic.trace.open_batch.open_batch`."""
    assert isinstance(traced, TracedModel | OnnxModel)
    return replace(traced, open_batch=open_batch(traced, axes, again))


def with_greatest_batch(traced: Traced, greatest: int) -> Traced:
    """The model for halves that take batches of up to `greatest`, and at least the two that it was traced at."""
    assert isinstance(traced, TracedModel | OnnxModel) and traced.open_batch is not None
    return replace(traced, open_batch=replace(traced.open_batch, greatest=max(greatest, traced.open_batch.other_size)))


def _read(
    model: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    shapes: Mapping[str, Sequence[int]] | None,
    name: str | None,
) -> Traced:
    if is_onnx(model):
        with needing("an ONNX file", "onnx", TraceError):
            from cic.trace.onnx.onnx_trace import trace_onnx

        return trace_onnx(model, tuple(args), kwargs, shapes=shapes, name=name)
    return trace(model, tuple(args), dict(kwargs or {}), name=name)


def is_traced(model: Any) -> TypeGuard[Traced]:
    """Tell whether this is what `trace_model` has made of a model."""
    return isinstance(model, TracedModel | OnnxModel)


def is_onnx(model: Any) -> TypeGuard[str | Path | onnx.ModelProto]:
    """Tell whether this is the path of an ONNX file, as any path is that is not one of torch, or a model of ONNX in memory."""
    # Without importing onnx: who passes such a message has it.
    return isinstance(model, str | Path) or (type(model).__name__, type(model).__module__[:4]) == ("ModelProto", "onnx")


def read_program_file(model: Any) -> Any:
    """Return the exported program in a .pt2 file, if this is the path of one; everything else as it is.

    Raises TraceError if the file is missing or no exported program.
    """
    if isinstance(model, str | Path) and Path(model).suffix == ".pt2":
        return load_program(Path(model))[0]
    return model
