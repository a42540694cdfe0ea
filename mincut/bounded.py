"""`solve_bounded`: the placement with the least of one row among those that keep other rows within bounds, exactly.

Bounded placements are no minimum cut: with one bound alone, finding the best is as hard as a knapsack. So the bounds are
relaxed with multipliers (Everett 1963; Held & Karp, Operations Research 18, 1970): a weighted sum of rows is a row again, and
its least amount is one minimum cut, from which `mincut.bound_tree` derives what no placement within the bounds can go below.
Where that is less than the cost of the best placement known, the placements are parted in two, by an op that is on the device
or on the server or by a form of a tensor that is used or not, and each part is treated alike (branch and bound: Land & Doig,
Econometrica 28, 1960). Parts with the lowest bound go first. The search ends, for a part in which all is fixed is one placement
and the rows themselves, each weighed alone, tell its cost and whether it is within its bounds.

Multipliers come from the linear relaxation (`mincut.linear_relaxation`), but any would do: what they prove is computed in
integers. Amounts are those of the rows, unless the cost is too large for int64 minimum cuts, when each is divided and rounded
down. What that can hide is nothing for costs below 2^40 in a problem of some hundred ops, and 2^-40 of larger ones; a part is
done when its bound is that close to the cost, and `at_least` says what was proved.
"""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from mincut.bound_tree import Bound, Bounded, Branch, Leaf, in_words, parted, relaxed_row, restricted, useful_forms
from mincut.codecs import least_forms
from mincut.errors import InfeasibleError, MincutError
from mincut.network import Network, build, price_row
from mincut.problem import FREE, ON_DEVICE, BoolArray, IntArray, Problem
from mincut.rows import Row, amount
from mincut.solver import flow_kernel

if TYPE_CHECKING:
    from mincut.linear_relaxation import LinearRelaxation, Relaxed

Side = tuple[BoolArray, IntArray | None]
"""bool[n], and which of its forms each tensor crosses in, int64[m], or None."""
# Multipliers are integers over this.
_WHOLE = 2**40
_SUM_BITS = 61
# A share of an op or a form that counts as none; how many shares are rounded at.
_FRACTION = 1e-6
_MOST_SHARES = 16


def solve_bounded(
    problem: Problem | Network,
    cost: Row,
    bounds: Sequence[Bound],
    *,
    known: Sequence[Side] = (),
    most_cuts: int = 10_000,
) -> Bounded:
    """The placement with the least cost among those with at most `bounds[i][1]` of `bounds[i][0]`, for every i.

    Args:
        cost: see `mincut.rows.combined` for a cost at given prices.
        known: placements that may be within the bounds, from which the search starts.
        most_cuts: budget of minimum cuts; when it runs out, `at_least` of the answer is below its `cost`.

    Raises:
        InfeasibleError: no placement is within the bounds, or allowed at all. `mincut.contradiction` tells which bounds do it.
        MincutError: no placement was found within the budget.
    """
    network = build(problem) if isinstance(problem, Problem) else problem
    search = _Search(network, cost, bounds)
    for side in known:
        search.offer(*side)
    search.run(most_cuts)
    return search.answer(most_cuts)


class _Part(NamedTuple):
    """Some of the placements: int8[n] pins, bool[F] forms that may be used; the number of its node in the tree."""

    pinned: npt.NDArray[np.int8]
    allowed: BoolArray
    node: int


