"""What a half of torch is called with: tensors of torch, and arrays of numpy as they come from a camera or a file."""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from typing import Any

import torch

from codegen.errors import CodegenError

PROCESSOR = "cpu"
"""torch's name of the device that tensors of numpy are on."""

LOADING = threading.Lock()
"""Held while torch reads a program: neither `torch.export.load` nor what silences its warnings may run twice at a time."""


def as_tensors(values: Sequence[Any]) -> list[torch.Tensor]:
    """Return tensors in the memory of the processor, arrays of numpy as tensors; CodegenError for anything else.

    An array that torch cannot use as it is, as one that is read-only or reversed, is copied.
    """
    return [value if isinstance(value, torch.Tensor) and value.is_cpu else _as_tensor(value) for value in values]


def on_device(tensors: list[torch.Tensor], device: str) -> list[torch.Tensor]:
    """Return the tensors in the memory of a device."""
    return tensors if device == PROCESSOR else [tensor.to(device) for tensor in tensors]


def _as_tensor(value: Any) -> torch.Tensor:
    if isinstance(value, torch.Tensor):
        raise CodegenError(f"the half runs on the processor, called with a tensor on {value.device}; pass tensor.cpu()")
    numpy = sys.modules.get("numpy")  # whoever has an array has imported it
    if numpy is None or not isinstance(value, numpy.ndarray | numpy.generic):
        raise CodegenError(f"the half takes tensors of torch and arrays of numpy, called with a {type(value).__qualname__}")
    array = numpy.asarray(value)
    usable = array.flags.writeable and all(stride >= 0 for stride in array.strides)
    try:
        return torch.from_numpy(array if usable else array.copy())
    except (TypeError, ValueError) as error:
        raise CodegenError(f"torch cannot take an array of {array.dtype}: {error}; pass a tensor") from error
