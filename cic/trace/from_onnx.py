"""From an ONNX file to a `Graph` of priced, fused ops, and the model the graph talks about.

file → checked → functions inlined, nodes named → inputs bound to fixed shapes → shapes inferred → ops and tensors
     → fused runs

Weights outside the file are left there; a file may be larger than the 2 GB that a protobuf message can hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx
import onnx_ir as ir
import torch
from onnx_ir.passes.common import InlinePass, RemoveUnusedNodesPass

from cic.errors import TraceError
from cic.trace.fusion import fuse
from cic.trace.onnx_graph import build_onnx_graph, dtype_name
from cic.trace.onnx_model import OnnxModel
from cic.trace.onnx_shapes import fix_shapes
from codegen.onnx_wiring import RANDOM, all_nodes

Shape = Sequence[int]
_SEED = 0


def trace_onnx(
    path: str | Path,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    shapes: Mapping[str, Shape] | None = None,
    name: str | None = None,
) -> OnnxModel:
    """Read an ONNX file as a graph of fixed shapes.

    args, kwargs: example inputs (torch tensors), in the order of the model's inputs or by name; others are drawn.
    shapes: input name → shape, for inputs whose file leaves a dimension open and that have no example.

    Raises TraceError, naming file and input or node, if the file is damaged or no valid model, an input's shape is open or
    disagrees, a node draws random numbers, or an output is no tensor.
    """
    path = Path(path)
    model = _read(path)
    name = name or path.stem
    _normalise(model, path)
    examples = _given(model, path, args, kwargs or {})
    _bind(model, path, {key: tuple(value.shape) for key, value in examples.items()}, dict(shapes or {}))
    generator = torch.Generator().manual_seed(_SEED)
    kwargs = {str(value.name): examples.get(str(value.name), _draw(value, generator)) for value in model.graph.inputs}
    unsure = fix_shapes(model, kwargs)
    _check_outputs(model, path)
    unfused = build_onnx_graph(model, name, unsure)
    return OnnxModel(fuse(unfused), model, path, kwargs, unfused)


def _read(path: Path) -> ir.Model:
    if not path.is_file():
        raise TraceError(f"{path} does not exist or is no file; give the path of an ONNX model")
    try:
        onnx.checker.check_model(str(path))
        return ir.load(path)
    except Exception as error:  # protobuf, checker, file system: each raises its own
        reason = str(error).strip().partition("\n")[0] or type(error).__name__
        raise TraceError(f"{path} is not a valid ONNX model: {reason}; export it again") from error


def _normalise(model: ir.Model, path: Path) -> None:
    """Inline functions, drop what nobody reads, name all nodes; weights that double as inputs are weights only."""
    graph = model.graph
    if model.functions:
        InlinePass()(model)
    inputs = [value for value in graph.inputs if value.name not in graph.initializers]
    graph.inputs.clear()
    graph.inputs.extend(inputs)
    RemoveUnusedNodesPass()(model)
    taken: set[str] = set()
    for node in all_nodes(graph):
        stem = name = node.name or node.op_type
        count = 0
        while name in taken:
            count += 1
            name = f"{stem}_{count}"
        taken.add(name)
        node.name = name
        if node.op_type in RANDOM or _trains(node):
            raise TraceError(
                f"{path}: node {node.name!r} ({node.op_type}) draws random numbers; export the model for inference"
            )
    if not graph.inputs:
        raise TraceError(f"{path} has no input, so there is nothing to split")


def _trains(node: ir.Node) -> bool:
    if node.op_type != "Dropout" or len(node.inputs) < 3 or node.inputs[2] is None:
        return False
    mode = ir.convenience.get_const_tensor(node.inputs[2])
    return mode is None or bool(mode.numpy().any())


def _given(model: ir.Model, path: Path, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Example inputs by name, checked against the inputs' types."""
    inputs = {str(value.name): value for value in model.graph.inputs}
    known = f"its inputs are {', '.join(inputs)}"
    if len(args) > len(inputs):
        raise TraceError(f"{path} takes {len(inputs)} inputs, {len(args)} were given; {known}")
    given = dict(zip(inputs, args, strict=False))
    for key, value in kwargs.items():
        if key not in inputs or key in given:
            raise TraceError(f"{path}: {'no input is called' if key not in inputs else 'two values for'} {key!r}; {known}")
        given[key] = value
    for key, value in given.items():
        if not isinstance(value, torch.Tensor):
            raise TraceError(f"{path}: the example for input {key!r} is a {type(value).__name__}; give a torch tensor")
        dtype = str(value.dtype).removeprefix("torch.")
        if dtype != dtype_name(inputs[key]):
            raise TraceError(f"{path}: input {key!r} is of type {dtype_name(inputs[key])}, the example of type {dtype}")
    return given


def _bind(model: ir.Model, path: Path, examples: dict[str, tuple[int, ...]], shapes: dict[str, Shape]) -> None:
    """Fix the shape of every input to the example's, the given or the declared one."""
    names = [str(value.name) for value in model.graph.inputs]
    for name in shapes:
        if name not in names:
            raise TraceError(f"shapes names the input {name!r}; {path} has the inputs {', '.join(names)}")
    for value in model.graph.inputs:
        name = str(value.name)
        if not isinstance(value.type, ir.TensorType) or dtype_name(value) == "string":
            raise TraceError(f"{path}: input {name!r} is of type {value.type}; only tensors of numbers can be split")
        declared = None if value.shape is None else tuple(value.shape)
        wanted = examples.get(name) or (tuple(shapes[name]) if name in shapes else examples.get(name))
        if wanted is None:
            _check_fixed(path, name, declared)
            continue
        fits = declared is None or (
            len(declared) == len(wanted)
            and all(not isinstance(size, int) or size == given for size, given in zip(declared, wanted, strict=True))
        )
        if not fits or not all(isinstance(size, int) and size >= 0 for size in wanted):
            raise TraceError(f"{path}: input {name!r} has shape {_shown(declared)}, given was {tuple(wanted)}")
        value.shape = ir.Shape(wanted)


def _check_fixed(path: Path, name: str, declared: tuple[Any, ...] | None) -> None:
    if declared is None or not all(isinstance(size, int) for size in declared):
        sizes = declared and ", ".join(str(size) if isinstance(size, int) else "1" for size in declared)
        advice = f"shapes={{{name!r}: ({sizes},)}}" if sizes else f"shapes={{{name!r}: (…)}}"
        raise TraceError(
            f"{path}: input {name!r} has the open shape {_shown(declared)}; fix it with an example input or {advice}"
        )


def _shown(declared: tuple[Any, ...] | None) -> str:
    return "unknown" if declared is None else f"({', '.join(str(size) for size in declared)})"


def _draw(value: ir.Value, generator: torch.Generator) -> torch.Tensor:
    """Return a random tensor for an input; integers are 0 or 1, which is valid as a token, a mask and a flag."""
    assert value.shape is not None, "inputs are bound"
    shape, dtype = value.shape.numpy(), getattr(torch, dtype_name(value))
    if dtype.is_floating_point:
        return torch.randn(shape, generator=generator).to(dtype)
    return torch.randint(0, 2, shape, generator=generator).to(dtype)


def _check_outputs(model: ir.Model, path: Path) -> None:
    for value in model.graph.outputs:
        if not isinstance(value.type, ir.TensorType) or dtype_name(value) == "string":
            raise TraceError(f"{path}: output {value.name!r} is of type {value.type}; only tensors of numbers can be sent back")
