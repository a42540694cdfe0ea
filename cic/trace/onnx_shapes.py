"""The shape of every value of an ONNX model: declared, inferred, and where inference gives up, found by running it once.

A shape found by running may depend on the values of that one input. It is trusted only if no op before it picks or
computes sizes from data; all others are reported, and stay on the side where they are made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir

from cic.errors import TraceError
from codegen.errors import CodegenError
from codegen.onnx_session import open_session, to_ort
from codegen.onnx_wiring import all_nodes, constants, reads

# How many of their results there are depends on values, not only on shapes.
_COUNTS_DATA = frozenset(
    [
        "NonZero",
        "Unique",
        "NonMaxSuppression",
        "Compress",
        "If",
        "Loop",
        "Scan",
        "StringSplit",
        "SequenceAt",
        "SequenceMap",
        "Range",
        "ConstantOfShape",
    ]
)
_INTEGERS = (ir.DataType.INT64, ir.DataType.INT32)
_SMALL_BYTES = 4096  # shapes, axes and the like, which inference must be able to read


def fix_shapes(model: ir.Model, examples: Mapping[str, Any]) -> set[ir.Value]:
    """Give every tensor of `model` its shape and type, in place; return the values whose shape may change with the data.

    Raises TraceError if shapes are still unknown after inference and the model cannot be run on `examples`.
    """
    _forget_symbols(model)
    while True:
        _infer(model)
        if not _freeze_shape_nodes(model.graph):
            break
    unknown = _unknown(model.graph)
    if not unknown:
        return set()
    unsure = _depending_on_data(model.graph, set(unknown))
    _measure(model, unknown, examples)
    return unsure


def _forget_symbols(model: ir.Model) -> None:
    """Shapes declared with symbols would hide what follows from the inputs, whose shapes are fixed."""
    for node in all_nodes(model.graph):
        for value in node.outputs:
            if value.shape is not None and not value.shape.is_static():
                value.shape = None


def _infer(model: ir.Model) -> None:
    """Run ONNX's own inference on the model without its large weights, and take over what it found."""
    with _without_large_weights(model.graph):
        proto = ir.to_proto(model)
    try:
        inferred = ir.from_proto(onnx.shape_inference.infer_shapes(proto, data_prop=True))
    except Exception:  # it stops at the first contradiction; the model may still run, and then shapes are measured
        return
    for graph, found in zip(model.graphs(), inferred.graphs(), strict=True):
        by_name = {value.name: value for node in found for value in node.outputs}
        for value in (value for node in graph for value in node.outputs if value.name in by_name):
            other = by_name[value.name]
            value.type = other.type or value.type
            if other.shape is not None and (value.shape is None or not value.shape.is_static()):
                value.shape = other.shape


@contextmanager
def _without_large_weights(graph: ir.Graph) -> Iterator[None]:
    """Stand-ins without bytes take the place of large weights, so that any model fits into a protobuf message."""
    held = {value: value.const_value for value in graph.initializers.values()}
    for value, tensor in held.items():
        if tensor is not None and tensor.nbytes > _SMALL_BYTES:
            value.const_value = ir.ExternalTensor(
                "left-out", 0, tensor.nbytes, tensor.dtype, shape=ir.Shape(tensor.shape.numpy()), name=str(value.name)
            )
    try:
        yield
    finally:
        for value, tensor in held.items():
            value.const_value = tensor


def _freeze_shape_nodes(graph: ir.Graph) -> int:
    """Replace Shape and Size of values of known shape by constants; return how many."""
    frozen = 0
    for node in list(graph):
        if node.op_type not in ("Shape", "Size") or node.domain not in ("", "ai.onnx"):
            continue
        source, result = node.inputs[0], node.outputs[0]
        if source is None or source.shape is None or not source.shape.is_static() or result.is_graph_output():
            continue
        sizes = source.shape.numpy()
        if node.op_type == "Shape":
            start, end = (node.attributes[key].as_int() if key in node.attributes else None for key in ("start", "end"))
            tensor = ir.tensor(list(sizes[start:end]), dtype=ir.DataType.INT64)
        else:
            count = 1
            for size in sizes:
                count *= size
            tensor = ir.tensor(count, dtype=ir.DataType.INT64)
        constant = ir.node("Constant", [], attributes={"value": tensor}, name=node.name)
        fixed = constant.outputs[0]
        graph.insert_before(node, constant)
        result.replace_all_uses_with(fixed)
        graph.remove(node, safe=True)
        fixed.name, fixed.type, fixed.shape = result.name, ir.TensorType(ir.DataType.INT64), ir.Shape(tensor.shape.numpy())
        frozen += 1
    return frozen


def _unknown(graph: ir.Graph) -> list[ir.Value]:
    values = [value for node in graph for value in node.outputs if value.name]
    return [value for value in values if _is_tensor_or_untyped(value) and not _is_known(value)]


def _is_tensor_or_untyped(value: ir.Value) -> bool:
    return value.type is None or isinstance(value.type, ir.TensorType)


def _is_known(value: ir.Value) -> bool:
    return value.type is not None and value.shape is not None and value.shape.is_static()


def _depending_on_data(graph: ir.Graph, unknown: set[ir.Value]) -> set[ir.Value]:
    fixed = constants(graph)
    unsure: set[ir.Value] = set()
    for node in graph:
        given = [value for value in reads(node) if value not in fixed]
        # Beyond the first input, integers that are computed are usually sizes, bounds, axes or counts.
        computed = [value for value in node.inputs[1:] if value in given and value is not None and value.dtype in _INTEGERS]
        if not given or not (computed or node.op_type in _COUNTS_DATA or unsure.intersection(given)):
            continue
        unsure.update(value for value in node.outputs if value in unknown)
    return unsure


def _measure(model: ir.Model, unknown: list[ir.Value], examples: Mapping[str, Any]) -> None:
    declared = list(model.graph.outputs)
    wanted = [value for value in unknown if value not in declared]
    model.graph.outputs.extend(wanted)
    try:
        results = _run(model, examples)
    except CodegenError as error:
        names = ", ".join(str(value.name) for value in unknown[:3])
        raise TraceError(
            f"the shape of {names} in {model.graph.name} cannot be inferred, nor found by running the model on its example"
            f" inputs: {error}; give example inputs the model accepts"
        ) from error
    finally:
        del model.graph.outputs[len(declared) :]
    for value in unknown:
        found = results[str(value.name)]
        if found.is_tensor():
            value.type = ir.TensorType(ir.DataType(found.element_type()))
            value.shape = ir.Shape(found.shape())


def _run(model: ir.Model, examples: Mapping[str, Any]) -> dict[str, Any]:
    """Run a model that exists in memory only and return its outputs as values of ONNX Runtime."""
    with tempfile.TemporaryDirectory(prefix="cic-shapes-") as scratch:
        path = Path(scratch) / "model.onnx"
        ir.save(model, path, external_data="weights")
        session = open_session(path, f"{model.graph.name} with all values as outputs", optimize=False)
        feeds = {value.name: to_ort(examples[str(value.name)]) for value in model.graph.inputs}
        try:
            return dict(
                zip([value.name for value in session.get_outputs()], session.run_with_ort_values(None, feeds), strict=True)
            )
        except Exception as error:  # onnxruntime has a dozen exception classes without a common root
            raise CodegenError(str(error).strip().partition("\n")[0]) from error
