"""Photographs of things on smooth backgrounds: the stamps of Debian's `tuxpaint-stamps-default`, none of which lies here.

apt-get download tuxpaint-stamps-default && dpkg-deb -x tuxpaint-stamps-default_*.deb stamps
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

Picture = npt.NDArray[np.uint8]
SIDE, LARGEST = 224, 216
# Letters are drawings.
LEFT_OUT = "alphabets"


def stamp_pictures(directory: Path, backgrounds: int, seed: int) -> Iterator[tuple[str, Picture]]:
    """Yield the name of each stamp and uint8[224, 224, 3], on so many backgrounds. Raises SystemExit if none is there."""
    from PIL import Image

    files = sorted(path for path in directory.rglob("*.png") if LEFT_OUT not in path.parts)
    if not files:
        raise SystemExit(f"there are no stamps below {directory}; get them as `benchmarks.wire.stamp_pictures` says")
    rng = np.random.default_rng(seed)
    for path in files:
        stamp = Image.open(path).convert("RGBA")
        scale = LARGEST / max(stamp.size)
        stamp = stamp.resize(
            (max(1, round(stamp.width * scale)), max(1, round(stamp.height * scale))), Image.Resampling.BICUBIC
        )
        values = np.asarray(stamp, dtype=np.float64)
        opaque = values[..., 3:] / 255
        top, left = (SIDE - stamp.height) // 2, (SIDE - stamp.width) // 2
        for _ in range(backgrounds):
            picture = _background(rng)
            part = picture[top : top + stamp.height, left : left + stamp.width]
            part[:] = part * (1 - opaque) + values[..., :3] * opaque
            yield path.stem, np.rint(picture).clip(0, 255).astype(np.uint8)


def _background(rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """One colour that becomes another along the diagonal."""
    first, last = rng.uniform(60, 220, 3), rng.uniform(60, 220, 3)
    steps = np.linspace(0, 1, SIDE)
    share = ((steps[:, None] + steps[None, :]) / 2)[..., None]
    return first * (1 - share) + last * share
