"""Front end one: `torch.export.export`, which understands almost every model.

It loses sight of a tensor that is reached through `.data`; `detach()` is the same without gradients, and is followed.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.overrides import TorchFunctionMode

from cic.trace.flat_graph import flatten
from cic.trace.flat_model import INNER, FlatModel


def capture(flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str]) -> fx.GraphModule:
    """Return the flat graph of `flat`; raises whatever torch raises."""
    with warnings.catch_warnings(), torch.no_grad(), _DataDetached():
        warnings.simplefilter("ignore")
        program: Any = torch.export.export(flat, tuple(tensors), strict=False)
        return flatten(program.module(), names, inner=INNER)


class _DataDetached(TorchFunctionMode):
    """Reads `tensor.data` as `tensor.detach()`."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        return func(*args, **(kwargs or {}))
