"""Adapts a frozen TorchScript program to a processor: convolutions and what lies between them in oneDNN's blocked layout.

This is the part of `torch.jit.optimize_for_inference` that pays on a processor, with two differences, both measured with
one thread on torch 2.13:

* Inputs count as fit for the blocked layout. The pass lets an addition join the convolutions only if it can tell that both
  operands are float32 tensors fit for that layout, and of a program's inputs it cannot tell. A tail that starts with a
  residual block (x → convolutions → + x) would therefore leave the layout in every block until the next strided one: 5 %
  of a whole ResNet-50 for the cut behind its first block. What the pass does accept is a value that something converts
  to the layout anyway, so each input is converted and the result returned as well, and taken away again afterwards.
* Linear layers stay as they are. `optimize_for_inference` also turns them into `matmul` with the transposed weight, which
  falls back to one small product per token if the input is not contiguous, as it is in multi-head attention: ViT-B/16
  becomes 2.9 times slower.

The file on disk is not touched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from codegen.split import WireTensor

_CONVOLUTIONS = ("aten::_convolution", "aten::conv2d", "aten::conv3d")


def enter_blocked_layout(program: Any, inputs: Sequence[WireTensor]) -> None:
    """Convert a frozen program that takes `inputs` and returns a tuple, in place; it must not have run before."""
    graph = program.graph
    if not torch.backends.mkldnn.is_available() or not any(node.kind() in _CONVOLUTIONS for node in graph.nodes()):
        return
    results = next(iter(graph.outputs())).node()
    own = results.inputsSize()
    _add_conversions(graph, results, inputs)
    torch._C._jit_pass_convert_frozen_ops_to_mkldnn(graph)
    while results.inputsSize() > own:
        results.removeInput(results.inputsSize() - 1)
    _set_result_type(results)
    torch._C._jit_pass_dce(graph)


def _add_conversions(graph: Any, results: Any, inputs: Sequence[WireTensor]) -> None:
    _, *values = graph.inputs()  # the first is the module itself
    no_dtype = graph.create("prim::Constant")
    no_dtype.output().setType(torch._C.NoneType.get())
    no_dtype.insertBefore(results)
    for value, wire in zip(values, inputs, strict=True):
        if wire.dtype == "float32" and len(wire.shape) in (4, 5):
            conversion = graph.create("aten::to_mkldnn", [value, no_dtype.output()], 1)
            conversion.insertBefore(results)
            results.addInput(conversion.output())
    _set_result_type(results)


def _set_result_type(results: Any) -> None:
    results.output().setType(torch._C.TupleType([value.type() for value in results.inputs()]))
