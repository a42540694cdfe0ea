"""Pixels behind a float image: the normalisation that made it is declared, undone on the device and redone on the server.

How an input is declared, everywhere a codec is named:

    "uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225"

says that the tensor is (pixel / 255 - mean) / std with 8-bit pixels, computed in float32 in this order, as ToTensor and
Normalize of torchvision do. One number for all channels, or one a channel along dimension 1 of four, 0 of three. Left out:
mean=0, std=1, scale=255; "uint8, scale=1" are pixels as floats from 0 to 255, and a uint8 tensor is "uint8" alone.
"png, mean=…" and "jpeg90, mean=…" send the same pixels as a picture (`cic.codec.picture`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cic.codec.tensors import Array, count, of_floats
from cic.errors import CodecError

Pixels = NDArray[np.uint8]

# Narrower types cannot tell neighbouring pixels apart.
_TYPES = ("float64", "float32", "float16", "uint8")
_EXAMPLE = "'uint8, mean=0.485 0.456 0.406, std=0.229 0.224 0.225'"


@dataclass(frozen=True)
class Normalisation:
    """value = (pixel / scale - mean) / std, in float32. mean, std: one number, or one a channel."""

    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    scale: float = 255.0

    def __str__(self) -> str:
        """As it is declared, defaults left out."""
        fields = (("mean", self.mean, (0.0,)), ("std", self.std, (1.0,)), ("scale", (self.scale,), (255.0,)))
        return "".join(f", {key}={' '.join(map(repr, value))}" for key, value, default in fields if value != default)


def parse_normalisation(text: str) -> Normalisation:
    """What stands behind the first comma of a declaration: "mean=0.5 0.5 0.5, std=0.25"; nothing declares nothing.

    Raises CodecError saying what is wrong with it.
    """
    found: dict[str, tuple[float, ...]] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, numbers = (piece.strip() for piece in part.partition("="))
        if key not in ("mean", "std", "scale") or not equals or key in found:
            raise CodecError(f"an input is declared with {part!r}; write mean, std and scale once at most, as in {_EXAMPLE}")
        found[key] = _numbers(key, numbers)
    mean, std, (scale, *more) = found.get("mean", (0.0,)), found.get("std", (1.0,)), found.get("scale", (255.0,))
    if more or scale <= 0 or min(std) <= 0:
        raise CodecError(
            f"an input is declared with scale={scale:g} and std={min(std):g}; one scale, and all above 0, are needed"
        )
    if len(mean) != len(std) and 1 not in (len(mean), len(std)):
        raise CodecError(f"an input is declared with {len(mean)} means and {len(std)} deviations; give as many of both, or one")
    return Normalisation(mean, std, scale)


def _numbers(key: str, text: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(number) for number in text.split())
    except ValueError:
        numbers = ()
    # Far beyond any picture's; keeps float32 arithmetic within its range.
    if not 1 <= len(numbers) <= 16 or not all(number == 0 or 1e-6 <= abs(number) <= 1e6 for number in numbers):
        raise CodecError(f"an input is declared with {key}={text}; write up to 16 numbers of ordinary size, as in {_EXAMPLE}")
    return numbers


@dataclass(frozen=True)
class PixelForm:
    """A byte a value, in the order of the values. Exact for tensors made by the declared normalisation, refuses others.

    It is computed in float32; a tensor that float64 made comes back rounded to float32.
    """

    normalisation: Normalisation = Normalisation()
    lossless: bool = True

    def accepts(self, dtype: str) -> bool:
        return dtype in _TYPES

    def width(self, dtype: str) -> int:
        return 1

    def body_bytes(self, shape: Sequence[int], dtype: str) -> int:
        return count(shape)

    def write(self, array: Array, dtype: str, name: str) -> Pixels:
        return self.pixels(array, dtype, name).reshape(-1)

    def read(self, body: Pixels, shape: Sequence[int], dtype: str, name: str) -> Array:
        return self.values(body.reshape(shape), dtype, name)

    def pixels(self, array: Array, dtype: str, name: str) -> Pixels:
        """The pixels that give these values. Raises CodecError naming the first value that no pixel gives."""
        if dtype == "uint8":
            self._check_bytes(name)
            return array
        mean, std, scale = self._figures(array.shape, name)
        pixels = self.nearest(array, name)
        with np.errstate(all="ignore"):
            wide = array.astype(np.float32)
            off = np.abs(self._normalised(pixels, mean, std, scale) - wide)
        # Roundings of the three operations in the tensor's own type, or float32, but far less than from pixel to pixel.
        rounding = (
            8 * max(float(np.finfo(array.dtype).eps), float(np.finfo(np.float32).eps)) * (255 / scale + np.abs(mean)) / std
        )
        wrong = ~(off <= np.minimum(rounding, 0.25 / scale / std))
        if wrong.any():
            place = tuple(int(index) for index in np.argwhere(wrong)[0])
            raise CodecError(
                f"{name}{list(place)} is {wide[place]:g}, which no 8-bit pixel gives under 'uint8{self.normalisation}'; round"
                " pixels before normalising them, or correct the declaration"
            )
        return pixels

    def nearest(self, array: Array, name: str) -> Pixels:
        """The pixels whose values are nearest to these; 0 for what is not a number."""
        mean, std, scale = self._figures(array.shape, name)
        with np.errstate(all="ignore"):
            found = np.clip(np.rint((array.astype(np.float32) * std + mean) * scale), 0, 255)
            pixels: Pixels = np.nan_to_num(found).astype(np.uint8)
        return pixels

    def values(self, pixels: Pixels, dtype: str, name: str) -> Array:
        """The values of pixels."""
        if dtype == "uint8":
            self._check_bytes(name)
            return pixels.copy()
        return of_floats(self._normalised(pixels, *self._figures(pixels.shape, name)), dtype)

    def steps(self, shape: Sequence[int], name: str) -> tuple[NDArray[np.float32] | None, ...]:
        """By which pixels are divided, what is subtracted then, by which that is divided, shaped to go with a tensor.

        None: that step would change nothing. Raises CodecError naming the tensor if it has another number of channels.
        """
        mean, std, scale = self._figures(shape, name)
        changing = (scale != 1, bool(mean.any()), bool((std != 1).any()))
        figures = (np.full([1] * len(shape), scale, np.float32), mean, std)
        return tuple(each if changes else None for each, changes in zip(figures, changing, strict=True))

    @staticmethod
    def _normalised(
        pixels: Pixels, mean: NDArray[np.float32], std: NDArray[np.float32], scale: np.float32
    ) -> NDArray[np.float32]:
        # In this order, each rounded to float32: as it is declared, hence the same bits.
        values = np.asarray(pixels, np.float32)
        values /= scale
        values -= mean
        values /= std
        return values

    def _figures(self, shape: Sequence[int], name: str) -> tuple[NDArray[np.float32], NDArray[np.float32], np.float32]:
        """Mean and deviation, shaped to go with a tensor of that shape, and the scale."""
        channels = max(len(self.normalisation.mean), len(self.normalisation.std))
        axis = {3: 0, 4: 1}.get(len(shape))
        if channels > 1 and (axis is None or shape[axis] != channels):
            raise CodecError(
                f"{name} has the shape {tuple(shape)}, its normalisation {channels} channels; they lie along dimension 1 of"
                " four, or 0 of three"
            )
        along = [1] * len(shape)
        if channels > 1 and axis is not None:
            along[axis] = -1
        mean, std = (
            np.array(figures, np.float32).reshape(along if len(figures) > 1 else [1] * len(shape))
            for figures in (self.normalisation.mean, self.normalisation.std)
        )
        return mean, std, np.float32(self.normalisation.scale)

    def _check_bytes(self, name: str) -> None:
        if self.normalisation != Normalisation():
            raise CodecError(f"{name} holds pixels as bytes, which 'uint8{self.normalisation}' does not give; declare 'uint8'")


def image_size(shape: Sequence[int], name: str) -> tuple[int, int, int]:
    """Channels, height and width of the one picture that stands for a tensor; pictures of a batch stand one below the other.

    Raises CodecError for a shape that is no picture.
    """
    if len(shape) not in (3, 4) or shape[-3] not in (1, 3) or math.prod(shape) == 0:
        raise CodecError(f"{name} has the shape {tuple(shape)}; a picture is (1 or 3, height, width) or a batch of these")
    *batch, channels, height, width = shape
    return channels, math.prod(batch) * height, width
