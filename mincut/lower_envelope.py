"""Every optimal cut over a whole box of conditions, with a proof that there is no other.

Cost is linear in the prices, so the cost of the best placement is a concave function of the prices, the lower envelope of
one plane per placement. Let K be the cone of prices that the box allows and E the envelope of the placements known so far.

Theorem (Eisner & Severance 1976 in one dimension). If at every extreme ray of the cells of E over K the minimum cut costs
what E says, then E is the optimum everywhere in K. Proof: the optimum V is concave and V <= E. On one cell E is linear and
every point is a non-negative combination of the cell's rays w_i; V is concave and homogeneous, so V(sum a_i w_i) >=
sum a_i V(w_i) = sum a_i E(w_i) = E(sum a_i w_i). Hence V = E. QED

So: find the rays, solve a minimum cut at each, add any placement that beats E there, repeat until none does.

Fewer dimensions. (a) The offload price is paid by every placement but "everything on the device". Drop it: where the
relaxed optimum is another placement, that one is also the best of those that offload; where it is "everything on the
device", that stays best as the others only get dearer. So the exact answer is the better of "everything on the device"
and the relaxed best of the others, which the table of candidates contains. (b) If every op reaches every op that makes a
model output, all placements that offload download the same bytes; that too is a constant of offloading and drops out.
(c) Costs are homogeneous: only ratios of prices matter, so K is a cone and no price needs fixing to one.

With bounds on rows (`mincut.bounded`) fewer placements are allowed, each at the same cost. The theorem, (a), (b) and (c) speak
of the allowed ones, and hold.

With codecs a placement is a closed set and a codec for each tensor that crosses; encoding and decoding are device and server
time, so its cost is linear in the same prices and all of the above holds.

Rays are exact integers of any size; minimum cuts need int64, so each ray is scaled and rounded once, and the comparison at
the rounded prices is exact. What the rounding can hide is bounded rigorously and reported as `gap` (about 1e-9, relative).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm

import numpy as np

from mincut.bound_tree import keeps
from mincut.errors import MincutError
from mincut.network import smallest_device_side
from mincut.oracle import BoundedPart, Candidate, Limits, Part, all_prices, make_parts
from mincut.problem import ON_SERVER, BoolArray, Features, IntArray, Prices, Problem
from mincut.rays import RayCone, Vector, rank

Range = tuple[Fraction, Fraction]
UPLOAD, DOWNLOAD = 2, 3
ALL_AXES = (0, 1, UPLOAD, DOWNLOAD)
"""Every price but that of offloading."""


@dataclass(frozen=True)
class PriceBox:
    """Ranges of the prices, on any common scale.

    device, server, upload: positive ranges (low, high).
    download_per_upload: range of the ratio of the two prices, because both links usually vary together.
    The offload price may be anything from 0 up: by (a) above it does not matter.
    """

    device: Range
    server: Range
    upload: Range
    download_per_upload: Range

    def __post_init__(self) -> None:
        for field in ("device", "server", "upload", "download_per_upload"):
            low, high = getattr(self, field)
            if not 0 < low <= high:
                raise MincutError(f"range {field} must satisfy 0 < low <= high, got {low}..{high}")

    def rows(self, axes: tuple[int, ...]) -> list[Vector]:
        """The cone over the box as integer rows, row . prices[axes] >= 0.

        w is a multiple of a point of the box iff low_i w_j <= high_j w_i for all i, j: some scale s with
        low <= s w <= high exists iff max(low_i / w_i) <= min(high_j / w_j).
        """
        ranges = dict(enumerate((self.device, self.server, self.upload)))
        pairs = [(i, j) for i in ranges for j in ranges if i != j]
        rows = [_integer_row(axes, {i: ranges[j][1], j: -ranges[i][0]}) for i, j in pairs]
        if DOWNLOAD in axes:
            low, high = self.download_per_upload
            rows.append(_integer_row(axes, {DOWNLOAD: Fraction(1), UPLOAD: -low}))
            rows.append(_integer_row(axes, {DOWNLOAD: Fraction(-1), UPLOAD: high}))
        return rows


@dataclass(frozen=True, eq=False)
class Envelope:
    """All placements that can be optimal somewhere in the box, and the evidence.

    placements: bool[n] device sides, each the best somewhere in the box with the offload price left out, and "everything
        on the device" where allowed.
    codecs: int64[m] for each placement: which of its codecs each tensor crosses under; None where tensors have no codecs.
        One device side may be there several times, with other codecs.
    features: of each placement with its codecs.
    rays: the prices at which a minimum cut was checked, download and offload zero where they drop out.
    gap: proven bound on (known best - optimum) / optimum anywhere in the box; large if `complete` is False.
    solves: minimum cuts computed.
    complete: False if the budget of minimum cuts ran out first.
    """

    placements: tuple[BoolArray, ...]
    codecs: tuple[IntArray | None, ...]
    features: tuple[Features, ...]
    rays: tuple[Prices, ...]
    gap: float
    solves: int
    complete: bool


def envelope(
    problem: Problem,
    box: PriceBox,
    *,
    alternatives: Sequence[Problem] = (),
    limits: Limits | None = None,
    most_solves: int = 20_000,
    progress: Callable[[int, int], None] | None = None,
) -> Envelope:
    """Compute the envelope.

    Args:
        alternatives: problems like this one that forbid some codecs (see `mincut.codecs.without`), if a placement is allowed
            when one of them allows it. The optimum is then the least of theirs: a minimum of concave functions, so the
            theorem holds as it stands with the cheapest of their minimum cuts at each ray.
        limits: the bounded rows of the problem, and of each alternative to it; None: none. See `mincut.oracle`.
        most_solves: budget of minimum cuts; when it runs out the result says `complete=False`.
        progress: called with (rays checked, rays known).

    Raises:
        InfeasibleError: no placement is allowed, or none within the limits.
    """
    parts = make_parts(problem, alternatives, limits)
    axes = price_axes(problem)
    known = _first_placements(problem, parts, limits)
    cone, box_row_count = envelope_cone(box, axes, [candidate.features for candidate in known])
    checked: dict[Vector, Prices] = {}
    solves = 0
    while solves < most_solves:
        ray = next((ray for ray in cone.rays if any(ray[:-1]) and ray[:-1] not in checked), None)
        if ray is None:
            break
        better = None
        for part in parts:
            prices, placement = part.cheapest(all_prices(ray[:-1], axes), known)
            solves += 1
            if placement.cost < min(candidate.features.cost(prices) for candidate in known):
                better = placement
                break
        if better is not None:
            # Under the codecs of `problem` itself, of which an alternative only forbids some.
            features = problem.features(better.on_device, better.codec)
            known.append(Candidate(better.on_device, better.codec, features))
            cone.add(_cut_row(features, axes))
        else:
            checked[ray[:-1]] = prices
        if progress is not None:
            progress(len(checked), len(cone.rays) - 1)
    final = [ray for ray in cone.rays if any(ray[:-1])]
    gaps = [
        max(part.gap(ray[:-1], axes, known) for part in parts)
        if ray[:-1] in checked
        else _open_gap(ray[:-1], axes, [candidate.features for candidate in known], [part.optima for part in parts])
        for ray in final
    ]
    needed = _needed(cone, final, box_row_count, known, problem)
    return Envelope(
        tuple(known[index].on_device for index in needed),
        tuple(known[index].codec for index in needed),
        tuple(known[index].features for index in needed),
        tuple(checked[ray[:-1]] for ray in final if ray[:-1] in checked),
        max(gaps, default=0.0),
        solves,
        all(ray[:-1] in checked for ray in final),
    )


def downloads_are_constant(problem: Problem) -> bool:
    """Does every op reach every op that makes a model output? Then all offloading placements download the same bytes."""
    makers = np.flatnonzero(problem.download_bytes)
    if len(makers) > 1:
        return False  # two different ops cannot reach each other
    if len(makers) == 0:
        return True
    # A walk from reader to reader ends at an op without readers, and such an op reaches no other.
    ends = np.setdiff1d(np.arange(problem.op_count), problem.producer)
    return bool((ends == makers).all())


def _first_placements(problem: Problem, parts: Sequence[Part | BoundedPart], limits: Limits | None) -> list[Candidate]:
    sides = [smallest_device_side(problem)]
    everything = np.ones(problem.op_count, dtype=np.bool_)
    if not (problem.pinned == ON_SERVER).any() and not sides[0].all():
        sides.append(everything)
    codec = None if problem.codecs is None else np.zeros(problem.tensor_count, dtype=np.int64)
    simple = [(side, codec) for side in sides]
    if limits is not None:
        bounds = limits(problem)
        simple = [each for each in simple if keeps(problem, bounds, *each)]
        simple += [part.first[:2] for part in parts if isinstance(part, BoundedPart)]
    candidates = [Candidate(*each, problem.features(*each)) for each in simple]
    return list({candidate.features: candidate for candidate in reversed(candidates)}.values())[::-1]


def price_axes(problem: Problem) -> tuple[int, ...]:
    """The prices that matter for the envelope, by (a) and (b) above."""
    return (0, 1, UPLOAD) if downloads_are_constant(problem) else ALL_AXES


def envelope_cone(box: PriceBox, axes: tuple[int, ...], features: Sequence[Features]) -> tuple[RayCone, int]:
    """The cone {(w, t) : w in K, t <= f . w for each f}; its rays with w != 0 are the rays of the envelope's cells.

    Returns:
        (cone, number of rows that describe the box). Its rows are: w >= 0, the first placement, the box, the others.
    """
    dimensions = len(axes)
    unit = [tuple(int(i == j) for j in range(dimensions + 1)) for i in range(dimensions)]
    rays: list[Vector] = [(*row[:-1], features[0][axis]) for row, axis in zip(unit, axes, strict=True)]
    rays.append((*(0 for _ in axes), -1))
    cone = RayCone([*unit, _cut_row(features[0], axes)], rays)
    box_rows = box.rows(axes)
    cone.add_all((*row, 0) for row in box_rows)
    cone.add_all(_cut_row(others, axes) for others in features[1:])
    return cone, len(box_rows)


def _cut_row(features: Features, axes: tuple[int, ...]) -> Vector:
    return (*(features[axis] for axis in axes), -1)


def _needed(
    cone: RayCone,
    final: list[Vector],
    box_row_count: int,
    known: list[Candidate],
    problem: Problem,
) -> list[int]:
    """Placements whose cell is as large as the box itself, and "everything on the device".

    A placement that is best only on a lower-dimensional face is never better than its neighbours there.
    """
    dimensions = len(final[0]) - 1 if final else 0
    first_row = dimensions  # the rows are: unit rows, first placement, box rows, further placements

    def placement_of(row: int) -> int | None:
        if row == first_row:
            return 0
        later = row - (dimensions + 1 + box_row_count)
        return later + 1 if later >= 0 else None

    best_at: dict[int, list[Vector]] = {}
    for ray in final:
        for row in cone.tight_rows(ray):
            placement = placement_of(row)
            if placement is not None:
                best_at.setdefault(placement, []).append(ray[:-1])
    whole = rank(ray[:-1] for ray in final)
    needed = {placement for placement, rays in best_at.items() if rank(rays) == whole}
    needed |= {index for index, candidate in enumerate(known) if candidate.on_device.all() and problem.op_count}
    return sorted(needed)


def _open_gap(
    ray: Vector, axes: tuple[int, ...], known: Sequence[Features], optima: Sequence[Sequence[tuple[Prices, int]]]
) -> float:
    """What the best known placement may be above the optimum at a ray where no minimum cut was computed, relative.

    Costs do not fall when prices rise, and scale with them: from the optimum V(p) at other prices follows
    V(w) >= V(share p) = share V(p) for the largest share with share p <= w. Of several alternatives the least counts.

    optima: for each alternative the minimum cuts computed.
    """
    weights = all_prices(ray, axes)
    best = min(features.cost(weights) for features in known)

    def share(prices: Prices) -> Fraction:
        return min((Fraction(weights[axis], prices[axis]) for axis in axes if prices[axis]), default=Fraction(0))

    bound = min(max((share(prices) * optimum for prices, optimum in found), default=Fraction(0)) for found in optima)
    if best == 0:
        return 0.0
    return float(best / bound - 1) if bound else float("inf")


def _integer_row(axes: tuple[int, ...], entries: dict[int, Fraction]) -> Vector:
    common = lcm(*(entry.denominator for entry in entries.values()))
    return tuple(int(entries.get(axis, Fraction(0)) * common) for axis in axes)
