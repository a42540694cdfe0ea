"""The networks of PP-OCRv4 that `rapidocr-onnxruntime` brings: one finds text in a picture, one reads a line of it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks.pay.materials import python_folder
from benchmarks.pay.real_network import RealNetwork, Tensors
from benchmarks.pay.text_pictures import line_of_text, page_of_text
from cic.precision.accuracy import Answer

FORM = "uint8, mean=0.5, std=0.5"
# What the package's own settings say: a pixel is text above this probability.
IS_TEXT = 0.3
PAGE_SIDE = 480
LINE_HEIGHT, LINE_WIDTH = 48, 320
PAGES, LINES = (24, 24), (120, 160)


def load_finder(materials: Path) -> RealNetwork:
    """Where text is: kept is the intersection of the pixels found over their union."""
    pages = [_as_input(page_of_text(rng, PAGE_SIDE)) for rng in _streams(1, sum(PAGES))]
    path = _model(materials, "ch_PP-OCRv4_det_infer.onnx")
    return RealNetwork("text-finder", path, FORM, pages[: PAGES[0]], pages[PAGES[0] :], _overlap, "pixels of text")


def load_reader(materials: Path) -> RealNetwork:
    """What a line says: kept is the share of lines that are read alike, letter by letter."""
    lines = [_as_input(line_of_text(rng, LINE_WIDTH, LINE_HEIGHT)) for rng in _streams(2, sum(LINES))]
    path = _model(materials, "ch_PP-OCRv4_rec_infer.onnx")
    return RealNetwork("text-reader", path, FORM, lines[: LINES[0]], lines[LINES[0] :], _read_alike, "lines of text")


def _streams(seed: int, count: int) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, number)) for number in range(count)]


def _model(materials: Path, name: str) -> Path:
    path = python_folder(materials) / "rapidocr_onnxruntime" / "models" / name
    if not path.exists():
        raise SystemExit(f"{path} is missing; `python -m benchmarks.pay.materials` installs it")
    return path


def _as_input(picture: np.ndarray) -> Tensors:
    """As the package normalises: (x / 255 - 0.5) / 0.5, from uint8[h, w, 3]."""
    values = (torch.from_numpy(picture).permute(2, 0, 1).float() / 255 - 0.5) / 0.5
    return (values[None].contiguous(),)


def _overlap(answers: Sequence[Answer], whole: Sequence[Answer]) -> float:
    """Over all pictures together, so that those with little text do not count for as much as those with much."""
    both = either = 0
    for mine, theirs in zip(answers, whole, strict=True):
        found, expected = (torch.as_tensor(each[0]) > IS_TEXT for each in (mine, theirs))
        both += int((found & expected).sum())
        either += int((found | expected).sum())
    return both / either if either else 1.0


def _read_alike(answers: Sequence[Answer], whole: Sequence[Answer]) -> float:
    same = [_letters(mine[0]) == _letters(theirs[0]) for mine, theirs in zip(answers, whole, strict=True)]
    return sum(same) / len(same)


def _letters(scores: torch.Tensor) -> tuple[int, ...]:
    """float32[1, steps, letters] to what is read: letters that follow themselves are one, and 0 is none (CTC)."""
    best = torch.as_tensor(scores).argmax(-1)[0].tolist()
    return tuple(letter for letter, before in zip(best, [0, *best], strict=False) if letter and letter != before)
