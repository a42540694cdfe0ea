"""Spans are the bytes of the weights, or the file is refused."""

from __future__ import annotations

import contextlib
import random
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from codegen.errors import CodegenError
from codegen.weights.protobuf_spans import raw_data_spans
from tests.codegen import onnx_models


@pytest.mark.parametrize("name", ["branching", "looping", "plumbing", "counting"])
def test_spans_are_the_bytes_of_the_weights(name: str, tmp_path: Path):
    path = onnx_models.save(getattr(onnx_models, name)(), tmp_path / "m.onnx")
    raw, weights = path.read_bytes(), onnx.load(path).graph.initializer
    spans = raw_data_spans(path)
    assert [raw[offset : offset + size] for offset, size in spans] == [weight.raw_data for weight in weights if weight.raw_data]
    for (offset, size), weight in zip(spans, [weight for weight in weights if weight.raw_data], strict=True):
        array = numpy_helper.to_array(weight)
        np.testing.assert_array_equal(np.frombuffer(raw[offset : offset + size], array.dtype).reshape(array.shape), array)


def test_what_is_no_onnx_file_is_refused(file: Path, tmp_path: Path):
    raw, choice = file.read_bytes(), random.Random(5)
    (tmp_path / "cut.onnx").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(CodegenError, match=r"cut\.onnx is no ONNX file"):
        raw_data_spans(tmp_path / "cut.onnx")
    for _ in range(200):  # whatever else is wrong, spans lie inside the file or the file is refused
        damaged = bytearray(raw[: choice.randrange(1, 4000)])
        damaged[choice.randrange(len(damaged))] ^= 1 << choice.randrange(8)
        (tmp_path / "damaged.onnx").write_bytes(damaged)
        with contextlib.suppress(CodegenError):
            spans = raw_data_spans(tmp_path / "damaged.onnx")
            assert all(0 <= offset <= offset + size <= len(damaged) for offset, size in spans)
