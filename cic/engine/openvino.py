"""OpenVINO as an engine for ONNX halves: often the fastest on processors of Intel, and the way to their other chips.

OpenVINO keeps weights of its own for each half, so it is no way to hold many cuts at once. It is told to compute in the types
of the file, since on its own account it rounds float32 to half the width wherever a chip is faster with that.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino

from cic.codec.tensors import carrier
from cic.engine.engine import Array
from cic.errors import EngineError
from codegen.errors import CodegenError
from codegen.files.leftovers import temporary_directory
from codegen.formats.emitter import Runner, is_too_large
from codegen.formats.onnx_borders import border_names
from codegen.split import WireTensor
from codegen.weights.onnx_locations import check_beside, check_within
from codegen.weights.onnx_weights import write_beside
from codegen.weights.shared_weights import SharedHalf

# Its plugins compute whole numbers in 32 bits, whatever type the file says.
_WIDE = ("int64", "uint64", "uint32")
_LARGEST = 2**31 - 1


class OpenVinoLoader:
    """Loads ONNX halves as functions of arrays. place: a device of OpenVINO. threads: of the processor."""

    format = "onnx"

    def __init__(self, place: str, threads: int) -> None:
        self.core, self.place, self.threads = openvino.Core(), place, threads

    def load(self, path: Path, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """See `codegen.formats.emitter.Loader`."""
        return self._of_content(path.read_bytes(), str(path), inputs)

    def load_shared(self, half: SharedHalf, inputs: Sequence[WireTensor], *, optimize: bool) -> Runner:
        """See `codegen.formats.emitter.SharedLoader`; the weights are copied."""
        if not is_too_large(self.format, half.record.bytes):
            return self._of_content(b"".join(half.plain()), str(half.path), inputs)
        with temporary_directory() as scratch:
            path = scratch / "half.onnx"
            write_beside(half, path)
            return self.load_beside(path, str(half.path), inputs)

    def load_beside(self, path: Path, what: str, inputs: Sequence[WireTensor]) -> Runner:
        """As `load`, of a file that may have weights beside it; errors name it as `what`."""
        check_beside(path, what)
        return self._runner(path, path.read_bytes(), what, inputs)

    def _of_content(self, content: bytes, what: str, inputs: Sequence[WireTensor]) -> Runner:
        check_within(content, what)
        return self._runner(content, content, what, inputs)

    def _runner(self, source: bytes | Path, graph: bytes, what: str, inputs: Sequence[WireTensor]) -> Runner:
        names, _ = border_names(graph, what)
        try:
            model = self.core.read_model(source)
            _check_types(model, what)
            compiled = self.core.compile_model(model, self.place, self._settings())
            return _runner_of(compiled, names, inputs)
        except RuntimeError as error:
            raise CodegenError(
                f"{what} is not ONNX that OpenVINO {openvino.__version__} can run on {self.place}: {_last_line(error)}"
            ) from error

    def _settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = {"PERFORMANCE_HINT": "LATENCY", "EXECUTION_MODE_HINT": "ACCURACY"}
        if self.place == "CPU":
            # Each loaded half would pin its threads to the same cores.
            settings |= {"INFERENCE_NUM_THREADS": self.threads, "NUM_STREAMS": 1, "ENABLE_CPU_PINNING": False}
        return settings


def loader(place: str, threads: int) -> OpenVinoLoader:
    """What loads ONNX halves. place: a device of OpenVINO, such as "CPU" or "GPU". Raises EngineError if it is not here."""
    made = OpenVinoLoader(place, threads)
    here = made.core.available_devices
    if place.partition(".")[0] not in {device.partition(".")[0] for device in here}:
        raise EngineError(f"OpenVINO {openvino.__version__} has no device {place!r} here, it has {', '.join(here) or 'none'}")
    return made


def _runner_of(compiled: Any, names: Sequence[str], inputs: Sequence[WireTensor]) -> Runner:
    """A compiled model as a function: an input that no op reads it has dropped, and outputs are in the order of the file."""
    request, taken = compiled.create_infer_request(), threading.Lock()
    known = {name: index for index, port in enumerate(compiled.inputs) for name in port.names}
    ports = [known.get(name) for name in names]

    def run(*arrays: Array) -> tuple[Array, ...]:
        for array, wire in zip(arrays, inputs, strict=True):
            if wire.dtype in _WIDE and array.size and max(int(array.max()), -int(array.min())) > _LARGEST:
                raise CodegenError(f"{wire.name} has a value beyond 32 bits, in which OpenVINO computes; choose onnxruntime")
        with taken:
            for array, index in zip(arrays, ports, strict=True):
                if index is not None:
                    request.set_input_tensor(index, _tensor(array, compiled.inputs[index].get_element_type()))
            request.infer()
            # The request's own memory is written again by the next call.
            return tuple(_copied(request.get_output_tensor(index)) for index in range(len(compiled.outputs)))

    return run


def _tensor(array: Array, element_type: Any) -> Any:
    if element_type == openvino.Type.bf16:
        return openvino.Tensor(array, array.shape, element_type)
    return openvino.Tensor(array, shared_memory=True)


def _copied(tensor: Any) -> Array:
    lacking = tensor.element_type == openvino.Type.bf16
    array: Array = np.array(tensor.data, copy=True)
    return array.view(carrier("bfloat16")) if lacking else array


def _check_types(model: Any, what: str) -> None:
    """Raise CodegenError if an op computes in a type that OpenVINO takes and then computes in a narrower one."""
    for op in model.get_ops():
        for output in op.outputs():
            if output.get_element_type() == openvino.Type.f64:
                raise CodegenError(
                    f"{what} computes {op.get_friendly_name()} in float64, and OpenVINO would in float32; choose onnxruntime"
                )


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
