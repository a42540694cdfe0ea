"""A codec: how one tensor is written for the wire, and read back by somebody who trusts nothing but shape and type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from cic.codec.tensors import Array
from cic.errors import CodecError

if TYPE_CHECKING:
    import torch

Payload = bytes | bytearray | memoryview


class Codec(Protocol):
    """What calibration, the runtime and the measuring of codecs ask of one. Equal codecs write and read alike.

    Implementations are frozen values with a name, made by `cic.codec.registry.codec`, and know nothing of each other.
    """

    @property
    def name(self) -> str:
        """As in `cic.codec.registry`."""

    @property
    def lossless(self) -> bool:
        """Does every tensor come back bit by bit? Declared pixels do, if they were normalised exactly as declared."""

    @property
    def of_pixels(self) -> bool:
        """Does it send pixels that a declared normalisation was applied to, and nothing else?"""

    def accepts(self, dtype: str) -> bool:
        """Can tensors of this type ("float32", "int64", …) be sent under this codec?"""

    def largest_bytes(self, shape: Sequence[int], dtype: str) -> int:
        """No payload of such a tensor is larger, and none that is gets decoded."""

    def encode(self, tensor: torch.Tensor | Array, name: str = "the tensor") -> Payload:
        """The payload of a tensor of torch or numpy, of any layout; a view of its memory where that is all there is to do.

        Raises CodecError naming the tensor if the codec does not take it, or a package is missing.
        """

    def decode(self, payload: Payload, shape: Sequence[int], dtype: str, name: str = "the tensor") -> Array:
        """The tensor of that shape and type as an array that owns its memory; see `cic.codec.tensors.tensor_of` for torch.

        shape, dtype: what this side knows from its own files, never what the peer says. Memory taken is a small multiple
        of that tensor's size, whatever the payload is.
        Raises CodecError naming the tensor if the payload is not exactly one that `encode` could have made.
        """


def viewed(payload: Payload, name: str) -> memoryview:
    """The bytes of a payload. Raises CodecError naming the tensor for what has none, one beside the other."""
    try:
        return memoryview(payload).cast("B")
    except TypeError as error:
        raise CodecError(f"{name}: a payload is bytes, not {type(payload).__name__}: {error}") from None


def check_type(codec: Codec, dtype: str, name: str) -> None:
    """Raise CodecError naming the tensor if the codec does not take its type."""
    if not codec.accepts(dtype):
        raise CodecError(f"{name} has the type {dtype!r}, which {codec.name} does not take; send it under 'raw' or 'raw+zstd'")


def checked_size(codec: Codec, payload: Payload, shape: Sequence[int], dtype: str, name: str) -> memoryview:
    """The bytes of a payload that is not too large. Raises CodecError naming the tensor for another."""
    view, largest = viewed(payload, name), codec.largest_bytes(shape, dtype)
    if len(view) > largest:
        raise CodecError(f"{name}: the payload has {len(view)} bytes, {codec.name} of this tensor has at most {largest}")
    return view
