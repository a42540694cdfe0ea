"""Each weight of an ONNX half as the model has it, where it can be shared: not transposed, in no node and in no body.

The exporter transposes the weights of linear layers in advance. A weight that is an embedding, too, would then be on the disk
twice; as it is, with the Transpose after it, it is one file for all halves, and ONNX Runtime transposes it when it loads.
ONNX Runtime takes weights from memory for the outermost graph only, and a body may read what is defined around it. Some
converters write each weight as a node, a Constant, which is the same to ONNX Runtime.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from codegen.weights.shared_weights import SMALLEST_BYTES

if TYPE_CHECKING:
    import onnx_ir
    import torch


def untransposed(model: onnx_ir.Model, half: torch.nn.Module) -> None:
    """Put a Transpose of a weight of `half` in the place of each large matrix that is one of them transposed; in place."""
    import onnx_ir

    matrices = [value for value in half.state_dict(keep_vars=True).values() if value.dim() == 2 and _is_large(value.nbytes)]
    own = {_digest(value) for value in matrices}
    turned = {digest: value for value in matrices if (digest := _digest(value.t())) not in own}
    graph = model.graph
    for value in list(graph.initializers.values()):
        tensor = value.const_value
        if tensor is None or len(tensor.shape) != 2 or not _is_large(tensor.nbytes):
            continue
        weight = turned.get((tuple(tensor.shape.numpy()), hashlib.sha256(tensor.tobytes()).hexdigest()))
        if weight is None:
            continue
        name = f"{value.name}.as_stored"
        content = onnx_ir.tensor(weight.detach(), dtype=tensor.dtype, name=name)
        stored = next((one for one in graph.initializers.values() if _same(one.const_value, content)), None)
        if stored is None:
            stored = onnx_ir.Value(name=name, shape=onnx_ir.Shape(content.shape.numpy()), type=value.type, const_value=content)
            graph.register_initializer(stored)
        transpose = onnx_ir.node("Transpose", [stored], attributes={"perm": [1, 0]})
        transpose.outputs[0].shape, transpose.outputs[0].type = value.shape, value.type
        onnx_ir.convenience.replace_all_uses_with(value, transpose.outputs[0])
        del graph.initializers[str(value.name)]
        transpose.outputs[0].name = value.name
        graph.insert_before(graph[0], transpose)


def hoisted(model: onnx_ir.Model) -> None:
    """Move the large weights of all bodies and of all Constant nodes to the weights of the outermost graph, in place.

    The model's version of the format is 4 or later: before, a weight had to be an input of its graph, too.
    """
    import onnx_ir

    graph = model.graph
    moving = [(part, *held) for part in (graph, *graph.subgraphs()) for held in _held_within(part, graph)]
    taken = {value.name for node in graph.all_nodes() for value in node.outputs} | set(graph.initializers)
    taken |= {value.name for value in graph.inputs}
    for part, value, tensor in moving:
        name, count = str(value.name), 0
        while name in taken:
            name, count = f"{value.name}.{count}", count + 1
        taken.add(name)
        weight_type = value.type or onnx_ir.TensorType(tensor.dtype)
        outer = onnx_ir.Value(name=name, shape=onnx_ir.Shape(tensor.shape.numpy()), type=weight_type, const_value=tensor)
        onnx_ir.convenience.replace_all_uses_with(value, outer)
        producer = value.producer()
        if producer is not None:
            part.remove(producer, safe=True)
        else:
            del part.initializers[str(value.name)]
        graph.register_initializer(outer)


def _held_within(part: onnx_ir.Graph, outermost: onnx_ir.Graph) -> Iterator[tuple[onnx_ir.Value, Any]]:
    """Yield the large weights, with their contents, that a graph or a body holds where they cannot be shared."""
    import onnx_ir

    nodes = [node for node in part if node.op_type == "Constant" and node.domain in ("", "ai.onnx")]
    held = [] if part is outermost else [value for value in part.initializers.values() if value not in part.inputs]
    for value in (*held, *(node.outputs[0] for node in nodes)):
        tensor = onnx_ir.convenience.get_const_tensor(value)
        if tensor is None or value.is_graph_output() or tensor.dtype is onnx_ir.DataType.STRING:
            continue
        if _is_large(tensor.nbytes):
            yield value, tensor


def _is_large(size: int) -> bool:
    return size >= SMALLEST_BYTES


def _digest(matrix: torch.Tensor) -> tuple[tuple[int, ...], str]:
    import torch

    content = matrix.detach().cpu().contiguous().view(torch.uint8).numpy()
    return tuple(matrix.shape), hashlib.sha256(content.data).hexdigest()


def _same(one: Any, other: Any) -> bool:
    if one is None or one.dtype != other.dtype or one.shape != other.shape:
        return False
    return bool(one.tobytes() == other.tobytes())
