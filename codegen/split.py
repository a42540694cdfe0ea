"""A split: one model as two, and how their results make up the whole model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

from codegen.checked_json import shown
from codegen.dtypes import BYTES_OF
from codegen.errors import CodegenError

Half = Literal["head", "tail"]
LARGEST_TENSOR = 2**48
MOST_DIMENSIONS = 64
RETURNS_NOTHING = "cic_returns_nothing"
"""Metadata key of a half without results, which ONNX cannot express: the file returns one value nobody asked for."""


@dataclass(frozen=True, slots=True)
class WireTensor:
    """One tensor as it stands at the border of a half: `bytes` is its size when contiguous and uncompressed.

    open_axes: those along which the data decides how long it is; shape and bytes are the greatest that there can be.

    Raises:
        CodegenError: a field is not what it should be, or the size does not fit shape and dtype.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    open_axes: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.shape) > MOST_DIMENSIONS or max((self.bytes, *self.shape)) >= LARGEST_TENSOR:
            raise CodegenError(f"{self.name} of shape {self.shape!s:.80} and {shown(self.bytes)} bytes is too large a tensor")
        elements = prod(self.shape)
        if self.dtype in BYTES_OF and self.bytes != elements * BYTES_OF[self.dtype]:
            raise CodegenError(
                f"{self.name} has {self.bytes} bytes, {self.dtype} of shape {self.shape} takes"
                f" {elements * BYTES_OF[self.dtype]}"
            )
        if any(axis >= len(self.shape) for axis in self.open_axes):
            raise CodegenError(f"{self.name} of shape {self.shape!s:.80} has no axis {max(self.open_axes)} to be open")

    def fits(self, shape: Sequence[int]) -> bool:
        """Tell whether a tensor of this shape is such a one."""
        sizes = enumerate(zip(shape, self.shape, strict=False))
        return len(shape) == len(self.shape) and all(
            size == most or (axis in self.open_axes and 0 <= size < most) for axis, (size, most) in sizes
        )

    def of_shape(self, shape: Sequence[int]) -> WireTensor:
        """Return the one tensor of this shape, which fits; without open axes there is no other."""
        if not self.open_axes:
            return self
        most = prod(self.shape)
        size = prod(shape) * (self.bytes // most) if most else 0
        return WireTensor(self.name, tuple(shape), self.dtype, size)


@dataclass(frozen=True, slots=True)
class OutputSource:
    """Where one of the model's flat outputs comes from: the result of `half` at `position`."""

    half: Half
    position: int


@dataclass(frozen=True)
class Split:
    """Two halves of a model.

    head(*inputs) returns the tuple (*crossing, *kept); tail(*crossing) returns the tuple `returned`.

    head, tail: torch.fx graph modules from `fx_splitter`, `onnx_ir` models from `onnx_splitter`.
    inputs: the model's flat tensor inputs, all of them taken by the head.
    crossing: sent from device to server, in the order the tail takes them.
    kept: model outputs that are made, or merely passed through, on the device and not sent.
    returned: model outputs made on the server, sent back.
    outputs: for each of the model's flat outputs where it comes from; a crossing tensor may be a model output, too.
    """

    head: Any
    tail: Any
    inputs: tuple[WireTensor, ...]
    crossing: tuple[WireTensor, ...]
    kept: tuple[WireTensor, ...]
    returned: tuple[WireTensor, ...]
    outputs: tuple[OutputSource, ...]
