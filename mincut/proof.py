"""Check, from the placements alone, that they are all that is ever needed in a box of conditions.

What is believed here: the formulation (`network`), exact integer rays (`rays`), weak duality (`certificate`). What is not:
how the placements were found, any compression, and the solver, whose every answer must carry a flow that proves it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mincut.certificate import certify
from mincut.envelope import PriceBox, all_prices, envelope_cone, price_axes, rounding_gap, scaled_prices
from mincut.errors import CertificateError
from mincut.network import build
from mincut.problem import BoolArray, IntArray, Prices, Problem
from mincut.solver import solve


@dataclass(frozen=True)
class Proof:
    """No placement is cheaper than the best of the given ones, anywhere in the box, by more than `gap` (relative).

    rays: the prices at which a minimum cut was certified; they span every cell of the envelope.
    """

    rays: tuple[Prices, ...]
    gap: float


def prove(
    problem: Problem,
    box: PriceBox,
    placements: Sequence[BoolArray],
    codecs: Sequence[IntArray | None] | None = None,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Proof:
    """Replay the theorem in `mincut.envelope`: one certified minimum cut per ray.

    Args:
        placements: bool[n] each, at least one; "everything on the device" among them where it is allowed.
        codecs: for each placement which codec each tensor crosses under, int64[m]; None: the first.
        progress: called with (rays done, rays in all).

    Raises:
        CertificateError: a placement is not allowed, or a cheaper one exists; says at which prices.
    """
    for index, placement in enumerate(placements):
        violation = problem.violation(placement)
        if violation is not None:
            raise CertificateError(f"placement {index} is not allowed: {violation}")
    network, axes = build(problem), price_axes(problem)
    codecs = [None] * len(placements) if codecs is None else codecs
    features = [problem.features(placement, codec) for placement, codec in zip(placements, codecs, strict=True)]
    cone, _ = envelope_cone(box, axes, features)
    rays = [ray[:-1] for ray in cone.rays if any(ray[:-1])]
    checked = []
    for done, ray in enumerate(rays):
        prices = scaled_prices(network, all_prices(ray, axes), features)
        known = min(candidate.cost(prices) for candidate in features)
        cheapest = solve(network, prices, known_cost=known)
        certify(network, cheapest)
        if cheapest.cost < known:
            raise CertificateError(f"at prices {tuple(prices)} a placement costs {cheapest.cost}, the best given one {known}")
        checked.append(prices)
        if progress is not None:
            progress(done + 1, len(rays))
    return Proof(tuple(checked), max((rounding_gap(network, ray, axes, features) for ray in rays), default=0.0))
