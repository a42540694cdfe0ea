"""Tensors in files come back as they were and in their order; nothing else is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from codegen.errors import CodegenError
from codegen.verification.tensor_file import read_tensors, write_tensors

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64,
]  # fmt: skip


def samples() -> list[torch.Tensor]:
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = [(torch.arange(12) % 3).reshape(3, 4).to(dtype) for dtype in DTYPES]
    return [*tensors, torch.tensor(3), torch.zeros(0, 5), shared, shared.t(), shared[0], shared.expand(4, 2, 3)]


def test_there_and_back(tmp_path: Path):
    write_tensors(tmp_path / "t", samples())
    read = read_tensors(tmp_path / "t")
    assert len(read) == len(samples())
    for back, tensor in zip(read, samples(), strict=True):
        assert back.dtype == tensor.dtype and back.equal(tensor) and back.is_contiguous()


def test_a_row_may_be_empty(tmp_path: Path):
    write_tensors(tmp_path / "t", [])
    assert read_tensors(tmp_path / "t") == []


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0not json at all!", b"\xff" * 64, b"\x80\x02}q\x00."])
def test_what_is_no_tensor_file_is_refused(tmp_path: Path, content: bytes):
    (tmp_path / "t").write_bytes(content)
    with pytest.raises(CodegenError, match="is not a tensor file"):
        read_tensors(tmp_path / "t")


def test_a_file_that_is_missing_or_damaged_is_refused(tmp_path: Path):
    with pytest.raises(CodegenError, match="is not a tensor file"):
        read_tensors(tmp_path / "absent")
    write_tensors(tmp_path / "t", samples())
    content = (tmp_path / "t").read_bytes()
    for length in range(0, len(content), 61):
        (tmp_path / "t").write_bytes(content[:length])
        with pytest.raises(CodegenError, match="is not a tensor file"):
            read_tensors(tmp_path / "t")


def test_a_dtype_that_the_layout_lacks_is_refused(tmp_path: Path):
    with pytest.raises(CodegenError, match=r"t cannot hold tensors of torch\.complex128"):
        write_tensors(tmp_path / "t", [torch.zeros(1, dtype=torch.complex128)])
