"""Tensors and arrays of every type, layout and byte order arrive; what has no values in memory is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from cic.codec.registry import codec
from cic.codec.tensors import array_of, tensor_of
from cic.errors import CodecError
from tests.cic.codec.crossed import ALL, TENSOR, crossed, same_bits


@pytest.mark.parametrize("name", ALL)
def test_every_layout_and_byte_order_of_numpy(name: str) -> None:
    whole = np.random.default_rng(0).standard_normal((4, 6, 8)).astype(np.float32)
    views = (whole[::-1], whole[:, ::-2, 1:], whole.T, np.broadcast_to(whole[0, 0], (9, 8)), whole.astype(">f4"))
    for view in (*views, whole[0, 0, 0, ...], whole[:, :0]):
        plain = np.ascontiguousarray(view, "<f4").reshape(view.shape)
        assert same_bits(codec(name).decode(codec(name).encode(view), view.shape, "float32"), crossed(name, plain))


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


def test_an_array_is_not_copied_to_be_sent_raw() -> None:
    array, _ = array_of(torch.from_numpy(TENSOR))
    assert np.shares_memory(array, TENSOR)
    assert np.shares_memory(np.frombuffer(codec("raw").encode(TENSOR), np.uint8), TENSOR)


@pytest.mark.parametrize(
    "nothing", [[1.0], None, torch.eye(3).to_sparse(), torch.empty(3, device="meta")], ids=["list", "None", "sparse", "meta"]
)
def test_what_has_no_values_in_memory_is_refused_by_name(nothing: Any) -> None:
    with pytest.raises(CodecError, match=r"^layer1"):
        codec("int8").encode(nothing, "layer1")
