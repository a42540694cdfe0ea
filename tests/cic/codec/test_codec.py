"""Every tensor comes back within the error its codec promises; nothing else is ever decoded."""

from __future__ import annotations

import math
import struct
import sys
import threading
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cic.codec import entropy
from cic.codec.crossing import cross
from cic.codec.form_codec import AS_THEY_ARE, COMPRESSED, MASKED
from cic.codec.forms import Affine
from cic.codec.registry import codec, codec_names, entropy_here
from cic.codec.tensors import array_of, tensor_of
from cic.errors import CodecError
from tests.cic.codec.tensors_to_send import (
    CODECS,
    ENDINGS,
    ON_A_GRID,
    activations,
    any_floats,
    finite_floats,
)
from tests.cic.codec.tensors_to_send import (
    codec_names as names,
)

ALL = [form + ending for form in CODECS for ending in ENDINGS]


def crossed(name: str, tensor: np.ndarray) -> np.ndarray:
    payload = codec(name).encode(tensor)
    dtype = tensor.dtype.name
    assert len(payload) <= codec(name).largest_bytes(tensor.shape, dtype)
    back = codec(name).decode(payload, tensor.shape, dtype)
    assert back.shape == tensor.shape and back.dtype == tensor.dtype
    return back


def same_bits(one: np.ndarray, other: np.ndarray) -> bool:
    return one.dtype == other.dtype and one.shape == other.shape and one.tobytes() == other.tobytes()


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


@settings(max_examples=100, deadline=None)
@given(st.one_of(activations(), activations(np.float64), any_floats))
@example(np.array([0x7FF0000000000001, 0x3FF0000000000000] * 9, np.uint64).view(np.float64))
@example(np.array([0x7F800001] * 9, np.uint32).view(np.float32))
def test_half_precision_holds_its_bound(tensor: np.ndarray) -> None:
    with np.errstate(invalid="ignore"):
        back, wide = crossed("fp16", tensor).astype(np.float64), tensor.astype(np.float64)
    finite = np.isfinite(wide)
    assert np.array_equal(back[~finite], wide[~finite], equal_nan=True)
    assert (np.abs(back[finite] - wide[finite]) <= np.maximum(np.abs(wide[finite]) * 2.0**-11, 2.0**-25)).all()


@pytest.mark.parametrize("name", ALL)
def test_every_layout_and_byte_order_of_numpy(name: str) -> None:
    whole = np.random.default_rng(0).standard_normal((4, 6, 8)).astype(np.float32)
    views = (whole[::-1], whole[:, ::-2, 1:], whole.T, np.broadcast_to(whole[0, 0], (9, 8)), whole.astype(">f4"))
    for view in (*views, whole[0, 0, 0, ...], whole[:, :0]):
        plain = np.ascontiguousarray(view, "<f4").reshape(view.shape)
        assert same_bits(codec(name).decode(codec(name).encode(view), view.shape, "float32"), crossed(name, plain))


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


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16])
def test_torch_tensors_of_every_float_type_and_layout(name: str, dtype: torch.dtype) -> None:
    whole = torch.linspace(-3, 5, 4 * 6 * 8 * 10).reshape(4, 6, 8, 10).to(dtype)
    for tensor in (
        whole,
        whole.permute(0, 2, 3, 1),
        whole[1:3, ::2],
        whole[0, 0, 0, 0],
        whole[:, :0],
        whole.expand(2, 4, 6, 8, 10),
    ):
        text = str(dtype).removeprefix("torch.")
        payload = codec(name).encode(tensor)
        back = tensor_of(codec(name).decode(payload, tuple(tensor.shape), text), text)
        assert back.dtype == dtype and back.shape == tensor.shape
        # Half a step of 8 / 15, a little more where the range is clipped, and a rounding of the type itself.
        most = 1.7 if "clip" in name else 8 / 30 * 1.01 + 5 * 2.0**-8
        assert not tensor.numel() or (back.double() - tensor.double()).abs().max() <= most


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


