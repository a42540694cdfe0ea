"""ONNX Runtime as an engine, with any of its execution providers. Needs numpy and onnxruntime; torch is not imported."""

from __future__ import annotations

import onnxruntime

from cic.errors import EngineError
from codegen.formats.onnx_program import OnnxEmitter
from codegen.formats.onnx_session import PROCESSOR, Execution

# Where the usual wheel has no such provider, another package of PyPI has it.
_PACKAGES = {
    "CUDAExecutionProvider": "onnxruntime-gpu",
    "TensorrtExecutionProvider": "onnxruntime-gpu",
    "OpenVINOExecutionProvider": "onnxruntime-openvino",
    "DmlExecutionProvider": "onnxruntime-directml",
    "QNNExecutionProvider": "onnxruntime-qnn",
}


def loader(place: str, threads: int) -> OnnxEmitter:
    """What loads ONNX halves. place: execution providers, the preferred one first; the processor has what none of them runs.

    Raises EngineError if this onnxruntime lacks one of them.
    """
    providers = tuple(dict.fromkeys((*place.split(","), PROCESSOR)))
    here = onnxruntime.get_available_providers()
    for provider in providers:
        if provider not in here:
            package = f": pip install {_PACKAGES[provider]}" if provider in _PACKAGES else ""
            raise EngineError(
                f"onnxruntime {onnxruntime.__version__} has no {provider} here, it has {', '.join(here)}{package}"
            )
    return OnnxEmitter(Execution(threads, providers), arrays=True)
