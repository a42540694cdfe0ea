"""Adapts a frozen TorchScript program to a processor: convolutions and what lies between them in oneDNN's blocked layout.

This is the part of `torch.jit.optimize_for_inference` that pays on a processor, with three differences, measured with one
thread on torch 2.13:

* Inputs count as fit for the blocked layout. The pass lets an addition join the convolutions only if it can tell that both
  operands are float32 tensors fit for that layout, and of a program's inputs it cannot tell. A tail that starts with a
  residual block (x → convolutions → + x) would therefore leave the layout in every block until the next strided one: 5 %
  of a whole ResNet-50 for the cut behind its first block. What the pass does accept is a value that something converts
  to the layout anyway, so each input is converted and the result returned as well, and taken away again afterwards.
* Pooling to more than single values stays out of the layout: oneDNN refuses, when it runs, sizes that do not divide evenly.
* Linear layers stay as they are. `optimize_for_inference` also turns them into `matmul` with the transposed weight, which
  falls back to one small product per token if the input is not contiguous, as it is in multi-head attention: ViT-B/16
  becomes 2.9 times slower.

The file on disk is not touched.

The weight of a convolution is copied into the layout. Copies of one weight for convolutions of the same strides, padding
and groups are equal, so halves that share weights share the copies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch

from codegen.split import WireTensor
from codegen.weights.weight_pool import POOL

_CONVOLUTIONS = ("aten::_convolution", "aten::conv2d", "aten::conv3d")


def enter_blocked_layout(
    program: Any, inputs: Sequence[WireTensor], digests: Mapping[int, str] | None = None
) -> list[torch.Tensor]:
    """Convert a frozen program that takes `inputs` and returns a tuple, in place; it must not have run before.

    digests: of shared weights, by the addresses of their bytes.
    Returns the copies of these weights, to be kept for as long as others are to share them.
    """
    graph = program.graph
    convolutions = [node for kind in _CONVOLUTIONS for node in graph.findAllNodes(kind)]
    if not torch.backends.mkldnn.is_available() or not convolutions:
        return []
    results = next(iter(graph.outputs())).node()
    own = results.inputsSize()
    _keep_uneven_pools_out(graph)
    _add_conversions(graph, results, inputs)
    shared = _shared_weights(convolutions, digests or {})
    torch._C._jit_pass_convert_frozen_ops_to_mkldnn(graph)
    while results.inputsSize() > own:
        results.removeInput(results.inputsSize() - 1)
    _set_result_type(results)
    torch._C._jit_pass_dce(graph)
    return _share_copies(graph, shared)


def _shared_weights(convolutions: Sequence[Any], digests: Mapping[int, str]) -> list[tuple[torch.Tensor, str]]:
    weights = [list(node.inputs())[1].toIValue() for node in convolutions]
    return [(weight, digests[weight.data_ptr()]) for weight in weights if weight is not None and weight.data_ptr() in digests]


def _share_copies(graph: Any, shared: Sequence[tuple[torch.Tensor, str]]) -> list[torch.Tensor]:
    """Replace each copy by the one of the process. The pass leaves no trace of what it copied, so contents are compared."""
    copies: list[torch.Tensor] = []
    for node in graph.findAllNodes("prim::mkldnn_convolution") if shared else ():
        _, weight, _, *settings = node.inputs()
        copy = weight.node().t("value")
        content = copy.to_dense()
        digest = next((digest for original, digest in shared if _is_equal(original, content)), None)
        if digest is not None:
            key = (digest, repr([setting.toIValue() for setting in settings]))
            copies.append(POOL.get(key, partial(_same, copy)))
            weight.node().t_("value", copies[-1])
    return copies


def _is_equal(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and torch.equal(one, other)


def _same(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _keep_uneven_pools_out(graph: Any) -> None:
    """The same operator under the name it has inside torch, which the pass does not know.

    A frozen program no longer says how large pictures are inside, so only pooling to single values is known to be even.
    """
    for node in graph.findAllNodes("aten::adaptive_avg_pool2d"):
        picture, wanted = node.inputs()
        sizes = wanted.toIValue()
        if sizes is None and wanted.node().kind() == "prim::ListConstruct":
            sizes = [size.toIValue() for size in wanted.node().inputs()]
        if sizes is not None and all(size == 1 for size in sizes):
            continue
        inner = graph.create("aten::_adaptive_avg_pool2d", [picture, wanted], 1)
        inner.insertBefore(node)
        inner.output().setType(node.output().type())
        node.output().replaceAllUsesWith(inner.output())
        node.destroy()


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
