"""Tensors in files come back as they were, and in the layout other programs read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codegen.errors import CodegenError
from codegen.tensor_file import read_tensors, write_tensors

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64,
]  # fmt: skip


def samples() -> dict[str, torch.Tensor]:
    tensors = {str(dtype): (torch.arange(12) % 3).reshape(3, 4).to(dtype) for dtype in DTYPES}
    tensors["scalar"] = torch.tensor(3)
    tensors["empty"] = torch.zeros(0, 5)
    tensors["turned"] = torch.arange(6.0).reshape(2, 3).t()
    return tensors


def test_there_and_back(tmp_path: Path):
    write_tensors(tmp_path / "t", samples())
    read = read_tensors(tmp_path / "t")
    assert list(read) == list(samples())
    for name, tensor in samples().items():
        assert read[name].dtype == tensor.dtype and read[name].equal(tensor)


def test_safetensors_reads_it(tmp_path: Path):
    safetensors = pytest.importorskip("safetensors.torch")
    tensors = {name: tensor for name, tensor in samples().items() if not tensor.is_complex()}
    write_tensors(tmp_path / "t", tensors)
    read = safetensors.load_file(tmp_path / "t")
    assert all(read[name].equal(tensor) for name, tensor in tensors.items())


def test_what_is_no_tensor_file_is_refused(tmp_path: Path):
    (tmp_path / "t").write_bytes(b"\x10\0\0\0\0\0\0\0not json at all!")
    with pytest.raises(CodegenError, match="is not a tensor file"):
        read_tensors(tmp_path / "t")
    with pytest.raises(CodegenError, match=r"x has dtype torch\.complex128"):
        write_tensors(tmp_path / "t", {"x": torch.zeros(1, dtype=torch.complex128)})
