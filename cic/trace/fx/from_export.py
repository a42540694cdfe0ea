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
from cic.trace.fx import from_program
from cic.trace.fx.failure import last_user_line
from cic.trace.fx.flat_graph import flatten
from cic.trace.fx.flat_model import INNER, FlatModel
from cic.trace.fx.keyword_names import keywords_may_be_names
from cic.trace.fx.rows_from_data import rows_followed
from codegen.calls.structure import rebuild
from codegen.silence import silence


def capture(flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str]) -> fx.GraphModule:
    """Return the flat graph of `flat`; raises whatever torch raises."""
    with silence("torch"), torch.no_grad(), keywords_may_be_names(), rows_followed():
        try:
            with _DataDetached():
                program = torch.export.export(flat, tuple(tensors), strict=False)
        except Exception as error:
            if type(error).__name__ != "UncapturedHigherOrderOpError":
                raise
            return _from_source(flat, tensors, error)
        return flatten(from_program.taken_apart(program).module(), names, inner=INNER)


def _from_source(flat: FlatModel, tensors: Sequence[torch.Tensor], error: Exception) -> fx.GraphModule:
    """Return the graph that torch makes of the model's source: so it follows branches of torch.cond that read a number."""
    args, kwargs = rebuild(flat.call, tensors)
    try:
        return from_program.capture(torch.export.export(flat.model, args, kwargs, strict=True), args, kwargs)
    except Exception:  # the first failure says more, whatever this one is  # noqa: BLE001
        raise error from None


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
