"""Which qualities of picture files are tried: some of each kind at first, then those below the lowest that may keep the target.

A search with an accuracy spends most of its time on running what misses it. So of each kind of file only every third quality is
tried at first, and the lowest. Once nothing that was seen to miss the target is left, those between the lowest of these and the
next lower one, which missed it, are tried as well, though another kind may be in use: theirs may have fewer bytes. Of pictures
that miss it together, that is so for each choice of which of them must not be as low.

So no file that is tried at first and keeps the target beats the table, nor does one of those between. A file of a still lower
quality, below one that missed, may keep the target all the same: more quality now and then keeps less.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cic.codec.registry import is_coarser_picture
from cic.precision.wire_form import WireForm

EVERY = 3


class PictureQualities:
    """For tensors that may cross under forms[tensor], the pairs of a tensor and a form of it that are not yet tried."""

    def __init__(self, forms: Sequence[Sequence[WireForm]]) -> None:
        self._kinds = [
            [(tensor, place) for place in kind]
            for tensor, mine in enumerate(forms)
            for kind in _kinds(mine)
            if len(kind) > EVERY
        ]
        self.held_back = frozenset(pair for kind in self._kinds for number, pair in enumerate(kind[:-1]) if number % EVERY)

    def let_go(self, alternatives: Iterable[frozenset[tuple[int, int]]]) -> bool:
        """Try more, given the pairs that each alternative forbids; False if there is no more to try.

        Where two pictures miss the target together, the lowest quality of the one depends on which the other has, and so on the
        alternative.
        """
        before = self.held_back
        for kind in self._kinds:
            first = [number for number, pair in enumerate(kind) if pair not in before]
            for forbidden in alternatives:
                left = [number for number in first if kind[number] not in forbidden]
                if left and left[-1] != first[-1]:
                    lower = min(number for number in first if number > left[-1])
                    self.held_back -= frozenset(kind[left[-1] : lower])
        return self.held_back != before


def _kinds(forms: Sequence[WireForm]) -> list[list[int]]:
    """The places of picture files that lose something, a list for each kind, from the highest quality to the lowest."""
    kinds: list[list[int]] = []
    for place, form in enumerate(forms):
        for kind in kinds:
            if is_coarser_picture(forms[kind[-1]].stage, form.stage) or is_coarser_picture(form.stage, forms[kind[-1]].stage):
                kind.append(place)
                break
        else:
            kinds.append([place])
    return [_finest_first(kind, forms) for kind in kinds]


def _finest_first(kind: Sequence[int], forms: Sequence[WireForm]) -> list[int]:
    def finer(place: int) -> int:
        return sum(is_coarser_picture(forms[place].stage, forms[other].stage) for other in kind)

    return sorted(kind, key=finer)
