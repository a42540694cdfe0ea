"""Whether a target can still be met, known after a part of the calibration inputs: a cut that cannot is not run on the rest.

The verdict is the one that all inputs would give, in whatever order they are run:

* Top-1. What is not yet run is taken to be right. `is_shown` never turns from yes to no where a sample does better. Where
  samples are right or wrong, one more of the model's right answers kept is one loss less among as many, and one more gained
  is also a sample more among which nothing is lost: the upper bound of the lost falls, and the lower bound of the gained rises.
  Where they are right in part, each capital grows with each margin.
* Relative error. The scale is that of all answers, known beforehand, and squares of differences only add up. Sums are those of
  `cic.precision.mean_error`, the exact ones rounded once, and rounding keeps an order: this holds for floating point, too.
* A person's function of all answers tells nothing before it has all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from cic.precision.accuracy import Answer, Target, are_scores, is_in_part, shares_right
from cic.precision.evidence import is_shown
from cic.precision.mean_error import total
from codegen.verification.agreement import wide

Missed = Callable[[Sequence[Answer]], bool]


def sure_miss(
    target: Target | None,
    whole: Sequence[Answer],
    labels: Sequence[torch.Tensor] | None,
    level: float,
    order: Sequence[int] | None = None,
) -> Missed | None:
    """A function that is given a cut's answers piece by piece: is the target missed for sure?

    Once it says so, `cic.precision.accuracy.judge` would of all the answers, whatever the rest of them are. It may be asked
    again and remembers what it was given. None: nothing can be said before all answers are there.

    order: the numbers of the samples in the order in which they answer; None: as they are.
    """
    running = range(len(whole)) if order is None else order
    if target is not None and target.least_top1 is not None and are_scores(whole):
        return _top1_missed(target.least_top1, whole, labels, level, running)
    if target is not None and target.most_error is not None:
        return _error_exceeded(target.most_error, whole, running)
    return None


def _top1_missed(
    share: float, whole: Sequence[Answer], labels: Sequence[torch.Tensor] | None, level: float, order: Sequence[int]
) -> Missed:
    right, in_part = shares_right(whole, whole, labels).numpy(), is_in_part(whole)
    at_best, done = np.ones(len(whole)), 0

    def missed(answers: Sequence[Answer]) -> bool:
        nonlocal done
        piece = order[done : done + len(answers)]
        expected = [whole[number] for number in piece]
        at_best[list(piece)] = shares_right(answers, expected, labels and [labels[number] for number in piece]).numpy()
        done += len(answers)
        return not is_shown(at_best, right, share, level, in_part=in_part)

    return missed


def _error_exceeded(most: float, whole: Sequence[Answer], order: Sequence[int]) -> Missed:
    scales = [total(float(wide(tensor).square().sum()) for tensor in tensors) for tensors in zip(*whole, strict=True)]
    differences: list[list[float]] = [[] for _ in scales]
    done = 0

    def missed(answers: Sequence[Answer]) -> bool:
        nonlocal done
        for answer, number in zip(answers, order[done : done + len(answers)], strict=True):
            for place, (mine, theirs) in enumerate(zip(answer, whole[number], strict=True)):
                differences[place].append(float((wide(mine) - wide(theirs)).square().sum()))
        done += len(answers)
        return any(_is_beyond(total(parts), scale, most) for parts, scale in zip(differences, scales, strict=True))

    return missed


def _is_beyond(difference: float, scale: float, most: float) -> bool:
    """Is the error beyond `most`, as `cic.precision.mean_error` computes it?"""
    if not difference:
        return False
    return not (scale and math.isfinite(difference)) or math.sqrt(difference / scale) > most
