"""What a rule may assume about costs: the box of conditions and how far measured op times may be off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product
from math import lcm
from typing import NamedTuple

import numpy as np

from mincut.lower_envelope import PriceBox
from mincut.problem import BoolArray, IntArray

Term = tuple[IntArray, Fraction]


class Sent(NamedTuple):
    """Amounts that crossing tensors add, each int64[k] and of either sign: bytes, encoding on the device, decoding there."""

    wire_bytes: IntArray
    device_ns: IntArray
    server_ns: IntArray

    def minus(self, other: Sent) -> Sent:
        """The difference, entry by entry."""
        return Sent(*(more - less for more, less in zip(self, other, strict=True)))


@dataclass(frozen=True)
class Bounds:
    """A rule fires only if its condition holds for all prices in `box` and all op times within `1 ± uncertainty`.

    So the reduced problem stays exact for every such profile, not only for the one at hand. The times of codecs are taken as
    they are. Its questions are each answered for many ops at once, bool[n] for amounts int64[n], and exactly.

    Each asks whether a sum of amounts times prices is never positive. The sum is linear in each of the prices of device and
    server, in the upload price and in the ratio of the links while the others stay, so it is largest at a corner of the box;
    and where the sign of the amounts that a price multiplies is known, only at one end of its range.

    box: ranges of the prices.
    uncertainty: relative, 0 <= uncertainty < 1.
    """

    box: PriceBox
    uncertainty: Fraction = Fraction(0)

    def device_is_never_faster(self, device_ns: IntArray, server_ns: IntArray) -> BoolArray:
        """Does running on the server cost at most what running on the device costs, everywhere in the bounds?"""
        return _never_positive(*self._to_server(device_ns, server_ns))

    def server_is_never_faster(self, device_ns: IntArray, server_ns: IntArray) -> BoolArray:
        """The other way round."""
        return _never_positive(*self._to_device(device_ns, server_ns))

    def moving_to_server_is_free(
        self, device_ns: IntArray, server_ns: IntArray, more: Sent, download_bytes: IntArray
    ) -> BoolArray:
        """The same when the move also sends `more` and brings a download (never negative)."""
        slow, fast = 1 + self.uncertainty, 1 - self.uncertainty
        free = np.ones(len(device_ns), dtype=np.bool_)
        for device, server, upload in self._corners(more, at_device=0, at_server=1):
            free &= _never_positive(
                (server_ns, server * slow),
                (-device_ns, device * fast),
                *_sent(more, device, server, upload),
                (download_bytes, upload * self.box.download_per_upload[1]),
            )
        return free

    def moving_to_device_is_free(
        self, device_ns: IntArray, server_ns: IntArray, more: Sent, download_bytes: IntArray
    ) -> BoolArray:
        """The other way round; the download falls away."""
        slow, fast = 1 + self.uncertainty, 1 - self.uncertainty
        free = np.ones(len(device_ns), dtype=np.bool_)
        for device, server, upload in self._corners(more, at_device=1, at_server=0):
            free &= _never_positive(
                (device_ns, device * slow),
                (-server_ns, server * fast),
                *_sent(more, device, server, upload),
                (-download_bytes, upload * self.box.download_per_upload[0]),
            )
        return free

    def sends_no_more(self, more: Sent) -> BoolArray:
        """Do crossing tensors that add `more` cost nothing extra, everywhere in the bounds?"""
        if not (more.device_ns.any() or more.server_ns.any()):
            return more.wire_bytes <= 0
        free = np.ones(len(more.wire_bytes), dtype=np.bool_)
        for corner in self._corners(more, at_device=0, at_server=0):
            free &= _never_positive(*_sent(more, *corner))
        return free

    def sending_costs(self, sent: Sent) -> list[IntArray]:
        """What each amount costs to send, at each corner of the bounds: Python's integers, on a scale of the corner's own."""
        return [_total(*_sent(sent, *corner)) for corner in self._corners(sent, at_device=0, at_server=0)]

    def _corners(self, more: Sent, at_device: int, at_server: int) -> Iterator[tuple[Fraction, Fraction, Fraction]]:
        """Prices of device, server and upload that decide.

        at_device, at_server: which end of the range decides (0 low, 1 high) if codecs take no time there.
        """
        device = self.box.device if more.device_ns.any() else (self.box.device[at_device],)
        server = self.box.server if more.server_ns.any() else (self.box.server[at_server],)
        return product(device, server, self.box.upload)

    def _to_server(self, device_ns: IntArray, server_ns: IntArray) -> tuple[Term, Term]:
        more, less = 1 + self.uncertainty, 1 - self.uncertainty
        return (server_ns, self.box.server[1] * more), (-device_ns, self.box.device[0] * less)

    def _to_device(self, device_ns: IntArray, server_ns: IntArray) -> tuple[Term, Term]:
        more, less = 1 + self.uncertainty, 1 - self.uncertainty
        return (device_ns, self.box.device[1] * more), (-server_ns, self.box.server[0] * less)


def _sent(more: Sent, device: Fraction, server: Fraction, upload: Fraction) -> list[Term]:
    terms = [(more.wire_bytes, upload), (more.device_ns, device), (more.server_ns, server)]
    return [term for term in terms if term[0].any()] or terms[:1]


def _never_positive(*terms: Term) -> BoolArray:
    """Is the sum of amounts times factors at most 0?"""
    return np.asarray(_total(*terms) <= 0, dtype=np.bool_)


def _total(*terms: Term) -> IntArray:
    """The sum of amounts times factors, on a common scale: in Python's integers, of any size, where int64 might not hold it."""
    common = lcm(*(factor.denominator for _, factor in terms))
    whole = [(amounts, int(factor * common)) for amounts, factor in terms]
    largest = sum(int(np.abs(amounts).max(initial=0)) * abs(factor) for amounts, factor in whole)
    fits = largest < 2**63 and all(abs(factor) < 2**63 for _, factor in whole)
    total: IntArray = np.asarray(sum((amounts if fits else amounts.astype(np.object_)) * factor for amounts, factor in whole))
    return total
