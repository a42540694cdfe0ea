"""The codec of a form of values (`cic.codec.forms`, `cic.codec.pixels`) and an entropy stage or none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from cic.codec.codec import Payload, check_type, checked_size
from cic.codec.entropy import Entropy, compress, decompress
from cic.codec.forms import Affine, Form, Raw
from cic.codec.pixels import PixelForm
from cic.codec.tensors import Array, array_of
from cic.errors import CodecError

if TYPE_CHECKING:
    import torch

_RAW = Raw()

# The bits of a payload's first byte: which way each stage took. A plain raw payload has no such byte.
AS_THEY_ARE = 1
COMPRESSED = 2
MASKED = 4
FINE = 8


@dataclass(frozen=True)
class FormCodec:
    """A form of values, then an entropy stage or none.

    Values that the form cannot hold (NaN and infinities on a grid, too large for half precision, a tensor too small to
    gain) are sent as they are, and said to be so in the first byte: every float tensor survives under every codec. Before
    that, ranges too narrow for a grid get a finer one, which takes two bytes more a channel.

    name: as in `cic.codec.registry`. form: how values become bytes. entropy: how these are made smaller.
    """

    name: str
    form: Form
    entropy: Entropy | None = None
    # How a form is marked, and the form, in the order in which they are tried.
    _ways: tuple[tuple[int, Form], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        finer = ((FINE, self.form.finer()),) if isinstance(self.form, Affine) else ()
        object.__setattr__(self, "_ways", ((0, self.form), *finer, (AS_THEY_ARE, _RAW)))

    @property
    def lossless(self) -> bool:
        return self.form.lossless

    @property
    def of_pixels(self) -> bool:
        return isinstance(self.form, PixelForm)

    @property
    def _bare(self) -> bool:
        return self.entropy is None and isinstance(self.form, Raw)

    def accepts(self, dtype: str) -> bool:
        return self.form.accepts(dtype)

    def largest_bytes(self, shape: Sequence[int], dtype: str) -> int:
        """No payload of such a tensor is larger, and none that is gets decoded; reached by values sent as they are."""
        return _RAW.body_bytes(shape, dtype) + (not self._bare)

    def encode(self, tensor: torch.Tensor | Array, name: str = "the tensor") -> Payload:
        array, dtype = array_of(tensor, name)
        check_type(self, dtype, name)
        if self._bare:
            return _RAW.write(array, dtype, name).data
        mark, form, body = self._written(array, dtype, name)
        if self.entropy is not None:
            packed, masked = compress(body, self.entropy, form.width(dtype))
            if len(packed) < len(body):
                return bytes((mark | COMPRESSED | (MASKED if masked else 0),)) + packed
        return b"".join((bytes((mark,)), body.data))

    def _written(self, array: Array, dtype: str, name: str) -> tuple[int, Form, NDArray[np.uint8]]:
        """The first form that holds these values and makes them smaller, how it is marked, and the body it gives."""
        plain = _RAW.body_bytes(array.shape, dtype)
        for mark, form in self._ways:
            if form.body_bytes(array.shape, dtype) < plain or form.lossless:
                body = form.write(array, dtype, name)
                if body is not None:
                    return mark, form, body
        raise CodecError(f"{name} cannot be written")  # values as they are always can

    def decode(self, payload: Payload, shape: Sequence[int], dtype: str, name: str = "the tensor") -> Array:
        check_type(self, dtype, name)
        view = checked_size(self, payload, shape, dtype, name)
        mark = 0 if self._bare else self._mark(view, name)
        form = dict(self._ways)[mark & (AS_THEY_ARE | FINE)]
        size = form.body_bytes(shape, dtype)
        values = view if self._bare else view[1:]
        if mark & COMPRESSED and self.entropy is not None:
            # A stream of empty blocks takes time by its length, so what gained nothing is not unpacked.
            if len(values) >= size:
                raise CodecError(
                    f"{name}: the payload's {self.entropy} stream has {len(values)} bytes, plain it would have {size}"
                )
            body = decompress(values, self.entropy, size, form.width(dtype), bool(mark & MASKED), name)
            return form.read(body, shape, dtype, name)
        if len(values) != size:
            raise CodecError(f"{name}: the payload holds {len(values)} bytes of values, {self.name} of this tensor has {size}")
        return form.read(np.frombuffer(values, np.uint8), shape, dtype, name)

    def _mark(self, view: memoryview, name: str) -> int:
        """The first byte of a payload."""
        compressed = () if self.entropy is None else (COMPRESSED, COMPRESSED | MASKED)
        known = [way | form for way in (0, *compressed) for form, _ in self._ways]
        if not len(view) or view[0] not in known:
            found = f"begins with {view[0]}" if len(view) else "is empty"
            raise CodecError(f"{name}: the payload {found}, one of {self.name} begins with one of {known}")
        return view[0]
