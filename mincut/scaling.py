"""Prices given as any numbers, as integers that minimum cuts in int64 can work with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import lcm

import numpy as np

from mincut.problem import ON_SERVER, BoolArray, Features, Prices, Problem

# Costs must stay below 2^60; the cheapest known placement is put just under it, which leaves about nine digits to prices.
SCALED_COST = 2**59
SCALE_OF_A_FREE_PLACEMENT = 2**40


def fit_prices(weights: Sequence[int | Fraction | float], candidates: Iterable[Features]) -> Prices:
    """Integer prices proportional to `weights` up to rounding, as fine as int64 minimum cuts allow.

    Args:
        weights: five non-negative numbers. candidates: features of some allowed placements, at least one.
    """
    scale = fitting_scale(weights, candidates)
    return Prices(*(round(weight * scale) for weight in weights))


def fitting_scale(weights: Sequence[int | Fraction | float], candidates: Iterable[Features]) -> Fraction:
    """The factor between weights and prices."""
    exact = [Fraction(weight) for weight in weights]
    # On a common denominator, so that candidates are weighed in integers.
    common = lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * common) for weight in exact]
    cheapest = min(features.cost(whole) for features in candidates)
    # A free placement leaves no scale to choose from: the weights alone decide.
    return Fraction(SCALED_COST * common, cheapest) if cheapest > 0 else SCALE_OF_A_FREE_PLACEMENT / max(*exact, Fraction(1))


def fine_prices(weights: Sequence[float], cheapest: float, negligible: float) -> Prices | None:
    """Integer prices whose rounding hides less than is negligible, None if those that int64 has room for are too coarse.

    If rounding changes each price by a share of at most e, it changes every cost by no more, so what is cheapest afterwards
    is within 2 e / (1 - e) of the optimum.

    Args:
        weights: five non-negative numbers. cheapest: what the cheapest known placement costs by them.
        negligible: the largest relative excess that does not matter, much smaller than 1.
    """
    if cheapest <= 0:
        return None
    scale = SCALED_COST / cheapest
    prices = Prices(*(round(weight * scale) for weight in weights))
    coarse = (
        abs(price - weight * scale) > negligible / 4 * weight * scale for price, weight in zip(prices, weights, strict=True)
    )
    return None if any(coarse) else prices


def simple_placements(problem: Problem, feasible: BoolArray) -> list[Features]:
    """Features of the placements that need no search: as little as possible on the device, and everything there."""
    candidates = [problem.features(feasible)]
    if not (problem.pinned == ON_SERVER).any():
        candidates.append(problem.features(np.ones(problem.op_count, dtype=np.bool_)))
    return candidates
