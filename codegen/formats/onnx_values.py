"""Tensors of torch and arrays of numpy as values of ONNX Runtime, and back; an answer shares no memory with what was given.

torch is not imported here unless answers are to be its tensors.
"""

from __future__ import annotations

import ctypes
import math
import sys
from collections.abc import Set
from typing import Any

import numpy as np
import onnxruntime

from codegen.dtypes import type_name
from codegen.errors import CodegenError

# torch's dtypes that numpy lacks, each with an integer type as wide and ONNX's number of the type.
_WITHOUT_NUMPY = {
    "bfloat16": ("int16", 16),
    "float8_e4m3fn": ("uint8", 17),
    "float8_e4m3fnuz": ("uint8", 18),
    "float8_e5m2": ("uint8", 19),
    "float8_e5m2fnuz": ("uint8", 20),
}
_NAMES = {number: (name, as_wide) for name, (as_wide, number) in _WITHOUT_NUMPY.items()}
_INSTEAD = "emit as torchscript or exported_program, or turn it into a type that both have before and after it crosses"


def to_ort(value: Any, dtype: str | None = None) -> onnxruntime.OrtValue:
    """Return a tensor or an array as a value of ONNX Runtime, which borrows its memory.

    dtype: of an array that holds the bits of a type that numpy lacks; it must be contiguous.
    Raises CodegenError, naming the type, if ONNX Runtime has no such tensors.
    """
    if isinstance(value, np.ndarray) and dtype in _WITHOUT_NUMPY:
        as_wide, number = _WITHOUT_NUMPY[dtype]
        return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(value.view(as_wide), number)
    if isinstance(value, np.ndarray):
        return _borrowing(np.ascontiguousarray(value).reshape(value.shape), str(value.dtype))
    if not hasattr(value, "detach"):
        raise CodegenError(f"a half of ONNX takes tensors of torch or arrays of numpy, not a {type(value).__qualname__}")
    try:
        tensor = value.detach().resolve_neg().cpu().contiguous()
    except (RuntimeError, NotImplementedError) as error:  # a sparse one, or one of the meta device
        raise CodegenError(f"ONNX Runtime cannot take a {value.layout} tensor on {value.device}; give a plain one") from error
    name = type_name(tensor.dtype)
    if name not in _WITHOUT_NUMPY:
        check_type(name)
        return _borrowing(tensor.numpy(), name)
    torch, (as_wide, number) = sys.modules["torch"], _WITHOUT_NUMPY[name]
    raw = tensor.view(getattr(torch, as_wide)).numpy()
    return onnxruntime.OrtValue.ortvalue_from_numpy_with_onnx_type(raw, number)


def from_ort(value: onnxruntime.OrtValue, given: Set[int], *, as_array: bool, as_bits: bool = False) -> Any:
    """Return a value of ONNX Runtime as an array, or as a tensor, with memory of its own.

    given: where the inputs lie. An output that is an input is handed out as that again, and its memory may be gone or changed
        by the time the answer is read.
    as_bits: an array of a type that numpy lacks has its bits in unsigned integers.
    Raises CodegenError if numpy has no such arrays.
    """
    lacking = _NAMES.get(value.element_type())
    if lacking is not None:
        return _bits(value, lacking[1]) if as_bits else _raw(value, *lacking, as_array=as_array)
    array = value.numpy()
    array = array.view(array.dtype.str)  # torch knows unsigned longs by one of numpy's two names only
    if value.data_ptr() in given:
        array = array.copy()
    if as_array:
        return array
    import torch

    return torch.from_numpy(array)


def check_type(name: str) -> None:
    """Raise CodegenError if ONNX Runtime has no tensors of a type of torch."""
    if name.startswith(("complex", "float8", "float4", "q", "bits")) and name not in _WITHOUT_NUMPY:
        raise CodegenError(f"ONNX Runtime takes and returns no tensors of the type {name}; {_INSTEAD}")


def _borrowing(array: Any, name: str) -> onnxruntime.OrtValue:
    try:
        return onnxruntime.OrtValue.ortvalue_from_numpy(array)
    except RuntimeError as error:
        raise CodegenError(f"ONNX Runtime takes and returns no tensors of the type {name}; {_INSTEAD}") from error


def _raw(value: onnxruntime.OrtValue, name: str, as_wide: str, *, as_array: bool) -> Any:
    if as_array:
        raise CodegenError(
            f"a result is of the type {name}, which numpy lacks; give the half tensors of torch, and it returns such"
        )
    import torch

    bits = _bits(value, as_wide).view(as_wide)
    return torch.from_numpy(bits).view(getattr(torch, name))


def _bits(value: onnxruntime.OrtValue, as_wide: str) -> np.ndarray[Any, Any]:
    """A copy of the bits of a value, as unsigned integers of the same width."""
    shape, bits = value.shape(), np.dtype(f"u{np.dtype(as_wide).itemsize}")
    size = math.prod(shape) * bits.itemsize
    raw = bytearray(ctypes.string_at(value.data_ptr(), size) if size else b"")
    return np.frombuffer(raw, bits).reshape(shape)
