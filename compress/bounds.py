"""What a rule may assume about costs: the box of conditions and how far measured op times may be off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import product

from mincut.envelope import PriceBox


@dataclass(frozen=True)
class Bounds:
    """A rule fires only if its condition holds for all prices in `box` and all op times within `1 ± uncertainty`.

    So the reduced problem stays exact for every such profile, not only for the one at hand.

    box: ranges of the prices.
    uncertainty: relative, 0 <= uncertainty < 1.
    """

    box: PriceBox
    uncertainty: Fraction = Fraction(0)

    def device_is_never_faster(self, device_ns: int, server_ns: int) -> bool:
        """Does running on the server cost at most what running on the device costs, everywhere in the bounds?"""
        device = self.box.device[0] * device_ns * (1 - self.uncertainty)
        server = self.box.server[1] * server_ns * (1 + self.uncertainty)
        return device >= server

    def server_is_never_faster(self, device_ns: int, server_ns: int) -> bool:
        """The other way round."""
        device = self.box.device[1] * device_ns * (1 + self.uncertainty)
        server = self.box.server[0] * server_ns * (1 - self.uncertainty)
        return server >= device

    def corners(self) -> Iterator[tuple[Fraction, Fraction, Fraction, Fraction]]:
        """Prices (device, server, upload, download) at the corners of the box.

        A linear condition that holds at all corners holds in the whole box.
        """
        for device, server, upload, ratio in product(
            self.box.device, self.box.server, self.box.upload, self.box.download_per_upload
        ):
            yield device, server, upload, upload * ratio
