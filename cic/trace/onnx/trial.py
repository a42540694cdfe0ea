"""A model run as it is traced, to find the shapes that inference cannot give."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx_ir as ir
import onnxruntime
import torch

from cic.errors import TraceError
from codegen.errors import CodegenError
from codegen.formats.onnx_in_memory import answering, session_of
from codegen.formats.onnx_values import to_ort
from codegen.splitters.onnx import OPEN
from codegen.verification.equivalence import redraw

_DRAWS = 3
_FAR = 1000.0
_WHOLE = (torch.int32, torch.int64)

Found = dict[str, tuple[ir.TensorType, ir.Shape]]


class Trial:
    """A session that answers `wanted` values beside the model's outputs.

    A file with open shapes may hold a branch that does not fit the shapes it is given and is never taken with them. ONNX
    Runtime then opens the file and refuses one whose inputs have these shapes. So the model is marked (`OPEN`), and halves
    leave their shapes open, too.
    """

    def __init__(self, model: ir.Model, wanted: Sequence[ir.Value]) -> None:
        self._name = str(model.graph.name)
        self._wanted = [str(value.name) for value in wanted]
        with answering(model, wanted):
            try:
                self._session = _session(model, self._name)
            except CodegenError as error:
                refused = error
            else:
                return
            model.meta[OPEN] = True
            try:
                self._session = _session(model, self._name)
            except CodegenError:
                model.meta.pop(OPEN)
                self._session, self._refused = None, refused

    def measure(self, examples: Mapping[str, Any]) -> Found:
        """Return type and shape of the wanted values that are tensors, by name; TraceError if the model does not run."""
        try:
            return self._run(examples)
        except CodegenError as error:
            names = ", ".join(self._wanted[:3])
            raise TraceError(
                f"the shape of {names} in {self._name} cannot be inferred, nor found by running the model on its example"
                f" inputs: {error}; give example inputs the model accepts"
            ) from error

    def varying(self, names: Sequence[str], examples: Mapping[str, Any]) -> set[str]:
        """Return those of the wanted values whose shapes differ between runs on other inputs of the same shapes."""
        shapes: dict[str, set[tuple[int, ...]]] = {name: set() for name in names}
        for inputs in (examples, *_others(examples)):
            try:
                found = self._run(inputs)
            except CodegenError:  # drawn inputs may be none that the model accepts
                continue
            for name in names:
                if name in found:
                    shapes[name].add(tuple(found[name][1].numpy()))
        return {name for name in names if len(shapes[name]) > 1}

    def _run(self, inputs: Mapping[str, Any]) -> Found:
        if self._session is None:
            raise self._refused
        feeds = {value.name: to_ort(inputs[value.name]) for value in self._session.get_inputs()}
        names = [value.name for value in self._session.get_outputs()]
        try:
            results = dict(zip(names, self._session.run_with_ort_values(None, feeds), strict=True))
        except Exception as error:  # onnxruntime has a dozen exception classes without a common root
            raise CodegenError(str(error).strip().partition("\n")[0]) from error
        return {
            name: (ir.TensorType(ir.DataType(results[name].element_type())), ir.Shape(results[name].shape()))
            for name in self._wanted
            if results[name].is_tensor()
        }


def _others(examples: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield other inputs: the same numbers in another order and mixed, floats turned, none and far away, other integers."""
    values = list(examples.values())
    for seed in range(_DRAWS):
        yield dict(zip(examples, redraw(values, seed), strict=True))
    yield {name: -value if value.is_floating_point() else value for name, value in examples.items()}
    yield {name: value * 0 if value.is_floating_point() else value for name, value in examples.items()}
    for far in (-_FAR, _FAR):
        yield {name: value + far if value.is_floating_point() else value for name, value in examples.items()}
    # A whole number may be a size. One that is an id beyond the last stops the run, which then counts for nothing.
    for more in (-1, 1):
        yield {name: value + more if value.dtype in _WHOLE else value for name, value in examples.items()}


def _session(model: ir.Model, name: str) -> onnxruntime.InferenceSession:
    try:
        return session_of(model, f"{name} with all values as outputs", optimize=False)
    except OSError as error:
        raise TraceError(f"cannot write {name} to the directory for temporary files: {error.strerror or error}") from error
