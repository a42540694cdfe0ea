"""Check, from the placements alone, that they are all that is ever needed in a box of conditions.

What is believed here: the formulation (`network`) and its sections (`sections`), exact integer rays (`rays`), weak duality
(`certificate`, and where rows are bounded `bounded_certificate`). What is not: how the placements were found, any compression,
and the solver, whose every answer must carry the flows that prove it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import inf

from mincut.bound_tree import in_words, keeps
from mincut.errors import CertificateError
from mincut.lower_envelope import ALL_AXES, PriceBox, envelope_cone, price_axes
from mincut.oracle import Candidate, Limits, all_prices, make_parts
from mincut.problem import BoolArray, IntArray, Prices, Problem


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
    alternatives: Sequence[Problem] = (),
    limits: Limits | None = None,
    most_loss: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Proof:
    """Replay the theorem in `mincut.lower_envelope`: one certified minimum cut per ray.

    Args:
        placements: bool[n] each, at least one; "everything on the device" among them where it is allowed.
        codecs: for each placement which codec each tensor crosses under, int64[m]; None: the first.
        alternatives: as in `mincut.lower_envelope.envelope`; which codecs the placements use is then for the caller to check.
        limits: the bounded rows of the problem, and of each alternative.
        most_loss: what the best given placement may cost more than the cheapest allowed one, relative, where some were left out
            on purpose; None where none was. The `gap` of the proof is then what it does cost more at most, by the theorem in
            `mincut.table_choice`, and no price but that of offloading is left out, which would only overstate it.
        progress: called with (rays done, rays in all).

    Raises:
        CertificateError: a placement is not allowed, or a cheaper one exists; says at which prices.
    """
    for index, placement in enumerate(placements):
        violation = problem.violation(placement)
        if violation is not None:
            raise CertificateError(f"placement {index} is not allowed: {violation}")
    codecs = [None] * len(placements) if codecs is None else codecs
    known = [
        Candidate(placement, codec, problem.features(placement, codec))
        for placement, codec in zip(placements, codecs, strict=True)
    ]
    if limits is not None:
        bounds = limits(problem)
        over = next((i for i, each in enumerate(known) if not keeps(problem, bounds, each.on_device, each.codec)), None)
        if over is not None:
            raise CertificateError(f"placement {over} is not within its bounds: {in_words(bounds)}")
    parts = make_parts(problem, alternatives, limits)
    axes, allowed = (price_axes(problem), 0.0) if most_loss is None else (ALL_AXES, most_loss)
    cone, _ = envelope_cone(box, axes, [candidate.features for candidate in known])
    rays = [ray[:-1] for ray in cone.rays if any(ray[:-1])]
    checked, hidden = [], 0.0
    for done, ray in enumerate(rays):
        for part in parts:
            prices, least = part.certified(all_prices(ray, axes), known)
            best = min(candidate.features.cost(prices) for candidate in known)
            cheaper = (best - least) / least if least else inf if best else 0.0
            # Placements that tie at the ray itself may differ at its rounded prices, by no more than the gap says.
            if cheaper > allowed and cheaper > part.gap(ray, axes, known):
                raise CertificateError(f"at prices {tuple(prices)} a placement costs {least}, the best given one {best}")
            hidden = max(hidden, cheaper)
        checked.append(prices)
        if progress is not None:
            progress(done + 1, len(rays))
    gap = max((part.gap(ray, axes, known) for ray in rays for part in parts), default=0.0)
    return Proof(tuple(checked), hidden + gap if most_loss is None else _loss(hidden, gap))


def _loss(found: float, gap: float) -> float:
    """What placements lose at most that lost `found` at rounded prices. gap: see `mincut.oracle.rounding_gap`.

    With prices p = round(s w), E the cheapest given placement, V the optimum and g the gap, s V(w) >= V(p) - g s E(w) and
    s E(w) <= E(p) + g s E(w). So E(p) <= (1 + c) V(p) gives E(w) (1 - (2 + c) g) <= (1 + c) V(w).
    """
    hidden = (2 + found) * gap
    return (1 + found) / (1 - hidden) - 1 if hidden < 1 else inf
