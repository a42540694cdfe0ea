"""Tails to speak of that no bundle has, arrays that fit them, and requests as bytes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from cic.codec.tensors import Array, carrier
from cic.protocol.request import coded_inputs, write_request
from cic.protocol.spoken_tail import SpokenTail, SpokenTensor
from codegen.dtypes import BYTES_OF
from codegen.split import WireTensor

DTYPES = (
    *("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"),
    *("bool", "complex64", "float8_e5m2"),
)


def spoken(prefix: str, kinds: Sequence[tuple[str, Sequence[int]]]) -> tuple[SpokenTensor, ...]:
    wires = [
        WireTensor(f"tensor {index}", tuple(shape), dtype, prod(shape) * BYTES_OF[dtype])
        for index, (dtype, shape) in enumerate(kinds)
    ]
    return tuple(SpokenTensor(f"{prefix}__{index}", wire) for index, wire in enumerate(wires))


def tail_of(inputs: Sequence[tuple[str, Sequence[int]]], outputs: Sequence[tuple[str, Sequence[int]]] = ()) -> SpokenTail:
    return SpokenTail("net_cut-1", "cut-1", spoken("INPUT", inputs), spoken("OUTPUT", outputs), "ab" * 32, "cd" * 32)


TWO = tail_of([("float32", (2, 3)), ("int64", (4,))], [("float32", (1, 5)), ("bool", ())])
"""What most tests speak of."""

GREATEST = 8
OPEN = replace(
    TWO,
    inputs=(
        SpokenTensor("INPUT__0", WireTensor("rows", (GREATEST, 3), "float32", 12 * GREATEST, (0,), GREATEST)),
        SpokenTensor("INPUT__1", WireTensor("pairs", (4, 2 * GREATEST), "int64", 64 * GREATEST, (1,), GREATEST)),
    ),
    outputs=(SpokenTensor("OUTPUT__0", WireTensor("flags", (GREATEST,), "bool", GREATEST, (0,), GREATEST)),),
)
"""A tail with an open batch of at most `GREATEST`."""


def drawn(dtype: str, shape: Sequence[int], seed: int = 0) -> Array:
    """Any bits at all, NaN among them, as an array of the type or, where numpy lacks that, of integers."""
    held = carrier(dtype)
    largest = 2 if dtype == "bool" else 256
    bits = np.random.default_rng(seed).integers(0, largest, prod(shape) * held.itemsize, np.uint8)
    return bits.view(held).reshape(shape)


def drawn_for(tensors: Sequence[SpokenTensor], seed: int = 0) -> tuple[Array, ...]:
    return tuple(drawn(each.wire.dtype, each.wire.shape, seed + place) for place, each in enumerate(tensors))


def same_bits(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


def request_bytes(tail: SpokenTail, arrays: Sequence[Array], codecs: Sequence[str] = ()) -> tuple[bytes, bytes]:
    """The JSON and the payloads of a request with the id "17"."""
    _, (text, *payloads) = write_request(tail, "17", coded_inputs(tail, arrays, codecs))
    return bytes(text), b"".join(bytes(payload) for payload in payloads)


def changed(text: bytes, **fields: Any) -> bytes:
    """The JSON of a message with other fields at its top."""
    return json.dumps({**json.loads(text), **fields}).encode()
