"""What ONNX Runtime has no kernel for on a processor: said by name, and before halves are written in vain."""

from __future__ import annotations

import re
from pathlib import Path

import onnx_ir as ir

from codegen.errors import CodegenError
from codegen.formats.onnx_session import open_session
from codegen.splitters.onnx_wiring import all_nodes

# There is hardly an op without a kernel for these; float16 is computed as float32.
_USUAL = frozenset({"FLOAT", "FLOAT16", "INT64", "INT32", "BOOL", "UINT8", "INT8", "STRING", "UNDEFINED"})
_MISSING = re.compile(r"Could not find an implementation for (?P<op>\w+)\(\d+\) node with name '(?P<node>.*)'")


def check_kernels(model: ir.Model, content: Path | bytes, what: str, advice: str) -> None:
    """Raise CodegenError if ONNX Runtime cannot run a model for want of a kernel; only models with rare types are tried.

    content: the model's file, or its bytes. what: the name for messages; advice: what to do instead.
    """
    if all(_type(value) in _USUAL for value in _values(model)):
        return
    try:
        open_session(content, what, optimize=False)
    except CodegenError as error:
        raise explained(error, model, what, advice) from error


def explained(error: CodegenError, model: ir.Model, what: str, advice: str) -> CodegenError:
    """Return an error of a session with a missing kernel named; another one as it is."""
    found = _MISSING.search(str(error))
    if found is None:
        return error
    nodes = [node for node in all_nodes(model.graph) if node.op_type == found["op"] and (node.name or "") == found["node"]]
    nodes = nodes or [node for node in all_nodes(model.graph) if node.op_type == found["op"]]
    # What the exporter put in last has no types; it is there for its neighbours' sake.
    near = [value for node in nodes for value in (*node.inputs, *node.outputs)]
    types = [_type(value) for value in (*near, *_values(model)) if value is not None]
    rare = next((name for name in types if name not in _USUAL), "FLOAT16")
    shown = ir.DataType[rare].numpy().name
    return CodegenError(
        f"ONNX Runtime has no kernel for {found['op']} of {shown} on a processor (node {found['node']!r} of {what}); {advice}"
    )


def _values(model: ir.Model) -> list[ir.Value]:
    return [value for node in all_nodes(model.graph) for value in (*node.inputs, *node.outputs) if value is not None]


def _type(value: ir.Value) -> str:
    return "UNDEFINED" if value.dtype is None else value.dtype.name
