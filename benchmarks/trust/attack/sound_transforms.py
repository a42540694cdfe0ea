"""Sound transform codecs, whose numbers and payloads are to be attacked, and splitting models whose cuts use them."""

from __future__ import annotations

import numpy as np

from cic.codec.transform.transform_codec import TransformCodec, transform_codec
from cic.decision.cut import Cut
from cic.decision.splitting_model import SplittingModel
from cic.precision.transforms.karhunen_loeve import components_of
from cic.precision.transforms.karhunen_loeve import transform_of as transform_with


def transform_of(
    channels: int, step: float = 0.05, seed: int = 0, dimensions: int = 4
) -> tuple[TransformCodec, dict[str, bytes]]:
    """A transform of so many channels in dimension 1, for normally distributed values, and what is stored of it."""
    columns = np.random.default_rng(seed).standard_normal((channels, 2000))
    components = components_of(columns, np.eye(channels), (1, channels, *[1] * (dimensions - 2)), 2000)
    used, content = transform_codec(step, transform_with(components, columns, step))
    return used, {used.digest: content}


def coded(model: SplittingModel) -> SplittingModel:
    """The same model, of which every cut sends each tensor under a transform of its channels, unknown to its graph."""
    shapes = {tensor.name: tensor.shape for tensor in model.graph().tensors}
    stored: dict[str, bytes] = {}
    cuts = []
    for cut in model.cuts:
        names = []
        for tensor in cut.crossing:
            used, content = transform_of(shapes[tensor][1], dimensions=len(shapes[tensor]))
            stored.update(content)
            names.append(used.name)
        cuts.append(Cut(cut.id, cut.features, lambda cut=cut: (cut.device_ops, cut.crossing), names))  # type: ignore[misc]
    return SplittingModel(model.table.replaced(cuts=tuple(cuts)), model.graph, lambda: stored)


def renamed(model: SplittingModel, tensor: str, old: str, new: str, stored: dict[str, bytes]) -> SplittingModel:
    """The same model, in which one codec of one tensor has another name, and these contents are stored."""
    graph = model.graph()
    tensors = [
        each.replaced(forms=tuple(form.replaced(codec=new) if form.codec == old else form for form in each.forms))
        if each.name == tensor
        else each
        for each in graph.tensors
    ]
    changed = graph.replaced(tensors=tuple(tensors))
    cuts = []
    for cut in model.cuts:
        pairs = cut.codec_of.items() if cut.codecs else ()
        names = [new if (name, used) == (tensor, old) else used for name, used in pairs]
        details = lambda cut=cut: (cut.device_ops, cut.crossing)  # noqa: E731
        cuts.append(Cut(cut.id, cut.features, details, names, cut.accuracy))
    return SplittingModel(model.table.replaced(cuts=tuple(cuts)), lambda: changed, lambda: stored)


def on_a_grid(model: SplittingModel, dimensions: int | None = None) -> tuple[str, str, tuple[int, ...]]:
    """A tensor that crosses under whole numbers in some cut of the model, that codec, and the tensor's shape.

    dimensions: how many it has; None: two or more.
    """
    shapes = {tensor.name: tensor.shape for tensor in model.graph().tensors}
    return next(
        (tensor, name, shapes[tensor])
        for cut in model.cuts
        for tensor, name in cut.codec_of.items()
        if name.startswith("int") and (len(shapes[tensor]) > 1 if dimensions is None else len(shapes[tensor]) == dimensions)
    )


def with_a_transform(model: SplittingModel) -> SplittingModel:
    """A model compiled with codecs, in which one tensor crosses under a transform in place of a grid."""
    tensor, old, shape = on_a_grid(model)
    used, stored = transform_of(shape[1], dimensions=len(shape))
    return renamed(model, tensor, old, used.name, stored)
