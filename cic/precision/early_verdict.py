"""Whether a target can still be met, known after a part of the calibration inputs: a cut that cannot is not run on the rest.

The verdict is the one that all inputs would give:

* Top-1. What is not yet run is taken to be right. `is_shown` never turns from yes to no where a sample does better. Where
  samples are right or wrong, one more of the model's right answers kept is one loss less among as many, and one more gained
  is also a sample more among which nothing is lost: the upper bound of the lost falls, and the lower bound of the gained rises.
  Where they are right in part, each capital grows with each margin.
* Relative error. The scale is that of all answers, known beforehand, and squares of differences only add up. They are added
  in the order of the full sum, and rounding keeps an order, so that this holds for floating point, too.
* A person's function of all answers tells nothing before it has all of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from cic.precision.accuracy import Answer, Target, are_scores, is_in_part, shares_right
from cic.precision.evidence import is_shown
from codegen.verification.agreement import wide

Missed = Callable[[Sequence[Answer]], bool]


def sure_miss(
    target: Target | None, whole: Sequence[Answer], labels: Sequence[torch.Tensor] | None, level: float
) -> Missed | None:
    """A function that is given a cut's answers piece by piece, in the order of the samples: is the target missed for sure?

    Once it says so, `cic.precision.accuracy.judge` would of all the answers, whatever the rest of them are. It may be asked
    again and remembers what it was given. None: nothing can be said before all answers are there.
    """
    if target is not None and target.least_top1 is not None and are_scores(whole):
        return _top1_missed(target.least_top1, whole, labels, level)
    if target is not None and target.most_error is not None:
        return _error_exceeded(target.most_error, whole)
    return None


def _top1_missed(share: float, whole: Sequence[Answer], labels: Sequence[torch.Tensor] | None, level: float) -> Missed:
    right, in_part = shares_right(whole, whole, labels).numpy(), is_in_part(whole)
    at_best, done = np.ones(len(whole)), 0

    def missed(answers: Sequence[Answer]) -> bool:
        nonlocal done
        piece = slice(done, done + len(answers))
        at_best[piece] = shares_right(answers, whole[piece], None if labels is None else labels[piece]).numpy()
        done = piece.stop
        return not is_shown(at_best, right, share, level, in_part=in_part)

    return missed


def _error_exceeded(most: float, whole: Sequence[Answer]) -> Missed:
    scales = [sum(float(wide(tensor).square().sum()) for tensor in tensors) for tensors in zip(*whole, strict=True)]
    differences, done = [0.0] * len(scales), 0

    def missed(answers: Sequence[Answer]) -> bool:
        nonlocal done
        for answer, expected in zip(answers, whole[done : done + len(answers)], strict=True):
            for place, (mine, theirs) in enumerate(zip(answer, expected, strict=True)):
                differences[place] += float((wide(mine) - wide(theirs)).square().sum())
        done += len(answers)
        return any(_is_beyond(difference, scale, most) for difference, scale in zip(differences, scales, strict=True))

    return missed


def _is_beyond(difference: float, scale: float, most: float) -> bool:
    """Is the error beyond `most`, as `cic.precision.mean_error` computes it?"""
    if not difference:
        return False
    return not (scale and math.isfinite(difference)) or math.sqrt(difference / scale) > most
