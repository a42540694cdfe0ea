"""Which training a model is of: a digest of its weights, alike however often it is traced.

Two trainings of one architecture have the same graph, so its digest cannot tell their halves apart; this one can. Standard
library only; what the weights are made of comes with them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import onnx_ir
    import torch
    from torch import fx


def torch_weights_digest(module: fx.GraphModule) -> str:
    """Return a SHA-256 over every tensor that a module's graph reads, in the order in which it does.

    By place, not by name, since the names differ with the way a model was traced; parameters, buffers and plain constants
    alike, and those that graphs inside of ops read.
    """
    digest = hashlib.sha256()
    known: dict[int, bytes] = {}  # a weight that many nodes read is looked at once
    for tensor in _tensors_of(module):
        if id(tensor) not in known:
            known[id(tensor)] = _tensor_digest(tensor)
        digest.update(known[id(tensor)])
    return digest.hexdigest()


def onnx_weights_digest(model: onnx_ir.Model) -> str:
    """Return a SHA-256 over the initializers of a model by name, those of graphs inside of ops and constants among them."""
    import onnx_ir

    digest = hashlib.sha256()
    tensors = _initializers(model.graph)
    for number, node in enumerate(onnx_ir.traversal.RecursiveGraphIterator(model.graph)):
        for name, attribute in sorted(node.attributes.items()):
            where = f"node {number} {name}"
            if attribute.type is onnx_ir.AttributeType.TENSOR:
                tensors.append((where, attribute.as_tensor()))
            elif attribute.type is onnx_ir.AttributeType.GRAPH:
                tensors += [(f"{where} {inner}", tensor) for inner, tensor in _initializers(attribute.as_graph())]
    for name, tensor in tensors:
        digest.update(f"{name} {tensor.dtype.name} {tuple(tensor.shape)}".encode())
        if tensor.dtype is onnx_ir.DataType.STRING:
            digest.update(repr(tensor.numpy().tolist()).encode())
        else:
            digest.update(tensor.tobytes())
    return digest.hexdigest()


def _initializers(graph: onnx_ir.Graph) -> list[tuple[str, Any]]:
    values = sorted(graph.initializers.items())
    return [(name, value.const_value) for name, value in values if value.const_value is not None]


def _tensors_of(module: Any) -> Iterator[torch.Tensor]:
    import torch
    from torch import fx

    if not isinstance(module, fx.GraphModule):
        yield from (*module.parameters(), *module.buffers())
        return
    for node in module.graph.nodes:
        if node.op not in ("get_attr", "call_module"):
            continue
        value: Any = module
        for part in str(node.target).split("."):
            value = getattr(value, part)
        if isinstance(value, torch.Tensor):
            yield value
        elif isinstance(value, torch.nn.Module):
            yield from _tensors_of(value)


def _tensor_digest(tensor: torch.Tensor) -> bytes:
    import torch

    digest = hashlib.sha256(f"{tensor.dtype} {tuple(tensor.shape)}".encode())
    plain = tensor.detach()
    if plain.is_quantized:
        plain = plain.dequantize()
    if plain.layout is not torch.strided:
        plain = plain.to_dense()
    plain = plain.resolve_conj().resolve_neg().cpu().contiguous().reshape(-1)
    digest.update(plain.view(torch.uint8).numpy().data)
    return digest.digest()
