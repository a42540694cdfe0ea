"""Every partition of a chain over device, edge and cloud that can be optimal, by minimum cuts; and the look-up among them.

A pipeline is a choice of machines that all have something to do; its links and pings are then fixed. Its last machine has a
block iff the last block is pinned to it. Of three machines the one in between has a block iff some block is pinned to it: that
is a table for each block, of which the best is taken; without it, the cut could pass through a machine that does nothing, where
the device would send to the cloud directly. Criteria become pins, tensors that may not cross, and bounded rows:

* a block that must not run in between runs before or behind it: a table for each;
* one tensor crosses each link of a chain, so a limit of bytes forbids those that are larger;
* a limit of time bounds a sum, which no pin does (`mincut.bounded`). It is solved between two machines; of three, the blocks
  on the device are those before the first one at the edge, which is pinned in turn.

All of these are tables for any bandwidths in a range and any pings. The partition is the best of all tables, by what it takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise, product
from typing import NamedTuple

import numpy as np

from benchmarks.peers.scission import Question, Rules
from benchmarks.tiers.published_chains import INPUT_BYTES, TIERS, Chain, Links, Machines
from cic.decision.break_points import break_points
from mincut.bound_tree import Bound
from mincut.errors import InfeasibleError
from mincut.lower_envelope import PriceBox, envelope
from mincut.problem import BoolArray, IntArray, Problem
from mincut.rays import RayCone, Vector, rank
from mincut.rows import row_of
from mincut.tiers import TierBox, TierProblem, make_tiers, tier_envelope

PIPELINES = (("device",), ("device", "edge"), ("device", "cloud"), TIERS)
SLOWEST_BPS, FASTEST_BPS = 1e5, 1e9
_BYTE_NS = (Fraction(8), Fraction(80_000))
"""What a byte takes in nanoseconds over the fastest and the slowest link that the tables are for."""

_ONE = (Fraction(1), Fraction(1))


class Line(NamedTuple):
    """A partition, and what it takes, which is linear in pings and in what a byte takes.

    machines: that are used, and the device, which has the picture. tier: of each block the place of its machine among them.
    ns: of all blocks. sent: bytes over each link.
    """

    machines: tuple[str, ...]
    tier: tuple[int, ...]
    ns: int
    sent: tuple[int, ...]

    def latency_ns(self, links: Links) -> int:
        total = self.ns
        for pair, size in zip(pairwise(self.machines), self.sent, strict=True):
            ping_ns, byte_ns = links[pair]
            total += ping_ns + size * byte_ns
        return total


@dataclass(frozen=True)
class UplinkTable:
    """The fastest partition at each bandwidth of the device, all else being fixed. points: ascending, in bit/s."""

    points: tuple[float, ...]
    best: tuple[Line, ...]

    def at(self, bps: float) -> Line:
        return self.best[bisect_right(self.points, bps)]


@dataclass(frozen=True)
class BlockTable:
    """Every partition that can be the fastest of those that a question allows; none where it allows none."""

    lines: tuple[Line, ...]

    def fastest(self, links: Links) -> Line | None:
        """Under any conditions: all lines are weighed."""
        return min(self.lines, key=lambda line: line.latency_ns(links), default=None)

    def by_uplink(self, links: Links) -> UplinkTable:
        """By the bandwidth of the device's own link, which is the same to all machines; pings and other links are as given."""
        straight = []
        for line in self.lines:
            sent = line.sent[0] if line.sent else 0
            first = links[line.machines[:2]].byte_ns if line.sent else 0  # type: ignore[index]
            straight.append((line.latency_ns(links) - sent * first, sent * 8e9))
        points, best = break_points(straight, (SLOWEST_BPS, FASTEST_BPS))
        return UplinkTable(tuple(points), tuple(self.lines[index] for index in best))


def block_table(chain: Chain, machines: Machines, question: Question, input_bytes: int = INPUT_BYTES) -> BlockTable:
    """Of all pipelines of these machines."""
    lines: list[Line] = []
    for tiers in PIPELINES:
        named = [_named(machines[tier], tier, question.of(tier)) for tier in tiers]
        if all(_may_idle(question.of(tier)) for tier in TIERS if tier not in tiers):
            for names in product(*named):
                lines += _Pipeline(chain, tiers, names, question, input_bytes).lines()
    return BlockTable(tuple(lines))


def _named(names: Sequence[str], tier: str, given: Rules) -> list[str]:
    """The machines of a tier that may be in a pipeline: the device always, for it has the picture."""
    if tier != "device":
        if given.used is False:
            return []
        names = [name for name in names if name not in given.without_machines]
    return [name for name in names if given.machine in (None, name)]


