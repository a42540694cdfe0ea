"""Example inputs by shape and by file."""

from __future__ import annotations

from pathlib import Path

import numpy
import pytest
import torch

from cic.errors import TraceError
from cic.inputs.input_text import parse_input


@pytest.mark.parametrize(
    ("text", "shape", "dtype"),
    [
        ("1x3x224x224", (1, 3, 224, 224), torch.float32),
        ("7", (7,), torch.float32),
        ("1x128:int64", (1, 128), torch.int64),
        ("2x2:bool", (2, 2), torch.bool),
        ("2x2:float16", (2, 2), torch.float16),
    ],
)
def test_shapes(text: str, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    (tensor,) = parse_input(text)
    assert tuple(tensor.shape) == shape and tensor.dtype == dtype
    assert torch.equal(tensor, parse_input(text)[0])


def test_files(tmp_path: Path) -> None:
    a, b = numpy.arange(6.0).reshape(2, 3), numpy.arange(4)
    numpy.save(tmp_path / "a.npy", a)
    numpy.savez(tmp_path / "ab.npz", second=b, first=a)
    torch.save([torch.from_numpy(a), torch.from_numpy(b)], tmp_path / "ab.pt")
    assert torch.equal(parse_input(str(tmp_path / "a.npy"))[0], torch.from_numpy(a))
    assert [tensor.numel() for tensor in parse_input(str(tmp_path / "ab.npz"))] == [4, 6]
    assert [tensor.numel() for tensor in parse_input(str(tmp_path / "ab.pt"))] == [6, 4]


@pytest.mark.parametrize("text", ["", "x", "3x", "1xx2", "1x3:complex", "-1x3", "picture.jpg", "1x3:", "1 x 3"])
def test_text_that_is_no_input(text: str) -> None:
    with pytest.raises(TraceError, match="input"):
        parse_input(text)


def test_files_that_are_no_input(tmp_path: Path) -> None:
    numpy.save(tmp_path / "objects.npy", numpy.array([{}], dtype=object), allow_pickle=True)
    torch.save({"a": 1}, tmp_path / "dict.pt")
    torch.save(torch.nn.Linear(1, 1), tmp_path / "code.pt")
    (tmp_path / "bad.npz").write_bytes(b"PK nothing")
    numpy.savez(tmp_path / "empty.npz")
    for name in ("objects.npy", "dict.pt", "code.pt", "bad.npz", "empty.npz", "missing.npy"):
        with pytest.raises(TraceError, match=name):
            parse_input(str(tmp_path / name))