class _Search:
    """The tree so far, and the best placement."""

    def __init__(self, network: Network, cost: Row, bounds: Sequence[Bound]) -> None:
        self.network, self.problem, self.cost, self.bounds = network, network.problem, cost, bounds
        self.count = network.node_count + network.problem.tensor_count + 1
        # No sum of capacities below this wraps.
        self.most = 2 ** (_SUM_BITS - self.count.bit_length())
        self.best: Side | None = None
        self.best_cost, self.cuts = 0, 0
        self.tree: list[Leaf | Branch] = []
        self._stacked = _stacked(bounds)
        self.relaxation: LinearRelaxation | None = None

    def run(self, most_cuts: int) -> None:
        """Part placements until every leaf is done, or the budget is spent."""
        root = _Part(self.problem.pinned, useful_forms(self.problem, self.cost, self.bounds), 0)
        expected = float(max(self.cost.on_device.sum(dtype=object), self.cost.on_server.sum(dtype=object)))
        plain = self._cut(root, self._alone(0), expected)
        self.tree.append(plain)
        # By the lowest bound; of equal ones the latest, which has the fewest placements.
        waiting: list[tuple[int, int, _Part, Relaxed]] = []
        if not self._done(plain):
            self._enter(root, waiting)
        while waiting and self.cuts < most_cuts:
            _, _, part, relaxed = heappop(waiting)
            if self._done(self.tree[part.node]):
                continue
            for child in self._children(part, relaxed):
                self._enter(child, waiting)

    def answer(self, most_cuts: int) -> Bounded:
        """What was found. Raises as `solve_bounded`."""
        proved = [leaf.proves(self.bounds) for leaf in self.tree if isinstance(leaf, Leaf)]
        if self.best is None and all(least is None for least in proved):
            raise InfeasibleError(f"no allowed placement keeps within its bounds: {in_words(self.bounds)}", tuple(self.tree))
        if self.best is None:
            raise MincutError(
                f"{most_cuts} minimum cuts found no placement within its bounds, and no proof that there is none: allow more"
            )
        at_least = min([self.best_cost, *(least for least in proved if least is not None)])
        return Bounded(*self.best, self.best_cost, at_least, tuple(self.tree), self.cuts)

    def offer(self, on_device: BoolArray, codec: IntArray | None) -> None:
        """Take a placement as the best one if it is allowed, within its bounds and cheaper."""
        cost = amount(self.problem, self.cost, on_device, codec)
        if self.best is not None and cost >= self.best_cost:
            return
        if self.problem.violation(on_device) is None and self._exceeded(on_device, codec) is None:
            self.best, self.best_cost = (on_device, codec), cost

    def _exceeded(self, on_device: BoolArray, codec: IntArray | None) -> int | None:
        """A bound that a placement does not keep."""
        problem = self.problem
        if self._stacked is None:
            rows = enumerate(self.bounds)
            return next((i for i, (row, most) in rows if amount(problem, row, on_device, codec) > most), None)
        # All at once: memory alone may be hundreds of rows.
        here, there, crossing, once, most = self._stacked
        used = problem.forms.chosen(codec)[problem.crossing(on_device)]
        total = here[:, on_device].sum(axis=1) + there[:, ~on_device].sum(axis=1) + crossing[:, used].sum(axis=1)
        over = np.flatnonzero(total + (0 if bool(on_device.all()) else once) > most)
        return int(over[0]) if len(over) else None

    def _enter(self, part: _Part, waiting: list[tuple[int, int, _Part, Relaxed]]) -> None:
        """Bound a part, and let it wait where that is not enough."""
        if self.relaxation is None:
            # scipy is needed only where bounds bind.
            from mincut.linear_relaxation import LinearRelaxation

            self.relaxation = LinearRelaxation(self.problem, self.cost, self.bounds)
        relaxed = self.relaxation.solve(part.pinned, part.allowed)
        weights = _weights(relaxed)
        self._offer_rounded(part, relaxed, weights)
        leaf = self._cut(part, weights, relaxed.cost)
        self.tree[part.node] = leaf
        if not self._done(leaf):
            heappush(waiting, (leaf.proves(self.bounds) or 0, -part.node, part, relaxed))

    def _done(self, leaf: Leaf | Branch) -> bool:
        assert isinstance(leaf, Leaf)
        least = leaf.proves(self.bounds)
        return least is None or (self.best is not None and least >= self._target)

    @property
    def _target(self) -> int:
        """What a part must be proved to cost at least to be done: the best cost, up to what rounding can hide."""
        hidden: int = self.best_cost * 2 * self.count // self.most
        return self.best_cost - hidden

    def _alone(self, row: int) -> tuple[int, ...]:
        """Weights of one row: the cost, or a bounded row from 1 on."""
        return tuple(int(index == row) for index in range(1 + len(self.bounds)))

    def _cut(self, part: _Part, weights: tuple[int, ...], expected: float = 0.0) -> Leaf:
        """One minimum cut of a weighted sum; its placement is offered.

        expected: about what the cheapest placement costs, where none is known yet.
        """
        paid = sum(weight * most for weight, (_, most) in zip(weights[1:], self.bounds, strict=True))
        if self.best is not None or not weights[0]:
            # A flow that is worth this much is all that is asked for.
            needed = max(paid + weights[0] * (self._target - 1) + 1, 0)
            divisor = -(-needed // self.most) or 1
            limit = -(-needed // divisor)
        else:
            largest = weights[0] * (2 * int(expected) + 1) + max(paid, 0)
            divisor, limit = 4 * largest // self.most + 1, self.most
        row = restricted(relaxed_row(self.cost, self.bounds, weights, divisor, limit), part.allowed, limit)
        network = self.network
        priced = price_row(network, row, limit, part.pinned)
        capacity, terminal = priced.capacity.copy(), priced.terminal.copy()
        on_source_side = np.zeros(network.node_count, dtype=np.bool_)
        flow = flow_kernel()(network.start, network.arc_head, network.reverse, capacity, terminal, on_source_side)
        self.cuts += 1
        self.offer(on_source_side[: self.problem.op_count].copy(), self._least_forms(weights, part.allowed))
        value = int(flow) + priced.constant
        return Leaf(weights, divisor, limit, value, priced.capacity - capacity, priced.terminal - terminal)

    def _least_forms(self, weights: Sequence[int], allowed: BoolArray) -> IntArray | None:
        """Of each tensor the form that adds least to a weighted sum; int64[m]."""
        forms = self.problem.codecs
        if forms is None:
            return None
        rows = [self.cost, *(row for row, _ in self.bounds)]
        amounts = np.zeros(len(allowed))
        for weight, row in zip(weights, rows, strict=True):
            amounts += float(weight) * row.crossing
        return least_forms(forms, np.where(allowed, amounts, np.inf))

    def _offer_rounded(self, part: _Part, relaxed: Relaxed, weights: Sequence[int]) -> None:
        """Offer the ops that are on the device by some share or more: at the best multipliers each is a cheapest cut."""
        codecs = [self._least_forms(weights, part.allowed)]
        if self.problem.codecs is not None:
            codecs.append(self._least_forms(weights, part.allowed & (relaxed.forms > _FRACTION)))
        shares = np.unique(relaxed.on_device.round(6))
        for share in [*shares[shares > 0].tolist()[-_MOST_SHARES:], 2.0]:
            for codec in codecs:
                self.offer(relaxed.on_device >= share - _FRACTION, codec)

    def _children(self, part: _Part, relaxed: Relaxed) -> list[_Part]:
        """Two parts that have all placements of this one; none if it is one placement, which is then weighed by one row."""
        op, form = self._open(part, relaxed)
        if op is None and form is None:
            self.tree[part.node] = self._cut(part, self._verdict(part))
            return []
        fixed = parted(self.problem, part.pinned, part.allowed, op, form)
        first = len(self.tree)
        # Each child is bounded at once, by `_enter`.
        self.tree += [self.tree[part.node]] * 2
        self.tree[part.node] = Branch(op, form, (first, first + 1))
        return [_Part(pinned, allowed, first + place) for place, (pinned, allowed) in enumerate(fixed)]

    def _verdict(self, part: _Part) -> tuple[int, ...]:
        """Weights that settle a part of one placement: a bound that it exceeds, its cost, or nothing if it is not allowed."""
        side = part.pinned == ON_DEVICE
        if self.problem.violation(side) is not None:
            return (0,) * (1 + len(self.bounds))
        exceeded = self._exceeded(side, self._least_forms(self._alone(0), part.allowed))
        return self._alone(0 if exceeded is None else 1 + exceeded)

    def _open(self, part: _Part, relaxed: Relaxed) -> tuple[int | None, int | None]:
        """An op or a form to part by: one that the relaxation splits most evenly, or any; neither if all is fixed."""
        free, forms = part.pinned == FREE, self.problem.forms
        op = _most_split(free, relaxed.on_device)
        if op is not None:
            return op, None
        choices = np.add.reduceat(part.allowed.astype(np.int64), forms.start[:-1]) if len(part.allowed) else forms.counts
        choosing = part.allowed & np.repeat(choices > 1, forms.counts)
        form = _most_split(choosing, relaxed.forms)
        if form is not None:
            return None, form
        if free.any():
            places = np.flatnonzero(free)
            return int(places[len(places) // 2]), None
        crossing = self.problem.crossing(part.pinned == ON_DEVICE)
        places = np.flatnonzero(choosing & np.repeat(crossing, forms.counts))
        return None, int(places[0]) if len(places) else None


def _stacked(bounds: Sequence[Bound]) -> tuple[IntArray, IntArray, IntArray, IntArray, IntArray] | None:
    """The arrays of all bounded rows, one above the other, and their bounds; None where a sum might not fit into int64."""
    parts = [(row.on_device, row.on_server, row.crossing, np.array([row.once])) for row, _ in bounds]
    largest = max((sum(int(part.sum(dtype=object)) for part in row) for row in parts), default=2**62)
    if largest >= 2**62 or max(abs(most) for _, most in bounds) >= 2**62:
        return None
    here, there, crossing, once = (np.stack(column) for column in zip(*parts, strict=True))
    return here, there, crossing, once[:, 0], np.array([most for _, most in bounds], dtype=np.int64)


def _most_split(choosing: BoolArray, shares: npt.NDArray[np.float64]) -> int | None:
    """Which of those that may be chosen is nearest to a half; None if all are whole."""
    split = np.where(choosing, np.minimum(shares, 1 - shares), 0)
    return int(split.argmax()) if len(split) and split.max() > _FRACTION else None


def _weights(relaxed: Relaxed) -> tuple[int, ...]:
    """Integers, of the cost and of each bound; the cost counts for nothing where the relaxation has no solution."""
    largest = float(relaxed.multipliers.max(initial=0))
    if not largest:
        return (int(relaxed.feasible), *(0 for _ in relaxed.multipliers))
    unit = _WHOLE if relaxed.feasible else _WHOLE / largest
    return (_WHOLE if relaxed.feasible else 0, *(round(each * unit) for each in relaxed.multipliers.tolist()))
