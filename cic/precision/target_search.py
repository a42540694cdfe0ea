"""Which codec each tensor crosses under, so that every cut of the table is the fastest that keeps the accuracy asked for.

Accuracy is measured, not modelled. The envelope is computed with all codecs allowed; each of its cuts is run on the
calibration inputs; what misses the target is forbidden, and the envelope computed again, until every cut of it meets the
target. The sets of (tensor, codec) pairs that were seen to miss it are handled exactly:

* A cut with one lossy tensor that misses it: that tensor may not cross under that codec.
* A cut with several lossy tensors that misses it: at least one of these pairs must not be used. So the search looks at
  several problems, the *alternatives*, and each of them forbids one of the pairs. A placement is allowed if one alternative
  allows it, and `mincut.lower_envelope` computes the minimum over the alternatives. Nothing else is forbidden.

The table is optimal among all placements that meet the target if losing more never gains accuracy. That is: if a set of
pairs was seen to miss the target, a placement that uses all of these pairs misses it, too. Alternatives may double with each
further set. Beyond `MOST_ALTERNATIVES`, the pair with the largest error of its set is forbidden outright, as the result says.
Of picture files not all qualities are tried, see `cic.precision.picture_qualities`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from cic.precision.accuracy import EXACT, Reached
from cic.precision.picture_qualities import PictureQualities
from cic.precision.table_search import find_table
from cic.precision.wire_form import WireForm, is_lossless
from cic.progress import Progress, Tell
from compress.bounds import Bounds
from mincut.codecs import without
from mincut.lower_envelope import Envelope
from mincut.oracle import Limits
from mincut.problem import BoolArray, IntArray, Problem

MOST_ALTERNATIVES = 16

Pair = tuple[int, int]
"""A tensor and one of its forms."""
Forbidden = frozenset[Pair]
Known = dict[tuple[bytes, frozenset[tuple[int, str]]], Reached]
"""What was measured: by which ops are on the device, and what each tensor loses."""


@dataclass(frozen=True, eq=False)
class WithinTarget:
    """The envelope within the target.

    found: of the whole problem. solved_ops: of the problem in which it was found, compressed as far as is exact.
    reached: of each of its placements. alternatives: the pairs that each alternative forbids, one empty set if none is needed.
    exact: was nothing forbidden beyond what was seen to miss the target, and qualities of pictures that were not tried?
    runs: cuts that were run.
    """

    found: Envelope
    solved_ops: int
    reached: tuple[Reached, ...]
    alternatives: tuple[Forbidden, ...]
    exact: bool
    runs: int


def within_target(
    problem: Problem,
    forms: Sequence[Sequence[WireForm]],
    bounds: Bounds,
    run: Callable[[BoolArray, dict[int, WireForm]], Reached] | None,
    *,
    limits: Limits | None = None,
    most_solves: int,
    tell: Tell,
    known: Known | None = None,
) -> WithinTarget:
    """See the module.

    Args:
        problem: its tensor e may cross under forms[e], the first of which is lossless. It is compressed anew for every set of
            alternatives, as what is exact with one codec need not be without it.
        bounds: the box of conditions, and how far op times may be off.
        run: measures a placement with the lossy forms of its crossing tensors; None: nothing is measured or forbidden.
        limits: what every cut has to keep within, as bounded rows; None: nothing.
        known: what was measured before for the same ops and tensors; all that is measured now is added.
    """
    alternatives: tuple[Forbidden, ...] = (frozenset(),)
    measured: Known = {} if known is None else known
    exact = True
    qualities = PictureQualities(forms if run is not None else [])
    while True:
        allowed = tuple(forbidden | qualities.held_back for forbidden in alternatives)
        parts = alternative_problems(problem, allowed)
        found, ops = find_table(problem, parts, bounds, limits=limits, most_solves=most_solves, tell=tell)
        if run is None:
            return WithinTarget(found, ops, (), allowed, exact, 0)
        missed, reached = [], []
        used = [_lossy(problem, forms, side, codec) for side, codec in zip(found.placements, found.codecs, strict=True)]
        keys = [
            (side.tobytes(), frozenset((tensor, form.stage) for tensor, form in lossy.items()))
            for side, lossy in zip(found.placements, used, strict=True)
        ]
        known_cuts = len({*measured, *keys})
        for side, lossy, key in zip(found.placements, used, keys, strict=True):
            if key not in measured:
                measured[key] = run(side, lossy) if lossy else EXACT
                tell(Progress("measuring the accuracy of cuts", len(measured), known_cuts))
            reached.append(measured[key])
            if not measured[key].met and lossy not in missed:
                missed.append(lossy)
        if not missed and not qualities.let_go(alternatives):
            return WithinTarget(found, ops, tuple(reached), allowed, exact, len(measured))
        # What one tensor alone spoils is settled first: it often settles what several spoil.
        for lossy in [lossy for lossy in missed if len(lossy) == 1] or missed:
            alternatives, outright = _forbid(alternatives, forms, lossy)
            exact = exact and not outright


def alternative_problems(problem: Problem, alternatives: Sequence[Forbidden]) -> list[Problem]:
    """Each alternative as a problem; none if nothing is forbidden."""
    if problem.codecs is None or not any(alternatives):
        return []
    return [replace(problem, codecs=without(problem.codecs, sorted(forbidden))) for forbidden in alternatives]


def _lossy(
    problem: Problem, forms: Sequence[Sequence[WireForm]], side: BoolArray, codec: IntArray | None
) -> dict[int, WireForm]:
    """The lossy forms that crossing tensors use."""
    assert codec is not None
    used = {int(tensor): forms[int(tensor)][int(codec[tensor])] for tensor in np.flatnonzero(problem.crossing(side))}
    return {tensor: form for tensor, form in used.items() if not is_lossless(form)}


def _forbid(
    alternatives: Sequence[Forbidden], forms: Sequence[Sequence[WireForm]], lossy: dict[int, WireForm]
) -> tuple[tuple[Forbidden, ...], bool]:
    """Alternatives in none of which all of `lossy` can be used; and whether more than that had to be forbidden."""
    # The entropy stage loses nothing: with one codec go all that lose the same.
    groups = {
        tensor: frozenset((tensor, place) for place, other in enumerate(forms[tensor]) if other.stage == form.stage)
        for tensor, form in lossy.items()
    }
    split: list[Forbidden] = []
    for forbidden in alternatives:
        if any(group <= forbidden for group in groups.values()):
            split.append(forbidden)
        else:
            split.extend(forbidden | group for group in groups.values())
    least = _smallest(split)
    if len(least) <= MOST_ALTERNATIVES:
        return least, False
    worst = groups[max(lossy, key=lambda tensor: lossy[tensor].error)]
    return _smallest([forbidden | worst for forbidden in alternatives]), True


def _smallest(alternatives: Sequence[Forbidden]) -> tuple[Forbidden, ...]:
    """Without those that forbid all that another does, as they allow nothing new."""
    distinct = list(dict.fromkeys(alternatives))
    return tuple(each for each in distinct if not any(other < each for other in distinct))
