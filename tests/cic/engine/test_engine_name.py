"""Names of engines are read one way, and written shortly."""

from __future__ import annotations

import pytest

from cic.engine.engine_name import USUAL_PLACES, EngineName, engine_name
from cic.errors import EngineError


@pytest.mark.parametrize(
    ("text", "name", "shown"),
    [
        *((kind, EngineName(kind, place), kind) for kind, place in USUAL_PLACES.items()),
        *((f"{kind}:{place}", EngineName(kind, place), kind) for kind, place in USUAL_PLACES.items()),
        ("onnxruntime:CUDA", EngineName("onnxruntime", "CUDAExecutionProvider"), "onnxruntime:CUDAExecutionProvider"),
        (
            "onnxruntime:Tensorrt,CUDAExecutionProvider",
            EngineName("onnxruntime", "TensorrtExecutionProvider,CUDAExecutionProvider"),
            "onnxruntime:TensorrtExecutionProvider,CUDAExecutionProvider",
        ),
        ("torchscript:cuda:1", EngineName("torchscript", "cuda:1"), "torchscript:cuda:1"),
        ("openvino:GPU.0", EngineName("openvino", "GPU.0"), "openvino:GPU.0"),
    ],
)
def test_a_name_is_read_and_written(text: str, name: EngineName, shown: str):
    assert engine_name(text) == name
    assert str(name) == shown
    assert engine_name(shown) == name


@pytest.mark.parametrize("text", ["", "onnx", "tensorrt:0", "ONNXRUNTIME", 3, None])
def test_an_unknown_engine_is_refused_with_the_known_ones(text: object):
    with pytest.raises(EngineError) as caught:
        engine_name(text)  # type: ignore[arg-type]
    assert all(kind in str(caught.value) for kind in USUAL_PLACES)


@pytest.mark.parametrize("text", ["onnxruntime:", "torchscript: cuda", "pt2:\n", "openvino:../x"])
def test_a_place_is_a_word(text: str):
    with pytest.raises(EngineError, match="names no place behind its colon"):
        engine_name(text)
