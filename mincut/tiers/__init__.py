"""More than two machines in a row (device, edge, cloud, …): one minimum cut gives every op its tier.

Tiers are numbered from 0, where the model's inputs are; link k joins tiers k and k + 1. An op runs on a tier that is at least
that of each of its producers. Two ops, three tiers; the second op is 30 times as fast on the last tier:

>>> from mincut.tiers import TierPrices, build_tiers, certify_tiers, make_tiers, solve_tiers
>>> times = [[4, 90], [4, 60], [3, 3]]
>>> problem = make_tiers(times, [(-1, [0], 10), (0, [1], 2)], download_bytes=[0, 1])
>>> network = build_tiers(problem)
>>> prices = TierPrices(tier=(1, 1, 1), upload=(5, 1), download=(5, 1), round_trip=(20, 9))
>>> placement = solve_tiers(network, prices)
>>> placement.tier.tolist(), placement.cost  # 4 + 3 for computing, 3 bytes over each link, and both round trips
([0, 2], 54)
>>> certify_tiers(network, placement)  # by a flow that is worth as much
"""

from __future__ import annotations

from mincut.tiers.certificate import certify_tiers
from mincut.tiers.envelope import TierBox, TierCandidate, TierEnvelope, tier_envelope
from mincut.tiers.network import TierNetwork, build_tiers
from mincut.tiers.placement import TierPlacement
from mincut.tiers.problem import TierFeatures, TierPrices, TierProblem, first_tiers, make_tiers
from mincut.tiers.solver import solve_tiers

__all__ = [
    "TierBox", "TierCandidate", "TierEnvelope", "TierFeatures", "TierNetwork", "TierPlacement", "TierPrices", "TierProblem",
    "build_tiers", "certify_tiers", "first_tiers", "make_tiers", "solve_tiers", "tier_envelope",
]  # fmt: skip
