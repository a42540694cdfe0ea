"""Pictures of text to find and to read: random words in the fonts of this machine, on paper, screens and photographs.

They are rendered, not photographed. A network's answers are compared with its own, so that nobody needs to have read them.
Fonts, sizes, colours, contrast, turns, blur and grain vary as they do where text is photographed.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

Picture = np.ndarray
FONT_FOLDERS = (Path("/usr/share/fonts"), Path("/usr/share/matplotlib/mpl-data/fonts"))
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"
SHARES = np.array([12, 9, 8, 8, 7, 7, 6, 6, 6, 4, 4, 3, 3, 2, 2, 2, 2, 2, 1, 1.5, 2, 0.8, 0.15, 0.1, 0.15, 0.07])


def line_of_text(rng: np.random.Generator, width: int, height: int) -> Picture:
    """uint8[height, width, 3] with one line from its left edge on, as readers are given lines."""
    text = _words(rng, int(rng.integers(1, 4)))
    size = int(rng.integers(18, 34))
    font = _font(rng, size)
    while font.getlength(text) > width - 12 and len(text) > 3:
        text = text[:-1]
    ground, ink = _colours(rng)
    picture = Image.fromarray(_paper(rng, height, width, ground))
    draw = ImageDraw.Draw(picture)
    _, top, _, bottom = font.getbbox(text)
    draw.text((int(rng.integers(2, 10)), (height - bottom - top) / 2 + rng.uniform(-3, 3)), text, font=font, fill=ink)
    return _photographed(rng, picture.rotate(rng.uniform(-2, 2), Image.Resampling.BICUBIC, fillcolor=ground))


def page_of_text(rng: np.random.Generator, side: int) -> Picture:
    """uint8[side, side, 3] with several lines of different sizes at different places."""
    ground, _ = _colours(rng)
    picture = Image.fromarray(_paper(rng, side, side, ground))
    at = rng.uniform(8, 40)
    while at < side - 40:
        size = int(rng.choice([14, 18, 24, 32, 48]))
        font = _font(rng, size)
        ink = tuple(int(value) for value in np.clip((128 - np.array(ground)) * 3 + 128 + rng.integers(-40, 40, 3), 0, 255))
        picture_draw = ImageDraw.Draw(picture)
        picture_draw.text((rng.uniform(4, side / 3), at), _words(rng, int(rng.integers(1, 6))), font=font, fill=ink)
        at += size * rng.uniform(1.2, 3)
    return _photographed(rng, picture.rotate(rng.uniform(-8, 8), Image.Resampling.BICUBIC, fillcolor=ground))


def _words(rng: np.random.Generator, count: int) -> str:
    words = []
    for _ in range(count):
        if rng.random() < 0.2:
            words.append(str(rng.integers(0, 100_000)))
            continue
        word = "".join(rng.choice(list(LETTERS), size=int(rng.integers(2, 10)), p=SHARES / SHARES.sum()))
        words.append(word.capitalize() if rng.random() < 0.3 else word.upper() if rng.random() < 0.1 else word)
    return " ".join(words)


def _colours(rng: np.random.Generator) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Of the ground and of the ink, dark on light or light on dark."""
    light, dark = rng.integers(150, 256, 3), rng.integers(0, 90, 3)
    ground, ink = (light, dark) if rng.random() < 0.75 else (dark, light)
    return tuple(map(int, ground)), tuple(map(int, ink))  # type: ignore[return-value]


def _paper(rng: np.random.Generator, height: int, width: int, ground: Sequence[int]) -> Picture:
    """The ground with a smooth shadow across it."""
    down, across = np.mgrid[0:height, 0:width] / max(height, width)
    shadow = 1 - rng.uniform(0, 0.35) * (np.cos(rng.uniform(0, 6.3)) * down + np.sin(rng.uniform(0, 6.3)) * across)
    return np.clip(np.array(ground) * shadow[..., None], 0, 255).astype(np.uint8)


def _photographed(rng: np.random.Generator, picture: Image.Image) -> Picture:
    """A little out of focus, and with the grain of a sensor."""
    blurred = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0, 1.0))), dtype=np.float64)
    return np.clip(np.rint(blurred + rng.normal(0, rng.uniform(0.5, 4), blurred.shape)), 0, 255).astype(np.uint8)


def _font(rng: np.random.Generator, size: int) -> ImageFont.FreeTypeFont:
    paths = _font_files()
    return ImageFont.truetype(paths[int(rng.integers(len(paths)))], size)


@cache
def _font_files() -> tuple[str, ...]:
    """Fonts with Latin letters; Matplotlib, which draws CIC's pictures, brings some. Raises SystemExit if there are none."""
    import matplotlib

    folders = (*FONT_FOLDERS, Path(matplotlib.get_data_path()) / "fonts" / "ttf")
    files = sorted({path.name: str(path) for folder in folders for path in folder.rglob("*.ttf")}.items())
    found = tuple(
        path for name, path in files if name.startswith(("DejaVu", "Liberation", "STIXGeneral")) and "Display" not in name
    )
    if not found:
        raise SystemExit("text_pictures: there are no fonts; install matplotlib or fonts-dejavu")
    return found
