"""Every tensor comes back within the error its codec promises; nothing else is ever decoded."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings

from cic.codec.registry import codec
from tests.cic.codec.crossed import crossed, same_bits
from tests.cic.codec.tensors_to_send import (
    any_floats,
)
from tests.cic.codec.tensors_to_send import (
    codec_names as names,
)


@settings(max_examples=300, deadline=None)
@given(names, any_floats)
@example("int8", np.full(3, 2.0**120, np.float32))
@example("int4", np.full(30, -(2.0**118), np.float32))
@example("int4-clip", np.array([-3e38, 3e38], np.float32).repeat(9))
@example("int4-clip", np.linspace(-3e38, 2e38, 40, dtype=np.float32))
@example("int4-clip+zstd", np.linspace(-(2.0**118), 2.0**118, 40, dtype=np.float32))
@example("int8-channel", np.array([[-3e38, 3e38]] * 9, np.float32).T)
@example("int4-channel", np.array([0x7F800001] * 30, np.uint32).view(np.float32))
def test_every_float_tensor_survives(name: str, tensor: np.ndarray) -> None:
    back = crossed(name, tensor)
    if codec(name).lossless:
        assert same_bits(back, tensor)
    assert np.array_equal(np.isnan(back), np.isnan(tensor))
    assert np.array_equal(np.isinf(back), np.isinf(tensor))
