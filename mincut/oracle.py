"""The cheapest allowed placement at given prices, with a proof: all that an envelope has to ask, with bounds or without.

What each allowed placement costs is linear in the prices, whichever placements are allowed. So the theorem in
`mincut.lower_envelope` holds for those within bounds (`mincut.bounded`) as it does for all: it needs no more than this answer.
Both kinds of answer are given by one noun each, `Part` and `BoundedPart`, with the same functions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import NamedTuple

from mincut.bound_tree import Bound, Bounded, keeps
from mincut.bounded import solve_bounded
from mincut.bounded_certificate import certify_bounded
from mincut.certificate import certify_sections
from mincut.errors import InfeasibleError
from mincut.network import Network, build
from mincut.placement import Placement
from mincut.problem import BoolArray, Features, IntArray, Prices, Problem
from mincut.rays import Vector
from mincut.rows import Row, combined, feature_rows
from mincut.scaling import fit_prices, fitting_scale, simple_placements
from mincut.section_solver import solve_sections
from mincut.sections import Sections, cut_at_joints

Limits = Callable[[Problem], Sequence[Bound]]
"""The bounded rows of a problem, or of an alternative to it, whose forms add other amounts."""


class Candidate(NamedTuple):
    """A device side (bool[n]), the codec of each tensor (int64[m], None where there are none), and what both use."""

    on_device: BoolArray
    codec: IntArray | None
    features: Features


@dataclass(frozen=True, eq=False)
class Part:
    """One alternative of a problem, or the problem itself.

    simple: what the placements that need no search use.
    own: what the known placements use under this part's codecs, filled in as they are needed; they are allowed here, while
        under the codecs of the whole problem a known placement may be cheaper than all that is allowed here.
    optima: the minimum cuts computed, as (prices, cost).
    """

    sections: Sections
    simple: list[Features]
    own: list[Features]
    optima: list[tuple[Prices, int]]

    def cheapest(self, weights: Vector, known: Sequence[Candidate]) -> tuple[Prices, Placement]:
        """The cheapest placement of this part, and the prices, as fine as what is known in this part allows."""
        features = [*self.simple, *self._features(known)]
        prices = fit_prices(weights, features)
        placement = solve_sections(self.sections, prices, min(each.cost(prices) for each in features))
        self.optima.append((prices, placement.cost))
        return prices, placement

    def gap(self, ray: Vector, axes: tuple[int, ...], known: Sequence[Candidate]) -> float:
        """See `rounding_gap`."""
        own = [*self.simple, *self._features(known)]
        return rounding_gap(self.sections.problem, ray, axes, own, [candidate.features for candidate in known])

    def certified(self, weights: Vector, known: Sequence[Candidate]) -> tuple[Prices, int]:
        """What the cheapest placement costs, after its proof was checked. Raises CertificateError."""
        prices, placement = self.cheapest(weights, known)
        certify_sections(self.sections, placement)
        return prices, placement.cost

    def _features(self, known: Sequence[Candidate]) -> list[Features]:
        for candidate in known[len(self.own) :]:
            self.own.append(self.sections.problem.features(candidate.on_device, candidate.codec))
        return self.own


@dataclass(frozen=True, eq=False)
class BoundedPart:
    """The same where placements have to keep within bounds.

    network: of the part's problem. rows: its features. first: a placement within the bounds.
    own: that one, and the known placements that are within the bounds of this part, under its codecs; `looked_at` of them were
        tried. checks: for each ray how many of `own` the prices were scaled by, and what the search left open, relative.
    """

    network: Network
    bounds: Sequence[Bound]
    rows: Sequence[Row]
    first: Candidate
    own: list[Candidate]
    optima: list[tuple[Prices, int]] = field(default_factory=list)
    looked_at: list[Candidate] = field(default_factory=list)
    checks: dict[Vector, tuple[int, float]] = field(default_factory=dict)

    def cheapest(self, weights: Vector, known: Sequence[Candidate]) -> tuple[Prices, Bounded]:
        """As `Part.cheapest`; prices are as fine as what is known within the bounds allows."""
        self._look_at(known)
        prices = fit_prices(weights, [candidate.features for candidate in self.own])
        best = min(self.own, key=lambda candidate: candidate.features.cost(prices))
        found = solve_bounded(self.network, self._cost(prices), self.bounds, known=[best[:2]])
        self.optima.append((prices, found.at_least))
        self.checks[weights] = len(self.own), found.gap
        return prices, found

    def gap(self, ray: Vector, axes: tuple[int, ...], known: Sequence[Candidate]) -> float:
        """See `rounding_gap`; a search that was left unfinished hides what it says, besides."""
        count, unfinished = self.checks[all_prices(ray, axes)]
        own = [candidate.features for candidate in self.own[:count]]
        hidden = rounding_gap(self.network.problem, ray, axes, own, [candidate.features for candidate in known])
        return hidden + unfinished * (1 + hidden)

    def certified(self, weights: Vector, known: Sequence[Candidate]) -> tuple[Prices, int]:
        """As `Part.certified`."""
        prices, found = self.cheapest(weights, known)
        certify_bounded(self.network, self._cost(prices), self.bounds, found)
        return prices, found.cost

    def _cost(self, prices: Prices) -> Row:
        return combined("cost", self.rows, prices)

    def _look_at(self, known: Sequence[Candidate]) -> None:
        problem = self.network.problem
        for candidate in known[len(self.looked_at) :]:
            self.looked_at.append(candidate)
            if keeps(problem, self.bounds, candidate.on_device, candidate.codec):
                features = problem.features(candidate.on_device, candidate.codec)
                self.own.append(candidate._replace(features=features))


def make_parts(
    problem: Problem, alternatives: Sequence[Problem], limits: Limits | None = None
) -> list[Part] | list[BoundedPart]:
    """The alternatives, or the problem itself where there are none.

    Raises:
        InfeasibleError: no placement is allowed, or none within the limits.
    """
    if limits is not None:
        return _bounded_parts(alternatives or [problem], limits)
    cut = [cut_at_joints(part) for part in (alternatives or [problem])]
    return [Part(sections, simple_placements(sections.problem, sections.feasible), [], []) for sections in cut]


def _bounded_parts(problems: Sequence[Problem], limits: Limits) -> list[BoundedPart]:
    parts: list[BoundedPart] = []
    refused: InfeasibleError | None = None
    for problem in problems:
        network, bounds, rows = build(problem), limits(problem), feature_rows(problem)
        # At any prices at which no placement costs too much.
        everything = Features(*(_total(row) for row in rows))
        cost = combined("cost", rows, fit_prices((1, 1, 1, 1, 0), [everything]))
        try:
            found = solve_bounded(network, cost, bounds)
        except InfeasibleError as error:
            refused = error
            continue
        first = _candidate(problem, found)
        parts.append(BoundedPart(network, bounds, rows, first, [first]))
    if not parts and refused is not None:
        raise refused
    return parts


def _candidate(problem: Problem, found: Bounded) -> Candidate:
    return Candidate(found.on_device, found.codec, problem.features(found.on_device, found.codec))


def _total(row: Row) -> int:
    return sum(int(array.sum(dtype=object)) for array in (row.on_device, row.on_server, row.crossing)) + row.once


def rounding_gap(
    problem: Problem, ray: Vector, axes: tuple[int, ...], own: Sequence[Features], known: Sequence[Features]
) -> float:
    """Bound on what rounding the prices at a ray can hide, relative to the best of the known placements there.

    own: features of placements allowed in this problem, which the prices were scaled by. known: of all known ones.

    With p = round(s w): for a placement S cheaper than E(w), s T(S, w) >= T(S, p) - sum F_i(S) / 2 >= E(p) - ..., so
    T(S, w) >= E(w) - sum (F_i(S) + F_i(best)) / 2s; and F_i <= min(total_i, E(w) / w_i) for both.
    """
    weights = all_prices(ray, axes)
    prices = fit_prices(weights, own)
    best = min(features.cost(weights) for features in known)
    if best == 0:
        return 0.0
    forms = problem.forms
    totals = (
        int(problem.device_ns.sum()) + int(forms.device_ns.sum()),
        int(problem.server_ns.sum()) + int(forms.server_ns.sum()),
        int(forms.wire_bytes.sum()),
        int(problem.download_bytes.sum()),
    )
    scale = fitting_scale(weights, own)
    hidden = Fraction(0)
    for axis in axes:
        most = Fraction(totals[axis])
        if weights[axis]:
            most = min(most, Fraction(best, weights[axis]))
        hidden += abs(prices[axis] - scale * weights[axis]) * most / scale
    return float(2 * hidden / best)


def all_prices(weights: Vector, axes: tuple[int, ...]) -> Vector:
    """Weights of the five features from those on some axes; the others are zero."""
    full = [0, 0, 0, 0, 0]
    for axis, weight in zip(axes, weights, strict=True):
        full[axis] = weight
    return tuple(full)
