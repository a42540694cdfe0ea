"""Puts the normalisation of pictures in front of a traced torch model, so that the model takes pixels.

The first ops are those that were declared, in float32 and in that order: (pixel / scale - mean) / std. Steps that change
nothing, such as a mean of 0, are left out. All other ops stay what they are, so that a profile of the bare model prices them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import fx

from cic.codec.pixels import PixelForm
from cic.trace.fusion import fuse
from cic.trace.fx.graph_building import build_graph
from cic.trace.fx.traced_model import TracedModel
from cic.trace.pixel_inputs import PixelInputs
from codegen.calls.structure import rebuild

PREFIX = "normalisation"


def with_pixel_front(traced: TracedModel, inputs: PixelInputs, pixels: Sequence[torch.Tensor]) -> TracedModel:
    """The model that takes pixels where `inputs` says so, and `pixels` as example inputs; the one given is left as it is.

    Raises CodecError for a normalisation of other channels than an input has.
    """
    module = _copy(traced.module)
    placeholders = [node for node in module.graph.nodes if node.op == "placeholder"]
    made = [
        _put_in_front(module, node, inputs.form, f"{PREFIX}_{place}")
        for place, (node, dtype) in enumerate(zip(placeholders, inputs.dtypes, strict=True))
        if dtype is not None
    ]
    module.graph.lint()
    module.recompile()
    unfused = build_graph(module, traced.graph.name)
    call = rebuild(traced.source.input_structure, pixels)
    return replace(
        traced,
        graph=fuse(unfused, made),
        module=module,
        args=tuple(call["args"]),
        kwargs=dict(call["kwargs"]),
        unfused=unfused,
        pixel_inputs=inputs,
    )


def _copy(module: fx.GraphModule) -> fx.GraphModule:
    """A module of its own graph, with the same names and weights."""
    graph = fx.Graph()
    graph.output(graph.graph_copy(module.graph, {}))
    copied = fx.GraphModule(module, graph)
    copied.eval()
    return copied


def _put_in_front(module: fx.GraphModule, node: fx.Node, form: PixelForm, name: str) -> str:
    """Make a placeholder of floats one of pixels, and let its readers read floats made of it; return these floats' name."""
    floats = node.meta["val"]
    users = list(node.users)
    node.meta = {**node.meta, "val": torch.empty_like(floats, dtype=torch.uint8)}
    first = next(each for each in module.graph.nodes if each.op != "placeholder")
    with module.graph.inserting_before(first):
        made = list(_steps(module, node, form, name, floats.dtype))
    made[-1].meta["val"] = floats
    for user in users:
        user.replace_input_with(node, made[-1])
    return made[-1].name


def _steps(module: fx.GraphModule, node: fx.Node, form: PixelForm, name: str, dtype: torch.dtype) -> Iterator[fx.Node]:
    aten = torch.ops.aten
    last = _call(module, aten.to.dtype, (node, torch.float32), name)
    yield last
    shape = tuple(node.meta["val"].shape)
    for target, what, figures in zip(
        (aten.div.Tensor, aten.sub.Tensor, aten.div.Tensor), ("scale", "mean", "std"), form.steps(shape, node.name), strict=True
    ):
        if figures is not None:
            module.register_buffer(f"{name}_{what}", torch.from_numpy(figures))
            constant = module.graph.get_attr(f"{name}_{what}")
            constant.meta = {"val": getattr(module, f"{name}_{what}")}
            last = _call(module, target, (last, constant), name)
            yield last
    if dtype != torch.float32:
        yield _call(module, aten.to.dtype, (last, dtype), name)


def _call(module: fx.GraphModule, target: torch._ops.OpOverload, args: tuple[Any, ...], name: str) -> fx.Node:
    node = module.graph.call_function(target, args)
    # Without a module of its own it would have the name of its kind alone.
    node.meta = {"nn_module_stack": {name: (name, fx.GraphModule)}}
    node.meta["val"] = target(*[each.meta["val"] if isinstance(each, fx.Node) else each for each in args])
    return node
