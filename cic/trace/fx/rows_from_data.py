"""Detection networks of torchvision are traced with numbers of rows that the picture decides.

How many boxes pass a threshold is known when the network runs. torch.export follows such a number as a symbol, as long as no
code of Python asks for its value. Some functions of torchvision do ask: whether there are any boxes, or so many of them that
another way is faster. Within `rows_followed` these do the same without asking; what was traced is compared with the
network itself as always. Nothing is imported: where torchvision is not in use there is nothing to do.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor, fx

from codegen.splitters.fx import greatest_size


@contextmanager
def rows_followed() -> Iterator[None]:
    """Within the block, functions of torchvision ask for no number of rows."""
    with ExitStack() as stack:
        for module, name, function in _REPLACED:
            held = sys.modules.get(module)
            if held is not None and (name == "len" or hasattr(held, name)):
                stack.enter_context(patch.object(held, name, function, create=True))
        yield


def bound_rows(node: fx.Node, made: Any, args: tuple[Any, ...]) -> None:
    """Tell torch that suppression keeps no more boxes than it is given, which its library leaves open."""
    target = node.target
    if not isinstance(target, torch._ops.OpOverload) or target.name() != "torchvision::nms" or not isinstance(made, Tensor):
        return
    kept, given = made.shape[0], greatest_size(args[0].shape[0])
    if not isinstance(kept, int) and given is not None:
        torch._check(kept <= given)


def _suppressed(boxes: Tensor, scores: Tensor, idxs: Tensor, iou_threshold: float) -> Tensor:
    """`torchvision.ops.batched_nms`: each class is moved to a place of its own, past all coordinates of the others."""
    beyond = torch.cat([boxes.flatten(), boxes.new_zeros(1)]).max() + 1
    kept: Tensor = torch.ops.torchvision.nms(boxes + (idxs.to(boxes) * beyond)[:, None], scores, iou_threshold)
    most = greatest_size(boxes.shape[0])
    if most is not None and not isinstance(kept.shape[0], int):
        torch._check(kept.shape[0] <= most)
    return kept


def _fewer(tensor: Tensor, wanted: int, axis: int) -> Any:
    return torch.sym_min(wanted, tensor.size(axis))


def _length(value: Any) -> Any:
    return value.shape[0] if isinstance(value, Tensor) else len(value)


def _pasted(masks: Tensor, boxes: Tensor, img_shape: tuple[int, int], padding: int = 1) -> Tensor:
    """`torchvision.models.detection.roi_heads.paste_masks_in_image`: all masks at once, as products with two matrices.

    Bilinear interpolation is linear in rows and in columns, so an enlarged mask in its picture is R M Cᵀ, where R and C have
    two weights in each row within the box, and none outside of it.
    """
    roi_heads = sys.modules["torchvision.models.detection.roi_heads"]
    size = masks.shape[-1]
    padded = size + 2 * padding
    places = roi_heads.expand_boxes(boxes, padded / size).to(dtype=torch.int64)
    # The padding is zero, so its weights may be left out.
    rows = _weights(places[:, 1], places[:, 3], padded, img_shape[0], masks)[..., padding:-padding]
    columns = _weights(places[:, 0], places[:, 2], padded, img_shape[1], masks)[..., padding:-padding]
    return (rows @ masks[:, 0] @ columns.transpose(1, 2))[:, None]


def _weights(first: Tensor, last: Tensor, size: int, length: int, like: Tensor) -> Tensor:
    """Return for each of `length` pixels the weights of `size` samples that are enlarged to the pixels `first` to `last`."""
    wide = (last - first + 1).clamp(min=1)[:, None]
    pixel = torch.arange(length, device=like.device)[None] - first[:, None]
    within = (pixel >= 0) & (pixel < wide)
    source = ((pixel.to(like.dtype) + 0.5) * (size / wide.to(like.dtype)) - 0.5).clamp(min=0, max=size - 1)
    lower = source.floor()
    share = source - lower
    samples = torch.arange(size, device=like.device)
    at_lower = (samples == lower.to(torch.int64)[..., None]) * (1 - share)[..., None]
    at_upper = (samples == (lower.to(torch.int64) + 1)[..., None]) * share[..., None]
    return (at_lower + at_upper) * within[..., None]


_REPLACED = (
    ("torchvision.ops.boxes", "batched_nms", _suppressed),
    ("torchvision.models.detection._utils", "_topk_min", _fewer),
    ("torchvision.ops.poolers", "len", _length),
    ("torchvision.models.detection.roi_heads", "paste_masks_in_image", _pasted),
    ("torchvision.models.detection.transform", "paste_masks_in_image", _pasted),
)
