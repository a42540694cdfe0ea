"""ONNX models written as one file of any size: graph first, then the weights one by one, none of them held twice.

Readers refuse a protobuf message of more than 2 GiB. A larger file is the plain file of a half whose weights are shared
(`codegen.weights.shared_weights`): only the graph and the places of the weights are ever read of it. Whoever wants such a half
by itself gets the graph with its weights in a file beside it (`codegen.weights.onnx_weights.write_beside`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from codegen.weights.protobuf_spans import GRAPH, INITIALIZER, RAW_DATA, Span, field_head, fields, message_field, number_field
from codegen.weights.shared_weights import SMALLEST_BYTES

if TYPE_CHECKING:
    import onnx_ir

# TensorProto.dims, data_type and name.
_DIMS, _DATA_TYPE, _NAME = 1, 2, 8


def write_model(model: onnx_ir.Model, path: Path) -> None:
    """Write a model to one file; weights that lie beside the model it was read from come in."""
    import onnx_ir

    with _without_weights(model) as weights:
        content = onnx_ir.to_proto(onnx_ir.external_data.load_to_model(model)).SerializeToString()
    heads = [_head_of(value) for value in weights]
    rest, graph = _graph_apart(content)
    added = sum(map(len, heads)) + sum(value.const_value.nbytes for value in weights)
    with path.open("wb") as file:
        file.write(rest)
        file.write(field_head(GRAPH, graph[1] + added))
        file.write(content[graph[0] : sum(graph)])
        for value, head in zip(weights, heads, strict=True):
            file.write(head)
            value.const_value.tofile(file)


@contextmanager
def _without_weights(model: onnx_ir.Model) -> Iterator[list[Any]]:
    """Take the large weights out of a model for the time of the block."""
    import onnx_ir

    initializers = model.graph.initializers
    before = list(initializers.values())
    large = [
        value
        for value in before
        if value.const_value is not None
        and value.const_value.nbytes >= SMALLEST_BYTES
        and value.const_value.dtype is not onnx_ir.DataType.STRING
    ]
    try:
        for value in large:
            del initializers[str(value.name)]
        yield large
    finally:
        initializers.clear()
        initializers.update({str(value.name): value for value in before})


def _head_of(value: onnx_ir.Value) -> bytes:
    """Return a weight as a field of its graph, up to its bytes."""
    tensor = value.const_value
    assert tensor is not None, "only weights with contents are taken out"
    fields_before = [
        *(number_field(_DIMS, int(dimension)) for dimension in tensor.shape.numpy()),
        number_field(_DATA_TYPE, int(tensor.dtype)),
        message_field(_NAME, str(value.name).encode()),
        field_head(RAW_DATA, tensor.nbytes),
    ]
    head = b"".join(fields_before)
    return field_head(INITIALIZER, len(head) + tensor.nbytes) + head


def _graph_apart(content: bytes) -> tuple[bytes, Span]:
    """Return a model's fields without its graph, and where that is."""
    parts = list(fields(content, (0, len(content))))
    (graph,) = (part.value for part in parts if part.number == GRAPH)
    return b"".join(content[part.begin : part.end] for part in parts if part.number != GRAPH), graph
