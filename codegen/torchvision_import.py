"""Imports torchvision even beside a torch it was not compiled for: declares the two operators its import asks for."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
from pathlib import Path
from types import ModuleType

import torch

_libraries: list[torch.library.Library] = []  # an operator lives as long as the library object that declares it


def import_torchvision() -> ModuleType:
    """Import and return torchvision; call it before anything else imports it."""
    # Its own operators first, where they fit this torch: to declare one of them twice ends the process.
    _load_compiled_operators()
    if not _libraries and not hasattr(torch.ops.torchvision, "nms"):
        library = torch.library.Library("torchvision", "DEF")
        library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _libraries.append(library)
    return importlib.import_module("torchvision")


def _load_compiled_operators() -> None:
    """Load the library of operators as torchvision's import would, without importing torchvision."""
    found = importlib.util.find_spec("torchvision")
    for folder in found.submodule_search_locations or () if found else ():
        for library in sorted(Path(folder).glob("_C*.so")):  # _C.so, since torchvision 0.29 _C_stable.so
            with contextlib.suppress(OSError):  # built for another torch, which the import of torchvision lets pass
                torch.ops.load_library(library)
