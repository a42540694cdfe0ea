"""What heads made of calibration samples, kept for the cuts that ran last: a search tries one cut under many codecs."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import torch

from cic.precision.model_runner import Tensors
from codegen.split import Split

MOST_BYTES = 512 * 2**20


@dataclass(eq=False)
class Head:
    """One cut's halves, and what the head answered to the first pieces of the samples; `results` are in their order."""

    halves: Split
    results: list[Sequence[torch.Tensor]] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return sum(tensor.nbytes for piece in self.results for tensor in piece)


class KeptHeads:
    """Of at most so many bytes; the cuts that ran longest ago are forgotten first."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self.most_bytes = most_bytes
        self._heads: OrderedDict[frozenset[str], Head] = OrderedDict()

    def of(self, device_nodes: Collection[str], halves: Callable[[Collection[str]], Split]) -> Head:
        """What is kept of a cut; `halves` makes its halves if nothing is."""
        key = frozenset(device_nodes)
        if key not in self._heads:
            self._heads[key] = Head(halves(device_nodes))
        self._heads.move_to_end(key)
        return self._heads[key]

    def answered(self, head: Head, number: int, inputs: Tensors) -> Sequence[torch.Tensor]:
        """The head's answer to a piece of the samples. number: of the piece, counted from 0; inputs: the piece."""
        if number < len(head.results):
            return head.results[number]
        found: Sequence[torch.Tensor] = head.halves.head(*inputs)
        # Pieces are kept without gaps.
        if number == len(head.results) and self._have_room(head, sum(tensor.nbytes for tensor in found)):
            head.results.append(found)
        return found

    def _have_room(self, head: Head, wanted_bytes: int) -> bool:
        others = [(key, each) for key, each in self._heads.items() if each is not head]
        held_bytes = sum(each.bytes for each in self._heads.values())
        while others and held_bytes + wanted_bytes > self.most_bytes:
            key, oldest = others.pop(0)
            held_bytes -= oldest.bytes
            del self._heads[key]
        return held_bytes + wanted_bytes <= self.most_bytes
