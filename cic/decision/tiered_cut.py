"""One way to split a model over machines in a row: what each machine and each link has to do, and which ops run where."""

from __future__ import annotations

from cic.decision.frozen import Frozen
from cic.decision.objective import BITS_PER_BYTE, NS_PER_S

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_TIERS = 10
"""Each op has a digit for its tier."""


class TieredConditions(Frozen):
    """The links right now, from the device outwards: bandwidths in bit/s, round trips in s; slowdowns are of the tiers."""

    __slots__ = ("downlink_bps", "rtt_s", "slowdowns", "uplink_bps")
    uplink_bps: tuple[float, ...]
    downlink_bps: tuple[float, ...]
    rtt_s: tuple[float, ...]
    slowdowns: tuple[float, ...]


class TieredCut(Frozen):
    """A model split over tiers.

    id: names the emitted parts. tier_of: a digit for each op, in graph order: the tier that runs it.
    tier_ns: what the ops of each tier take. upload_bytes, download_bytes: what goes over each link, outwards and back.
    """

    __slots__ = ("download_bytes", "id", "tier_ns", "tier_of", "upload_bytes")
    id: str
    tier_of: str
    tier_ns: tuple[int, ...]
    upload_bytes: tuple[int, ...]
    download_bytes: tuple[int, ...]

    @property
    def links(self) -> int:
        """How many links are used: one less than the tiers up to the last that runs an op."""
        # Searched for in C: a decision asks this of every cut, and a network has a thousand ops.
        return next((tier for tier in range(len(self.upload_bytes), 0, -1) if str(tier) in self.tier_of), 0)

    def ops(self, tier: int) -> list[int]:
        """Places in the graph of the ops of a tier, in order."""
        return [place for place, digit in enumerate(self.tier_of) if int(digit) == tier]

    def terms(self, at: TieredConditions) -> list[float]:
        """Predicted seconds that add up to the latency: of each tier, and after each but the last those of its link."""
        spent = []
        for tier, time_ns in enumerate(self.tier_ns):
            spent.append(at.slowdowns[tier] * time_ns / NS_PER_S)
            if tier < len(self.upload_bytes):
                up = BITS_PER_BYTE * self.upload_bytes[tier] / at.uplink_bps[tier]
                down = BITS_PER_BYTE * self.download_bytes[tier] / at.downlink_bps[tier]
                spent.append(up + down + (at.rtt_s[tier] if tier < self.links else 0.0))
        return spent

    def latency_s(self, at: TieredConditions) -> float:
        """Predicted end-to-end seconds."""
        return sum(self.terms(at))

    def share(self, machines: Sequence[str]) -> str:
        """For people: how many ops each machine runs."""
        counts = [self.tier_of.count(str(tier)) for tier in range(len(machines))]
        return ", ".join(f"{count} ops on {machine}" for count, machine in zip(counts, machines, strict=True) if count)
