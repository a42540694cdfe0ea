"""Tensors in a file, without pickle: the safetensors layout, written here because it is forty lines.

A little-endian 64-bit length, that many bytes of JSON (name → dtype, shape, byte range), then the bytes of all tensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from codegen.errors import CodegenError

_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
    "C64": torch.complex64,
    "F8_E4M3": torch.float8_e4m3fn,
    "F8_E5M2": torch.float8_e5m2,
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}


def write_tensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write named tensors; they come back contiguous. Raises CodegenError for a dtype the layout does not have."""
    header: dict[str, object] = {}
    chunks: list[bytes] = []
    end = 0
    for name, tensor in tensors.items():
        if tensor.dtype not in _NAMES:
            raise CodegenError(f"{name} has dtype {tensor.dtype}, which {path.name} cannot hold")
        chunk = _to_bytes(tensor)
        header[name] = {
            "dtype": _NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [end, end + len(chunk)],
        }
        end += len(chunk)
        chunks.append(chunk)
    encoded = json.dumps(header).encode()
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little"))
        file.write(encoded)
        file.writelines(chunks)


def read_tensors(path: Path) -> dict[str, torch.Tensor]:
    """Read what `write_tensors` wrote, in the same order."""
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    try:
        header = json.loads(raw[8 : 8 + length])
        return {name: _from_bytes(entry, raw, 8 + length) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError) as error:
        raise CodegenError(f"{path} is not a tensor file: {error}") from error


def _to_bytes(tensor: torch.Tensor) -> bytes:
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def _from_bytes(entry: Mapping[str, Any], raw: bytes, base: int) -> torch.Tensor:
    begin, end = entry["data_offsets"]
    dtype = _DTYPES[entry["dtype"]]
    shape: list[int] = entry["shape"]
    if begin == end:
        return torch.empty(shape, dtype=dtype)
    copied = torch.frombuffer(bytearray(raw[base + begin : base + end]), dtype=torch.uint8)
    return copied.view(dtype).reshape(shape)
