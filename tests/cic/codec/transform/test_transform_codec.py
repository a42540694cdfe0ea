"""The codec of a transform: every float tensor of its channels survives, and nothing a peer sends is believed."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cic.codec.registry import codec, is_lossless, stage_of
from cic.codec.tensors import FLOATS, tensor_of
from cic.codec.transform.transform_codec import TransformCodec, full_name, short_name, shown_name, transform_codec
from cic.errors import CodecError
from tests.cic.codec.transform.made import fitted, mixed

SHAPE = (1, 12, 9, 7)


def made(step: float = 0.05) -> tuple[TransformCodec, dict[str, bytes]]:
    used, content = transform_codec(step, fitted(step=step, block=(1, 12, 1, 1)))
    return used, {used.name.partition("@")[2]: content}


def tensor() -> torch.Tensor:
    return torch.from_numpy(mixed(12, 4000)[:, :63].reshape(SHAPE)).float()


@pytest.mark.parametrize("dtype", FLOATS)
def test_a_tensor_comes_back_near_and_both_sides_agree_by_name(dtype: str) -> None:
    used, stored = made()
    values = tensor().to(getattr(torch, dtype))
    payload = used.encode(values)
    again = codec(used.name, stored)
    assert again == used and not again.lossless and not is_lossless(used.name) and stage_of(used.name) == used.name
    back = tensor_of(again.decode(payload, SHAPE, dtype), dtype)
    assert back.dtype == values.dtype and back.shape == values.shape
    assert (back.double() - values.double()).abs().max() < 0.2 * values.double().std()
    assert len(bytes(payload)) < 63 * 12


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_values_without_symbols_cross_as_they_are(value: float) -> None:
    used, _ = made()
    values = tensor()
    values[0, 3, 2, 1] = value
    payload = used.encode(values)
    assert len(bytes(payload)) == used.largest_bytes(SHAPE, "float32")
    assert np.array_equal(used.decode(payload, SHAPE, "float32"), values.numpy(), equal_nan=True)


def test_without_its_numbers_it_is_refused_and_told_by_a_short_name() -> None:
    used, stored = made()
    with pytest.raises(CodecError, match=r"the codec transform-0\.05 needs numbers .* emit them again"):
        codec(used.name)
    digest = next(iter(stored))
    with pytest.raises(CodecError, match="its numbers are damaged"):
        codec(used.name, {digest: stored[digest][:-1] + b"\1"})
    assert shown_name(used.name) == "transform-0.05"


@pytest.mark.parametrize(
    "name", ["transform", "transform-0.1", "transform-0.1@12", "transform-x@" + "0" * 64, "transform-1@" + "G" * 64]
)
def test_names_of_no_transform_are_names_of_no_codec(name: str) -> None:
    with pytest.raises(CodecError, match="there is no codec"):
        codec(name)


def test_other_tensors_are_refused_by_name() -> None:
    used, _ = made()
    with pytest.raises(CodecError, match=r"conv1: a tensor of shape \(1, 9, 12, 7\) is not made of blocks .* another tensor"):
        used.encode(torch.zeros(1, 9, 12, 7), "conv1")
    with pytest.raises(CodecError, match="'int64', which transform-"):
        used.encode(torch.zeros(SHAPE, dtype=torch.int64))


@pytest.mark.parametrize("payload", [b"", b"\2abc", b"\1abc", b"\0", b"\0abc", b"\0" * 10_000])
def test_no_other_payload_is_read(payload: bytes) -> None:
    used, _ = made()
    with pytest.raises(CodecError, match="conv1"):
        used.decode(payload, SHAPE, "float32", "conv1")


def test_short_names_stand_for_one_codec_that_is_stored() -> None:
    name, near = "transform-0.1@" + "ab" * 32, "transform-0.2@" + "ab" * 4 + "0" * 56
    stored = {each.partition("@")[2]: b"" for each in (name, near)}
    assert short_name(name, {}) == "transform-0.1@abababab" and short_name(name, stored) == "transform-0.1@ababababa"
    assert full_name(short_name(name, stored), stored) == name and full_name(short_name(near, stored), stored) == near
    for other in ("int8+zstd", name, "transform-0.1@abababab", "transform-0.1@abab", "transform-0.1@"):
        assert full_name(other, stored) == other
    assert short_name("int8", stored) == "int8"
