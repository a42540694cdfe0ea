"""Front end one: `torch.export.export`, which understands almost every model.

It loses sight of a tensor that is reached through `.data`; `detach()` is the same without gradients, and is followed.
"""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.overrides import TorchFunctionMode

from cic.errors import TraceError
from cic.trace.failure import last_user_line
from cic.trace.flat_graph import flatten
from cic.trace.flat_model import INNER, FlatModel
from codegen.silence import silence


def capture(flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str]) -> fx.GraphModule:
    """Return the flat graph of `flat`; raises whatever torch raises."""
    with silence("torch"), torch.no_grad(), _DataDetached():
        program: Any = torch.export.export(flat, tuple(tensors), strict=False)
        return flatten(program.module(), names, inner=INNER)


class _DataDetached(TorchFunctionMode):
    """Reads `tensor.data` as `tensor.detach()`; refuses to set it, which would leave a tensor without data in the model."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == torch.Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        if func == torch.Tensor.data.__set__:  # type: ignore[attr-defined]
            where = last_user_line("".join(traceback.format_stack())) or "an unknown line"
            raise TraceError(
                f"the assignment to .data at {where} changes in place a tensor that tracing lost sight of (reached through"
                " .data, say); write to the tensor itself, or use the out-of-place op"
            )
        return func(*args, **(kwargs or {}))
