"""The codec of one tensor's transform: components as entropy-coded symbols, under numbers that both sides have already.

The numbers are made from calibration inputs (`cic.precision.transforms`) and kept beside the splitting model and the halves
under the SHA-256 of their content. That is part of the codec's name, so both sides mean the same numbers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

import numpy as np

from cic.codec.codec import Payload, check_type, checked_size
from cic.codec.forms import Raw
from cic.codec.tensors import FLOATS, Array, array_of, count, floats_of, of_floats
from cic.codec.transform.integer_transform import Transform, read, written
from cic.codec.transform.rans import decode, encode
from cic.errors import CodecError

if TYPE_CHECKING:
    import torch

KIND = "transform"
_NAME = re.compile(KIND + r"-([0-9]{1,6}(?:\.[0-9]{1,6})?)@([0-9a-f]{64})")
# Of a digest in a short name.
_FEWEST_DIGITS = 8
_RAW = Raw()
# The first byte of a payload.
_TRANSFORMED, _AS_THEY_ARE = b"\0", b"\1"


@dataclass(frozen=True, slots=True)
class TransformWork:
    """numbers: values and symbols that are handled. products: multiply-adds."""

    numbers: int
    products: int


@dataclass(frozen=True)
class TransformCodec:
    """A transform of the blocks of one tensor.

    Values that no symbol stands for (NaN, infinities, far larger ones than calibration had) are sent as they are, and so is
    what symbols would not make smaller; the first byte of a payload says so. Every float tensor of its shape survives.

    name: "transform-<rate>@<SHA-256 of the stored numbers>", as `name_of` gives it.
    """

    name: str
    transform: Transform = field(repr=False, compare=False)

    @property
    def digest(self) -> str:
        """The SHA-256 of the stored numbers, in hexadecimal."""
        return self.name.partition("@")[2]

    @property
    def lossless(self) -> bool:
        return False

    @property
    def of_pixels(self) -> bool:
        return False

    def accepts(self, dtype: str) -> bool:
        return dtype in FLOATS

    def largest_bytes(self, shape: Sequence[int], dtype: str) -> int:
        """No payload of such a tensor is larger, and none that is gets decoded; reached by values sent as they are."""
        return _RAW.body_bytes(shape, dtype) + 1

    def encode(self, tensor: torch.Tensor | Array, name: str = "the tensor") -> Payload:
        """The payload. Raises CodecError naming the tensor if its type or its shape is not one that the transform takes."""
        array, dtype = array_of(tensor, name)
        check_type(self, dtype, name)
        self._blocks(array.shape, name)
        symbols = self.transform.symbols(floats_of(array, dtype))
        payload = None if symbols is None else _TRANSFORMED + encode(symbols, self.transform.tables)
        if payload is None or len(payload) > _RAW.body_bytes(array.shape, dtype):
            return b"".join((_AS_THEY_ARE, _RAW.write(array, dtype, name).data))
        return payload

    def decode(self, payload: Payload, shape: Sequence[int], dtype: str, name: str = "the tensor") -> Array:
        check_type(self, dtype, name)
        view = checked_size(self, payload, shape, dtype, name)
        blocks = self._blocks(shape, name)
        mark, body = bytes(view[:1]), view[1:]
        if mark == _TRANSFORMED:
            symbols = decode(bytes(body), blocks, self.transform.tables, name)
            return of_floats(self.transform.values(symbols, shape, "float32"), dtype)
        if mark == _AS_THEY_ARE and len(body) == _RAW.body_bytes(shape, dtype):
            return _RAW.read(np.frombuffer(body, np.uint8), shape, dtype, name)
        raise CodecError(
            f"{name}: the payload of {len(view)} bytes begins with {mark.hex() or 'nothing'}; one of {self.name} begins with 00"
            f" and holds symbols, or with 01 and holds {_RAW.body_bytes(shape, dtype)} bytes of values"
        )

    def work(self, shape: Sequence[int]) -> TransformWork:
        """What encoding a tensor of this shape takes, and decoding it as well."""
        symbols = self.transform.blocks(shape) * self.transform.components
        return TransformWork(count(shape) + symbols, count(shape) * self.transform.components)

    def _blocks(self, shape: Sequence[int], name: str) -> int:
        try:
            return self.transform.blocks(shape)
        except CodecError as error:
            raise CodecError(f"{name}: {error}; {self.name} was made for another tensor") from None


def transform_codec(rate: float, transform: Transform) -> tuple[TransformCodec, bytes]:
    """The codec of a transform, and the content to store for it. rate: tells it from others of its tensor, in its name."""
    content = written(transform)
    return TransformCodec(f"{KIND}-{rate:g}@{sha256(content).hexdigest()}", transform), content


def digest_in(name: str) -> str | None:
    """The SHA-256 in the name of a transform codec; None if the name is that of another codec."""
    match = _NAME.fullmatch(name)
    return None if match is None else match[2]


def stored_codec(name: str, digest: str, stored: Mapping[str, bytes]) -> TransformCodec:
    """The codec of that name and digest from what is stored. Raises CodecError if its numbers are missing, or not these."""
    content = stored.get(digest)
    if content is None:
        raise CodecError(
            f"the codec {shown_name(name)} needs numbers that were made for its tensor, and none with the SHA-256 {digest} are"
            " stored here; both sides must have halves of the same splitting model, so emit them again"
        )
    return TransformCodec(name, _transform(digest, content))


# By content and not by name, of which a peer can make up any number.
@lru_cache(maxsize=256)
def _transform(digest: str, content: bytes) -> Transform:
    if (found := sha256(content).hexdigest()) != digest:
        raise CodecError(
            f"what is stored for the codec with the SHA-256 {digest} has {found}; its numbers are damaged, emit them again"
        )
    return read(content, f"the stored codec {digest}")


def short_name(name: str, stored: Mapping[str, bytes]) -> str:
    """A codec's name with as few digits of a digest as tell it from all others that are stored: on a slow link they count."""
    digest = digest_in(name)
    if digest is None:
        return name
    digits = _FEWEST_DIGITS
    while any(other != digest and other.startswith(digest[:digits]) for other in stored):
        digits += 1
    return name[: len(name) - len(digest) + digits]


def full_name(name: str, stored: Mapping[str, bytes]) -> str:
    """The name that `short_name` shortened; any other one, also where no or several digests begin so, as it is."""
    digits = name.partition("@")[2]
    found = [digest for digest in stored if digest.startswith(digits)] if len(digits) >= _FEWEST_DIGITS else []
    return name + found[0][len(digits) :] if len(found) == 1 else name


def shown_name(name: str) -> str:
    """A codec's name for people: without the digest, and without the declaration of an input."""
    return name.partition("@")[0].partition(",")[0]
