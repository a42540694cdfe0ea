"""A photograph as the input of an image network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from cic.errors import InputError

# What networks trained on ImageNet expect: mean and deviation of each channel, and a margin to crop off.
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_MARGIN = 256 / 224


def read_photo(path: str | Path | None, input_shapes: Sequence[Sequence[int]]) -> torch.Tensor:
    """A picture as the normalised float32 tensor (1, 3, height, width) that a model with these inputs takes.

    Arguments and errors are those of `read_pixels`.
    """
    return normalised(read_pixels(path, input_shapes))


def normalised(pixels: torch.Tensor) -> torch.Tensor:
    """float32 of that shape, as networks trained on ImageNet expect it."""
    channels = pixels.to(torch.float32) / 255
    return (channels - torch.tensor(_MEAN).reshape(3, 1, 1)) / torch.tensor(_DEVIATION).reshape(3, 1, 1)


def read_pixels(path: str | Path | None, input_shapes: Sequence[Sequence[int]]) -> torch.Tensor:
    """A picture as uint8 of the shape (1, 3, height, width) that a model with these inputs takes.

    path: a picture file, or None for the photograph of Grace Hopper that matplotlib ships.
    Raises InputError if the model takes something else, or the picture cannot be read.
    """
    if len(input_shapes) != 1 or len(input_shapes[0]) != 4 or tuple(input_shapes[0][:2]) != (1, 3):
        raise InputError(
            f"a photograph fits a model with one input of shape (1, 3, height, width), this one takes "
            f"{', '.join(str(tuple(shape)) for shape in input_shapes)}"
        )
    height, width = input_shapes[0][2:]
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise InputError("pictures need Pillow: pip install pillow") from error
    try:
        with Image.open(path or sample_photo()) as picture:
            scaled = ImageOps.fit(
                picture.convert("RGB"), (round(width * _MARGIN), round(height * _MARGIN)), Image.Resampling.BILINEAR
            )
    except OSError as error:
        raise InputError(f"{path} cannot be read as a picture: {error}") from error
    left, top = (scaled.width - width) // 2, (scaled.height - height) // 2
    cropped = scaled.crop((left, top, left + width, top + height))
    pixels = torch.frombuffer(bytearray(cropped.tobytes()), dtype=torch.uint8).reshape(height, width, 3)
    return pixels.permute(2, 0, 1).unsqueeze(0).contiguous()


def sample_photo() -> Path:
    """The file of the photograph that matplotlib ships. Raises InputError if there is none."""
    try:
        from matplotlib import get_data_path
    except ImportError as error:
        raise InputError(
            "the sample photograph comes with matplotlib: pip install matplotlib, or name a picture file"
        ) from error
    return Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"
