"""What a tensor is after it crossed under a codec, and how many bytes that took: for calibration, without any wire."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from cic.codec.registry import codec
from cic.codec.tensors import tensor_of
from codegen.dtypes import type_name


def cross(
    tensor: torch.Tensor, codec_name: str, name: str = "the tensor", stored: Mapping[str, bytes] | None = None
) -> tuple[torch.Tensor, int]:
    """The tensor as the other side decodes it, in memory of its own, and the size of its payload in bytes.

    stored: see `cic.codec.registry.codec`.
    Raises CodecError naming the tensor if the codec does not take its type.
    """
    chosen = codec(codec_name, stored)
    payload = chosen.encode(tensor, name)
    dtype = type_name(tensor.dtype)
    return tensor_of(chosen.decode(payload, tuple(tensor.shape), dtype, name), dtype), memoryview(payload).nbytes
