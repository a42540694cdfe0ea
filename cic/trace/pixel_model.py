"""A model that takes pixels: traced as it is, then with the normalisation of its pictures in front."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cic.codec.pixels import Normalisation
from cic.errors import TraceError
from cic.trace.any_model import is_traced, trace_model
from cic.trace.fx.traced_model import TracedModel
from cic.trace.onnx.onnx_model import OnnxModel
from cic.trace.open_batch import Dynamic
from cic.trace.pixel_inputs import PixelInputs, floats_of, is_pixels, pixel_inputs
from cic.trace.traced import Traced
from codegen.calls.structure import describe, leaf_names, rebuild
from codegen.errors import CodegenError


def traces(
    model: Any,
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None,
    normalisation: Normalisation,
    *,
    name: str | None = None,
    dynamic: Dynamic | None = None,
) -> Iterator[Traced]:
    """What tracing makes of a model for each meaning that its example inputs may have, the likeliest first.

    Pixels among them are those of pictures that the model takes normalised. Of a declaration without figures they may be
    the model's own input, too. dynamic: see `cic.trace_model`.
    Raises TraceError as that does, if the last of them cannot be traced.
    """
    if is_traced(model):
        yield trace_model(model, dynamic=dynamic)
        return
    as_floats = _as_floats(args, kwargs or {}, normalisation)
    if as_floats is None or normalisation == Normalisation():
        try:
            yield trace_model(model, args, kwargs, name=name, dynamic=dynamic)
        except TraceError:
            if as_floats is None:
                raise
    if as_floats is not None:
        yield trace_model(model, *as_floats, name=name, dynamic=dynamic)


def with_pixels(traced: Traced, normalisation: Normalisation, *, exact: bool = False) -> Traced:
    """The model that takes pixels where the one given takes pictures of floats; that one itself if it takes none.

    exact: must its example inputs be such pictures? If not, the nearest pixels stand for them.

    Raises:
        CodecError: they are none, or have another number of channels than the normalisation.
        TraceError: it takes pixels under another normalisation already, or its operators are too old.
    """
    if traced.pixel_inputs is not None:
        if traced.pixel_inputs.normalisation != normalisation:
            raise TraceError(
                f"{traced.graph.name} takes pixels of 'uint8{traced.pixel_inputs.normalisation}' already, not of"
                f" 'uint8{normalisation}'; trace it without"
            )
        return traced
    example = traced.source.example_inputs
    inputs = pixel_inputs(normalisation, traced.graph.inputs, example)
    if not any(inputs.dtypes):
        return traced
    made = _with_front(traced, inputs, inputs.pixels(example, nearest=not exact))
    if traced.open_batch is None:
        return made
    other = with_pixels(traced.open_batch.other, normalisation, exact=exact)
    return replace(made, open_batch=replace(traced.open_batch, other=other))


def _with_front(traced: Traced, inputs: PixelInputs, pixels: Sequence[Any]) -> TracedModel | OnnxModel:
    if isinstance(traced, OnnxModel):
        from cic.trace.onnx.pixel_front import with_pixel_front as with_onnx_front  # which needs onnx

        return with_onnx_front(traced, inputs, pixels)
    assert isinstance(traced, TracedModel)
    from cic.trace.fx.pixel_front import with_pixel_front

    return with_pixel_front(traced, inputs, pixels)


def _as_floats(
    args: Sequence[Any], kwargs: Mapping[str, Any], normalisation: Normalisation
) -> tuple[tuple[Any, ...], dict[str, Any]] | None:
    """The call with pictures of floats in place of pixels; None if there are no pixels in it."""
    try:
        structure, leaves = describe({"args": tuple(args), "kwargs": dict(kwargs)})
    except CodegenError:  # tracing says what is wrong with it
        return None
    if not any(map(is_pixels, leaves)):
        return None
    names = leaf_names(structure)
    floats = [
        floats_of(leaf, normalisation, name) if is_pixels(leaf) else leaf for leaf, name in zip(leaves, names, strict=True)
    ]
    call = rebuild(structure, floats)
    return tuple(call["args"]), dict(call["kwargs"])
