"""A session of ONNX Runtime for a model in memory, of any size: it passes through the directory for temporary files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx_ir as ir
import onnxruntime

from codegen.files.leftovers import temporary_directory
from codegen.formats.onnx_session import Execution, open_session
from codegen.splitters.onnx import OPEN, opened


def session_of(
    model: ir.Model, what: str, *, optimize: bool = True, execution: Execution | None = None
) -> onnxruntime.InferenceSession:
    """Return a session of a model or of a half.

    Raises CodegenError naming `what` if ONNX Runtime cannot load it; OSError if there is no room for its file.
    """
    with file_of(model) as path:
        return open_session(path, what, optimize=optimize, execution=execution or Execution())


@contextmanager
def file_of(model: ir.Model) -> Iterator[Path]:
    """Within the block, a file of a model or of a half, its weights beside it: both may be larger than a protobuf message.

    Raises OSError if there is no room for it.
    """
    with temporary_directory() as scratch:
        path = scratch / "model.onnx"
        ir.save(opened(model) if model.meta.get(OPEN) else model, path, external_data="weights")
        yield path


@contextmanager
def answering(model: ir.Model, wanted: Sequence[ir.Value]) -> Iterator[None]:
    """Within the block, these values are outputs of the model, behind its own."""
    outputs = model.graph.outputs
    before = list(outputs)
    outputs.extend(value for value in dict.fromkeys(wanted) if value not in before)
    try:
        yield
    finally:
        while len(outputs) > len(before):
            outputs.pop()  # which tells a value that it is no output any more, as deleting a slice does not
