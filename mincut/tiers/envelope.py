"""Every placement on tiers that can be optimal for any bandwidths of the links, with a proof that there is no other.

All times stand still, and so does what a download costs relative to an upload over the same link; then the cost of a placement
is linear in one price for each link and one for all times. `mincut.lower_envelope` proves that its lower envelope is complete
once a minimum cut at each ray of its cells costs what the known placements do; the same holds here, with a price a link in
place of its five.

Round trips drop out. A link is used only if all links before it are. So the optimum at any round trips is the least, over the
number j of links, of the cheapest placement that uses at most the first j, plus the round trips of these j. (One that uses
fewer costs less than this sum says, and stands among those of a smaller j as it is.) The cheapest placement on the first j + 1
tiers does not depend on round trips, so the table holds the envelope of the first 1, 2, … T tiers each, without round trips.

Downloads drop out, too, where every op reaches the only op that makes outputs: then whoever uses a link downloads the same
bytes over it, a constant of using it as the round trip is. They are left out, and the table holds for any downlinks.

Let e be the greatest relative error of a price after rounding at a ray, where all prices are positive. Then rounding changes
the cost of any placement by a share of at most e, so the best known one costs at most (1 + e) / (1 - e) times the optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import NamedTuple

import numpy as np

from mincut.errors import MincutError
from mincut.lower_envelope import Range, downloads_are_constant
from mincut.problem import ON_SERVER, IntArray
from mincut.rays import RayCone, Vector, rank
from mincut.tiers.certificate import certify_tiers
from mincut.tiers.network import TierNetwork, build_tiers, simple_tiers
from mincut.tiers.placement import TierPlacement
from mincut.tiers.problem import TierFeatures, TierPrices, TierProblem, first_tiers
from mincut.tiers.solver import solve_tiers

# Costs must stay below 2^60; the cheapest known placement is put just under it.
_SCALED_COST = 2**59


@dataclass(frozen=True)
class TierBox:
    """upload: of each link the range of the price of a byte, in prices of a nanosecond, which is the same on all tiers.

    download_per_upload: of each link the ratio of its two prices; 0: downloads cost nothing.

    Raises:
        MincutError: a range is not positive, a ratio is negative, or there are not as many of one as of the other.
    """

    upload: tuple[Range, ...]
    download_per_upload: tuple[Fraction, ...]

    def __post_init__(self) -> None:
        if len(self.upload) != len(self.download_per_upload):
            raise MincutError(f"there are {len(self.upload)} ranges of prices and {len(self.download_per_upload)} ratios")
        for link, ((low, high), ratio) in enumerate(zip(self.upload, self.download_per_upload, strict=True)):
            if not (0 < low <= high and ratio >= 0):
                raise MincutError(
                    f"link {link} must have 0 < low <= high and a ratio of at least 0, got {low}..{high}, {ratio}"
                )

    def first(self, links: int) -> TierBox:
        return TierBox(self.upload[:links], self.download_per_upload[:links])

    def rows(self) -> list[Vector]:
        """The cone over the box as integer rows, row . (price of time, price of each link) >= 0."""
        rows = []
        for link, (low, high) in enumerate(self.upload):
            for time, byte in ((-low, Fraction(1)), (high, Fraction(-1))):
                common = lcm(time.denominator, byte.denominator)
                row = [int(time * common), *[0] * len(self.upload)]
                row[1 + link] = int(byte * common)
                rows.append(tuple(row))
        return rows

    def prices(self, ray: Sequence[int], scale: Fraction) -> TierPrices:
        """Integer prices at a ray (price of time, price of each link), without round trips."""
        bytes_up = [Fraction(price) for price in ray[1:]]
        back = [price * ratio for price, ratio in zip(bytes_up, self.download_per_upload, strict=True)]
        return TierPrices(
            (round(ray[0] * scale),) * len(ray),
            tuple(round(price * scale) for price in bytes_up),
            tuple(round(price * scale) for price in back),
            (0,) * len(bytes_up),
        )

    def amounts(self, features: TierFeatures) -> list[Fraction]:
        """What a placement uses at the price of time and at that of each link."""
        moved = zip(features.upload_bytes, features.download_bytes, self.download_per_upload, strict=True)
        return [Fraction(sum(features.tier_ns)), *(up + ratio * down for up, down, ratio in moved)]


class TierCandidate(NamedTuple):
    """A placement (int64[n]), of each link the codec of each tensor (int64[m] or None), and what both use."""

    tier: IntArray
    codecs: tuple[IntArray | None, ...]
    features: TierFeatures


@dataclass(frozen=True, eq=False)
class TierEnvelope:
    """All placements that can be optimal for prices in the box, at any round trips, and the evidence.

    candidates: from all on tier 0, where that is allowed, to those that use all links.
    any_download: does the table hold for any prices of downloads?
    gap: proven bound on (best candidate - optimum) / optimum; large if `complete` is False.
    solves: minimum cuts computed. rays: at how many of them one was certified in the end.
    complete: False if the budget of minimum cuts ran out first.
    """

    candidates: tuple[TierCandidate, ...]
    any_download: bool
    gap: float
    solves: int
    rays: int
    complete: bool


def tier_envelope(
    problem: TierProblem,
    box: TierBox,
    *,
    most_solves: int = 20_000,
    progress: Callable[[int, int], None] | None = None,
) -> TierEnvelope:
    """Compute the envelope.

    Args:
        most_solves: budget of minimum cuts; when it runs out the result says `complete=False`.
        progress: called with (rays checked, rays known).

    Raises:
        InfeasibleError: no placement is allowed. MincutError: the box is for another number of links.
    """
    if len(box.upload) != len(problem.links):
        raise MincutError(f"the box has {len(box.upload)} links, the problem {len(problem.links)}")
    any_download = downloads_are_constant(problem.links[0])
    if any_download:
        box = TierBox(box.upload, (Fraction(0),) * len(box.upload))
    searches: list[_Search] = []
    found: dict[tuple[bytes, ...], TierCandidate] = {}
    if not any((link.pinned == ON_SERVER).any() for link in problem.links):
        _keep(found, problem, [(np.zeros(problem.op_count, dtype=np.int64), (None,) * len(problem.links))])
    for links in range(_fewest_links(problem), len(problem.links) + 1):
        network = build_tiers(first_tiers(problem, links + 1))
        search = _Search(network, box.first(links))
        search.run(most_solves - sum(other.solves for other in searches), progress)
        _keep(found, problem, ((candidate.tier, candidate.codecs) for candidate in search.needed()))
        searches.append(search)
    return TierEnvelope(
        tuple(found.values()),
        any_download,
        max(search.gap for search in searches),
        sum(search.solves for search in searches),
        sum(len(search.checked) for search in searches),
        all(search.complete for search in searches),
    )


def _fewest_links(problem: TierProblem) -> int:
    """How many links are used at least, one at least: as far as ops are pinned."""
    pinned = [link for link, part in enumerate(problem.links) if (part.pinned == ON_SERVER).any()]
    return 1 + max(pinned, default=0)


def _keep(
    found: dict[tuple[bytes, ...], TierCandidate],
    problem: TierProblem,
    placements: Iterable[tuple[IntArray, Sequence[IntArray | None]]],
) -> None:
    """Add placements that are not there yet; over the links that they leave out, and for tensors that do not cross, the codec
    is the first."""
    for tier, chosen in placements:
        codecs: list[IntArray | None] = []
        for link, part in enumerate(problem.links):
            codec = chosen[link] if link < len(chosen) else None
            if part.codecs is not None:
                crosses = part.crossing(tier <= link)
                codec = np.where(crosses, 0 if codec is None else codec, 0).astype(np.int64)
            codecs.append(codec)
        key = tier.tobytes(), *(b"" if codec is None else codec.tobytes() for codec in codecs)
        found.setdefault(key, TierCandidate(tier, tuple(codecs), problem.features(tier, codecs)))


class _Search:
    """The rays of the envelope of one number of tiers, each with a minimum cut."""

    def __init__(self, network: TierNetwork, box: TierBox) -> None:
        self.network, self.box, self.solves = network, box, 0
        problem = network.problem
        first = [None if link.codecs is None else np.zeros(problem.tensor_count, dtype=np.int64) for link in problem.links]
        self.known = [TierCandidate(tier, tuple(first), problem.features(tier, first)) for tier in simple_tiers(network)]
        # Amounts are fractions if ratios of prices are. Costs of all are then counted in units of 1 / common.
        self.common = lcm(*(ratio.denominator for ratio in box.download_per_upload))
        self.checked: dict[Vector, float] = {}
        dimensions = 1 + len(box.upload)
        unit = [tuple(int(i == j) for j in range(dimensions + 1)) for i in range(dimensions)]
        row = self._row(self.known[0])
        rays = [(*axis[:-1], amount) for axis, amount in zip(unit, row, strict=False)]
        self.cone = RayCone([*unit, row], [*rays, (*(0 for _ in range(dimensions)), -1)])
        self.rows_before = dimensions + 1 + len(rows := box.rows())
        self.cone.add_all((*each, 0) for each in rows)
        self.cone.add_all(self._row(candidate) for candidate in self.known[1:])

    @property
    def rays(self) -> list[Vector]:
        """Of the cells: prices, and what the best known placement costs there."""
        return [ray for ray in self.cone.rays if any(ray[:-1])]

    @property
    def complete(self) -> bool:
        return all(ray[:-1] in self.checked for ray in self.rays)

    @property
    def gap(self) -> float:
        return max((self.checked.get(ray[:-1], float("inf")) for ray in self.rays), default=0.0)

    def run(self, most_solves: int, progress: Callable[[int, int], None] | None) -> None:
        while self.solves < most_solves:
            ray = next((ray[:-1] for ray in self.rays if ray[:-1] not in self.checked), None)
            if ray is None:
                return
            placement, gap = self._cheapest(ray)
            best = min(candidate.features.cost(placement.prices) for candidate in self.known)
            if placement.cost < best:
                self.known.append(TierCandidate(placement.tier, placement.codecs, placement.features))
                self.cone.add(self._row(self.known[-1]))
            else:
                certify_tiers(self.network, placement)
                self.checked[ray] = gap
            if progress is not None:
                progress(len(self.checked), len(self.rays))

    def needed(self) -> list[TierCandidate]:
        """Those whose cell is as large as the box: one that is best on a face alone is no better than its neighbours there."""
        best_at: dict[int, list[Vector]] = {}
        dimensions = 1 + len(self.box.upload)
        for ray in self.rays:
            for row in self.cone.tight_rows(ray):
                if row == dimensions:
                    best_at.setdefault(0, []).append(ray[:-1])
                elif row >= self.rows_before:
                    best_at.setdefault(row - self.rows_before + 1, []).append(ray[:-1])
        whole = rank(ray[:-1] for ray in self.rays)
        return [self.known[index] for index in sorted(best_at) if rank(best_at[index]) == whole]

    def _cheapest(self, ray: Vector) -> tuple[TierPlacement, float]:
        """A minimum cut at a ray, and by which share rounding the prices may have hidden a cheaper placement."""
        amounts = [self.box.amounts(candidate.features) for candidate in self.known]
        cheapest = min(sum(amount * price for amount, price in zip(each, ray, strict=True)) for each in amounts)
        scale = Fraction(_SCALED_COST) / cheapest if cheapest else Fraction(2**40, max(ray))
        prices = self.box.prices(ray, scale)
        self.solves += 1
        known_cost = min(candidate.features.cost(prices) for candidate in self.known)
        placement = solve_tiers(self.network, prices, known_cost=known_cost)
        exact = [scale * ray[0], *(scale * price for price in ray[1:])]
        exact += [price * ratio for price, ratio in zip(exact[1:], self.box.download_per_upload, strict=True)]
        rounded = [prices.tier[0], *prices.upload, *prices.download]
        error = max(abs(price / true - 1) for price, true in zip(rounded, exact, strict=True) if true)
        return placement, float(2 * error / (1 - error)) if error < 1 else float("inf")

    def _row(self, candidate: TierCandidate) -> Vector:
        """(amounts, -1): a cost is at most what the candidate costs."""
        return (*(int(amount * self.common) for amount in self.box.amounts(candidate.features)), -1)
