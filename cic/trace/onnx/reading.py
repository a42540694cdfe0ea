"""An ONNX file, or a model in memory, read into one form, whatever order and dress its parts come in.

What ONNX Runtime runs is taken: the specification is stricter than it in places, and converters write what runs. So nodes are
put in order, sparse weights are filled in, and what the checker of ONNX refuses is refused only if ONNX Runtime does so, too.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from cic.decision.arguments import check_path
from cic.errors import TraceError
from codegen.errors import CodegenError
from codegen.formats.onnx_session import open_session
from codegen.weights.onnx_locations import check_beside

_LARGEST_SPARSE_BYTES = 2**31


@dataclass(frozen=True)
class OnnxFile:
    """A model as read.

    model: nodes in order, no sparse weights; weights that lie beside the file are left there, but for those within nodes.
    content: the path it was read from, or the bytes of a message; ONNX Runtime opens either. name: what messages call it.
    """

    model: ir.Model
    content: Path | bytes
    name: str


def read_onnx(source: str | Path | onnx.ModelProto) -> OnnxFile:
    """Read the file at a path, or take a message.

    Raises TraceError, naming the file, if it is missing or damaged, no model that ONNX Runtime opens, or if weights beside it
    are missing, too short, or lead out of its folder.
    """
    if isinstance(source, onnx.ModelProto):
        name, folder = f"the model {source.graph.name!r}", None
        with _refusing(name):
            content: Path | bytes = source.SerializeToString()
            message = onnx.ModelProto.FromString(content)
    else:
        check_path(source, "an ONNX model")
        content = path = Path(source)
        name, folder = str(path), path.parent
        if not os.path.isfile(path):  # unlike Path.is_file it bears a text too long for a path
            raise TraceError(f"{path} does not exist or is no file; give the path of an ONNX model")
        with _refusing(name):
            message = onnx.load(path, format="protobuf", load_external_data=False)
        try:
            check_beside(path, name)
        except CodegenError as error:
            raise TraceError(str(error)) from error
    if folder is not None:
        _check_valid(message, content, name)
    _refuse_maps(message.graph, name)
    with _refusing(name):
        _fill_in_graph(message.graph, folder)
        for function in message.functions:
            _fill_in_nodes(function.node, folder)
        model = ir.from_proto(message)
        model.graph.sort()
        for body in model.functions.values():
            body.sort()
    _find_weights(model, name, folder)
    _bring_in(model)
    if folder is None:  # the checker would look for weights in the working directory
        _check_valid(message, content, name)
    return OnnxFile(model, content, name)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Protobuf, the checker and the file system each raise their own errors."""
    try:
        yield
    except TraceError:
        raise
    except Exception as error:
        raise TraceError(f"{name} is not a valid ONNX model: {_reason(error)}; export it again") from error


def _reason(error: Exception) -> str:
    innermost: BaseException = error
    # onnx_ir fails while it tells of a failure, which is then the context and no cause.
    while (before := innermost.__cause__ or innermost.__context__) is not None:
        innermost = before
    return str(innermost).strip().partition("\n")[0] or type(innermost).__name__


def _check_valid(message: onnx.ModelProto, content: Path | bytes, name: str) -> None:
    """Ask ONNX's checker, and where that finds fault ONNX Runtime, whose word counts."""
    if not message.graph.node and not message.graph.output:
        raise TraceError(f"{name} is not a valid ONNX model: it holds no graph; export it again")
    try:
        onnx.checker.check_model(str(content) if isinstance(content, Path) else content)
    except Exception as fault:  # the checker has errors of several kinds; the judge is ONNX Runtime  # noqa: BLE001
        try:
            open_session(content, name, optimize=False)
        except CodegenError as error:
            raise TraceError(f"{name} is not a valid ONNX model: {_reason(fault)}; export it again") from error


def _refuse_maps(graph: onnx.GraphProto, name: str) -> None:
    """Classifiers of other libraries end in a list of maps from a class to its probability."""
    for value in (*graph.input, *graph.output):
        kind = value.type.WhichOneof("value")
        if kind == "map_type" or (kind == "sequence_type" and value.type.sequence_type.elem_type.HasField("map_type")):
            raise TraceError(
                f"{name}: {value.name!r} is of maps, and only tensors of numbers can be taken and sent back; export the model"
                " without ZipMap (options={'zipmap': False} in skl2onnx)"
            )


