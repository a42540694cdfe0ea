"""Numbers of JSON become exactly the tensor that they say, or are refused."""

from __future__ import annotations

import json
from math import prod
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cic.codec.tensors import Array
from cic.errors import ProtocolError
from cic.protocol.json_values import LONGEST_VALUE_BYTES, MOST_VALUES, array_of_json, json_of_array
from codegen.dtypes import BYTES_OF
from codegen.split import WireTensor
from tests.cic.protocol.spoken import drawn, same_bits
from tests.draws import draws

DTYPES = ("float64", "float32", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8", "bool")


def wire(dtype: str, shape: tuple[int, ...]) -> WireTensor:
    return WireTensor("x", shape, dtype, prod(shape) * BYTES_OF[dtype])


def finite(dtype: str, shape: tuple[int, ...]) -> Array:
    array = drawn(dtype, shape)
    return np.where(np.isfinite(array), array, 0).astype(dtype).reshape(shape)


@settings(max_examples=draws(200), deadline=None)
@given(st.sampled_from(DTYPES), st.lists(st.integers(0, 4), max_size=3), st.booleans())
def test_values_come_back_bit_by_bit(dtype: str, shape: list[int], nested: bool) -> None:
    array, described = finite(dtype, tuple(shape)), wire(dtype, tuple(shape))
    data: Any = json_of_array(array, described, "x")
    text = json.dumps(array.tolist() if nested and shape else data)
    assert len(json.dumps(data)) <= 2 + LONGEST_VALUE_BYTES * max(1, array.size)
    assert same_bits(array_of_json(json.loads(text), described, "x"), array)


@pytest.mark.parametrize(
    ("dtype", "data"),
    [
        ("float32", [1, 2, "3"]),
        ("float32", [1, 2, None]),
        ("float32", [1, 2, True]),
        ("float32", [1, 2, 1e39]),
        ("float32", [1, 2]),
        ("float32", [1, 2, 3, 4]),
        ("float32", [[1, 2, 3]]),
        ("float32", [1, 2, [3]]),
        ("float32", {"0": 1}),
        ("float32", 3),
        ("float32", None),
        ("int8", [1, 2, 128]),
        ("int8", [1, 2, 2.0]),
        ("int64", [1, 2, 2**63]),
        ("uint8", [1, 2, -1]),
        ("bool", [0, 1, 1]),
        ("float16", [1, 2, 3]),
        ("complex64", [1, 2, 3]),
    ],
)
def test_other_values_are_refused(dtype: str, data: Any) -> None:
    with pytest.raises(ProtocolError, match="x") as caught:
        array_of_json(data, wire(dtype, (3,)), "x")
    assert caught.value.status == 400


def test_many_values_are_refused() -> None:
    with pytest.raises(ProtocolError, match="ask for binary data") as caught:
        array_of_json([], wire("float32", (MOST_VALUES + 1,)), "x")
    assert caught.value.status == 413
