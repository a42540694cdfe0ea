"""Which inputs of a model are pictures made of pixels, and how: what the device has are the pixels, and heads take those."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from cic.codec.pixels import Normalisation, PixelForm
from cic.codec.tensors import array_of, tensor_of
from codegen.dtypes import type_name

# Narrower floats cannot tell neighbouring pixels apart.
_FLOATS = ("float64", "float32", "float16")


@dataclass(frozen=True)
class PixelInputs:
    """The normalisation of a model's pictures; it is part of the model that is cut.

    names: of the model's inputs. dtypes: for each, the type of floats that its normalisation ends in; None: it takes what it
    is given, which may be pixels.
    """

    normalisation: Normalisation
    names: tuple[str, ...]
    dtypes: tuple[str | None, ...]

    @property
    def form(self) -> PixelForm:
        return PixelForm(self.normalisation)

    def pixels(self, tensors: Sequence[Any], *, nearest: bool = False) -> list[Any]:
        """The flat inputs as the device has them: floats become the pixels they were made of, pixels stay as they are.

        nearest: floats that no pixels give become the nearest ones. Otherwise raises CodecError, naming the input.
        """
        return [
            self._pixels_of(tensor, name, nearest=nearest) if dtype is not None and _is_float(tensor) else tensor
            for name, dtype, tensor in zip(self.names, self.dtypes, tensors, strict=True)
        ]

    def values(self, tensors: Sequence[Any]) -> list[Any]:
        """The flat inputs as the model itself takes them: pixels become floats, all else stays as it is."""
        return [
            floats_of(tensor, self.normalisation, name, dtype) if dtype is not None and is_pixels(tensor) else tensor
            for name, dtype, tensor in zip(self.names, self.dtypes, tensors, strict=True)
        ]

    def _pixels_of(self, tensor: torch.Tensor, name: str, *, nearest: bool) -> torch.Tensor:
        array, dtype = array_of(tensor.detach(), name)
        found = self.form.nearest(array, name) if nearest else self.form.pixels(array, dtype, name)
        return _laid_out_as(tensor_of(found, "uint8"), tensor)


def pixel_inputs(normalisation: Normalisation, names: Sequence[str], tensors: Sequence[torch.Tensor]) -> PixelInputs:
    """Those of a model's flat inputs that may be pictures of floats: height and width, and channels before them."""
    dtypes = [type_name(tensor.dtype) if _may_be_picture(tensor) else None for tensor in tensors]
    return PixelInputs(normalisation, tuple(names), tuple(dtypes))


def _may_be_picture(tensor: torch.Tensor) -> bool:
    return tensor.dim() in (3, 4) and type_name(tensor.dtype) in _FLOATS


def _is_float(tensor: Any) -> bool:
    return isinstance(tensor, torch.Tensor) and type_name(tensor.dtype) in _FLOATS


def is_pixels(tensor: Any) -> bool:
    """Is this a tensor that may be pixels of pictures, by its type and its dimensions?"""
    return isinstance(tensor, torch.Tensor) and tensor.dtype == torch.uint8 and tensor.dim() in (3, 4)


def floats_of(pixels: torch.Tensor, normalisation: Normalisation, name: str, dtype: str = "float32") -> torch.Tensor:
    """The floats that a model computes with. Raises CodecError for a normalisation of other channels."""
    array, _ = array_of(pixels, name)
    return _laid_out_as(tensor_of(PixelForm(normalisation).values(array, dtype, name), dtype), pixels)


def _laid_out_as(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """The same values, in memory in the order of another tensor's: models are traced for it."""
    return torch.empty_like(other, dtype=tensor.dtype).copy_(tensor)
