"""Example inputs as a person writes them: a shape, or a saved file."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import torch

from cic.errors import TraceError

_SHAPE = re.compile(r"(?P<sizes>\d+(x\d+)*)?(:(?P<dtype>\w+))?")
_SEED = 0
_DTYPES = ("float16", "bfloat16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "bool")


def parse_input(text: str) -> tuple[torch.Tensor, ...]:
    """Return the tensors that `text` stands for.

    "1x3x224x224" is one tensor of standard normal float32 numbers of a fixed seed, "1x128:int64" one of zeros and ones
    (valid as token ids and as a mask); .npy holds one tensor, .npz several in the file's order (object arrays are
    refused), .pt a tensor or a list of tensors, read with weights_only=True.

    Raises TraceError if the text is neither, or the file holds something else.
    """
    suffix = Path(text).suffix
    if suffix in (".npy", ".npz", ".pt"):
        return _read(Path(text))
    match = _SHAPE.fullmatch(text)
    if not match or not match["sizes"]:
        raise TraceError(f"input {text!r} is neither a shape such as 1x3x224x224 or 1x128:int64 nor a .npy, .npz or .pt file")
    name = match["dtype"] or "float32"
    if name not in _DTYPES:
        raise TraceError(f"input {text!r} has the unknown type {name!r}; known are {', '.join(_DTYPES)}")
    shape, dtype = [int(size) for size in match["sizes"].split("x")], getattr(torch, name)
    generator = torch.Generator().manual_seed(_SEED)
    if dtype.is_floating_point:
        return (torch.randn(shape, generator=generator).to(dtype),)
    return (torch.randint(0, 2, shape, generator=generator).to(dtype),)


def _read(path: Path) -> tuple[torch.Tensor, ...]:
    if not os.path.isfile(path):  # unlike Path.is_file it bears a text too long for a path
        raise TraceError(f"{path}: no such file")
    try:
        values = _tensors_of_pt(path) if path.suffix == ".pt" else _tensors_of_numpy(path)
    except TraceError:
        raise
    except Exception as error:
        raise TraceError(f"{path} cannot be read as {path.suffix}: {error}") from error
    if not values:
        raise TraceError(f"{path} holds no tensor")
    return tuple(values)


def _tensors_of_numpy(path: Path) -> list[torch.Tensor]:
    import numpy

    loaded: Any = numpy.load(path, allow_pickle=False)
    if isinstance(loaded, numpy.ndarray):
        return [torch.from_numpy(loaded)]
    with loaded:
        return [torch.from_numpy(loaded[name]) for name in loaded.files]


def _tensors_of_pt(path: Path) -> list[torch.Tensor]:
    loaded = torch.load(path, weights_only=True, map_location="cpu")
    values = list(loaded) if isinstance(loaded, list | tuple) else [loaded]
    for value in values:
        if not isinstance(value, torch.Tensor):
            raise TraceError(f"{path} holds a {type(value).__name__}; save a tensor or a list of tensors")
    return values
