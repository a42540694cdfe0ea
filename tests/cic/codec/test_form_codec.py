"""A payload that is cut short, extended, damaged or no payload is refused, or gives a tensor of the shape asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cic.codec.registry import codec
from cic.errors import CodecError
from tests.cic.codec.crossed import ALL, SHAPE, TENSOR
from tests.cic.codec.tensors_to_send import (
    codec_names as names,
)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shift", [0.0, 1.5])
def test_every_truncation_and_extension_is_refused(name: str, shift: float) -> None:
    payload = bytes(codec(name).encode(np.maximum(TENSOR - shift, 0)))
    wrong = [payload[:length] for length in range(len(payload))] + [payload + b"\0", payload + bytes(5000), payload * 2]
    for other in wrong:
        with pytest.raises(CodecError, match="layer1"):
            codec(name).decode(other, SHAPE, "float32", "layer1")


@settings(max_examples=600, deadline=None)
@given(names, st.sampled_from((-3.0, 0.0, 1.5)), st.data())
@example("int4+zstd", 0.0, None)
def test_damaged_payloads_are_refused_or_give_a_tensor_of_that_shape(
    name: str, shift: float, data: st.DataObject | None
) -> None:
    payload = bytearray(codec(name).encode(np.maximum(TENSOR - shift, 0)))
    if data is None:
        payload = bytearray(b"\x02" + bytes(range(100)))
    else:
        for _ in range(data.draw(st.integers(1, 5))):
            payload[data.draw(st.integers(0, len(payload) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        back = codec(name).decode(payload, SHAPE, "float32")
    except CodecError:
        return
    assert back.shape == SHAPE and back.dtype == np.float32


@settings(max_examples=300, deadline=None)
@given(names, st.binary(max_size=900))
def test_random_payloads_do_no_harm(name: str, payload: bytes) -> None:
    try:
        back = codec(name).decode(payload, SHAPE, "float32")
    except CodecError:
        return
    assert back.shape == SHAPE


@pytest.mark.parametrize("name", ["int8", "png"])
@pytest.mark.parametrize("nothing", ["text", None, memoryview(bytes(12))[::2]], ids=["text", "None", "strided"])
def test_what_is_no_payload_is_refused_by_name(name: str, nothing: Any) -> None:
    with pytest.raises(CodecError, match=r"^layer1: a payload is bytes"):
        codec(name).decode(nothing, (1, 3, 4, 4), "uint8" if name == "png" else "float32", "layer1")
