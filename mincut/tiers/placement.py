"""What the solver for tiers answers."""

from __future__ import annotations

from dataclasses import dataclass

from mincut.problem import IntArray
from mincut.tiers.problem import TierFeatures, TierPrices


@dataclass(frozen=True, eq=False)
class TierPlacement:
    """One cheapest placement and the evidence that it is one.

    tier: int64[n]. Among equally cheap placements, the one with every op as far from tier 0 as any of them has it (minimum
        cuts form a lattice).
    codecs: of each link, int64[m], which of its codecs each tensor crosses under if it crosses; None where tensors have none.
    features, cost: of this placement under `prices`; cost == features.cost(prices), exact.
    arc_flow: int64[A], terminal_flow: int64[N]: a maximum flow, worth `cost`, as in `mincut.placement.Placement`.
    """

    tier: IntArray
    codecs: tuple[IntArray | None, ...]
    features: TierFeatures
    prices: TierPrices
    cost: int
    arc_flow: IntArray
    terminal_flow: IntArray
