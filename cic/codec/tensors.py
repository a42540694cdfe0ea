"""Tensors of torch, or arrays of numpy, as flat arrays that numpy can compute with, and back.

numpy lacks some of torch's types; values of these travel as the integers of the same width that hold their bits.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from cic.errors import CodecError
from codegen.dtypes import type_name

if TYPE_CHECKING:
    import torch

Array = NDArray[Any]

# Types that numpy does not have, and what holds their bits.
_BITS = {
    "bfloat16": "uint16",
    "complex32": "uint32",
    "float8_e4m3fn": "uint8",
    "float8_e4m3fnuz": "uint8",
    "float8_e5m2": "uint8",
    "float8_e5m2fnuz": "uint8",
    "float8_e8m0fnu": "uint8",
}
_NUMBERS = ("float64", "float32", "float16", "complex128", "complex64", "bool")
_WHOLE_NUMBERS = ("int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8")
_CARRIERS = {name: np.dtype(_BITS.get(name, name)) for name in (*_NUMBERS, *_WHOLE_NUMBERS, *_BITS)}

_NAMES = {held: held.name for held in _CARRIERS.values()}

# What the lossy codecs take; all of them compute in float32.
FLOATS = ("float64", "float32", "float16", "bfloat16")


def carrier(dtype: str, name: str = "the tensor") -> np.dtype[Any]:
    """The numpy type that holds values of `dtype` ("float32", "bfloat16", …). Raises CodecError for an unknown one."""
    try:
        return _CARRIERS[dtype]
    except (KeyError, TypeError):
        raise CodecError(f"{name} has the type {dtype!r}, which no codec knows; known are {', '.join(_CARRIERS)}") from None


def name_of(dtype: np.dtype[Any]) -> str:
    """The name of a numpy type; numpy itself makes it anew each time, which takes as long as all checks of a tensor."""
    name = _NAMES.get(dtype)
    return dtype.name if name is None else name


def count(shape: Sequence[int]) -> int:
    """How many values a tensor of that shape has."""
    return math.prod(shape)


def array_of(tensor: torch.Tensor | Array, name: str = "the tensor") -> tuple[Array, str]:
    """The tensor as a contiguous array of its own shape, without a copy where it is contiguous, and the name of its type.

    Raises CodecError for a type that no codec knows, and for what has no values in memory, one beside the other.
    """
    if isinstance(tensor, np.ndarray | np.generic):
        dtype = name_of(tensor.dtype)
        held = carrier(dtype, name)
        array = np.asarray(tensor, order="C")
        return array.view(held) if dtype in _BITS else array.astype(held, copy=False), dtype
    dtype = type_name(getattr(tensor, "dtype", type(tensor).__name__))
    held = carrier(dtype, name)
    try:
        plain = tensor.detach().cpu().resolve_conj().resolve_neg().contiguous()
    except (RuntimeError, AttributeError) as error:  # sparse, nested and meta tensors, and what is no tensor of torch
        raise CodecError(f"{name} is no tensor whose values lie in memory: {str(error).partition(chr(10))[0]}") from None
    if dtype in _BITS:
        import torch  # loaded already: the tensor is one of its own

        plain = plain.view({1: torch.uint8, 2: torch.int16, 4: torch.int32}[held.itemsize])
    return plain.numpy().view(held), dtype


def tensor_of(array: Array, dtype: str) -> torch.Tensor:
    """The torch tensor with the values of an array that a codec decoded; it shares the array's memory."""
    import torch

    if dtype not in _BITS:
        return torch.from_numpy(array)
    signed = {1: np.uint8, 2: np.int16, 4: np.int32}[array.itemsize]
    return torch.from_numpy(array.view(signed)).view(getattr(torch, dtype))


def floats_of(array: Array, dtype: str) -> NDArray[np.float32]:
    """Values of one of `FLOATS` as float32, the array itself if it is; float64 is rounded and may become infinite."""
    if dtype == "bfloat16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    with np.errstate(all="ignore"):  # signalling NaN are "invalid"
        return array.astype(np.float32, copy=False)


def of_floats(values: NDArray[np.float32], dtype: str) -> Array:
    """float32 values as one of `FLOATS`, rounded to nearest, ties to even."""
    if dtype == "bfloat16":
        bits = values.view(np.uint32)
        rounded: Array = ((bits + (0x7FFF + ((bits >> 16) & 1))) >> 16).astype(np.uint16)
        return rounded
    with np.errstate(all="ignore"):  # signalling NaN are "invalid"
        return values.astype(carrier(dtype), copy=False)


def bytes_of(array: Array) -> NDArray[np.uint8]:
    """The bytes of a contiguous array in the order of the wire, little-endian; a view on a little-endian machine."""
    flat = array.reshape(-1)
    if sys.byteorder == "big":
        flat = flat.astype(flat.dtype.newbyteorder("<"))
    return flat.view(np.uint8)


def array_from(raw: NDArray[np.uint8], dtype: np.dtype[Any]) -> Array:
    """A flat array of `dtype` that owns its memory, from little-endian bytes."""
    array = np.empty(len(raw) // dtype.itemsize, dtype)
    array.view(np.uint8)[:] = raw
    if sys.byteorder == "big":
        array.byteswap(inplace=True)
    return array
