"""Imports torchvision beside a torch it was not compiled for: declares the two operators its import asks for."""

from __future__ import annotations

from types import ModuleType

import torch

_libraries: list[torch.library.Library] = []  # an operator lives as long as the library object that declares it


def import_torchvision() -> ModuleType:
    """Import and return torchvision; call it before anything else imports it."""
    if not _libraries and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
    import torchvision

    return torchvision
