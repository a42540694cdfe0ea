"""Crossing is encoding and decoding."""

from __future__ import annotations

import pytest
import torch

from cic.codec.crossing import cross
from cic.codec.registry import codec
from cic.errors import CodecError
from tests.cic.codec.crossed import ALL, TENSOR, crossed


def test_crossing_is_encoding_and_decoding() -> None:
    tensor = torch.from_numpy(TENSOR)
    for name in ALL:
        back, size = cross(tensor, name)
        assert size == memoryview(codec(name).encode(tensor)).nbytes
        assert torch.equal(back, torch.from_numpy(crossed(name, TENSOR)))
    with pytest.raises(CodecError, match="ids has the type 'int64'"):
        cross(tensor.long(), "int8", "ids")
