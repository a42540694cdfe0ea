"""Float tensors as codecs meet them: activations, constants, tiny and huge values, every layout."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

CODECS = ("raw", "fp16", "int8", "int8-channel", "int4", "int4-channel", "int4-clip")
ENDINGS = ("", "+zstd", "+zlib")
ON_A_GRID = ("int8", "int8-channel", "int4", "int4-channel")

codec_names = st.builds(lambda form, ending: form + ending, st.sampled_from(CODECS), st.sampled_from(ENDINGS))
shapes = hnp.array_shapes(min_dims=0, max_dims=5, min_side=0, max_side=7)


@st.composite
def activations(draw: st.DrawFn, dtype: type = np.float32) -> np.ndarray:
    """Finite values of one magnitude, around zero or away from it, with or without the zeros of ReLU."""
    shape = draw(shapes)
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    values = generator.standard_normal(shape) * 10.0 ** draw(st.integers(-30, 30))
    if draw(st.booleans()):
        values = values + draw(st.sampled_from((0.3, 1, 5, 30, 1000, 1e6))) * np.abs(values).max(initial=0)
    if draw(st.booleans()):
        values = np.maximum(values, 0)
    if draw(st.booleans()):
        values = -values
    with np.errstate(over="ignore"):
        return np.asarray(np.nan_to_num(np.asarray(values).astype(dtype)))


# Every bit pattern: NaN, infinities, denormals, minus zero.
any_floats = hnp.arrays(np.float32, shapes, elements=st.floats(width=32))
finite_floats = hnp.arrays(np.float32, shapes, elements=st.floats(width=32, allow_nan=False, allow_infinity=False))
