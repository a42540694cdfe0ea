"""A DAG priced on any number of tiers in a row: each pair of neighbours is a two-sided `Problem` over the same graph.

Link k joins tiers k and k + 1. Let S_k be the ops on tiers up to k. An op's tier is at least that of each producer iff every
S_k is closed under predecessors, and S_0 ⊆ S_1 ⊆ …; so a placement on T tiers is a chain of T - 1 closed sets, and it costs

    sum over tiers t  prices.tier[t]        * time of the ops on tier t
  + sum over links k  prices.upload[k]      * bytes of the tensors made in S_k (or fed to the model) that an op outside reads
                    + prices.download[k]    * bytes of the outputs made outside S_k, which come back over the link
                    + prices.round_trip[k]  * (1 if S_k is not everything else 0).

So a tensor is paid once on each link between the tier that makes it and the furthest tier that reads it, also where a tier
in between only passes it on. Under codecs it is encoded before and decoded after each link that it passes, in a codec of that
link, on the two tiers that the link joins.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from mincut.errors import BadProblemError
from mincut.problem import FREE, ON_DEVICE, ON_SERVER, BoolArray, Features, IntArray, Prices, Problem, make_problem

GRAPH = ("producer", "consumer_start", "consumers")


class TierPrices(NamedTuple):
    """What one unit of each feature costs: non-negative integers on one scale. T tiers, and T - 1 links."""

    tier: tuple[int, ...]
    upload: tuple[int, ...]
    download: tuple[int, ...]
    round_trip: tuple[int, ...]

    def link(self, link: int) -> Prices:
        """The prices of the two-sided problem about one link."""
        device, server = self.tier[link], self.tier[link + 1]
        return Prices(device, server, self.upload[link], self.download[link], self.round_trip[link])


class TierFeatures(NamedTuple):
    """What a placement uses: op and codec times of each tier; bytes up and back, and whether it is used, of each link."""

    tier_ns: tuple[int, ...]
    upload_bytes: tuple[int, ...]
    download_bytes: tuple[int, ...]
    round_trips: tuple[int, ...]

    def cost(self, prices: TierPrices) -> int:
        """Exact cost in the scale of `prices` (Python integers: never wraps)."""
        return sum(
            amount * price
            for amounts, unit_prices in zip(self, prices, strict=True)
            for amount, price in zip(amounts, unit_prices, strict=True)
        )


@dataclass(frozen=True, eq=False)
class TierProblem:
    """A DAG priced on len(links) + 1 tiers.

    links: links[k] is the problem between tier k, its device, and tier k + 1, its server: all of the same graph, and the
        server times of one are the device times of the next. Pins, tensors that may not cross and codecs are each link's own.

    Raises:
        BadProblemError: there is no link, or two links disagree; naming both.
    """

    links: tuple[Problem, ...]

    def __post_init__(self) -> None:
        if not self.links:
            raise BadProblemError(
                "there is no link: give the problem of each pair of neighbouring tiers, so two tiers at least"
            )
        for index, (one, other) in enumerate(pairwise(self.links)):
            for field in GRAPH:
                if not np.array_equal(getattr(one, field), getattr(other, field)):
                    raise BadProblemError(f"links {index} and {index + 1} are of different graphs: their {field} differ")
            if not np.array_equal(one.server_ns, other.device_ns):
                raise BadProblemError(
                    f"link {index} ends at tier {index + 1} and link {index + 1} starts there, yet their op times differ: "
                    f"{one.server_ns} and {other.device_ns}"
                )

    @property
    def tier_count(self) -> int:
        return len(self.links) + 1

    @property
    def op_count(self) -> int:
        return self.links[0].op_count

    @property
    def tensor_count(self) -> int:
        return self.links[0].tensor_count

    def sides(self, tier: IntArray) -> Iterator[tuple[Problem, BoolArray]]:
        """The problem of each link, and which ops are on its near side (bool[n]), of a placement (int64[n])."""
        return ((problem, tier <= link) for link, problem in enumerate(self.links))

    def features(self, tier: IntArray, codecs: Sequence[IntArray | None] | None = None) -> TierFeatures:
        """The features of a placement, counted from the problem alone (no network, no solver).

        Args:
            tier: int64[n]. codecs: of each link, which of its codecs each tensor crosses under (int64[m]); None: the first.
        """
        tier_ns = [int(self._op_ns(index)[tier == index].sum()) for index in range(self.tier_count)]
        passed: list[Features] = []
        for link, (problem, on_near_side) in enumerate(self.sides(tier)):
            codec = None if codecs is None else codecs[link]
            used = problem.features(on_near_side, codec)
            passed.append(used)
            tier_ns[link] += used.device_ns - int(problem.device_ns[on_near_side].sum())
            tier_ns[link + 1] += used.server_ns - int(problem.server_ns[~on_near_side].sum())
        return TierFeatures(
            tuple(tier_ns),
            tuple(used.upload_bytes for used in passed),
            tuple(used.download_bytes for used in passed),
            tuple(used.offloads for used in passed),
        )

    def violation(self, tier: IntArray) -> str | None:
        """Why a placement is not allowed, or None."""
        outside = np.flatnonzero((tier < 0) | (tier >= self.tier_count))
        if len(outside):
            return f"op {outside[0]} is on tier {tier[outside[0]]}, there are {self.tier_count}"
        found = ((link, problem.violation(near)) for link, (problem, near) in enumerate(self.sides(tier)))
        return next((f"at link {link}, {violation}" for link, violation in found if violation is not None), None)

    def _op_ns(self, tier: int) -> IntArray:
        return self.links[tier].device_ns if tier < len(self.links) else self.links[-1].server_ns


def first_tiers(problem: TierProblem, tiers: int) -> TierProblem:
    """The same graph on the first tiers alone, two at least.

    Raises:
        BadProblemError: so many tiers are not there, or an op is pinned beyond them.
    """
    if not 2 <= tiers <= problem.tier_count:
        raise BadProblemError(f"there are {problem.tier_count} tiers, {tiers} of them are no row of tiers")
    beyond = np.zeros(problem.op_count, dtype=np.bool_)
    for link in problem.links[tiers - 1 :]:
        beyond |= link.pinned == ON_SERVER
    if beyond.any():
        raise BadProblemError(f"op {np.flatnonzero(beyond)[0]} is pinned beyond the first {tiers} tiers")
    return TierProblem(problem.links[: tiers - 1])


def make_tiers(
    tier_ns: Sequence[Sequence[int]],
    tensors: Sequence[tuple[int, Sequence[int], int]],
    *,
    download_bytes: Sequence[int] | None = None,
    lowest: Sequence[int] | None = None,
    highest: Sequence[int] | None = None,
    may_cross: Sequence[Sequence[bool]] | None = None,
    codecs: Sequence[Sequence[Sequence[tuple[int, int, int]]]] | None = None,
) -> TierProblem:
    """A `TierProblem` from plain lists.

    Args:
        tier_ns: for each tier the time of each op. tensors, download_bytes: as in `mincut.problem.make_problem`.
        lowest, highest: the tiers between which each op must run; both the same pins it.
        may_cross, codecs: for each link, as in `mincut.problem.make_problem`; None: all tensors cross, as they are.

    Raises:
        BadProblemError: as `mincut.problem.Problem` and `TierProblem` raise it.
    """

    def pins(link: int) -> list[int]:
        above = [False] * len(tier_ns[0]) if lowest is None else [low > link for low in lowest]
        below = [False] * len(tier_ns[0]) if highest is None else [high <= link for high in highest]
        for op, (far, near) in enumerate(zip(above, below, strict=True)):
            if far and near:
                raise BadProblemError(f"op {op} must run on tier {link + 1} or later, and on tier {link} or earlier")
        return [ON_SERVER if far else ON_DEVICE if near else FREE for far, near in zip(above, below, strict=True)]

    return TierProblem(
        tuple(
            make_problem(
                near,
                far,
                tensors,
                download_bytes=download_bytes,
                pinned=pins(link),
                may_cross=None if may_cross is None else may_cross[link],
                codecs=None if codecs is None else codecs[link],
            )
            for link, (near, far) in enumerate(pairwise(tier_ns))
        )
    )
