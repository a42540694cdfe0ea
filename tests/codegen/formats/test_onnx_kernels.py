"""What ONNX Runtime cannot compute is said by op, type and node, when the first half is written."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import fx, nn

from codegen.errors import CodegenError
from codegen.formats.onnx_program import OnnxEmitter


class Half(nn.Module):
    def __init__(self, part: nn.Module):
        super().__init__()
        self.part = part

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.part(x),)


class Squared(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * x


@pytest.mark.parametrize(
    ("part", "dtype", "message"),
    [
        (nn.Linear(4, 4), torch.bfloat16, r"no kernel for Gemm of bfloat16 on a processor \(node .*; emit as torchscript"),
        (nn.GELU(), torch.float64, r"no kernel for Erf of float64 on a processor"),
        (Squared(), torch.complex64, r"no tensors of the type complex64; emit as torchscript"),
    ],
    ids=["bfloat16", "float64", "complex64"],
)
def test_a_missing_kernel_is_named(part: nn.Module, dtype: torch.dtype, message: str, tmp_path: Path):
    half = fx.symbolic_trace(Half(part.to(dtype) if dtype.is_floating_point else part).eval())
    with pytest.raises(CodegenError, match=message):
        OnnxEmitter().write(half, (torch.ones(2, 4, dtype=dtype),), tmp_path / "head.onnx")
