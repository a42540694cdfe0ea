"""Names of the types of tensors, alike for torch and numpy, and the bytes of one value. Standard library only."""

from __future__ import annotations

BYTES_OF = {
    **dict.fromkeys(("bool", "uint8", "int8", "float8_e4m3fn", "float8_e5m2"), 1),
    **dict.fromkeys(("uint16", "int16", "float16", "bfloat16"), 2),
    **dict.fromkeys(("uint32", "int32", "float32"), 4),
    **dict.fromkeys(("uint64", "int64", "float64", "complex64"), 8),
    "complex128": 16,
}
"""Bytes of one value of the types that have a whole number of them, by name."""


def type_name(dtype: object) -> str:
    """Return the name of a type of torch or of numpy."""
    return str(dtype).removeprefix("torch.")
