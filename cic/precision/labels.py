"""Labels of calibration inputs: whether they can be the classes that a model's scores are about."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cic.errors import CompileError
from cic.precision.accuracy import Answer, are_scores, shares_right
from cic.precision.evidence import is_above_chance


def check_labels(labels: Sequence[torch.Tensor], whole: Sequence[Answer]) -> tuple[torch.Tensor, ...]:
    """The labels as whole numbers of the shape of the classes that the whole model answers.

    Args:
        labels: for each sample, as many numbers as its answer has classes. whole: the whole model's answers.

    Raises:
        CompileError: labels that are no classes of this model, or that it gets right hardly more often than by guessing,
            since what a cut keeps of that says nothing about the cut.
    """
    if not are_scores(whole):
        return tuple(labels)
    checked = tuple(
        _fitting(number, label, answer[0]) for number, (label, answer) in enumerate(zip(labels, whole, strict=True))
    )
    right, classes = shares_right(whole, whole, checked), whole[0][0].shape[1]
    if not is_above_chance(float(right.mean()), classes):
        raise CompileError(
            f"the whole model gets {float(right.mean()):.1%} of {len(right)} labelled samples right, guessing one of {classes} "
            f"classes gets {1 / classes:.1%}; are its classes in another order, or the inputs prepared in another way? Without "
            "labels, agreement with the whole model is measured"
        )
    return checked


def _fitting(number: int, label: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
    shape, classes = (scores.shape[0], *scores.shape[2:]), scores.shape[1]
    # In another order of dimensions as many numbers would be other places' labels.
    if [size for size in label.shape if size != 1] != [size for size in shape if size != 1]:
        raise CompileError(
            f"the label of calibration sample {number} has the shape {tuple(label.shape)}, the answer's classes have "
            f"{tuple(shape)}; give one class number each, not one-hot rows or probabilities"
        )
    whole_numbers = label.to(torch.int64) if not label.is_complex() else None
    if whole_numbers is None or not torch.equal(whole_numbers.to(label.dtype), label):
        raise CompileError(
            f"the label of calibration sample {number} is {label.dtype} and no whole number; give class numbers from 0"
        )
    lowest, highest = int(whole_numbers.min()), int(whole_numbers.max())
    if lowest < 0 or highest >= classes:
        raise CompileError(
            f"calibration sample {number} has the label {lowest if lowest < 0 else highest}, the model answers {classes} "
            f"classes; labels must be from 0 to {classes - 1}, and places that count for nothing cannot be labelled as yet"
        )
    return whole_numbers.reshape(shape)
