"""A form takes the types that it is for, and its body has the size that it says."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cic.codec.registry import codec, codec_names
from cic.codec.tensors import tensor_of
from cic.errors import CodecError
from tests.cic.codec.tensors_to_send import (
    CODECS,
    ENDINGS,
)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("dtype", ["int64", "int32", "int16", "int8", "uint8", "bool", "complex64", "float8_e4m3fn", "uint16"])
def test_other_types_cross_raw_bit_by_bit(ending: str, dtype: str) -> None:
    raw = torch.randint(0, 2 if dtype == "bool" else 256, (6 * 8,), dtype=torch.uint8)
    tensor = raw.view(getattr(torch, dtype)).reshape(2, -1)
    back = tensor_of(codec("raw" + ending).decode(codec("raw" + ending).encode(tensor), tuple(tensor.shape), dtype), dtype)
    assert back.dtype == tensor.dtype and torch.equal(back.view(torch.uint8), tensor.view(torch.uint8))
    for name in CODECS[1:]:
        assert not codec(name).accepts(dtype)
        with pytest.raises(CodecError, match=f"ids has the type '{dtype}', which {name} does not take"):
            codec(name).encode(tensor, "ids")
        with pytest.raises(CodecError, match="ids has the type"):
            codec(name).decode(b"", (2, 3), dtype, "ids")


def test_a_type_that_nobody_knows_is_refused_by_name() -> None:
    with pytest.raises(CodecError, match="the type 'float7', which no codec knows"):
        codec("raw").decode(b"", (1,), "float7", "x")
    with pytest.raises(CodecError, match="x has the type 'str"):
        codec("raw").encode(np.array(["text"]), "x")


def test_four_bits_are_an_eighth_and_a_constant_is_next_to_nothing() -> None:
    shape = (1, 64, 56, 56)
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert len(codec("int4").encode(noise)) == 64 * 56 * 56 // 2 + 7
    assert len(codec("int8-channel").encode(noise)) == 64 * 56 * 56 + 64 * 6 + 1
    for name in codec_names():
        if "+" in name:
            assert len(codec(name).encode(np.zeros(shape, np.float32))) < 5000
