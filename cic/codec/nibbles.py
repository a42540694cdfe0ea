"""Symbols of four bits, two a byte: neighbours share a byte, the first in the low half.

Neighbours are alike in an activation (a zero follows a zero), so a byte of two neighbours compresses below the entropy of
its symbols taken alone; symbols from distant places, or one a byte, come out 4 to 30 % larger (`benchmarks.wire.codec_speed`).
"""

from __future__ import annotations

import sys

import numpy as np
from numpy.typing import NDArray

from cic.errors import CodecError

Bytes = NDArray[np.uint8]


def packed_bytes(symbols: int) -> int:
    """Bytes that so many symbols take."""
    return (symbols + 1) // 2


def pack(symbols: Bytes) -> Bytes:
    """uint8[n] below 16 → uint8[(n + 1) // 2]; the high half of an odd last byte is 0."""
    if len(symbols) % 2:
        symbols = np.append(symbols, np.uint8(0))
    if sys.byteorder == "big":
        return (symbols[::2] | (symbols[1::2] << 4)).astype(np.uint8)
    # As 16-bit numbers: numpy is several times faster on them than on every other byte.
    pairs = symbols.view(np.uint16)
    return (pairs | (pairs >> 4)).astype(np.uint8)


def unpack(packed: Bytes, symbols: int, name: str) -> Bytes:
    """The first so many symbols, uint8[symbols]. Raises CodecError if the unused half byte is not 0."""
    if symbols % 2 and packed[-1] >> 4:
        raise CodecError(f"{name}: the payload's last half byte is {packed[-1] >> 4}, it belongs to no value and must be 0")
    if sys.byteorder == "big":
        return np.stack((packed & 15, packed >> 4), axis=1).reshape(-1)[:symbols]
    pairs = packed.astype(np.uint16)
    pairs |= pairs << 4
    pairs &= 0x0F0F
    return pairs.view(np.uint8)[:symbols]