def _may_idle(given: Rules) -> bool:
    """May a tier have no block?"""
    return given.used is not True and given.machine is None and not given.layers


class Span(NamedTuple):
    """Of each block the first and the last place where it may run."""

    lowest: tuple[int, ...]
    highest: tuple[int, ...]

    def within(self, block: int, low: int, high: int) -> Span:
        """The same, a block being held between two places."""
        lowest, highest = list(self.lowest), list(self.highest)
        lowest[block], highest[block] = max(lowest[block], low), min(highest[block], high)
        return Span(tuple(lowest), tuple(highest))

    def begins(self, block: int) -> Span:
        """The same, all blocks before this one being on the device, and none behind it."""
        lowest = (low if other < block else max(low, 1) for other, low in enumerate(self.lowest))
        highest = (min(high, 0) if other < block else high for other, high in enumerate(self.highest))
        return Span(tuple(lowest), tuple(highest))

    @property
    def possible(self) -> bool:
        return all(low <= high for low, high in zip(self.lowest, self.highest, strict=True))


@dataclass(frozen=True)
class _Pipeline:
    chain: Chain
    tiers: tuple[str, ...]
    names: tuple[str, ...]
    question: Question
    input_bytes: int

    def lines(self) -> list[Line]:
        """Those that can be the fastest of this pipeline."""
        if self.far == 0:
            return [line for line in self._alone() if self._keeps(line)]
        bounded = any(self.rules(place).bounds_time for place in range(len(self.tiers)))
        found: dict[tuple[int, ...], Line] = {}
        for span in self._spans():
            for part in self._parted(span, first=bounded):
                problem = self._problem(part)
                sides = self._bounded(problem, part) if bounded else _placements(problem)
                for tier in sides:
                    line = self._line(problem, tier)
                    found.setdefault(line.tier, line)
        return _needed(list(found.values()), self.far)

    @property
    def far(self) -> int:
        """The place of the last machine."""
        return len(self.tiers) - 1

    def rules(self, place: int) -> Rules:
        return self.question.of(self.tiers[place])

    def _alone(self) -> Iterator[Line]:
        """The device alone, if all blocks may run there."""
        span = self._all_pins(Span((0,) * self.chain.block_count, (0,) * self.chain.block_count))
        given = self.rules(0)
        if span.possible and not given.without_layers:
            yield Line(self.names, span.lowest, sum(self.chain.ns[self.names[0]]), ())

    def _keeps(self, line: Line) -> bool:
        """Does the device alone keep its limits of time?"""
        given = self.rules(0)
        most_ns = line.ns if given.most_ns is None else given.most_ns
        return line.ns <= most_ns and (given.most_percent is None or given.most_percent >= 100 or line.ns == 0)

    def _spans(self) -> Iterator[Span]:
        """Pins; more than one where a block must not run in between."""
        count = self.chain.block_count
        span = self._all_pins(Span((0,) * count, (self.far,) * count).within(count - 1, self.far, self.far))
        between = []
        for place in range(self.far + 1):
            for block in map(self.chain.block_of, self.rules(place).without_layers):
                if 0 < place < self.far:
                    between.append((block, place))
                else:
                    span = span.within(block, 1 if place == 0 else 0, self.far if place == 0 else self.far - 1)
        for sides in product((False, True), repeat=len(between)):
            chosen = span
            for (block, place), behind in zip(between, sides, strict=True):
                chosen = chosen.within(block, place + 1 if behind else 0, self.far if behind else place - 1)
            if chosen.possible:
                yield chosen

    def _all_pins(self, span: Span) -> Span:
        """With the layers that must run on each tier, and with whether the device must have any."""
        device = self.rules(0)
        if device.used is True or device.machine is not None:
            span = span.within(0, 0, 0)
        if device.used is False or self.names[0] in device.without_machines:
            span = span.within(0, 1, self.far)
        for place in range(self.far + 1):
            for block in map(self.chain.block_of, self.rules(place).layers):
                span = span.within(block, place, place)
        return span

    def _parted(self, span: Span, *, first: bool) -> Iterator[Span]:
        """Of three machines: with some block in between, once for each. first: which is the first one there."""
        pinned = any(both == (1, 1) for both in zip(*span, strict=True))
        if self.far < 2 or (pinned and not first):
            yield span
            return
        for block in range(self.chain.block_count):
            part = span.within(block, 1, 1)
            if first:
                part = part.begins(block)
            if part.possible:
                yield part

    def _problem(self, span: Span) -> TierProblem:
        count = self.chain.block_count
        sizes = (self.input_bytes, *self.chain.output_bytes[:-1])
        limits = [self.rules(place).most_bytes for place in range(self.far)]
        return make_tiers(
            [self.chain.ns[name] for name in self.names],
            [(block - 1, [block], size) for block, size in zip(range(count), sizes, strict=True)],
            lowest=span.lowest,
            highest=span.highest,
            may_cross=[[most is None or size <= most for size in sizes] for most in limits],
        )

    def _bounded(self, problem: TierProblem, span: Span) -> Iterator[IntArray]:
        """Placements that keep within limits of time, between the last two machines; what is before them is pinned."""
        before = np.array(span.highest) < self.far - 1
        last = problem.links[-1]
        bounds = self._bounds(last, before)
        if any(most < 0 for _, most in bounds):
            return
        try:
            found = envelope(last, PriceBox(_ONE, _ONE, _BYTE_NS, _ONE), limits=lambda _: bounds)
        except InfeasibleError:
            return
        for near in found.placements:
            tier = np.where(before, 0, np.where(near, self.far - 1, self.far)).astype(np.int64)
            if problem.violation(tier) is None:
                yield tier

    def _bounds(self, last: Problem, before: BoolArray) -> list[Bound]:
        """Limits of time as rows of the problem between the last two machines. before: the blocks on the one before these.

        A limit is: the sum over machines of (factor * time there) is at most so much. A factor below zero is made one above on
        the other side, for time on a machine is all of its time but that of the blocks which are on the other one.
        """
        near, far = (np.where(before, 0, ns).astype(np.int64) for ns in (last.device_ns, last.server_ns))
        spent_ns = int(np.array(self.chain.ns[self.names[0]], dtype=np.int64)[before].sum())
        bounds = []
        for place in range(self.far + 1):
            for factors, limit in _limits(self.rules(place), place, self.far + 1):
                here, there = factors[-2], factors[-1]
                most = limit - factors[0] * spent_ns
                most -= sum(factor * int(ns.sum()) for factor, ns in ((here, near), (there, far)) if factor < 0)
                row = row_of(
                    last,
                    f"time of the {self.tiers[place]}",
                    on_device=max(here, 0) * near + max(-there, 0) * far,
                    on_server=max(there, 0) * far + max(-here, 0) * near,
                )
                bounds.append((row, most))
        return bounds

    def _line(self, problem: TierProblem, tier: IntArray) -> Line:
        used = problem.features(tier)
        return Line(self.names, tuple(tier.tolist()), sum(used.tier_ns), used.upload_bytes)


