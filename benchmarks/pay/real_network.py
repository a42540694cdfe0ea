"""A real network with inputs of its kind, some to calibrate on and some unseen, and what of its answers is to be kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path

import torch
from torch import nn

import cic
from cic.precision.accuracy import Answer, Judge

Tensors = tuple[torch.Tensor, ...]
Kept = Callable[[Sequence[Answer], Sequence[Answer]], float]
"""The share that the first answers keep of the second, those of the whole network."""

TOGETHER = 16


@dataclass(frozen=True, eq=False)
class RealNetwork:
    """See the module.

    model: a module, or the path of an ONNX file. form: how a device holds its pictures, as `cic.Precision.input`; None if its
    inputs are no pictures. calibration, held_out: flat inputs of each sample; labels belong to the former, if there are any.
    kept: how much of the answers is kept, where that is not agreement of the class with the highest score. what: of what kept
    is a share, in words.
    """

    name: str
    model: nn.Module | Path
    form: str | None
    calibration: Sequence[Tensors]
    held_out: Sequence[Tensors]
    kept: Kept | None
    what: str

    @property
    def example(self) -> Tensors:
        return self.calibration[0]

    def accuracy(self, share: float) -> str | Judge:
        """That share as `cic.Precision` takes it."""
        if self.kept is None:
            return f"top1>={share:g}"
        kept = self.kept

        def is_kept(answers: Sequence[Answer], whole: Sequence[Answer]) -> bool:
            return kept(answers, whole) >= share

        is_kept.__name__ = f"{self.name} keeps {share:g} of its {self.what}"
        return is_kept

    def precision(self, share: float, codecs: str | Sequence[str] | None, train: str | None = None) -> cic.Precision:
        """What `compile` is asked to keep, and on what it measures that; train: for how long transforms are trained."""
        batches = [{"args": sample} for sample in self.calibration]
        return cic.Precision(codecs, calibration=batches, accuracy=self.accuracy(share), input=self.form, train=train)

    @cached_property
    def whole_calibration(self) -> tuple[Answer, ...]:
        """What the whole network answers to the calibration inputs."""
        return tuple(self.answers(self.calibration))

    @cached_property
    def whole_held_out(self) -> tuple[Answer, ...]:
        """What the whole network answers to the inputs that nobody has seen."""
        return tuple(self.answers(self.held_out))

    def answers(self, samples: Iterable[Tensors]) -> list[Answer]:
        """What the whole network answers."""
        return list(self._of_module(samples) if isinstance(self.model, nn.Module) else self._of_file(samples))

    def _of_module(self, samples: Iterable[Tensors]) -> Iterator[Answer]:
        with torch.inference_mode():
            source = iter(samples)
            while some := tuple(islice(source, TOGETHER)):
                scores = self.model(*(torch.cat(parts) for parts in zip(*some, strict=True)))
                yield from ((row,) for row in scores.split(1))

    def _of_file(self, samples: Iterable[Tensors]) -> Iterator[Answer]:
        import onnxruntime

        session = onnxruntime.InferenceSession(str(self.model))
        names = [each.name for each in session.get_inputs()]
        for sample in samples:
            given = {name: tensor.numpy() for name, tensor in zip(names, sample, strict=True)}
            yield tuple(map(torch.from_numpy, session.run(None, given)))

    def share_kept(self, answers: Sequence[Answer], whole: Sequence[Answer]) -> float:
        """On inputs that nobody has seen, how much is kept."""
        return (self.kept or same_class)(answers, whole)


def same_class(answers: Sequence[Answer], whole: Sequence[Answer]) -> float:
    """The share of rows and places with the same highest score."""
    same = [(mine[0].argmax(1) == theirs[0].argmax(1)).double().mean() for mine, theirs in zip(answers, whole, strict=True)]
    return float(torch.stack(same).mean())
