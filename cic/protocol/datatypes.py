"""Types of tensors as the Open Inference Protocol names them, and those that it has no name for."""

from __future__ import annotations

from cic.errors import ProtocolError

_STANDARD = {
    "bool": "BOOL",
    "uint8": "UINT8",
    "uint16": "UINT16",
    "uint32": "UINT32",
    "uint64": "UINT64",
    "int8": "INT8",
    "int16": "INT16",
    "int32": "INT32",
    "int64": "INT64",
    "float16": "FP16",
    "bfloat16": "BF16",
    "float32": "FP32",
    "float64": "FP64",
}
# The protocol knows no others; a peer that does not either refuses them by name.
_OURS = {name: name.upper() for name in ("float8_e4m3fn", "float8_e5m2", "complex64", "complex128")}
_NAMES = {**_STANDARD, **_OURS}

WRITTEN_IN_JSON = frozenset(_STANDARD) - {"float16", "bfloat16"}
"""Types whose values may stand in JSON as numbers, by our names; of the others Triton, too, takes bytes only."""


def datatype_of(dtype: str) -> str:
    """The protocol's name of a type ("FP32" for "float32"). Raises ProtocolError for one that cannot be sent."""
    try:
        return _NAMES[dtype]
    except KeyError:
        raise ProtocolError(f"tensors of type {dtype} cannot be sent; those that can are {', '.join(_NAMES)}") from None
