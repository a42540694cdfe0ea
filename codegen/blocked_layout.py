"""Keeps a half in oneDNN's blocked layout right from its inputs.

`torch.jit.optimize_for_inference` runs convolutions on tensors in a blocked layout and lets an addition join them only
if it can tell that both operands are float32 tensors fit for that layout. Of a program's inputs it cannot tell. A tail
that starts with a residual block (x → convolutions → + x) would therefore leave the blocked layout at every block until
the next strided one: 5 % of a whole ResNet-50, measured for the cut behind its first block.

What it does accept is a value that something converts to the blocked layout anyway. So before optimising, every input
that may be converted is, and the converted tensor is returned as well, which keeps the conversion alive; afterwards the
extra results are taken away again. The file on disk is untouched.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from codegen.split import WireTensor

_CONVOLUTIONS = ("aten::_convolution", "aten::conv2d", "aten::conv3d")


def optimize_for_inference(program: Any, inputs: Sequence[WireTensor]) -> Any:
    """Return `torch.jit.optimize_for_inference` of a frozen program that takes `inputs`, which may use up `program`."""
    results = _results(program.graph)
    markable = torch.backends.mkldnn.is_available() and results.kind() == "prim::TupleConstruct"
    if not markable or not any(node.kind() in _CONVOLUTIONS for node in program.graph.nodes()):
        return torch.jit.optimize_for_inference(program)
    own = results.inputsSize()
    _add_conversions(program.graph, results, inputs)
    optimized = torch.jit.optimize_for_inference(program)
    _keep_results(optimized.graph, own)
    return optimized


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


def _keep_results(graph: Any, count: int) -> None:
    results = _results(graph)
    while results.inputsSize() > count:
        results.removeInput(results.inputsSize() - 1)
    _set_result_type(results)
    torch._C._jit_pass_dce(graph)


def _results(graph: Any) -> Any:
    return next(iter(graph.outputs())).node()


def _set_result_type(results: Any) -> None:
    results.output().setType(torch._C.TupleType([value.type() for value in results.inputs()]))
