"""Images as PNG, JPEG or WebP files: what a camera or a browser holds already. Needs Pillow.

The payload is the file itself, so a device may send one that it has. It is decoded only if its header states the very size
that the tensor has, and without what its pixels do not depend on (`cic.codec.picture_files`).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cic.codec.codec import Payload, check_type, checked_size
from cic.codec.picture_files import bare_jpeg, bare_png, bare_webp
from cic.codec.pixels import PixelForm, Pixels, image_size
from cic.codec.tensors import Array, array_of
from cic.errors import CodecError

if TYPE_CHECKING:
    import torch

# zlib's levels beyond it gain a few percent on photographs, and take several times as long.
_PNG_LEVEL = 1
# The least effort at which a WebP file is smaller than a JPEG file throughout; the usual one gains 4 % in twice the time.
_WEBP_EFFORT = 2
_ENDS = {"PNG": b"IEND\xaeB`\x82", "JPEG": b"\xff\xd9", "WEBP": b""}  # a WebP file states its length instead
_LARGEST_SIDES = {"PNG": 65_500, "JPEG": 65_500, "WEBP": 16_383}
# A camera's file tells about itself, mostly by a small picture.
_METADATA_BYTES = 1 << 16


PictureKind = Literal["PNG", "JPEG", "WEBP"]


@dataclass(frozen=True)
class PictureCodec:
    """A file for the pixels of `form`.

    name: as in `cic.codec.registry`. kind: of file; PNG loses nothing. quality: of the others, 1 to 100. all_colours: of JPEG,
        which halves both sides of the colours otherwise.
    """

    name: str
    form: PixelForm = field(default_factory=PixelForm)
    kind: PictureKind = "PNG"
    quality: int = 100
    all_colours: bool = False

    @property
    def lossless(self) -> bool:
        return self.kind == "PNG"

    @property
    def of_pixels(self) -> bool:
        return True

    def accepts(self, dtype: str) -> bool:
        return self.form.accepts(dtype)

    def largest_bytes(self, shape: Sequence[int], dtype: str) -> int:
        """No larger payload is decoded, and none is made: two bytes a value, more than noise takes, and metadata."""
        return 2 * self.form.body_bytes(shape, dtype) + _METADATA_BYTES

    def encode(self, tensor: torch.Tensor | Array, name: str = "the tensor") -> Payload:
        """The file. Raises CodecError naming the tensor if it is no picture or no pixels give it, or if Pillow is missing."""
        array, dtype = array_of(tensor, name)
        check_type(self, dtype, name)
        channels, height, width = image_size(array.shape, name)
        if max(height, width) > (most := _LARGEST_SIDES[self.kind]):
            raise CodecError(f"{name} is a picture of {height} by {width} pixels, at most {most} fit; use 'uint8'")
        planes = self.form.pixels(array, dtype, name).reshape(-1, channels, array.shape[-2], width)
        rows = np.ascontiguousarray(planes.transpose(0, 2, 3, 1)).reshape(height, width, channels)
        picture = _pillow().fromarray(rows[:, :, 0] if channels == 1 else rows)
        try:
            return self._file(picture).getbuffer()
        except (OSError, ValueError, KeyError, MemoryError) as error:  # KeyError: Pillow was built without that kind
            raise CodecError(f"{name} cannot be written as {self.kind}: {error}; use 'uint8'") from None

    def decode(self, payload: Payload, shape: Sequence[int], dtype: str, name: str = "the tensor") -> Array:
        """The tensor of that shape and type; see `Codec.decode`. Raises CodecError naming the tensor for any other file."""
        check_type(self, dtype, name)
        channels, height, width = image_size(shape, name)
        content = checked_size(self, payload, shape, dtype, name)
        if not bytes(content[-8:]).endswith(_ENDS[self.kind]):
            raise CodecError(f"{name}: the payload does not end as a {self.kind} file ends")
        rows = self._rows(bytes(content), (channels, height, width), name)
        planes = rows.reshape(-1, shape[-2], width, channels).transpose(0, 3, 1, 2)
        return self.form.values(np.ascontiguousarray(planes).reshape(shape), dtype, name)

    def _file(self, picture: Any) -> io.BytesIO:
        """Raises whatever Pillow raises."""
        options: dict[str, Any] = {"compress_level": _PNG_LEVEL}
        if self.kind == "WEBP":
            options = {"quality": self.quality, "method": _WEBP_EFFORT}
        elif self.kind == "JPEG":
            # Huffman tables of its own save a tenth of a file, and more of a small one.
            options = {"quality": self.quality, "subsampling": 0 if self.all_colours else 2, "optimize": True}
        file = io.BytesIO()
        try:
            picture.save(file, self.kind, **options)
        except OSError:
            # Such tables need the whole file in a buffer, in which Pillow has no room for the noisiest pictures.
            if not options.pop("optimize", False):
                raise
            file = io.BytesIO()
            picture.save(file, self.kind, **options)
        return file

    def _rows(self, content: bytes, size: tuple[int, int, int], name: str) -> Pixels:
        """uint8[height, width, channels] of a file of that size."""
        channels, height, width = size
        # WebP knows colours alone; of equal ones, grey is any.
        mode = "L" if channels == 1 and self.kind != "WEBP" else "RGB"
        content = self._bare(content, size, name)
        try:
            with _pillow().open(io.BytesIO(content), formats=(self.kind,)) as picture:
                stated = f"{picture.mode} of {picture.height} by {picture.width}"
                # Nothing is unpacked before that comparison.
                if (picture.mode, picture.height, picture.width) == (mode, height, width):
                    grey = picture.convert("L") if channels == 1 else picture
                    return np.array(grey, np.uint8).reshape(height, width, channels)
        except Exception as error:  # Pillow's readers raise whatever a damaged file makes them raise
            if isinstance(error, CodecError):
                raise
            raise CodecError(f"{name}: the payload is no {self.kind} file: {type(error).__name__}: {error}") from None
        raise CodecError(f"{name}: the payload is a picture {stated} pixels, {mode} of {height} by {width} belongs there")

    def _bare(self, content: bytes, size: tuple[int, int, int], name: str) -> bytes:
        """The file without what its pixels do not depend on; see `cic.codec.picture_files`."""
        if self.kind == "PNG":
            return bare_png(content, size, name)
        return bare_jpeg(content, name) if self.kind == "JPEG" else bare_webp(content, size, name)


def picture_kinds_here() -> tuple[PictureKind, ...]:
    """The kinds of files that can be read and written on this machine: none without Pillow."""
    try:
        _pillow()
    except CodecError:
        return ()
    from PIL import features

    parts: dict[PictureKind, str] = {"PNG": "zlib", "JPEG": "jpg", "WEBP": "webp"}
    return tuple(kind for kind, part in parts.items() if features.check(part))


def _pillow() -> Any:
    try:
        from PIL import Image
    except ImportError:
        raise CodecError("the codecs 'png', 'jpeg' and 'webp' need Pillow: pip install pillow, or use 'uint8+zlib'") from None
    return Image
