"""In which order calibration samples are run: those first by which a cut that misses its target is seen to do so. Needs torch.

A cut is run until all samples have answered, or its target is missed whatever the rest of them answer
(`cic.precision.early_verdict`). What a codec turns first is an answer of which the network is hardly sure, so with those in
front a miss is seen after a few dozen of a thousand samples, and in any other order after hundreds.

The order changes no verdict. A miss is only told where all samples would give it, whichever of them have been run, and a cut
that is not told to miss is run on all samples and judged on them in the order in which they were given. So each verdict, and
each figure of a cut that meets its target, depends on the answers to all samples and not on the order in which they came.
(Samples that run together in other company may get answers that differ in the last bits, as with any other size of a batch.)
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from cic.precision.accuracy import Answer, Target, are_scores, shares_right

# Of the places of one answer, such as a map of classes, the share that is taken to be hardly sure.
_DOUBTFUL = 0.1


def running_order(target: Target | None, whole: Sequence[Answer], labels: Sequence[torch.Tensor] | None) -> tuple[int, ...]:
    """The numbers of the samples in the order in which they are run; as given, where an answer says nothing of its sureness."""
    if target is None or target.least_top1 is None or not are_scores(whole):
        return tuple(range(len(whole)))
    return doubtful_first(whole, labels)


def doubtful_first(whole: Sequence[Answer], labels: Sequence[torch.Tensor] | None = None) -> tuple[int, ...]:
    """The numbers of the samples, those first whose two highest scores are the least apart.

    Samples of which the whole network gets nothing right come last, since a cut cannot lose them.
    whole: the whole network's answers, whose first tensors are scores. labels: see `cic.precision.accuracy.shares_right`.
    """
    lost_already = (shares_right(whole, whole, labels) == 0).tolist()
    margins = [_margin(answer[0]) for answer in whole]
    return tuple(sorted(range(len(whole)), key=lambda number: (lost_already[number], margins[number])))


def _margin(scores: torch.Tensor) -> float:
    """How far apart the two highest scores are, at the place up to which a tenth of all places are less apart."""
    best = scores.topk(2, dim=1).values.double()
    margins = (best[:, 0] - best[:, 1]).flatten()
    return float(margins.kthvalue(max(1, round(_DOUBTFUL * len(margins)))).values)
