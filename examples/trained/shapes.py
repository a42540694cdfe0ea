"""Rendered pictures of textured shapes among clutter, for classification and for segmentation; any number, none downloaded.

A picture has a background of two colours, soft blobs, one or more shapes with a texture, a bar in front of them, uneven light
and the noise of a cheap camera. Picture `index` of a `seed` is always the same, however many are asked for. Small shapes, bars
that hide what tells two shapes apart and noise keep even a good network from being always right.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Images = npt.NDArray[np.uint8]

SIDE = 96
TEXTURES = ("stripes", "checks")


def _disc(u: FloatArray, v: FloatArray) -> FloatArray:
    return 0.9 - np.hypot(u, v)


def _square(u: FloatArray, v: FloatArray) -> FloatArray:
    return 0.8 - np.maximum(np.abs(u), np.abs(v))


def _triangle(u: FloatArray, v: FloatArray) -> FloatArray:
    return 0.5 - np.maximum(v, np.float32(3**0.5 / 2) * np.abs(u) - v / 2)


def _star(u: FloatArray, v: FloatArray) -> FloatArray:
    return 0.72 + 0.27 * np.cos(5 * np.arctan2(v, u)) - np.hypot(u, v)


def _ring(u: FloatArray, v: FloatArray) -> FloatArray:
    return 0.27 - np.abs(np.hypot(u, v) - 0.68)


def _cross(u: FloatArray, v: FloatArray) -> FloatArray:
    across, along = np.minimum(np.abs(u), np.abs(v)), np.maximum(np.abs(u), np.abs(v))
    return np.minimum(0.3 - across, 0.95 - along)


# Each is positive inside the shape and negative outside, about one over its radius.
SHAPES: dict[str, Callable[[FloatArray, FloatArray], FloatArray]] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}
CLASSES = tuple(f"{texture} {shape}" for shape in SHAPES for texture in TEXTURES)
SEGMENTS = ("background", *TEXTURES, "bar")


def classification(seed: int, count: int, start: int = 0) -> tuple[Images, Labels]:
    """Pictures of one shape each.

    Returns:
        (uint8[count, 3, SIDE, SIDE], int64[count] indices into `CLASSES`).
    """
    rendered = [_scene(seed, index, 1) for index in range(start, start + count)]
    return _stacked(image for image, _, _ in rendered), np.asarray([labels[0] for _, labels, _ in rendered], dtype=np.int64)


def segmentation(seed: int, count: int, start: int = 0) -> tuple[Images, Labels]:
    """Pictures of three shapes each, and what is seen at each pixel: the background, a texture, or the bar.

    Returns:
        (uint8[count, 3, SIDE, SIDE], int64[count, SIDE, SIDE] indices into `SEGMENTS`).
    """
    rendered = [_scene(seed, index, 3) for index in range(start, start + count)]
    return _stacked(image for image, _, _ in rendered), np.stack([mask for _, _, mask in rendered])


def _stacked(images: Iterable[Images]) -> Images:
    return np.ascontiguousarray(np.stack([image.transpose(2, 0, 1) for image in images]))


def _scene(seed: int, index: int, shapes: int) -> tuple[Images, list[int], Labels]:
    """One picture uint8[SIDE, SIDE, 3], the class of each shape, and the segment of each pixel."""
    rng = np.random.default_rng((seed, index, shapes))
    y, x = np.meshgrid(*[np.linspace(-1, 1, SIDE, dtype=np.float32)] * 2, indexing="ij")
    canvas = _background(rng, x, y)
    segments = np.zeros((SIDE, SIDE), dtype=np.int64)
    classes = []
    for _ in range(shapes):
        label = int(rng.integers(len(CLASSES)))
        inside = _draw_shape(rng, canvas, x, y, label, small=shapes > 1)
        segments[inside] = 1 + label % len(TEXTURES)
        classes.append(label)
    hidden = _draw_bar(rng, canvas, x, y)
    segments[hidden] = SEGMENTS.index("bar")
    return _photographed(rng, canvas, x, y), classes, segments


def _colour(rng: np.random.Generator) -> FloatArray:
    return rng.uniform(30, 225, 3).astype(np.float32)


def _turned(rng: np.random.Generator, x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray]:
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    return cosine * x + sine * y, cosine * y - sine * x


def _blend(canvas: FloatArray, share: FloatArray, colour: FloatArray) -> None:
    canvas += share[..., None] * (colour - canvas)


def _background(rng: np.random.Generator, x: FloatArray, y: FloatArray) -> FloatArray:
    """A gradient between two colours, ripples in it, and three blobs."""
    u, _ = _turned(rng, x, y)
    ripple = np.sin(_turned(rng, x, y)[0] * np.float32(rng.uniform(5, 40)) + np.float32(rng.uniform(0, 6)))
    share = np.clip(0.5 + 0.35 * u + np.float32(rng.uniform(0, 0.12)) * ripple, 0, 1)
    first, second = _colour(rng), _colour(rng)
    canvas = first + share[..., None] * (second - first)
    for _ in range(3):
        left, top = rng.uniform(-1, 1, 2).astype(np.float32)
        u, v = _turned(rng, x - left, y - top)
        width, height = rng.uniform(0.08, 0.3, 2).astype(np.float32)
        blob = np.clip(3 * (1 - np.hypot(u / width, v / height)), 0, 1)
        _blend(canvas, blob * np.float32(rng.uniform(0.3, 1)), _colour(rng))
    return canvas


def _draw_shape(
    rng: np.random.Generator, canvas: FloatArray, x: FloatArray, y: FloatArray, label: int, *, small: bool
) -> npt.NDArray[np.bool_]:
    """Paint a shape; its pixels."""
    radius = np.float32(rng.uniform(0.35, 0.6) if small else rng.uniform(0.45, 0.85))
    left, top = rng.uniform(-1, 1, 2).astype(np.float32) * (1 - radius)
    u, v = _turned(rng, x - left, y - top)
    stretch = np.float32(rng.uniform(0.8, 1.25))
    inside = list(SHAPES.values())[label // len(TEXTURES)](u / radius * stretch, v / radius)
    p, q = _turned(rng, x - left, y - top)
    frequency = np.float32(2 * np.pi / rng.uniform(0.2, 0.34))
    wave = np.sin(p * frequency + np.float32(rng.uniform(0, 6)))
    if TEXTURES[label % len(TEXTURES)] == "checks":
        wave = wave * np.sin(q * frequency)
    first = _colour(rng)
    second = np.clip(first + rng.choice([-1, 1], 3).astype(np.float32) * rng.uniform(60, 130, 3).astype(np.float32), 0, 255)
    painted = first + np.clip(0.5 + 2 * wave, 0, 1)[..., None] * (second - first)
    cover = np.clip(0.5 + inside * radius * (SIDE / 2), 0, 1)
    canvas += cover[..., None] * (painted - canvas)
    return cover > 0.5


def _draw_bar(rng: np.random.Generator, canvas: FloatArray, x: FloatArray, y: FloatArray) -> npt.NDArray[np.bool_]:
    """Paint a bar across the picture, in front of everything; its pixels."""
    u, _ = _turned(rng, x, y)
    distance = np.abs(u - np.float32(rng.uniform(-0.5, 0.5)))
    cover = np.clip((np.float32(rng.uniform(0.04, 0.12)) - distance) * (SIDE / 2) + 0.5, 0, 1)
    _blend(canvas, cover, _colour(rng))
    return cover > 0.5


def _photographed(rng: np.random.Generator, canvas: FloatArray, x: FloatArray, y: FloatArray) -> Images:
    """Uneven light, noise, and whole numbers."""
    light = 1 + np.float32(rng.uniform(0, 0.35)) * _turned(rng, x, y)[0]
    noise = rng.standard_normal(canvas.shape, dtype=np.float32) * np.float32(rng.uniform(3, 12))
    return np.clip(canvas * light[..., None] + noise + 0.5, 0, 255).astype(np.uint8)
