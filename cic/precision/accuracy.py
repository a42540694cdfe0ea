"""Accuracy targets: what is asked of a cut whose tensors cross under lossy codecs, and whether measured answers meet it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from cic.errors import CompileError
from cic.precision.evidence import is_shown
from cic.precision.mean_error import root_mean_square_error
from codegen.checked_json import shown

Answer = tuple[torch.Tensor, ...]
"""What a model answers for one sample: its output tensors, depth first."""
Judge = Callable[[Sequence[Answer], Sequence[Answer]], bool]
_TEXT = re.compile(r"\s*(top1|rel)\s*(>=|<=)\s*([0-9.eE+-]+)\s*(%?)\s*")


@dataclass(frozen=True)
class Target:
    """What is asked.

    least_top1: of the whole model's top-1 accuracy (or, without labels, of agreement with it), which share is to be kept.
    most_error: relative error of the answer, at most. judge: a function of the cut's and the whole model's answers, each a list
        with the tuple of output tensors of each sample.
    text: as it was asked for, for the file. One of the three is given, the others are None.
    """

    text: str
    least_top1: float | None = None
    most_error: float | None = None
    judge: Judge | None = None


@dataclass(frozen=True, slots=True)
class Reached:
    """What a cut reached on the calibration inputs.

    A cut that cannot meet the target any more was run on some of them only (`cic.precision.running_order` says on which first),
    and figures are of these.

    top1: its top-1 accuracy over the whole model's, or agreement where there are no labels, by the first tensor of each answer;
        None if that is no scores, or if the whole model gets none of them right.
    error: sqrt(sum |answer - whole|^2 / sum |whole|^2) over all answers, the largest of the output tensors' errors; infinite
        if an answer is not finite.
    met: the target, True if there is none.
    """

    top1: float | None
    error: float
    met: bool


EXACT = Reached(1.0, 0.0, True)


def parse_target(accuracy: str | Judge | None) -> Target | None:
    """A target as a person writes it: "top1>=0.99", "rel<=0.01", a function, or None.

    Raises CompileError for anything else.
    """
    if accuracy is None:
        return None
    if callable(accuracy):
        return Target(getattr(accuracy, "__name__", "a function"), judge=accuracy)
    match = _TEXT.fullmatch(accuracy) if isinstance(accuracy, str) else None
    wanted = {"top1": ">=", "rel": "<="}
    if match is None or wanted[match[1]] != match[2]:
        raise CompileError(
            f"accuracy is {accuracy!r}; write 'top1>=0.99', 'rel<=0.01', or pass a function of two lists of answers"
        )
    try:
        number = float(match[3]) / (100 if match[4] else 1)
    except ValueError:
        raise CompileError(f"accuracy is {accuracy!r}; {match[3]!r} is not a number") from None
    if not 0 <= number <= (1 if match[1] == "top1" else math.inf):
        raise CompileError(f"accuracy is {accuracy!r}; the number must be a share from 0 to 1")
    return Target(accuracy, least_top1=number) if match[1] == "top1" else Target(accuracy, most_error=number)


def judge(
    target: Target | None,
    answers: Sequence[Answer],
    whole: Sequence[Answer],
    labels: Sequence[torch.Tensor] | None,
    level: float,
) -> Reached:
    """Compare the answers of a cut with those of the whole model, sample by sample.

    Args:
        level: the probability with which a cut that misses a top-1 target may pass it; see `cic.precision.evidence`. Targets of
            other kinds are judged on these samples alone.

    Raises:
        CompileError: a top-1 target is asked of answers that are not scores of classes along dimension 1.
    """
    outputs = zip(zip(*answers, strict=True), zip(*whole, strict=True), strict=True)
    error = max(root_mean_square_error(mine, theirs) for mine, theirs in outputs)
    scored = are_scores(whole)
    if target is not None and target.least_top1 is not None and not scored:
        raise CompileError(
            f"accuracy {target.text!r} needs float answers with classes along dimension 1, the model answers "
            f"{whole[0][0].dtype} {tuple(whole[0][0].shape)}; ask for 'rel<=…' or pass a function"
        )
    right = shares_right(whole, whole, labels) if scored else torch.zeros(0)
    kept = shares_right(answers, whole, labels) if scored else torch.zeros(0)
    top1 = float(kept.mean() / right.mean()) if scored and float(right.mean()) else None
    met = True
    if target is not None and target.least_top1 is not None:
        met = is_shown(kept.numpy(), right.numpy(), target.least_top1, level, in_part=is_in_part(whole))
    elif target is not None and target.most_error is not None:
        met = error <= target.most_error
    elif target is not None and target.judge is not None:
        met = _judged(target.judge, target.text, answers, whole)
    return Reached(top1, error, met)


def _judged(function: Judge, name: str, answers: Sequence[Answer], whole: Sequence[Answer]) -> bool:
    try:
        verdict = function(answers, whole)
    except Exception as error:  # whatever a person's function raises
        raise CompileError(
            f"the accuracy function {name} failed on the answers of a cut and of the whole model, two lists with a tuple of "
            f"tensors a sample: {type(error).__name__}: {error}"
        ) from error
    # A share or a count would pass as true, and nothing, as of a forgotten return, as false.
    if isinstance(verdict, bool | np.bool_):
        return bool(verdict)
    if isinstance(verdict, torch.Tensor) and verdict.dtype == torch.bool and verdict.numel() == 1:
        return bool(verdict)
    raise CompileError(
        f"the accuracy function {name} returned {shown(verdict)}; return True if the cut keeps enough and False if not, as in"
        " 'return share >= 0.95'"
    )


def are_scores(whole: Sequence[Answer]) -> bool:
    """Is the first tensor of each answer scores of classes, floats with at least two of them along dimension 1?"""
    first = [answer[0] for answer in whole]
    return all(scores.is_floating_point() and scores.dim() >= 2 and scores.shape[1] > 1 for scores in first)


def is_in_part(whole: Sequence[Answer]) -> bool:
    """May an answer be right in part: has one several rows or places with a class?"""
    return any(answer[0].numel() > answer[0].shape[1] for answer in whole)


def shares_right(answers: Sequence[Answer], whole: Sequence[Answer], labels: Sequence[torch.Tensor] | None) -> torch.Tensor:
    """For each answer, the share of its rows and places whose class is right, as float64 of shape (answers,).

    Args:
        answers: whose first tensors are scores. whole: the whole model's answers, whose classes are right if labels is None.
        labels: for each answer the classes, of the shape of its scores without dimension 1.
    """
    guesses = [_classes(answer[0]) for answer in answers]
    truth = [_classes(answer[0]) for answer in whole] if labels is None else labels
    return torch.stack([(guess == right).double().mean() for guess, right in zip(guesses, truth, strict=True)])


def _classes(scores: torch.Tensor) -> torch.Tensor:
    """The class of the highest score; -1, which is no class, where a score is not a number."""
    best: torch.Tensor = scores.argmax(1)
    return best.masked_fill(scores.isnan().any(1), -1)
