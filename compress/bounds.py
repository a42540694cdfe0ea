"""What a rule may assume about costs: the box of conditions and how far measured op times may be off."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from mincut.lower_envelope import PriceBox
from mincut.problem import BoolArray, IntArray

Term = tuple[IntArray, Fraction]


@dataclass(frozen=True)
class Bounds:
    """A rule fires only if its condition holds for all prices in `box` and all op times within `1 ± uncertainty`.

    So the reduced problem stays exact for every such profile, not only for the one at hand. Its four questions are each
    answered for many ops at once, bool[n] for amounts int64[n], and exactly.

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
        self, device_ns: IntArray, server_ns: IntArray, more_bytes: IntArray, download_bytes: IntArray
    ) -> BoolArray:
        """The same when the move also sends `more_bytes` (of either sign) and brings a download (never negative).

        The worst case is found without going through the corners of the box: the prices of device and server and the ratio
        of the links are each in one term, whose sign is known; what is left is linear in the upload price, so the dearer of
        its two ends decides.
        """
        ratio, compute = self.box.download_per_upload[1], self._to_server(device_ns, server_ns)
        slow, fast = (
            _never_positive(*compute, (more_bytes, upload), (download_bytes, upload * ratio)) for upload in self.box.upload
        )
        return slow & fast

    def moving_to_device_is_free(
        self, device_ns: IntArray, server_ns: IntArray, more_bytes: IntArray, download_bytes: IntArray
    ) -> BoolArray:
        """The other way round; the download falls away."""
        ratio, compute = self.box.download_per_upload[0], self._to_device(device_ns, server_ns)
        slow, fast = (
            _never_positive(*compute, (more_bytes, upload), (-download_bytes, upload * ratio)) for upload in self.box.upload
        )
        return slow & fast

    def _to_server(self, device_ns: IntArray, server_ns: IntArray) -> tuple[Term, Term]:
        more, less = 1 + self.uncertainty, 1 - self.uncertainty
        return (server_ns, self.box.server[1] * more), (-device_ns, self.box.device[0] * less)

    def _to_device(self, device_ns: IntArray, server_ns: IntArray) -> tuple[Term, Term]:
        more, less = 1 + self.uncertainty, 1 - self.uncertainty
        return (device_ns, self.box.device[1] * more), (-server_ns, self.box.server[0] * less)


def _never_positive(*terms: Term) -> BoolArray:
    """Is the sum of amounts times factors at most 0? In Python's integers, which hold products of any size."""
    common = lcm(*(factor.denominator for _, factor in terms))
    total = sum(amounts.astype(np.object_) * int(factor * common) for amounts, factor in terms)
    return np.asarray(total <= 0, dtype=np.bool_)
