"""For every export to ONNX torch reads all its operators anew, which takes longer than a small half. Here it does so once."""

from __future__ import annotations

import copy
import functools
from typing import Any

import pytest
import torch.onnx


def look_through_operators_once(patch: pytest.MonkeyPatch) -> None:
    """Let exports share what they know of operators, from the first one on; nothing if this torch has that elsewhere."""
    export = torch.onnx.export

    @functools.cache
    def share() -> None:
        try:
            _share_translations(patch)
            _share_names(patch)
        except (ImportError, AttributeError):
            return

    def quick_export(*args: Any, **kwargs: Any) -> Any:
        share()
        return export(*args, **kwargs)

    patch.setattr(torch.onnx, "export", quick_export)


def _share_translations(patch: pytest.MonkeyPatch) -> None:
    """How each operator is written in ONNX."""
    from torch.onnx._internal.exporter._registration import ONNXRegistry

    read = functools.cache(ONNXRegistry.from_torchlib)

    def from_torchlib(*args: Any, **kwargs: Any) -> Any:
        known = copy.copy(read(*args, **kwargs))
        known.functions = {name: [*found] for name, found in known.functions.items()}  # an export may add to its own
        return known

    patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(from_torchlib))


def _share_names(patch: pytest.MonkeyPatch) -> None:
    """Which operators there are: only a newly registered one makes torch go through them again, 28 times."""
    from torch._export import utils

    go_through, seen = utils._materialize_cpp_cia_ops, list[str]()

    def go_through_new_ones() -> None:
        registered = torch._C._dispatch_get_registrations_for_dispatch_key("CompositeImplicitAutograd")
        if registered != seen:
            go_through()
            seen[:] = registered

    patch.setattr(utils, "_materialize_cpp_cia_ops", go_through_new_ones)
