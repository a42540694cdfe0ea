"""`emit` for ONNX files: head and tail of every cut as ONNX, verified against the file itself with ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from cic.decision.splitting_model import SplittingModel
from cic.emission.cut_plans import cut_plans
from cic.emission.weights import other_weights
from cic.errors import EmitError
from cic.inputs.example_inputs import make_inputs
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.onnx.onnx_trace import trace_onnx
from codegen.bundle.directory import Weights
from codegen.bundle.onnx_bundle import OnnxSource, write_onnx_bundle
from codegen.calls.call import describe_named, flatten_call
from codegen.errors import codegen_error_as
from codegen.manifest import Manifest


def emit_onnx(
    model: str | Path | onnx.ModelProto | OnnxModel,
    splitting_model: SplittingModel,
    directory: str | Path,
    *,
    args: Sequence[Any] | None = None,
    kwargs: Mapping[str, Any] | None = None,
    verify_on: Sequence[tuple[Sequence[Any], Mapping[str, Any]]] = (),
    cuts: Sequence[str] | None = None,
    formats: Sequence[str] = ("onnx",),
    weights: Weights = "auto",
    tolerance: float | None = None,
    progress: Callable[[str], None] | None = None,
    replace: bool = False,
) -> Manifest:
    """Write head and tail of every cut; arguments and errors as for `cic.emission.emission.emit`. The only format is "onnx"."""
    if tuple(formats) != ("onnx",):
        raise EmitError(f"an ONNX model is emitted in the format 'onnx' only, not as {', '.join(formats)}")
    traced = _same_model(model, splitting_model, args, kwargs)
    plans = cut_plans(traced.graph, splitting_model, cuts)
    structure = describe_named(traced.kwargs)
    with codegen_error_as(EmitError, splitting_model.name):
        source = OnnxSource(
            model=traced.model,
            path=traced.content,
            tensors=frozenset(tensor.name for tensor in traced.graph.tensors if tensor.may_cross),
            example_inputs=traced.kwargs,
            model_digest=splitting_model.information.graph_digest,
            further_inputs=[flatten_call(structure, a, k) for a, k in verify_on],
        )
        return write_onnx_bundle(
            directory, source, plans, weights=weights, tolerance=tolerance, progress=progress, replace=replace
        )


def _same_model(
    model: str | Path | onnx.ModelProto | OnnxModel,
    splitting_model: SplittingModel,
    args: Sequence[Any] | None,
    kwargs: Mapping[str, Any] | None,
) -> OnnxModel:
    if isinstance(model, OnnxModel):
        traced = model
    else:
        if args is None and kwargs is None:
            args, kwargs = make_inputs(splitting_model.graph().inputs)
        traced = trace_onnx(model, tuple(args or ()), kwargs, name=splitting_model.name)
    expected = splitting_model.information.graph_digest
    if traced.graph.digest != expected:
        raise EmitError(
            f"{traced.path} is not the model that was compiled as {splitting_model.name}: its graph has digest"
            f" {traced.graph.digest[:12]}, compiled was {expected[:12]}; compile it again"
        )
    if refusal := other_weights(splitting_model, traced.weights_digest):
        raise EmitError(refusal)
    return traced
