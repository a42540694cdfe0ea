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

    open_axes: those along which a call decides how long it is; shape and bytes are the greatest that there can be.
    batch: the greatest batch, if the open axis is that of the batch: it is as long as the batch, or a multiple of it.

    Raises:
        CodegenError: a field is not what it should be, or the size does not fit shape and dtype.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    open_axes: tuple[int, ...] = ()
    batch: int | None = None

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
        if self.batch is not None and (
            len(self.open_axes) != 1 or self.batch < 1 or self.shape[self.open_axes[0]] % self.batch
        ):
            raise CodegenError(
                f"{self.name} of shape {self.shape!s:.80} with the open axes {self.open_axes!s:.80} is no multiple of the batch"
                f" {shown(self.batch)}"
            )

    def fits(self, shape: Sequence[int]) -> bool:
        """Tell whether a tensor of this shape is such a one."""
        if len(shape) != len(self.shape) or any(size < 0 for size in shape):
            return False
        if self.batch is not None:
            batch = self.batch_of(shape)
            return batch is not None and self.at_batch(batch).shape == tuple(shape)
        return all(
            size == most or (axis in self.open_axes and size < most)
            for axis, (size, most) in enumerate(zip(shape, self.shape, strict=True))
        )

    def batch_of(self, shape: Sequence[int]) -> int | None:
        """The batch of a tensor of this shape, by its open axis alone; None if that is no batch, too large, or not open."""
        if self.batch is None or len(shape) != len(self.shape):
            return None
        (axis,) = self.open_axes
        each = self.shape[axis] // self.batch
        whole = each > 0 and shape[axis] % each == 0 and 0 < shape[axis] // each <= self.batch
        return shape[axis] // each if whole else None

    def at_batch(self, batch: int) -> WireTensor:
        """Return the tensor that it is at this batch, of a fixed shape; itself where no batch is open."""
        if self.batch is None:
            return self
        (axis,) = self.open_axes
        shape = list(self.shape)
        shape[axis] = shape[axis] // self.batch * batch
        return self.of_shape(shape)

    def of_shape(self, shape: Sequence[int]) -> WireTensor:
        """Return the one tensor of this shape, which fits; without open axes there is no other."""
        if not self.open_axes:
            return self
        most = prod(self.shape)
        size = prod(shape) * (self.bytes // most) if most else 0
        return WireTensor(self.name, tuple(shape), self.dtype, size)


def shown_shape(tensor: WireTensor) -> str:
    """A shape for people, such as "(batch up to 64, 3, 224, 224)"."""
    if tensor.batch is None:
        return str(tensor.shape)
    each = tensor.shape[tensor.open_axes[0]] // tensor.batch
    length = f"batch up to {tensor.batch}" if each == 1 else f"{each} x batch up to {tensor.batch}"
    return f"({', '.join(length if axis in tensor.open_axes else str(size) for axis, size in enumerate(tensor.shape))})"


def common_batch(tensors: Sequence[WireTensor], shapes: Sequence[Sequence[int]]) -> int | None:
    """The one batch that tensors of these shapes have; None if none is open, they differ, or one is no batch."""
    batches = {tensor.batch_of(shape) for tensor, shape in zip(tensors, shapes, strict=True) if tensor.batch is not None}
    return next(iter(batches)) if len(batches) == 1 else None


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
    other: the same cut of the model at another batch, if the batch is open.
    """

    head: Any
    tail: Any
    inputs: tuple[WireTensor, ...]
    crossing: tuple[WireTensor, ...]
    kept: tuple[WireTensor, ...]
    returned: tuple[WireTensor, ...]
    outputs: tuple[OutputSource, ...]
    other: Split | None = None
