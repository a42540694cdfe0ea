"""Each weight of an ONNX half as the model has it, where it can be shared: not transposed, in no body of a Loop or an If.

The exporter transposes the weights of linear layers in advance. A weight that is an embedding, too, would then be on the disk
twice; as it is, with the Transpose after it, it is one file for all halves, and ONNX Runtime transposes it when it loads.
ONNX Runtime takes weights from memory for the outermost graph only, and a body may read what is defined around it.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from codegen.shared_weights import SMALLEST_BYTES

if TYPE_CHECKING:
    import onnx_ir
    import torch

_INITIALIZERS_ARE_NO_INPUTS = 4
"""The version of the format since which an initializer need not be an input of its graph, too."""


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
    """Move the large weights of all bodies to the outermost graph, in place."""
    import onnx_ir

    if model.ir_version < _INITIALIZERS_ARE_NO_INPUTS:
        return
    taken = {value.name for node in model.graph.all_nodes() for value in node.outputs} | set(model.graph.initializers)
    taken |= {value.name for value in model.graph.inputs}
    for body in model.graph.subgraphs():
        for value in list(body.initializers.values()):
            tensor = value.const_value
            if (
                tensor is None
                or tensor.dtype is onnx_ir.DataType.STRING
                or not _is_large(tensor.nbytes)
                or value in body.inputs
            ):
                continue
            name, count = str(value.name), 0
            while name in taken:
                name, count = f"{value.name}.{count}", count + 1
            taken.add(name)
            outer = onnx_ir.Value(name=name, shape=onnx_ir.Shape(tensor.shape.numpy()), type=value.type, const_value=tensor)
            onnx_ir.convenience.replace_all_uses_with(value, outer)
            del body.initializers[str(value.name)]
            model.graph.register_initializer(outer)


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