@pytest.mark.parametrize("name", ["fp16", "fp16+zstd"])
def test_half_precision_never_makes_a_finite_value_infinite(name: str) -> None:
    for largest in (65504.0, 65519.0, 65520.0, 1e30):
        tensor = np.array([0.1, largest], np.float32).repeat(8)
        back = crossed(name, tensor)
        assert np.isfinite(back).all()
        assert same_bits(back, tensor if largest >= 65520 else tensor.astype(np.float16).astype(np.float32))


def test_four_bits_are_an_eighth_and_a_constant_is_next_to_nothing() -> None:
    shape = (1, 64, 56, 56)
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    assert len(codec("int4").encode(noise)) == 64 * 56 * 56 // 2 + 7
    assert len(codec("int8-channel").encode(noise)) == 64 * 56 * 56 + 64 * 6 + 1
    for name in codec_names():
        if "+" in name:
            assert len(codec(name).encode(np.zeros(shape, np.float32))) < 5000


@pytest.mark.parametrize("ending", ["+zstd", "+zlib"])
@pytest.mark.parametrize("share", [0.0, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0])
def test_sparse_tensors_come_near_the_entropy_of_their_symbols(ending: str, share: float) -> None:
    generator = np.random.default_rng(0)
    tensor = np.abs(generator.standard_normal((1, 61, 33, 33))).astype(np.float32)
    tensor *= generator.random(tensor.shape) >= share
    for name in ("int8", "int4"):
        symbols = np.frombuffer(codec(name).encode(tensor)[7:], np.uint8)
        frequency = np.bincount(symbols) / len(symbols)
        entropy_bytes = -(frequency * np.log2(np.maximum(frequency, 1e-300))).sum() * len(symbols) / 8
        payload = codec(name + ending).encode(tensor)
        # zlib's codes are worse, but it is there without any package.
        assert len(payload) <= (1.25 if ending == "+zstd" else 1.45) * entropy_bytes + 100
        assert bool(payload[0] & MASKED) == (np.count_nonzero(symbols) < 0.4 * len(symbols))
        assert same_bits(crossed(name + ending, tensor), crossed(name, tensor))


def test_clipping_lowers_the_squared_error_of_long_tails() -> None:
    tensor = np.random.default_rng(0).laplace(size=50_000).astype(np.float32)
    errors = {name: np.mean((crossed(name, tensor) - tensor) ** 2) for name in ("int4", "int4-clip")}
    assert errors["int4-clip"] < 0.6 * errors["int4"]


def test_a_stream_that_gained_nothing_is_not_unpacked() -> None:
    """Empty blocks take time by the length of the stream, which for few bits a value could be eight times the body."""
    name, size = "int4+zlib", 64 * 56 * 56 // 2 + 7
    stream = b"\x78\x01" + b"\0\0\0\xff\xff" * (size // 5 + 1)
    with pytest.raises(CodecError, match=r"zlib stream has .* bytes, plain it would have"):
        codec(name).decode(bytes((COMPRESSED,)) + stream, (1, 64, 56, 56), "float32", "x")


def test_unknown_codecs_are_refused_with_the_list() -> None:
    with pytest.raises(CodecError, match="is a text, not int"):
        codec(8)  # type: ignore[arg-type]
    for name in ("int5", "", "+zstd", "int8+", "int8+lzma", "int8+zstd+zstd", "INT8"):
        with pytest.raises(CodecError, match="there are raw, fp16"):
            codec(name)
    assert codec("fp32") is not None and codec("fp32").name == "raw"
    assert {codec(name).name for name in codec_names()} == set(codec_names())


SHAPE = (2, 6, 7, 5)
TENSOR = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)


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


def _bombs() -> dict[str, bytes]:
    zstandard = pytest.importorskip("zstandard")
    stream = zstandard.ZstdCompressor(level=1, write_content_size=False).compressobj()
    return {
        "zstd": zstandard.ZstdCompressor().compress(bytes(1 << 28)),
        "zstd without a size": stream.compress(bytes(1 << 26)) + stream.flush(),
        "zlib": zlib.compress(bytes(1 << 26)),
        "zlib masked": struct.pack("<I", 80) + zlib.compress(bytes(1 << 14)).ljust(80) + zlib.compress(bytes(1 << 26)),
    }


