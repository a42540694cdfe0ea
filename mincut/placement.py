"""What a solver answers."""

from __future__ import annotations

from dataclasses import dataclass

from mincut.problem import BoolArray, Features, IntArray, Prices


@dataclass(frozen=True, eq=False)
class Placement:
    """One cheapest placement and the evidence that it is one.

    on_device: bool[n]. Among equally cheap placements, the one with the fewest ops on the device (it is unique: minimum
        cuts form a lattice).
    codec: int64[m], which of its codecs each tensor crosses under if it crosses; None where tensors have no codecs.
    features, cost: of this placement under `prices`; cost == features.cost(prices), exact.
    arc_flow: int64[A], net flow over each arc of the network (antisymmetric within a pair), together with
    terminal_flow: int64[N], flow taken from the source (positive) or given to the sink (negative) at each node, beyond the
        constant: a maximum flow, worth `cost`, which proves that nothing is cheaper (Ford & Fulkerson 1956).
    """

    on_device: BoolArray
    codec: IntArray | None
    features: Features
    prices: Prices
    cost: int
    arc_flow: IntArray
    terminal_flow: IntArray
