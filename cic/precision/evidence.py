"""How much calibration samples show: whether a share of accuracy is kept beyond them, with a confidence that holds for a table.

A cut that is tried on n samples and loses none of them may still lose some of all others. What n samples show is bounded
exactly, so that the statement holds for any n, one sample included:

* Where each sample is right or wrong, the number lost is binomial, and the bound is that of Clopper and Pearson (Biometrika
  26, 1934). With labels a cut may also gain samples that the whole model gets wrong. Let b and g be the shares lost and
  gained among the samples that at least one of both gets right. Then 1 - b is what the whole model's right answers leave,
  1 - g is the share that the whole model gets right, and the target, 1 - b >= share * (1 - g), is b - share * g <= 1 - share.
  It is shown if the upper bound of b and the lower bound of g satisfy it. The bounds fail with at most 9/10 and 1/10 of the
  level, and so together with at most the level.
* Where a sample is right in part, such as a map of classes or several rows of one call, the mean of the margin
  m = kept - share * whole, which lies between -share and 1, is tested by betting (Waudby-Smith and Ramdas, J. R. Stat. Soc.
  B 86, 2024). If its mean is not positive, then a capital that starts at 1 and is multiplied by 1 + stake * m at each sample,
  0 <= stake <= 1 / share, has an expectation of at most 1, and so has a weighted mean of several capitals with fixed stakes.
  By Markov's inequality this mean reaches 1 / level with a probability of at most the level.

Samples are drawn independently; rows of one call are not. They cross in one message under common scales, and may be pieces of
one picture, so that one bad call spoils them all. A call is one sample, however many rows it has. Which of the two bounds is
used depends on the shape of the answers alone: the better of both would fail twice as often.

A table holds several cuts, and the search that finds it tries more. Each set of s lossy (tensor, codec) pairs out of p
possible ones is tested at the level (1 - CONFIDENCE) / 2^s / C(p, s). The levels of all sets of all sizes add up to less than
1 - CONFIDENCE, whichever of them the search tries, in any order and for any reason: with at least this confidence no set
that misses the target passes, and so none is in the table.

What a set of pairs answers depends on one thing more: a tensor's readers on the device have it as it was. So a set's level is
shared out among the choices of these readers. With r readers in all, m of them on the device, the share is
2^-min(m + 1, r - 1) / C(r, m), once for each tensor of the set; over all choices but that of all readers these add up to 1.

Transforms are made from some of the calibration samples, which then show nothing about them. Sets that hold a transform are
tested on the other samples. All other sets do not depend on any sample and are tested on all of them. Either kind of set has
half of 1 - CONFIDENCE, also where it turns out that none can be made of these samples, and for the second kind p counts the
pairs that are no transforms alone. Over all sets of p pairs the levels would add up to less than this half, so over those of
one kind they do.

Sets of the first kind hold a transform. So of the level that its p single pairs would share, those that are no transforms use
none: if `plain` pairs are none, plain / p of it is left. The model's inputs have that. With it, a single pair of an input,
such as a picture as a file, needs about as many samples as if no transforms were made. Else asking for them could make
sending the input slower.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

CONFIDENCE = 0.95

# Of 1 - CONFIDENCE, for sets with transforms and for sets without.
EACH_KIND = 0.5
# What the bound of the lost samples may take of a level; the bound of the gained ones has the rest.
_LOST = 0.9
# Parts of the largest stake. Large ones win where hardly anything is lost, small ones where much is lost and gained.
_STAKES = np.array([1.0, 0.75, 0.5, 0.25, 0.125, 0.0625])
# With this weight of the largest, samples that lose nothing show about as much as where each is right or wrong.
_WEIGHTS = np.array([_LOST] + [(1 - _LOST) / 5] * 5)


def level_of(size: int, pairs: int, readers: Iterable[tuple[int, int]] = (), part: float = 1.0) -> float:
    """The level at which a set of `size` lossy pairs out of `pairs` possible ones is tested; see the module.

    readers: of the set's tensors, how many ops read each, and how many of these on the device; those left out have one.
    part: of 1 - CONFIDENCE, for the kind of set.
    """
    level = part * (1 - CONFIDENCE) / 2.0**size / math.comb(max(pairs, size), size)
    for count, on_device in readers:
        level *= 2.0 ** -min(on_device + 1, count - 1) / math.comb(count, on_device)
    return level


def left_to_inputs(pairs: int, plain: int, of_inputs: int) -> float:
    """What is added, where there are transforms, to the level of a set of one pair of a model's input that is no transform.

    pairs: possible ones. plain: of these, those that are no transforms. of_inputs: of these, those of the model's inputs.
    """
    return level_of(1, pairs, part=EACH_KIND) * plain / of_inputs


def is_shown(
    kept: NDArray[np.float64], whole: NDArray[np.float64], share: float, level: float, *, in_part: bool = False
) -> bool:
    """Do these samples show that a cut keeps `share` of what the whole model gets right?

    Args:
        kept, whole: for each sample, which share of it the cut and the whole model get right, from 0 to 1.
        share: from 0 to 1. level: the probability with which a cut that keeps less may pass.
        in_part: may a sample be right in part? If not, each share is 0 or 1.
    """
    needed = samples_needed(share, level)
    if needed is None or len(kept) < needed:
        return False
    if not share:
        return True
    if in_part:
        return _bet(kept - share * whole, share, level)
    either = int(np.maximum(kept, whole).sum())
    lost, gained = int((whole > kept).sum()), int((kept > whole).sum())
    if not either:
        return False
    return _at_most(lost, either, _LOST * level) - share * _at_least(gained, either, (1 - _LOST) * level) <= 1 - share


def samples_needed(share: float, level: float) -> int | None:
    """The fewest samples that can show that `share` is kept: all of them right, none lost. None if no number can."""
    if not share:
        return 0
    return None if share >= 1 else math.ceil(math.log(_LOST * level) / math.log(share))


def share_shown(samples: int, level: float) -> float:
    """The largest share that so many samples can show to be kept: if all of them are right and none is lost."""
    return float((_LOST * level) ** (1 / samples)) if samples else 0.0


def is_above_chance(right: float, classes: int) -> bool:
    """Is a model that is right on this share of the samples clearly better than guessing?

    Cohen's kappa against guessing one of the classes at random must exceed 0.2, below which agreement counts as slight at
    most (Landis and Koch, Biometrics 33, 1977).
    """
    chance = 1 / classes
    return (right - chance) / (1 - chance) > 0.2


def _at_most(events: int, count: int, level: float) -> float:
    return 1.0 if events == count else float(betaincinv(events + 1, count - events, 1 - level))


def _at_least(events: int, count: int, level: float) -> float:
    return 0.0 if events == 0 else float(betaincinv(events, count - events + 1, level))


def _bet(margin: NDArray[np.float64], share: float, level: float) -> bool:
    with np.errstate(divide="ignore"):  # a stake that loses everything has a capital of 0, whose logarithm is -inf
        capital = np.log1p(np.maximum(np.outer(_STAKES / share, margin), -1.0)).sum(axis=1)
    return bool(np.logaddexp.reduce(capital + np.log(_WEIGHTS)) >= -math.log(level))
