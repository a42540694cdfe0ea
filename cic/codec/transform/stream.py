"""A tensor again and again, each time coded beside the last one that the other side says it has.

Inputs of a sequence resemble each other, and so do the symbols of their tensors. A frame therefore carries symbols beside those
of an earlier frame (`cic.codec.transform.differences`), or by themselves: a key frame. Only a frame that the receiver has
acknowledged is ever built upon, so a frame that is lost is missed by no other. Both sides hold the same whole numbers, hence
nothing drifts, however long a stream is.

What comes is not believed. A frame says its number, that of the one it builds upon, and a sum over the symbols that it stands
for; whatever was damaged, or builds upon a frame that is not here or is another one here, is refused. The receiver then
needs a key frame.

A sender may hold a symbol although its value has left it by a little: with `hold` = 3/4 a component stays until it is 3/4 of a
step away, in place of 1/2, so that noise does not make it go to and fro between two symbols. That costs little accuracy and
spares most of what a still scene takes; but the accuracy that a compilation measured is that of 1/2, which is the default.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from cic.codec.codec import Payload
from cic.codec.tensors import Array, array_of, floats_of, of_floats
from cic.codec.transform.differences import Differences
from cic.codec.transform.rans import Integers, decode, encode
from cic.codec.transform.transform_codec import TransformCodec
from cic.errors import CodecError

if TYPE_CHECKING:
    import torch

# Frames that each side remembers; a frame builds upon none that is older.
REMEMBERED = 16
ROUNDED, HELD = 0.5, 0.75
# How many frames before this one is the one it builds upon; the number of the frame; the sum over its symbols.
_HEADER = struct.Struct("<BII")
# In place of how many frames before: symbols by themselves, and values as they are, which no frame builds upon.
_ALONE, _VALUES = 0, 255
_LAST_NUMBER = 2**32 - 1


class Sender:
    """The side that has the tensors of a stream.

    Args:
        codec: of the tensor, the same on both sides. shape, dtype: of each tensor; the other side has them from its own files.
        hold: how far from its symbol a component may be before it takes another, in steps, from 0.5 to 1.

    Raises:
        CodecError: the codec takes no such tensor, or no such hold.
    """

    def __init__(self, codec: TransformCodec, shape: Sequence[int], dtype: str, hold: float = ROUNDED) -> None:
        if not ROUNDED <= hold <= 1:
            raise CodecError(f"a component is held from {ROUNDED} to 1 steps away, not {hold}")
        self._ends = _Ends(codec, shape, dtype)
        self._hold = hold
        self._number = 0
        self._sent: dict[int, Integers] = {}
        self._acknowledged = -1

    def encode(self, tensor: torch.Tensor | Array, name: str = "the tensor") -> Payload:
        """The next frame. Raises CodecError naming the tensor if it is none of this stream."""
        array, dtype = array_of(tensor, name)
        if (tuple(array.shape), dtype) != (self._ends.shape, self._ends.dtype):
            raise CodecError(
                f"{name}: a stream of {self._ends.shape} {self._ends.dtype} is given {tuple(array.shape)} {dtype}; begin one"
                " for these"
            )
        if self._number > _LAST_NUMBER:
            raise CodecError(f"{name}: a stream has {_LAST_NUMBER + 1} frames; begin another")
        number, self._number = self._number, self._number + 1
        self._sent = {each: kept for each, kept in self._sent.items() if number - each < REMEMBERED}
        products = self._ends.codec.transform.products(floats_of(array, dtype))
        if products is not None:
            back, symbols, body = self._smaller(products, number)
            if len(body) <= self._ends.codec.largest_bytes(self._ends.shape, dtype):
                self._sent[number] = symbols
                return _HEADER.pack(back, number, _checksum(back, number, symbols)) + body
        body = bytes(self._ends.codec.encode(tensor, name))
        return _HEADER.pack(_VALUES, number, crc32(body, number)) + body

    def acknowledge(self, number: int) -> None:
        """The receiver says that it has the frame of this number. Raises CodecError if there has been no such frame."""
        if not 0 <= number < self._number:
            raise CodecError(f"frame {number} is acknowledged, and {self._number} were sent; begin another stream")
        if number in self._sent and number > self._acknowledged:
            self._acknowledged = number

    def begin_again(self) -> None:
        """The receiver needs a key frame: what it acknowledged is not built upon any more."""
        self._sent, self._acknowledged = {}, -1

    def _smaller(self, products: npt.NDArray[np.float64], number: int) -> tuple[int, Integers, bytes]:
        """The symbols beside the acknowledged frame, if there is one and that takes less than by themselves."""
        rounded = np.rint(products).astype(np.int64)
        before = self._sent.get(self._acknowledged)
        if before is not None:
            held = np.where(np.abs(products - before) < self._hold, before, rounded)
            body, bits = self._ends.differences.encode(held, before)
            if bits < self._ends.differences.standing_bits(rounded):
                return number - self._acknowledged, held, body
        return _ALONE, rounded, encode(rounded, self._ends.codec.transform.tables)


class Receiver:
    """The side that needs the tensors of a stream.

    Args:
        codec, shape, dtype: as for the sender, from this side's own files.

    Attributes:
        newest: the number of the last frame that was read, to be acknowledged; None before the first.
        needs_key: the last frame was refused, so the sender has to begin again.

    Raises:
        CodecError: the codec takes no such tensor.
    """

    def __init__(self, codec: TransformCodec, shape: Sequence[int], dtype: str) -> None:
        self._ends = _Ends(codec, shape, dtype)
        self._kept: dict[int, Integers] = {}
        self.newest: int | None = None
        self.needs_key = False

    def decode(self, frame: Payload, name: str = "the tensor") -> Array:
        """The tensor. Raises CodecError naming it for a frame that was damaged, comes late, or builds upon one not here."""
        self.needs_key = True
        number, symbols, values = self._read(bytes(frame), name)
        self.newest, self.needs_key = number, False
        self._kept = {each: kept for each, kept in self._kept.items() if number - each < REMEMBERED}
        if symbols is not None:
            self._kept[number] = symbols
        return values

    def _read(self, frame: bytes, name: str) -> tuple[int, Integers | None, Array]:
        most = _HEADER.size + self._ends.codec.largest_bytes(self._ends.shape, self._ends.dtype)
        if not _HEADER.size <= len(frame) <= most:
            raise CodecError(f"{name}: a frame has from {_HEADER.size} to {most} bytes, not {len(frame)}; ask for a key frame")
        back, number, checksum = _HEADER.unpack_from(frame)
        body = frame[_HEADER.size :]
        if self.newest is not None and number <= self.newest:
            raise CodecError(f"{name}: frame {number} comes after frame {self.newest}; leave it out")
        if back == _VALUES:
            if crc32(body, number) != checksum:
                raise _damaged(name, number)
            return number, None, self._ends.codec.decode(body, self._ends.shape, self._ends.dtype, name)
        symbols = self._symbols(back, number, body, name)
        if _checksum(back, number, symbols) != checksum:
            raise _damaged(name, number)
        return number, symbols, self._ends.values(symbols)

    def _symbols(self, back: int, number: int, body: bytes, name: str) -> Integers:
        if back == _ALONE:
            return decode(body, self._ends.blocks, self._ends.codec.transform.tables, name).astype(np.int64)
        before = self._kept.get(number - back)
        if before is None:
            raise CodecError(
                f"{name}: frame {number} builds upon frame {number - back}, which is not here; ask for a key frame"
            )
        return self._ends.differences.decode(body, before, name)


class _Ends:
    """What both sides have from their own files."""

    def __init__(self, codec: TransformCodec, shape: Sequence[int], dtype: str) -> None:
        if not isinstance(codec, TransformCodec):
            raise CodecError(
                f"a stream is one of a transform codec, not of {getattr(codec, 'name', codec)!r}; send its payloads one by one"
            )
        if not codec.accepts(dtype):
            raise CodecError(f"a stream of {dtype} is asked for, which {codec.name} does not take; begin one of floats")
        self.codec, self.shape, self.dtype = codec, tuple(shape), dtype
        self.blocks = codec.transform.blocks(shape)
        self.differences = Differences(codec.transform.tables)

    def values(self, symbols: Integers) -> npt.NDArray[Any]:
        return of_floats(self.codec.transform.values(symbols, self.shape, "float32"), self.dtype)


def _checksum(back: int, number: int, symbols: Integers) -> int:
    return crc32(symbols.astype("<i2").tobytes(), crc32(struct.pack("<BI", back, number)))


def _damaged(name: str, number: int) -> CodecError:
    return CodecError(
        f"{name}: frame {number} does not stand for the symbols that its sum is of: it was damaged, or builds upon another"
        " frame of that number; ask for a key frame"
    )
