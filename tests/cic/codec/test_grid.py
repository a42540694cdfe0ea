"""On a grid a value is off by half a step at most, and a step is no wider than the range of a tensor needs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cic.codec.form_codec import AS_THEY_ARE
from cic.codec.forms import Affine
from cic.codec.registry import codec
from cic.errors import CodecError
from tests.cic.codec.crossed import ALL, SHAPE, TENSOR, crossed, same_bits
from tests.cic.codec.tensors_to_send import (
    ON_A_GRID,
    activations,
    finite_floats,
)
from tests.cic.codec.tensors_to_send import (
    codec_names as names,
)


def _uses_the_whole_grid(name: str, tensor: np.ndarray) -> bool:
    """Do the first and the last symbol of every grid occur, and does every range hold 0?"""
    plain = codec(name)
    payload = memoryview(plain.encode(tensor))
    assert isinstance(plain.form, Affine)
    if payload[0] & AS_THEY_ARE:
        return True
    blocks = tensor.reshape(plain.form._blocks(tensor.shape))
    least, most = blocks.min(axis=(0, 2)), blocks.max(axis=(0, 2))
    scale = np.frombuffer(payload[1 : 1 + 4 * len(least)], "<f4")
    ends = crossed(name, tensor).reshape(blocks.shape)
    steps = (ends.max(axis=(0, 2)) - ends.min(axis=(0, 2))) / scale
    return bool(((least <= 0) & (most >= 0) & ((steps == plain.form.levels) | (least == most))).all())


def scale_of(name: str, tensor: np.ndarray) -> np.ndarray | None:
    """The scale for each value as it stands in the payload; None if the values were sent as they are."""
    plain = codec(name.partition("+")[0])
    payload = memoryview(plain.encode(tensor))
    assert isinstance(plain.form, Affine)
    if payload[0] & AS_THEY_ARE:
        return None
    outer, channels, inner = plain.form._blocks(tensor.shape)
    scale = np.frombuffer(payload[1 : 1 + 4 * channels], "<f4").astype(np.float64)
    return np.broadcast_to(scale.reshape(1, -1, 1), (outer, channels, inner)).reshape(tensor.shape)


@settings(max_examples=400, deadline=None)
@given(st.sampled_from(ON_A_GRID), st.one_of(activations(), finite_floats))
def test_the_error_is_at_most_half_a_step(name: str, tensor: np.ndarray) -> None:
    back, scale = crossed(name, tensor), scale_of(name, tensor)
    if scale is None:
        assert same_bits(back, tensor)
        return
    error = np.abs(back.astype(np.float64) - tensor)
    # The computation of a symbol, and the value of one, are off by a rounding of float32 each.
    assert np.all(error <= scale / 2 + 2.0**-22 * np.abs(tensor.astype(np.float64)))


def bound_of(name: str, tensor: np.ndarray) -> np.ndarray:
    """What docs/codecs.md says of a codec on a grid: how far off each value may be, from the tensor alone."""
    plain = codec(name.partition("+")[0]).form
    assert isinstance(plain, Affine)
    blocks = tensor.reshape(plain._blocks(tensor.shape)).astype(np.float64)
    least, most = blocks.min(axis=(0, 2), keepdims=True), blocks.max(axis=(0, 2), keepdims=True)
    step = np.maximum((most - least) / plain.levels * (1 + 1 / 128), 2.0**-120)
    magnitude = np.maximum(np.abs(least), np.abs(most))
    own = {"float16": 2.0**-11}.get(tensor.dtype.name, 0) * magnitude + (2.0**-25 if tensor.dtype == np.float16 else 0)
    return np.broadcast_to(step / 2 + magnitude * 2.0**-23 + own, blocks.shape).reshape(tensor.shape)


def far_from_zero(draw: st.DrawFn) -> np.ndarray:
    """A tensor whose channels are narrow for their magnitudes, down to neighbouring numbers."""
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    dtype = draw(st.sampled_from((np.float64, np.float32, np.float16)))
    offset = 10.0 ** draw(st.integers(-4 if dtype == np.float16 else -30, 4 if dtype == np.float16 else 30))
    span = offset * 10.0 ** draw(st.integers(-18, 0))
    values = offset + span * generator.standard_normal((2, 3, 5, 7))
    values[:, 1] = values[0, 1, 0, 0]
    values[:, 2] *= draw(st.sampled_from((1.0, 1e-3, 1e-10, 0.0)))
    return np.asarray((values * draw(st.sampled_from((1, -1)))).astype(dtype))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ON_A_GRID), st.one_of(st.composite(far_from_zero)(), activations(), activations(np.float64)))
@example("int4", np.array([100, 100.05, 100.1] * 9, np.float32))
@example("int8", np.array([1e6, 1e6 + 1 / 16, 1e6 + 1 / 8] * 9, np.float32))
@example("int4", np.array([1e9, 1e9 + 1e-3, 1e9 + 2e-3] * 9, np.float64))
@example("int8", np.full(40, 0.1))
@example("int8-channel", np.stack((np.linspace(-1, 1, 30), np.linspace(7, 7 + 1e-6, 30)), axis=1).astype(np.float32))
def test_the_documented_bound_holds_for_every_range(name: str, tensor: np.ndarray) -> None:
    if tensor.size and np.isfinite(tensor).all():
        error = np.abs(crossed(name, tensor).astype(np.float64) - tensor)
        assert (error <= bound_of(name, tensor)).all()


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ON_A_GRID), activations())
def test_the_step_is_no_wider_than_the_range_needs(name: str, tensor: np.ndarray) -> None:
    scale = scale_of(name, tensor)
    if scale is None or "channel" in name or not tensor.size:
        return
    levels = 255 if "int8" in name else 15
    low, high = float(tensor.min()), float(tensor.max())
    magnitude = max(abs(low), abs(high))
    if low == high:
        assert magnitude == 0 or scale.flat[0] == magnitude
    else:
        # At most 1/64 of the magnitude, and a power of two there.
        assert scale.flat[0] <= max((high - low) / levels * (1 + 2**-6), magnitude / 64 / levels * 2)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(ON_A_GRID), activations())
def test_what_was_decoded_comes_back_as_it_is(name: str, tensor: np.ndarray) -> None:
    once = crossed(name, tensor)
    if _uses_the_whole_grid(name, tensor):
        assert np.array_equal(crossed(name, once), once)


def test_nearly_every_tensor_uses_the_whole_grid() -> None:
    generator = np.random.default_rng(0)
    for name in ("int8", "int4"):
        whole = [_uses_the_whole_grid(name, generator.standard_normal(50).astype(np.float32)) for _ in range(1000)]
        assert sum(whole) >= 990


@settings(max_examples=200, deadline=None)
@given(names, activations())
def test_zeros_stay_zeros(name: str, tensor: np.ndarray) -> None:
    back = crossed(name, tensor)
    if tensor.size and "channel" not in name and tensor.min() <= 0 <= tensor.max():
        assert not back[tensor == 0].any()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("constant", [0.0, 1.0, -3.7, 1e-45, -1e-40, 3.4e38, 2.0**118, -1e36, -1e-30, 0.1])
def test_constants_are_exact(name: str, constant: float) -> None:
    tensor = np.full((2, 3, 4, 5), constant, np.float32)
    back = crossed(name, tensor)
    if "fp16" in name and abs(constant) < 65504:
        tensor = tensor.astype(np.float16).astype(np.float32)
    assert np.array_equal(back, tensor)


def test_a_scale_that_makes_values_infinite_is_refused() -> None:
    payload = bytearray(codec("int8").encode(TENSOR))
    for scale in (math.nan, math.inf, 0.0, -1.0, 3e38):
        payload[1:5] = np.array([scale], "<f4").tobytes()
        with pytest.raises(CodecError, match="x: the payload has a scale"):
            codec("int8").decode(payload, SHAPE, "float32", "x")
