"""Front end two: `torch.fx.symbolic_trace`, for models that `torch.export` refuses.

Symbolic tracing proves that no control flow depends on tensor values; its graph still calls whole `nn` modules, so it is
run once more on the example inputs with `make_fx`, which lowers it to the same ATen nodes that export gives. Nothing of
the model's modules is kept as `call_module`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import fx
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.traceback import preserve_node_meta

from cic.trace.fx.flat_graph import flatten
from cic.trace.fx.flat_model import INNER, FlatModel
from codegen.silence import silence


def capture(flat: FlatModel, tensors: Sequence[torch.Tensor], names: Sequence[str]) -> fx.GraphModule:
    """Return the flat graph of `flat`; raises whatever torch raises."""
    with silence("torch"), torch.no_grad():
        symbolic = fx.symbolic_trace(_OneRow(flat), concrete_args={"tensors": tuple(fx.PH for _ in tensors)})
        symbolic.graph.set_codegen(fx.graph.CodeGen())
        symbolic.recompile()
        interpreter = fx.Interpreter(symbolic)
        with preserve_node_meta():
            lowered = make_fx(interpreter.run, pre_dispatch=True, _allow_non_fake_inputs=True)(*tensors)
        _name_weights(lowered, symbolic)
        return flatten(lowered, names, inner=f"flat.{INNER}")


class _OneRow(torch.nn.Module):
    """Takes the row of tensors as one argument: symbolic tracing cannot count the values of `*tensors`."""

    def __init__(self, flat: FlatModel) -> None:
        super().__init__()
        self.flat = flat

    def forward(self, tensors: Any) -> Any:
        return self.flat(*tensors)


def _name_weights(lowered: fx.GraphModule, symbolic: fx.GraphModule) -> None:
    """Give the anonymous constants that `make_fx` made the names they have in the model."""
    known = {id(tensor): name for name, tensor in [*symbolic.named_parameters(), *symbolic.named_buffers()]}
    for node in lowered.graph.nodes:
        if node.op == "get_attr":
            tensor = getattr(lowered, node.target, None)
            node.meta["tensor"] = tensor
            node.meta["path"] = known.get(id(tensor), node.target)
