"""Sequences of pictures as a camera sees them: a still scene, one that is panned over, one in which something moves.

Scenes are photographs, and photographs of things (`benchmarks.wire.stamp_pictures`) on smooth backgrounds. Sensor noise of
its own is added to every frame, since two pictures of a still scene are never equal.

apt-get download mate-backgrounds && dpkg-deb -x mate-backgrounds_*.deb photographs
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from benchmarks.wire.stamp_pictures import SIDE, Picture

# The deviation of sensor noise in steps of eight bits: a camera of a telephone indoors.
NOISE = 2.0
# How far a camera pans before it turns back, in pixels, and how far a thing moves in each frame.
SWING, WALK = 64, 4
WIDE = SIDE + SWING
CAMERA_QUALITY = 90
MOTIONS = (
    "still camera",
    "still camera, its JPEG files",
    "one thing moves",
    "pan of 1 pixel",
    "pan of 4 pixels",
    "pan of 16 pixels",
)


@dataclass(frozen=True, eq=False)
class Scene:
    """picture: uint8[224, 288, 3]. thing: what can move in it, uint8[h, w, 3]. opaque: its share, float64[h, w, 1]."""

    name: str
    picture: Picture
    thing: Picture
    opaque: npt.NDArray[np.float64]


def sequence(scene: Scene, motion: str, frames: int, seed: int) -> Picture:
    """uint8[frames, 224, 224, 3]. motion: one of `MOTIONS`."""
    rng = np.random.default_rng(seed)
    return np.stack([_seen(_view(scene, motion, number), motion, rng) for number in range(frames)])


def _view(scene: Scene, motion: str, number: int) -> Picture:
    if motion.startswith("pan"):
        left = _there_and_back(number * int(motion.split()[2]), SWING)
        return scene.picture[:, left : left + SIDE]
    view = scene.picture[:, SWING // 2 : SWING // 2 + SIDE].copy()
    if motion == "one thing moves":
        height, width = scene.opaque.shape[:2]
        left, top = _there_and_back(number * WALK, SIDE - width), SIDE - height - 8
        part = view[top : top + height, left : left + width]
        part[:] = np.rint(part * (1 - scene.opaque) + scene.thing * scene.opaque)
    return view


def _seen(view: Picture, motion: str, rng: np.random.Generator) -> Picture:
    from PIL import Image

    picture = np.rint(view + rng.normal(0, NOISE, view.shape)).clip(0, 255).astype(np.uint8)
    if not motion.endswith("JPEG files"):
        return picture
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=CAMERA_QUALITY)
    return np.asarray(Image.open(file))


def _there_and_back(moved: int, most: int) -> int:
    return most - abs(moved % (2 * most) - most)


def stamp_scenes(pictures: Sequence[Picture], thing: tuple[Picture, npt.NDArray[np.float64]]) -> Iterator[Scene]:
    """Scenes around pictures of 224 by 224, whose edges go on to both sides."""
    for number, picture in enumerate(pictures):
        wide = np.pad(picture, ((0, 0), (SWING // 2, SWING // 2), (0, 0)), mode="edge")
        yield Scene(f"stamp {number}", wide, *thing)


def photograph_scenes(directory: Path, thing: tuple[Picture, npt.NDArray[np.float64]]) -> Iterator[Scene]:
    """Scenes from photographs below this directory, half as high, from left to right. Raises SystemExit if none is there."""
    from PIL import Image

    files = sorted(directory.rglob("nature/*.jpg"))
    if not files:
        raise SystemExit(f"there are no photographs below {directory}; get them as `benchmarks.wire.picture_sequences` says")
    for path in files:
        photograph = Image.open(path).convert("RGB")
        height = 2 * SIDE
        photograph = photograph.resize((round(photograph.width * height / photograph.height), height), Image.Resampling.BICUBIC)
        for number, left in enumerate(range(0, photograph.width - WIDE + 1, WIDE // 2)):
            crop = photograph.crop((left, (height - SIDE) // 2, left + WIDE, (height + SIDE) // 2))
            yield Scene(f"{path.stem} {number}", np.asarray(crop), *thing)


def moving_thing(directory: Path, name: str = "ladybug", height: int = 64) -> tuple[Picture, npt.NDArray[np.float64]]:
    """A stamp of that height, and what of it is opaque."""
    from PIL import Image

    found = sorted(directory.rglob(f"*{name}*.png"))
    if not found:
        raise SystemExit(f"there is no stamp {name} below {directory}; get them as `benchmarks.wire.stamp_pictures` says")
    stamp = Image.open(found[0]).convert("RGBA")
    stamp = stamp.resize((round(stamp.width * height / stamp.height), height), Image.Resampling.BICUBIC)
    values = np.asarray(stamp)
    return values[..., :3], values[..., 3:] / 255