def _fill_in_graph(graph: onnx.GraphProto, folder: Path | None) -> None:
    """Turn sparse weights into dense ones, in graphs within graphs, too; what a half holds has no sparse ones."""
    graph.initializer.extend(_dense(tensor, folder) for tensor in graph.sparse_initializer)
    del graph.sparse_initializer[:]
    _fill_in_nodes(graph.node, folder)


def _fill_in_nodes(nodes: Iterable[onnx.NodeProto], folder: Path | None) -> None:
    for node in nodes:
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                _fill_in_graph(attribute.g, folder)
            for graph in attribute.graphs:
                _fill_in_graph(graph, folder)
            if node.op_type == "Constant" and attribute.name == "sparse_value":
                dense = onnx.helper.make_attribute("value", _dense(attribute.sparse_tensor, folder))
                attribute.CopyFrom(dense)


def _dense(sparse: onnx.SparseTensorProto, folder: Path | None) -> onnx.TensorProto:
    values, indices = (numpy_helper.to_array(part, str(folder or "")) for part in (sparse.values, sparse.indices))
    shape = tuple(sparse.dims)
    size = math.prod(shape) * values.dtype.itemsize
    if size > _LARGEST_SPARSE_BYTES:
        raise ValueError(f"the sparse weight {sparse.values.name!r} has {size} bytes when filled in")
    dense = np.zeros(shape, values.dtype)
    if indices.ndim == 2:
        dense[tuple(indices.T)] = values
    else:
        dense.reshape(-1)[indices] = values
    return numpy_helper.from_array(dense, sparse.values.name)


def _find_weights(model: ir.Model, name: str, folder: Path | None) -> None:
    """Tell weights outside the file where they are; a short or missing file would be found late, by a foreign error."""
    for key, tensor in _outside(model.graph):
        if folder is None:
            raise TraceError(
                f"{name} has the weight {key!r} in the file {tensor.location!r}, and a model in memory has no folder; give the"
                " path of the file, or a model with its weights (onnx.load reads them)"
            )
        tensor.base_dir = folder
        try:
            there = Path(tensor.path).stat().st_size
        except OSError as error:
            raise TraceError(
                f"{name}: the weight {key!r} lies in {tensor.path}, which cannot be read: {error.strerror}"
            ) from error
        begin, size = tensor.offset or 0, tensor.length if tensor.length is not None else tensor.nbytes
        if size != tensor.nbytes or begin + size > there:
            raise TraceError(
                f"{name}: the weight {key!r} takes {tensor.nbytes} bytes, and the model says there are {size} from byte {begin}"
                f" on in {tensor.path}, which has {there}; the file is not whole, so fetch or export both again"
            )


def _bring_in(model: ir.Model) -> None:
    """Read what nodes hold and what lies in another file: halves are written without looking into nodes for such weights."""
    for graph in model.graphs():
        if graph is not model.graph:
            for value in graph.initializers.values():
                if isinstance(value.const_value, ir.ExternalTensor):
                    value.const_value = _in_memory(value.const_value)
        for node in graph:
            for key, attribute in list(node.attributes.items()):
                if attribute.type == ir.AttributeType.TENSOR and isinstance(attribute.as_tensor(), ir.ExternalTensor):
                    held = _in_memory(attribute.as_tensor())
                    node.attributes[key] = ir.Attr(key, attribute.type, held)


def _in_memory(tensor: ir.TensorProtocol) -> ir.TensorProtocol:
    return ir.Tensor(tensor.numpy().copy(), dtype=tensor.dtype, name=tensor.name)


def _outside(graph: ir.Graph) -> Iterator[tuple[str, ir.ExternalTensor]]:
    """Yield the weights of a graph that lie in other files, by the names of values or nodes, those of inner graphs included."""
    for part in (graph, *graph.subgraphs()):
        found = [(str(key), value.const_value) for key, value in part.initializers.items()]
        for node in part:
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.TENSOR:
                    found.append((str(node.name or node.op_type), attribute.as_tensor()))
                elif attribute.type == ir.AttributeType.TENSORS:
                    found += [(str(node.name or node.op_type), tensor) for tensor in attribute.as_tensors()]
        yield from ((key, tensor) for key, tensor in found if isinstance(tensor, ir.ExternalTensor))
