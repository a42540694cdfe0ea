"""Values of a tensor as numbers of JSON, for third parties that send a small one by hand.

Numbers take more room and time than bytes by an order of magnitude, so tensors of many values are refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from cic.codec.tensors import Array
from cic.errors import ProtocolError
from cic.protocol.checked_json import shown
from cic.protocol.datatypes import WRITTEN_IN_JSON
from codegen.split import WireTensor

MOST_VALUES = 16_384
LONGEST_VALUE_BYTES = 26
"""Of a float64 with its sign, its exponent, a comma and a blank."""


def array_of_json(data: Any, wire: WireTensor, name: str) -> Array:
    """The tensor whose values a peer wrote as one flat list, or as lists within lists that are its shape.

    Raises ProtocolError naming the tensor if values are missing, too many, or of another kind than the tensor's.
    """
    check_writable(wire, name)
    flat = data if _is_flat(data) else _flattened(data, wire.shape, name)
    if len(flat) != prod(wire.shape):
        raise ProtocolError(f"{name}: data has {len(flat)} values, a tensor of shape {list(wire.shape)} has {prod(wire.shape)}")
    dtype = np.dtype(wire.dtype)
    allowed = {"b": (bool,), "f": (int, float)}.get(dtype.kind, (int,))
    if wrong := [value for value in flat if type(value) not in allowed]:
        raise ProtocolError(f"{name}: data holds {shown(wrong[0])}, expected are values of {wire.dtype}")
    if dtype.kind in "iu" and flat:
        limits = np.iinfo(dtype)
        if min(flat) < limits.min or max(flat) > limits.max:
            raise ProtocolError(f"{name}: data holds {shown(min(flat))} to {shown(max(flat))}, beyond what {wire.dtype} holds")
    with np.errstate(over="ignore"):
        array: Array = np.array(flat, np.float64 if dtype.kind == "f" else dtype).astype(dtype)
    if dtype.kind == "f" and not np.isfinite(array).all():
        raise ProtocolError(f"{name}: data holds a number beyond what {wire.dtype} holds")
    return array.reshape(wire.shape)


def json_of_array(array: Array, wire: WireTensor, name: str) -> list[Any]:
    """The values as one flat list. Raises ProtocolError for values that JSON has not, and for too many."""
    check_writable(wire, name)
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ProtocolError(f"{name} holds values that are not finite, which JSON has not; ask for binary_data_output")
    values: list[Any] = array.reshape(-1).tolist()
    return values


def check_writable(wire: WireTensor, name: str) -> None:
    """Raise ProtocolError unless a tensor may be sent as numbers."""
    if wire.dtype not in WRITTEN_IN_JSON:
        raise ProtocolError(f"{name} is of type {wire.dtype}, which is not written in JSON; send and ask for binary data")
    if prod(wire.shape) > MOST_VALUES:
        raise ProtocolError(
            f"{name} has {prod(wire.shape)} values, in JSON at most {MOST_VALUES} are sent; send and ask for binary data", 413
        )


def _is_flat(data: Any) -> bool:
    return isinstance(data, list) and not any(isinstance(value, list) for value in data)


def _flattened(data: Any, shape: Sequence[int], name: str) -> list[Any]:
    """The values of nested lists, level by level: each level's lists have the length that the shape says."""
    level = [data]
    for size in shape or (1,):
        if any(not isinstance(values, list) or len(values) != size for values in level):
            raise ProtocolError(f"{name}: data is neither a flat list nor lists within lists of the shape {list(shape)}")
        level = [value for values in level for value in values]
    return level
