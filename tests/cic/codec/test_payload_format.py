"""A decoder written from docs/codecs.md alone, value by value, reads what the codecs write."""

from __future__ import annotations

import math
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
import zstandard
from hypothesis import given, settings

from cic.codec.registry import codec, codec_names
from tests.cic.codec.tensors_to_send import activations
from tests.cic.codec.tensors_to_send import codec_names as names

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "codecs.md").read_text(encoding="utf-8")


def unpack(stream: bytes, ending: str) -> bytes:
    return zlib.decompress(stream) if ending == "zlib" else zstandard.ZstdDecompressor().decompress(stream)


def decode_by_the_page(payload: bytes, name: str, shape: tuple[int, ...]) -> list[float]:
    """The values of a float32 tensor in row-major order."""
    form, _, ending = name.partition("+")
    if name == "raw":
        return list(struct.unpack(f"<{math.prod(shape)}f", payload))
    mark, body = payload[0], payload[1:]
    form = "raw" if mark & 1 else form
    width = {"raw": 4, "fp16": 2}.get(form, 1)
    zero_bytes = 4 if mark & 8 else 2
    if mark & 4:
        (length,) = struct.unpack("<I", body[:4])
        mask, rest = unpack(body[4 : 4 + length], ending), iter(unpack(body[4 + length :], ending))
        bits = [byte >> (7 - place) & 1 for byte in mask for place in range(8)]
        body = bytes(next(rest) if bit else 0 for bit in bits[: body_bytes(form, shape, zero_bytes)])
    elif mark & 2:
        planes = unpack(body, ending)
        count = len(planes) // width
        body = bytes(planes[rank * count + index] for index in range(count) for rank in range(width))
    if form in ("raw", "fp16"):
        return list(struct.unpack(f"<{len(body) // width}{'f' if form == 'raw' else 'e'}", body))
    return on_the_grid(form, body, shape, zero_bytes)


def channels_of(form: str, shape: tuple[int, ...]) -> tuple[int, int]:
    """How many channels, and how many values in a row belong to each."""
    if "channel" not in form or not shape:
        return 1, math.prod(shape)
    axis = 1 if len(shape) >= 4 else len(shape) - 1
    return shape[axis], math.prod(shape[axis + 1 :])


def body_bytes(form: str, shape: tuple[int, ...], zero_bytes: int) -> int:
    channels, count = channels_of(form, shape)[0], math.prod(shape)
    return (4 + zero_bytes) * channels + (count if form.startswith("int8") else (count + 1) // 2)


def on_the_grid(form: str, body: bytes, shape: tuple[int, ...], zero_bytes: int) -> list[float]:
    channels, run = channels_of(form, shape)
    scales = struct.unpack(f"<{channels}f", body[: 4 * channels])
    end = (4 + zero_bytes) * channels
    zeros = struct.unpack(f"<{channels}{'i' if zero_bytes == 4 else 'h'}", body[4 * channels : end])
    symbols = list(body[end:])
    if form.startswith("int4"):
        symbols = [half for byte in symbols for half in (byte & 15, byte >> 4)]
    places = [index // run % channels for index in range(math.prod(shape))]
    return [float(np.float32(scales[at]) * np.float32(symbols[i] - zeros[at])) for i, at in enumerate(places)]


@settings(max_examples=300, deadline=None)
@given(names, activations())
def test_the_page_says_what_the_codecs_write(name: str, tensor: np.ndarray) -> None:
    payload = bytes(codec(name).encode(tensor))
    expected = codec(name).decode(payload, tensor.shape, "float32").reshape(-1).tolist()
    assert decode_by_the_page(payload, name, tensor.shape) == expected


@pytest.mark.parametrize("name", ["int8+zstd", "int4+zlib", "int4-channel+zstd"])
def test_the_page_says_how_zeros_are_masked(name: str) -> None:
    tensor = np.zeros((1, 5, 20, 11), np.float32)
    tensor.reshape(-1)[::7] = np.arange(len(tensor.reshape(-1)[::7])) % 40
    payload = bytes(codec(name).encode(tensor))
    assert payload[0] & 4
    expected = codec(name).decode(payload, tensor.shape, "float32").reshape(-1).tolist()
    assert decode_by_the_page(payload, name, tensor.shape) == expected


def test_every_codec_is_on_the_page_and_its_example_runs() -> None:
    listed = set(re.findall(r"`([a-z0-9-]+)[`,]", PAGE[PAGE.index("| name |") : PAGE.index("may end in")]))
    assert {name.partition("+")[0] for name in codec_names()} | {"uint8", "png", "jpeg90"} <= listed
    (example,) = (each for each in re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.M | re.S) if "used = codec(" in each)
    tensor = torch.randn(1, 4, 6, 6)
    lines = [line.partition(" #")[0].strip() for line in example.splitlines() if line.strip()]
    assert [line for line in lines if "=" in line] == [
        'used = codec("int8+zstd")',
        "payload = used.encode(tensor)",
        'array = used.decode(payload, tensor.shape, "float32", "layer1.out")',
        'tensor = tensor_of(array, "float32")',
    ]
    used = codec("int8+zstd")
    array = used.decode(used.encode(tensor), tensor.shape, "float32", "layer1.out")
    assert used.largest_bytes(tensor.shape, "float32") == 4 * array.size + 1