def test_decompression_bombs_take_no_memory() -> None:
    for kind, packed in _bombs().items():
        name = "int8+" + kind.partition(" ")[0]
        payload = bytes((COMPRESSED | (MASKED if "masked" in kind else 0),)) + packed
        shape = (1, 3, 256, 256)
        tracemalloc.start()
        with pytest.raises(CodecError):
            codec(name).decode(payload, shape, "float32")
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 3 * math.prod(shape) * 4, kind


def test_a_scale_that_makes_values_infinite_is_refused() -> None:
    payload = bytearray(codec("int8").encode(TENSOR))
    for scale in (math.nan, math.inf, 0.0, -1.0, 3e38):
        payload[1:5] = np.array([scale], "<f4").tobytes()
        with pytest.raises(CodecError, match="x: the payload has a scale"):
            codec("int8").decode(payload, SHAPE, "float32", "x")


def test_an_array_is_not_copied_to_be_sent_raw() -> None:
    array, _ = array_of(torch.from_numpy(TENSOR))
    assert np.shares_memory(array, TENSOR)
    assert np.shares_memory(np.frombuffer(codec("raw").encode(TENSOR), np.uint8), TENSOR)


def test_crossing_is_encoding_and_decoding() -> None:
    tensor = torch.from_numpy(TENSOR)
    for name in ALL:
        back, size = cross(tensor, name)
        assert size == memoryview(codec(name).encode(tensor)).nbytes
        assert torch.equal(back, torch.from_numpy(crossed(name, TENSOR)))
    with pytest.raises(CodecError, match="ids has the type 'int64'"):
        cross(tensor.long(), "int8", "ids")


def test_without_zstandard_zlib_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "zstandard", None)
    monkeypatch.setattr(entropy, "_OF_THREAD", threading.local())
    assert not [name for name in codec_names() if "zstd" in name]
    assert entropy_here() == "+zlib"
    assert same_bits(crossed("raw+zlib", TENSOR), TENSOR)
    with pytest.raises(CodecError, match="pip install zstandard"):
        codec("int8+zstd").encode(TENSOR)


def test_threads_code_at_once() -> None:
    """Objects of zstandard may not be shared between threads."""
    tensors = [
        np.maximum(np.random.default_rng(seed).standard_normal((1, 16, 40, 40)), 0).astype(np.float32) for seed in range(4)
    ]
    expected = [crossed("int8+zstd", tensor) for tensor in tensors]

    def work(index: int) -> bool:
        return all(same_bits(crossed("int8+zstd", tensors[index]), expected[index]) for _ in range(50))

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(work, range(4)))


def test_without_torch_half_precision_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = np.random.default_rng(0)
    tensors = [generator.standard_normal(5000) * 10.0**power for power in (-9, -6, -4, 0, 3, 4)]
    with_torch = [crossed("fp16", tensor.astype(np.float32)) for tensor in tensors]
    monkeypatch.setitem(sys.modules, "torch", None)
    for tensor, back in zip(tensors, with_torch, strict=True):
        assert same_bits(crossed("fp16", tensor.astype(np.float32)), back)


@pytest.mark.parametrize(
    "nothing", [[1.0], None, torch.eye(3).to_sparse(), torch.empty(3, device="meta")], ids=["list", "None", "sparse", "meta"]
)
def test_what_has_no_values_in_memory_is_refused_by_name(nothing: Any) -> None:
    with pytest.raises(CodecError, match=r"^layer1"):
        codec("int8").encode(nothing, "layer1")


@pytest.mark.parametrize("name", ["int8", "png"])
@pytest.mark.parametrize("nothing", ["text", None, memoryview(bytes(12))[::2]], ids=["text", "None", "strided"])
def test_what_is_no_payload_is_refused_by_name(name: str, nothing: Any) -> None:
    with pytest.raises(CodecError, match=r"^layer1: a payload is bytes"):
        codec(name).decode(nothing, (1, 3, 4, 4), "uint8" if name == "png" else "float32", "layer1")


def test_data_that_no_codec_asked_for_is_refused() -> None:
    assert codec("int8", stored={}) == codec("int8")
    with pytest.raises(CodecError, match="'int8', which needs none: basis"):
        codec("int8", stored={"basis": np.zeros(3)})