def _limits(given: Rules, place: int, places: int) -> Iterator[tuple[list[int], int]]:
    """Each limit of time as factors of the times of all machines, and what their sum is at most."""
    if given.most_ns is not None:
        yield [int(other == place) for other in range(places)], given.most_ns
    if given.most_percent is not None:
        yield [100 * (other == place) - given.most_percent for other in range(places)], 0


def _placements(problem: TierProblem) -> Iterable[IntArray]:
    """Those that can be optimal at some bandwidths; none if the pins and what may not cross allow none."""
    try:
        return [candidate.tier for candidate in tier_envelope(problem, _box(len(problem.links))).candidates]
    except InfeasibleError:
        return []


def _box(links: int) -> TierBox:
    return TierBox((_BYTE_NS,) * links, (Fraction(0),) * links)


def _needed(lines: Sequence[Line], links: int) -> list[Line]:
    """Those on the lower envelope of all over the box, as `mincut.tiers.envelope` keeps them of one problem."""
    best = {(line.ns, *line.sent): line for line in reversed(lines)}
    amounts: list[Vector] = list(best)
    if len(amounts) < 2:
        return list(best.values())
    size = 1 + links
    unit = [tuple(int(i == j) for j in range(size + 1)) for i in range(size)]
    first = (*amounts[0], -1)
    start = [(*axis[:-1], amount) for axis, amount in zip(unit, amounts[0], strict=True)]
    cone = RayCone([*unit, first], [*start, (*(0,) * size, -1)])
    rows = _box(links).rows()
    cone.add_all((*row, 0) for row in rows)
    cone.add_all((*each, -1) for each in amounts[1:])
    rays = [ray for ray in cone.rays if any(ray[:-1])]
    tight: dict[int, list[Vector]] = {}
    for ray in rays:
        for row in cone.tight_rows(ray):
            # The first line's row stands before those of the box.
            index = 0 if row == size else row - size - len(rows)
            if row == size or index > 0:
                tight.setdefault(index, []).append(ray[:-1])
    whole = rank(ray[:-1] for ray in rays)
    return [best[amounts[index]] for index in sorted(tight) if rank(tight[index]) == whole]
