"""Prices of any numbers as integers for one network, as fine as a minimum cut allows."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from mincut.network import Network
from mincut.problem import Prices
from mincut.scaling import fit_prices, simple_placements


def scaled_prices(network: Network, weights: Sequence[int | Fraction | float]) -> Prices:
    """Integer prices proportional to the five weights up to rounding; what needs no search sets the scale."""
    return fit_prices(weights, simple_placements(network.problem, network.feasible))
